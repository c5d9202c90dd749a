//! What names, labels and keys may look like.
//!
//! Upstream: `k8s.io/apimachinery/pkg/util/validation/validation.go`. The patterns are matched by
//! hand, and only printed as the regular expressions upstream has.

/// Longest DNS label, in bytes.
pub const DNS_LABEL_BYTES_MAX: usize = 63;
/// Longest DNS subdomain, in bytes; most object names are one.
pub const DNS_SUBDOMAIN_BYTES_MAX: usize = 253;

const DNS1123_LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS1123_SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS1035_LABEL: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED_NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// Complaints about `name` as an RFC 1123 subdomain; none if it is one.
pub fn dns1123_subdomain(name: &str) -> Vec<String> {
    let mut complaints = too_long(name, DNS_SUBDOMAIN_BYTES_MAX);
    if !is_subdomain(name) {
        complaints.push(regex(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character",
            DNS1123_SUBDOMAIN,
            &["example.com"],
        ));
    }
    complaints
}

/// Complaints about `name` as a subdomain any one label of which may come first: `*.example.com`.
///
/// Upstream: `IsWildcardDNS1123Subdomain`.
pub fn wildcard_dns1123_subdomain(name: &str) -> Vec<String> {
    let mut complaints = too_long(name, DNS_SUBDOMAIN_BYTES_MAX);
    if !name.strip_prefix("*.").is_some_and(is_subdomain) {
        complaints.push(regex(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, \
             which must consist of lower case alphanumeric characters, '-' or '.' and end with an \
             alphanumeric character",
            &format!(r"\*\.{DNS1123_SUBDOMAIN}"),
            &["*.example.com"],
        ));
    }
    complaints
}

/// Complaints about `name` as an RFC 1123 label (namespaces, containers); none if it is one.
pub fn dns1123_label(name: &str) -> Vec<String> {
    let mut complaints = too_long(name, DNS_LABEL_BYTES_MAX);
    if is_label(name) {
        return complaints;
    }
    complaints.push(if is_subdomain(name) {
        "must not contain dots".to_owned()
    } else {
        regex(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
             '-', and must start and end with an alphanumeric character",
            DNS1123_LABEL,
            &["my-name", "123-abc"],
        )
    });
    complaints
}

/// Complaints about `name` as an RFC 1035 label (Services); none if it is one.
pub fn dns1035_label(name: &str) -> Vec<String> {
    let mut complaints = too_long(name, DNS_LABEL_BYTES_MAX);
    if !(is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())) {
        complaints.push(regex(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character",
            DNS1035_LABEL,
            &["my-name", "abc-123"],
        ));
    }
    complaints
}

/// Complaints about `name` as a label key, finalizer or condition type: `[prefix/]name`.
pub fn qualified_name(name: &str) -> Vec<String> {
    const RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start \
                        and end with an alphanumeric character";
    const EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];
    let mut complaints = Vec::new();
    let name = match name.split_once('/') {
        None => name,
        Some((_, name)) if name.contains('/') => {
            let rule = regex(RULE, QUALIFIED_NAME, EXAMPLES);
            let text = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a qualified name {rule} {text}")];
        }
        Some(("", name)) => {
            complaints.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            let prefix = dns1123_subdomain(prefix);
            complaints.extend(prefix.iter().map(|text| format!("prefix part {text}")));
            name
        }
    };
    if name.is_empty() {
        complaints.push("name part must be non-empty".to_owned());
    }
    let long = too_long(name, DNS_LABEL_BYTES_MAX);
    complaints.extend(long.iter().map(|text| format!("name part {text}")));
    if !is_qualified(name) {
        complaints.push(format!("name part {}", regex(RULE, QUALIFIED_NAME, EXAMPLES)));
    }
    complaints
}

/// Complaints about `value` as the value of a label; empty values are fine.
pub fn label_value(value: &str) -> Vec<String> {
    let mut complaints = too_long(value, DNS_LABEL_BYTES_MAX);
    if !value.is_empty() && !is_qualified(value) {
        complaints.push(regex(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', \
             '_' or '.', and must start and end with an alphanumeric character",
            &format!("({QUALIFIED_NAME})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    complaints
}

/// Complaints about `name` as an environment variable: any printable ASCII but `=`.
///
/// Upstream: `IsRelaxedEnvVarName`, the rule since v1.32.
pub fn env_var_name(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
        return Vec::new();
    }
    vec![
        "a valid environment variable name must consist only of printable ASCII characters other \
         than '='"
            .to_owned(),
    ]
}

/// Complaints about `key` as a key of a ConfigMap or Secret.
pub fn config_map_key(key: &str) -> Vec<String> {
    let mut complaints = too_long(key, DNS_SUBDOMAIN_BYTES_MAX);
    if key.is_empty()
        || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || in_set(byte, b"-._"))
    {
        complaints.push(regex(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match key {
        "." => complaints.push("must not be '.'".to_owned()),
        ".." => complaints.push("must not be '..'".to_owned()),
        _ if key.starts_with("..") => complaints.push("must not start with '..'".to_owned()),
        _ => {}
    }
    complaints
}

/// Complaints about `name` as one segment of a URL path (roles, leases of old kinds).
///
/// Upstream: `k8s.io/apimachinery/pkg/api/validation/path/name.go`.
pub fn path_segment_name(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    let banned = ["/", "%"].into_iter().filter(|part| name.contains(part));
    banned.map(|part| format!("may not contain '{part}'")).collect()
}

/// Complaints about `name` as the name of a container or Service port.
pub fn port_name(name: &str) -> Vec<String> {
    let mut complaints = too_long(name, 15);
    let mut complain = |broken: bool, text: &str| {
        if broken {
            complaints.push(text.to_owned());
        }
    };
    let charset = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    complain(
        name.is_empty() || !name.bytes().all(charset),
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    );
    complain(
        !name.bytes().any(|byte| byte.is_ascii_lowercase()),
        "must contain at least one letter (a-z)",
    );
    complain(name.contains("--"), "must not contain consecutive hyphens");
    complain(name.starts_with('-') || name.ends_with('-'), "must not begin or end with a hyphen");
    complaints
}

/// Complaints about `port` as a port number.
pub fn port_number(port: i64) -> Vec<String> {
    in_range(port, 1, 65535)
}

/// Complaints about a number outside of `min..=max`.
pub fn in_range(value: i64, min: i64, max: i64) -> Vec<String> {
    if (min..=max).contains(&value) {
        return Vec::new();
    }
    vec![format!("must be between {min} and {max}, inclusive")]
}

fn too_long(text: &str, bytes_max: usize) -> Vec<String> {
    if text.len() <= bytes_max {
        return Vec::new();
    }
    vec![format!("must be no more than {bytes_max} characters")]
}

/// Upstream's sentence about a value that does not match a pattern, two blanks and all.
fn regex(rule: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{rule} (e.g. {}regex used for validation is '{pattern}')", examples.join(" or "))
}

fn is_subdomain(name: &str) -> bool {
    name.split('.').all(is_label)
}

fn is_label(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    framed(name, alphanumeric, b"-")
}

fn is_qualified(name: &str) -> bool {
    framed(name, |byte| byte.is_ascii_alphanumeric(), b"-_.")
}

/// Not empty, `outer` at both ends, `outer` or one of `inner` between them.
fn framed(text: &str, outer: impl Fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    outer(*first) && outer(*last) && bytes.iter().all(|byte| outer(*byte) || in_set(*byte, inner))
}

fn in_set(byte: u8, set: &[u8]) -> bool {
    set.contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: fn(&str) -> Vec<String>, good: &[&str], bad: &[&str]) {
        for name in good {
            assert_eq!(rule(name), Vec::<String>::new(), "{name:?} is fine");
        }
        for name in bad {
            assert!(!rule(name).is_empty(), "{name:?} is wrong");
        }
    }

    #[test]
    fn dns_names_are_lower_case_labels() {
        let long = "a".repeat(64);
        check(
            dns1123_label,
            &["a", "0", "a-b", "1-2"],
            &["", "-a", "a-", "A", "a.b", "a_b", "ä", &long],
        );
        check(
            dns1123_subdomain,
            &["a", "a.b", "0.1-2.c", &long],
            &["", ".", "a.", ".a", "a..b", "a.-b", "A", &"a".repeat(254)],
        );
        check(dns1035_label, &["a", "a-0"], &["", "0a", "a.b", "a-", "A", &long]);
    }

    #[test]
    fn label_keys_may_have_a_prefix() {
        check(
            qualified_name,
            &["a", "A_b.c-d", "example.com/MyName", "1"],
            &["", "/", "/a", "a/", "a/b/c", "A.com/x", "-a", "a-", "a b", &"a".repeat(64)],
        );
        check(label_value, &["", "a", "A.b_c-d"], &["-", "a b", "a/b", &"a".repeat(64)]);
    }

    #[test]
    fn other_names_have_their_own_rules() {
        check(env_var_name, &["A", "a.b", "1", "a b"], &["", "a=b", "ä", "a\n"]);
        check(config_map_key, &["a", "A.b_c-d", ".a"], &["", ".", "..", "..a", "a/b", "a b"]);
        check(path_segment_name, &["a", "system:a", "A B"], &[".", "..", "a/b", "a%b"]);
        check(
            port_name,
            &["http", "a-1"],
            &["", "80", "a--b", "-a", "a-", "HTTP", "sixteen-letters-"],
        );
        assert!(port_number(65535).is_empty());
        assert_eq!(port_number(0), ["must be between 1 and 65535, inclusive"]);
    }

    #[test]
    fn complaints_are_worded_as_upstream() {
        assert_eq!(
            dns1123_label("A"),
            ["a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
              '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
              '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"]
        );
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(
            dns1123_subdomain("A_"),
            ["a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
              '-' or '.', and must start and end with an alphanumeric character (e.g. \
              'example.com', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"]
        );
        assert_eq!(
            qualified_name("/"),
            [
                "prefix part must be non-empty",
                "name part must be non-empty",
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must \
                 start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
                 '123-abc', regex used for validation is \
                 '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ]
        );
    }
}
