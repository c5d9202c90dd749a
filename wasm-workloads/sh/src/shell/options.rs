//! What `set` turns on and off.

/// Options by name; those without a letter of their own have a capital that no one can type.
pub const NAMES: &[(&str, char)] = &[
    ("errexit", 'e'),
    ("noglob", 'f'),
    ("ignoreeof", 'I'),
    ("interactive", 'i'),
    ("monitor", 'm'),
    ("noexec", 'n'),
    ("stdin", 's'),
    ("xtrace", 'x'),
    ("verbose", 'v'),
    ("noclobber", 'C'),
    ("allexport", 'a'),
    ("notify", 'b'),
    ("nounset", 'u'),
    ("pipefail", PIPEFAIL),
];

/// Letters that `set` and the command line take.
pub const LETTERS: &str = "efmnxvCabuisI";

const PIPEFAIL: char = 'P';

#[derive(Debug, Default, Clone)]
pub struct Options {
    set: String,
}

impl Options {
    pub fn has(&self, letter: char) -> bool {
        self.set.contains(letter)
    }

    pub fn pipefail(&self) -> bool {
        self.has(PIPEFAIL)
    }

    /// Whether the option of this name is on; `None` if there is no such.
    pub fn named(&self, name: &str) -> Option<bool> {
        letter(name).map(|letter| self.has(letter))
    }

    /// False if there is no such option.
    pub fn change_named(&mut self, name: &str, on: bool) -> bool {
        letter(name).map(|letter| self.change(letter, on)).is_some()
    }

    pub fn change(&mut self, letter: char, on: bool) {
        self.set.retain(|c| c != letter);
        if on {
            self.set.push(letter);
        }
    }

    /// `$-`
    pub fn letters(&self) -> String {
        self.set.chars().filter(|letter| *letter != PIPEFAIL).collect()
    }

    /// For a shell that continues this one; an interactive shell's children are not.
    pub fn inherited(&self) -> String {
        self.set.chars().filter(|letter| !"im".contains(*letter)).collect()
    }
}

fn letter(name: &str) -> Option<char> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, letter)| *letter)
}
