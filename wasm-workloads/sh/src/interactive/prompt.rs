//! Prompts: bash's escapes in `PS1` and `PS2`, and then expansions.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::shell::Shell;

impl Shell {
    /// The prompt of a variable. `\u{1}` and `\u{2}` in it are around what takes no place.
    pub(super) fn prompt(&mut self, variable: &str) -> String {
        let Some(prompt) = self.variables.get(variable).map(str::to_owned) else {
            return String::new();
        };
        let escaped = self.unescape(&prompt);
        let status = self.status;
        let prompt = self.expand_prompt(&escaped);
        self.status = status;
        prompt
    }

    /// Replaces the escapes; what they stand for is quoted against expansion.
    fn unescape(&self, prompt: &str) -> String {
        let mut text = String::new();
        let mut chars = prompt.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            let Some(letter) = chars.next() else {
                text.push_str("\\\\");
                break;
            };
            if let Some(digit) = letter.to_digit(8) {
                let mut code = digit;
                for _ in 0..2 {
                    let next = chars.next_if(|c| c.is_digit(8)).and_then(|c| c.to_digit(8));
                    code = next.map_or(code, |digit| code * 8 + digit);
                }
                text.extend(char::from_u32(code));
                continue;
            }
            let value = self.escape(letter).unwrap_or_else(|| format!("\\{letter}"));
            for c in value.chars() {
                if matches!(c, '$' | '`' | '\\') {
                    text.push('\\');
                }
                text.push(c);
            }
        }
        text
    }

    fn escape(&self, letter: char) -> Option<String> {
        let variable = |name: &str| self.variables.get(name).map(str::to_owned);
        Some(match letter {
            'w' => self.directory_of_prompt(),
            'W' => match self.directory_of_prompt().as_str() {
                directory @ ("/" | "~") => directory.to_owned(),
                directory => directory.rsplit('/').next().unwrap_or_default().to_owned(),
            },
            'u' => variable("USER").unwrap_or_else(|| "root".to_owned()),
            'h' => host(variable("HOSTNAME")).split('.').next().unwrap_or_default().to_owned(),
            'H' => host(variable("HOSTNAME")),
            // There are no users, and everything is allowed.
            '$' => "#".to_owned(),
            't' => time_of_day(),
            'A' => time_of_day()[..5].to_owned(),
            'j' => self.jobs.len().to_string(),
            's' => self.name.rsplit('/').next().unwrap_or_default().to_owned(),
            '[' => "\u{1}".to_owned(),
            ']' => "\u{2}".to_owned(),
            'n' => "\n".to_owned(),
            'r' => "\r".to_owned(),
            'e' => "\u{1b}".to_owned(),
            'a' => "\u{7}".to_owned(),
            '\\' => "\\".to_owned(),
            _ => return None,
        })
    }

    fn directory_of_prompt(&self) -> String {
        let home = self.variables.get("HOME").unwrap_or_default();
        match self.directory.strip_prefix(home) {
            Some(rest) if home.len() > 1 && (rest.is_empty() || rest.starts_with('/')) => {
                format!("~{rest}")
            }
            _ => self.directory.clone(),
        }
    }
}

fn host(variable: Option<String>) -> String {
    let named = || {
        let name = std::fs::read_to_string("/etc/hostname").ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    };
    variable.or_else(named).unwrap_or_else(|| "localhost".to_owned())
}

/// In UTC, as a container without a time zone has it.
fn time_of_day() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 86400;
    format!("{:02}:{:02}:{:02}", now / 3600, now / 60 % 60, now % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_expansions_make_a_prompt() {
        let mut shell = Shell::new("/bin/sh".to_owned());
        for (name, value) in
            [("HOME", "/root"), ("HOSTNAME", "web-0.svc"), ("X", "\\w"), ("USER", "me")]
        {
            shell.variables.set_quietly(name, value.to_owned());
        }
        let mut check = |directory: &str, prompt: &str, expect: &str| {
            shell.directory = directory.to_owned();
            shell.variables.set_quietly("PS1", prompt.to_owned());
            assert_eq!(shell.prompt("PS1"), expect, "{prompt}");
        };
        check("/", "\\w \\$ ", "/ # ");
        check("/root/a/b", "\\u@\\h:\\w\\$ ", "me@web-0:~/a/b# ");
        check("/root", "[\\W \\H]", "[~ web-0.svc]");
        check("/tmp/x y", "\\W \\s\\n> ", "x y sh\n> ");
        check("/", "\\[\\e[1m\\]a\\[\\033[0m\\]", "\u{1}\u{1b}[1m\u{2}a\u{1}\u{1b}[0m\u{2}");
        check("/", "$X ${X:+y} \\\\ \\q $((1+1))$ ", "\\w y \\ \\q 2$ ");
        check("/tmp/$(id)`id`", "\\w ", "/tmp/$(id)`id` ");
    }
}
