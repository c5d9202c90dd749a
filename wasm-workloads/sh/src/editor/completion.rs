//! What a name at the cursor could become.

use crate::width::text_width;

/// What kind of name is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first word of a command.
    Command,
    File,
    /// An argument of `cd` and the like.
    Directory,
    Variable {
        /// After `${`.
        braced: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

/// What stands at the cursor.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    pub kind: Kind,
    /// The path so far, unquoted, with its slash at the end; may be empty.
    pub directory: String,
    /// How the name begins, unquoted.
    pub stem: String,
    quote: Quote,
}

/// What Tab comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Completed {
    Nothing,
    /// Text to insert.
    Insert(String),
    /// There are several, and they have nothing more in common.
    Several(Vec<String>),
}

/// Words after which another command comes.
const BEFORE_COMMANDS: &[&str] =
    &["if", "then", "else", "elif", "while", "until", "do", "!", "{", "time", "exec", "command"];

/// Reads the line up to the cursor as the shell will.
#[derive(Debug)]
struct Scan {
    quote: Quote,
    /// The word at the cursor so far, unquoted.
    word: String,
    /// Where in `word` the part after `=` begins.
    after_equals: usize,
    /// Where in `word` an unquoted or double-quoted `$` stands.
    dollar: Option<usize>,
    in_word: bool,
    first: bool,
    redirect: bool,
    /// The command that the word is an argument of.
    command: String,
}

/// What is wanted at the end of `before`.
pub fn wanted(before: &str) -> Wanted {
    let mut scan = Scan {
        quote: Quote::None,
        word: String::new(),
        after_equals: 0,
        dollar: None,
        in_word: false,
        first: true,
        redirect: false,
        command: String::new(),
    };
    let mut chars = before.chars();
    while let Some(c) = chars.next() {
        scan.take(c, &mut chars);
    }
    scan.wanted()
}

impl Scan {
    fn take(&mut self, c: char, rest: &mut std::str::Chars<'_>) {
        match (self.quote, c) {
            (Quote::Single, '\'') | (Quote::Double, '"') => self.quote = Quote::None,
            (Quote::Single, c) => self.word.push(c),
            (Quote::None, '\'') => self.quote = Quote::Single,
            (Quote::None, '"') => self.quote = Quote::Double,
            (_, '\\') => self.word.extend(rest.next()),
            (Quote::Double, '`') | (Quote::None, '|' | '&' | ';' | '(' | ')' | '\n' | '`') => {
                return self.start_command();
            }
            (Quote::None, ' ' | '\t') => return self.end_word(),
            (Quote::None, '<' | '>') => {
                self.end_word();
                self.redirect = true;
                return;
            }
            (_, '$') => {
                self.dollar = Some(self.word.len());
                self.word.push(c);
            }
            (_, '(') if self.word.ends_with('$') => return self.start_command(),
            (quote, c) => {
                self.word.push(c);
                if c == '=' && quote == Quote::None {
                    self.after_equals = self.word.len();
                }
            }
        }
        self.in_word = true;
    }

    fn start_command(&mut self) {
        self.end_word();
        (self.quote, self.first, self.redirect) = (Quote::None, true, false);
    }

    fn end_word(&mut self) {
        if !std::mem::take(&mut self.in_word) {
            return;
        }
        let word = std::mem::take(&mut self.word);
        let assigns = std::mem::take(&mut self.after_equals) > 0;
        self.dollar = None;
        if !std::mem::take(&mut self.redirect) && self.first && !assigns {
            self.first = BEFORE_COMMANDS.contains(&word.as_str());
            self.command = word;
        }
    }

    fn wanted(self) -> Wanted {
        let quote = self.quote;
        if let Some(at) = self.dollar {
            let name = &self.word[at + 1..];
            let (braced, name) = name.strip_prefix('{').map_or((false, name), |name| (true, name));
            if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let (kind, stem) = (Kind::Variable { braced }, name.to_owned());
                return Wanted { kind, directory: String::new(), stem, quote };
            }
        }
        let name = &self.word[self.after_equals..];
        let (directory, stem) = name.split_at(name.rfind('/').map_or(0, |at| at + 1));
        let kind = match self.command.as_str() {
            _ if self.redirect || self.after_equals > 0 => Kind::File,
            _ if self.first && directory.is_empty() => Kind::Command,
            "cd" | "rmdir" | "mkdir" if !self.first => Kind::Directory,
            _ => Kind::File,
        };
        Wanted { kind, directory: directory.to_owned(), stem: stem.to_owned(), quote }
    }
}

/// Completes with the names that begin with what is wanted; directories end with a slash.
/// `next` is the character at the cursor.
pub fn complete(wanted: &Wanted, mut names: Vec<String>, next: Option<char>) -> Completed {
    names.retain(|name| name.starts_with(&wanted.stem));
    names.sort();
    names.dedup();
    let Some((first, others)) = names.split_first() else { return Completed::Nothing };
    let common = others.iter().fold(first.as_str(), |common, name| common_start(common, name));
    let more = &common[wanted.stem.len()..];
    let mut text = quoted(more, wanted.quote);
    if others.is_empty() {
        text.push_str(&suffix(wanted, first, next));
    } else if more.is_empty() {
        return Completed::Several(names);
    }
    Completed::Insert(text)
}

fn common_start<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.char_indices().zip(other.chars()).take_while(|((_, c), other)| c == other);
    &one[..same.last().map_or(0, |((at, c), _)| at + c.len_utf8())]
}

/// What ends a whole name, unless it is there.
fn suffix(wanted: &Wanted, name: &str, next: Option<char>) -> String {
    if name.ends_with('/') {
        return String::new();
    }
    let quote = match (wanted.kind, wanted.quote) {
        (Kind::Variable { braced: true }, _) => "}",
        // More may follow it within the quotes.
        (Kind::Variable { .. }, Quote::Double) => return String::new(),
        (_, Quote::None) => "",
        (_, Quote::Single) => "'",
        (_, Quote::Double) => "\"",
    };
    let blank = if wanted.quote == Quote::Double && quote == "}" { "" } else { " " };
    format!("{quote}{blank}").chars().skip_while(|c| Some(*c) == next).collect()
}

fn quoted(text: &str, quote: Quote) -> String {
    let special = match quote {
        Quote::Single => return text.replace('\'', "'\\''"),
        Quote::Double => "\"$`\\!",
        Quote::None => " \t\n\"'\\$`!&|;<>()*?[]{}#~",
    };
    let mut quoted = String::new();
    for c in text.chars() {
        if special.contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// Names in columns, one below the other; each row ends with a newline.
pub fn columns(names: &[String], width: usize) -> String {
    let column = names.iter().map(|name| text_width(name)).max().unwrap_or(0) + 2;
    let count = (width / column).max(1);
    let rows = names.len().div_ceil(count);
    let mut text = String::new();
    for row in 0..rows {
        let mut gap = 0;
        for name in names.iter().skip(row).step_by(rows.max(1)) {
            text.push_str(&" ".repeat(gap));
            text.push_str(name);
            gap = column - text_width(name);
        }
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_at_the_cursor_is_understood() {
        let check = |before: &str, kind: Kind, directory: &str, stem: &str| {
            let wanted = wanted(before);
            assert_eq!(
                (wanted.kind, wanted.directory.as_str(), wanted.stem.as_str()),
                (kind, directory, stem),
                "{before}"
            );
        };
        check("", Kind::Command, "", "");
        check("ec", Kind::Command, "", "ec");
        check("./ec", Kind::File, "./", "ec");
        check("cat ", Kind::File, "", "");
        check("cat /etc/pa", Kind::File, "/etc/", "pa");
        check("cat 'my dir/fi", Kind::File, "my dir/", "fi");
        check("cat my\\ dir/a\\ ", Kind::File, "my dir/", "a ");
        check("cd /e", Kind::Directory, "/", "e");
        check("X=1 ec", Kind::Command, "", "ec");
        check("X=/us", Kind::File, "/", "us");
        check("cat x | gr", Kind::Command, "", "gr");
        check("if tr", Kind::Command, "", "tr");
        check("echo $(da", Kind::Command, "", "da");
        check("echo \"$(da", Kind::Command, "", "da");
        check("date >fi", Kind::File, "", "fi");
        check(">fi ec", Kind::Command, "", "ec");
        check("echo $HO", Kind::Variable { braced: false }, "", "HO");
        check("echo \"${HO", Kind::Variable { braced: true }, "", "HO");
        check("echo '$HO", Kind::File, "", "$HO");
        check("ls $HOME/x", Kind::File, "$HOME/", "x");
    }

    #[test]
    fn names_are_completed() {
        let check = |before: &str, names: &[&str], expect: &str| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let completed = complete(&wanted(before), names, None);
            assert_eq!(completed, Completed::Insert(expect.to_owned()), "{before}");
        };
        check("cat a", &["abc", "b"], "bc ");
        check("cat a", &["abcx", "abcy"], "bc");
        check("cd s", &["sub/"], "ub/");
        check("cat a", &["a file"], "\\ file ");
        check("cat \"a", &["a file"], " file\" ");
        check("cat 'a", &["a'b"], "'\\''b' ");
        check("echo $HO", &["HOME"], "ME ");
        check("echo \"${HO", &["HOME"], "ME}");
        check("cat g", &["größe", "grölen"], "rö");
        check("abc", &["abc"], " ");
    }

    #[test]
    fn several_names_are_listed() {
        let names: Vec<String> = ["ab", "ad", "x"].map(str::to_owned).to_vec();
        let completed = complete(&wanted("cat a"), names.clone(), None);
        assert_eq!(completed, Completed::Several(names[..2].to_vec()));
        assert_eq!(complete(&wanted("cat y"), names.clone(), None), Completed::Nothing);
        assert_eq!(columns(&names, 80), "ab  ad  x\r\n");
        assert_eq!(columns(&names, 9), "ab  x\r\nad\r\n");
        assert_eq!(columns(&names, 1), "ab\r\nad\r\nx\r\n");
    }
}
