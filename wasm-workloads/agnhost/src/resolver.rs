//! What a Pod's /etc says of names: `dns-suffix`, `dns-server-list`, `etc-hosts`.

use crate::Done;

pub(crate) fn suffixes(_: &[String]) -> Done {
    print_words("search")
}

pub(crate) fn servers(_: &[String]) -> Done {
    print_words("nameserver")
}

pub(crate) fn hosts(_: &[String]) -> Done {
    println!("{}", read("/etc/hosts")?);
    Ok(0)
}

fn print_words(name: &str) -> Done {
    match words(&read("/etc/resolv.conf")?, name) {
        Some(words) => println!("{words}"),
        None => return Err("Could not find DNS search list!".to_owned()),
    }
    Ok(0)
}

/// The words of the first line that begins so, with commas between them.
fn words(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split(' ').skip(1).collect::<Vec<_>>().join(","))
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("open {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed() {
        let text = "search a.svc b\nnameserver 10.43.0.10\noptions ndots:5\n";
        assert_eq!(words(text, "search").as_deref(), Some("a.svc,b"));
        assert_eq!(words(text, "nameserver").as_deref(), Some("10.43.0.10"));
        assert_eq!(words(text, "x"), None);
    }
}
