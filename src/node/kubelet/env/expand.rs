//! `$(VAR)` in command, args and values.

/// Replaces each `$(NAME)` that `value_of` knows; unknown names stay as they are, `$$` is a dollar
/// sign that begins nothing.
pub(in crate::node::kubelet) fn expand(
    text: &str,
    mut value_of: impl FnMut(&str) -> Option<String>,
) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match value_of(name) {
                Some(value) => expanded.push_str(&value),
                None => expanded.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let value_of = |name: &str| (name == "A").then(|| "1".to_owned());
        assert_eq!(expand(text, value_of), expect);
    }

    #[test]
    fn known_names_are_replaced_and_all_else_stays() {
        check("$(A)-$(A)", "1-1");
        check("$(B)", "$(B)");
        check("$$(A)", "$(A)");
        check("$$$(A)", "$1");
        check("$A $", "$A $");
        check("$(A", "$(A");
        check("$()", "$()");
        check("100$$", "100$");
    }

    #[test]
    fn the_tutorials_script_reaches_the_shell_untouched() {
        let script = r#"i=0; while true; do echo "$i: $(data)"; i=$((i+1)); sleep 1; done"#;
        check(script, script);
    }
}
