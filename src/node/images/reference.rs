//! Image references as Docker and Kubernetes read them. Upstream:
//! `github.com/distribution/reference`, `normalize.go` and `regexp.go`.

use std::fmt;

/// Bytes in domain and path together; upstream's `RepositoryNameTotalLengthMax`.
const NAME_LENGTH_MAX: usize = 255;

/// A reference in full: `busybox` is `docker.io/library/busybox:latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    pub(super) domain: String,
    pub(super) path: String,
    /// `latest` where neither tag nor digest was given.
    pub(super) tag: Option<String>,
    pub(super) digest: Option<String>,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl Reference {
    /// # Errors
    /// Upstream's words for what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() == 64
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Err(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            ));
        }
        let (domain, remainder) = split_domain(text);
        let (named, digest) = split_once_or_all(&remainder, '@');
        let (path, tag) = split_once_or_all(named, ':');
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(format!(
                "invalid reference format: repository name ({path}) must be lowercase"
            ));
        }
        let well_formed = is_domain(&domain)
            && path.split('/').all(is_path_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        if !well_formed {
            return Err("invalid reference format".to_owned());
        }
        if domain.len() + 1 + path.len() > NAME_LENGTH_MAX {
            return Err(format!(
                "repository name must not be more than {NAME_LENGTH_MAX} characters"
            ));
        }
        let tag = if tag.is_none() && digest.is_none() { Some("latest") } else { tag };
        let tag = tag.map(str::to_owned);
        let digest = digest.map(str::to_owned);
        Ok(Self { domain, path: path.to_owned(), tag, digest })
    }
}

/// The registry and what follows it; Docker Hub's names are the default.
fn split_domain(text: &str) -> (String, String) {
    let is_registry = |first: &str| {
        first.contains(['.', ':']) || first == "localhost" || first != first.to_lowercase()
    };
    let (domain, path) = match text.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => ("docker.io", text),
    };
    let domain = if domain == "index.docker.io" { "docker.io" } else { domain };
    let library = if domain == "docker.io" && !path.contains('/') { "library/" } else { "" };
    (domain.to_owned(), format!("{library}{path}"))
}

fn split_once_or_all(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// A host name or an IPv6 address in brackets, with an optional port.
fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
                return false;
            }
            (None, port.strip_prefix(':').or(if port.is_empty() { None } else { Some("") }))
        }
        None => {
            let (host, port) = split_once_or_all(domain, ':');
            (Some(host), port)
        }
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.is_none_or(|host| host.split('.').all(label))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Runs of `[a-z0-9]` joined by one dot, one or two underscores, or any number of hyphens.
fn is_path_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_well =
        bytes.first().is_some_and(|b| is_word(*b)) && bytes.last().is_some_and(|b| is_word(*b));
    let separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends_well
        && separators.into_iter().all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let got = Reference::parse(text).map_or_else(|err| err, |reference| reference.to_string());
        assert_eq!(got, expect, "{text:?}");
    }

    #[test]
    fn short_names_are_docker_hubs() {
        check("busybox", "docker.io/library/busybox:latest");
        check("nginx:1.14.2", "docker.io/library/nginx:1.14.2");
        check("user/app", "docker.io/user/app:latest");
        check("docker.io/busybox", "docker.io/library/busybox:latest");
        check("index.docker.io/library/busybox:1", "docker.io/library/busybox:1");
        check("localhost/app:1", "localhost/app:1");
        check("ghcr.io/a/b_c/d--e:v1.0-rc", "ghcr.io/a/b_c/d--e:v1.0-rc");
        check("localhost:5000/app", "localhost:5000/app:latest");
        check("[::1]:5000/app", "[::1]:5000/app:latest");
    }

    #[test]
    fn a_digest_needs_no_tag() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        check(&format!("busybox@{digest}"), &format!("docker.io/library/busybox@{digest}"));
        check(&format!("busybox:1@{digest}"), &format!("docker.io/library/busybox:1@{digest}"));
        check("busybox@sha256:00", "invalid reference format");
    }

    #[test]
    fn faults_are_worded_as_upstream() {
        check("", "invalid reference format");
        check("a b", "invalid reference format");
        check("busybox:", "invalid reference format");
        check("a..b", "invalid reference format");
        check("-a", "invalid reference format");
        check("a/", "invalid reference format");
        check("http://x/y", "invalid reference format");
        check(
            "BusyBox",
            "invalid reference format: repository name (library/BusyBox) must be lowercase",
        );
        let hex = "0a".repeat(32);
        check(
            &hex,
            &format!("invalid repository name ({hex}), cannot specify 64-byte hexadecimal strings"),
        );
        let long = "a".repeat(250);
        check(&long, "repository name must not be more than 255 characters");
    }
}
