//! Commands after `:`.

use super::buffer::Place;
use super::editor::{Editor, Register, Request};

/// The first and the last line.
type Range = (usize, usize);

impl Editor {
    pub fn ex(&mut self, text: &str) -> Option<Request> {
        match self.try_ex(text.trim_start_matches([' ', ':'])) {
            Ok(request) => request,
            Err(why) => {
                self.message = why;
                None
            }
        }
    }

    fn try_ex(&mut self, text: &str) -> Result<Option<Request>, String> {
        let (range, rest) = self.ex_range(text)?;
        let rest = rest.trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        // `s` takes any sign after it, and letters only in its long form.
        let (name, rest) = rest.split_at(letters);
        let (force, argument) = match rest.strip_prefix('!') {
            Some(rest) if !name.is_empty() => (true, rest.trim()),
            _ => (false, rest.trim_start()),
        };
        let here = range.unwrap_or((self.cursor.line, self.cursor.line));
        let path = || Some(argument.trim_end()).filter(|path| !path.is_empty()).map(str::to_owned);
        if argument.starts_with('!') || (name.is_empty() && rest.starts_with('!')) {
            return Err("vi runs no commands here: leave it, or open another terminal".to_owned());
        }
        Ok(match name {
            "" => {
                if range.is_some() && rest.is_empty() {
                    self.cursor = self.to_line(here.1).place;
                } else if rest == "=" {
                    self.message = range.map_or(self.buffer.len(), |range| range.1 + 1).to_string();
                } else if rest.starts_with(['>', '<']) {
                    self.shift(here.0, here.1, rest.starts_with('>'));
                } else if !rest.is_empty() && !rest.starts_with('"') {
                    return Err(format!("'{rest}' is not implemented"));
                }
                None
            }
            "w" | "write" => Some(Request::Write { path: path(), range, force, quit: false }),
            "wq" | "wqa" | "wqall" => {
                Some(Request::Write { path: path(), range, force, quit: true })
            }
            "x" | "xit" | "xa" | "xall" if self.buffer.is_modified() => {
                Some(Request::Write { path: path(), range, force, quit: true })
            }
            "x" | "xit" | "xa" | "xall" => Some(Request::Quit { force }),
            "wn" => return Err("':wn' is not implemented: use :w and :n".to_owned()),
            "q" | "quit" | "qa" | "qall" => {
                self.guard(force, name)?;
                Some(Request::Quit { force: force || name.starts_with("qa") })
            }
            "e" | "edit" => {
                self.guard(force, name)?;
                Some(Request::Edit { path: path() })
            }
            "n" | "next" | "prev" | "previous" | "rew" | "rewind" => {
                self.guard(force, name)?;
                Some(Request::Next { back: !name.starts_with('n') })
            }
            "r" | "read" => {
                let after = range.map_or(self.cursor.line + 1, |range| range.1 + 1);
                let path = path().or_else(|| self.name.clone()).ok_or("No file name")?;
                Some(Request::Read { path, after: if text.starts_with('0') { 0 } else { after } })
            }
            _ => {
                self.change_by_name(name, argument, here, range.is_some())?;
                None
            }
        })
    }

    /// Refuses to lose what was changed.
    fn guard(&self, force: bool, name: &str) -> Result<(), String> {
        if force || !self.buffer.is_modified() {
            return Ok(());
        }
        Err(format!("No write since last change (:{name}! overrides)"))
    }

    /// Commands that stay in the text.
    fn change_by_name(
        &mut self,
        name: &str,
        argument: &str,
        range: (usize, usize),
        ranged: bool,
    ) -> Result<(), String> {
        match name {
            "s" | "substitute" => return self.substitute(argument, range),
            "d" | "delete" | "y" | "yank" => {
                let lines = self.buffer.lines()[range.0..=range.1].to_vec();
                self.keep(argument.chars().next(), Register { lines, linewise: true });
                if name.starts_with('d') {
                    self.delete_lines(range.0, range.1);
                }
            }
            "j" | "join" => {
                self.cursor = Place::new(range.0, 0);
                self.join(range.1.saturating_sub(range.0).max(1));
            }
            "m" | "move" | "t" | "co" | "copy" => {
                self.carry(range, argument, name.starts_with('m'))?;
            }
            "pu" | "put" => self.put(false, 1, argument.chars().next()),
            "u" | "undo" => {
                self.buffer.end();
                self.cursor = self.buffer.undo().ok_or("Already at oldest change")?;
            }
            "red" | "redo" => {
                self.buffer.end();
                self.cursor = self.buffer.redo().ok_or("Already at newest change")?;
            }
            "f" | "file" => {
                if !argument.is_empty() {
                    self.name = Some(argument.trim_end().to_owned());
                }
                self.message = self.status();
            }
            "se" | "set" => return self.set(argument),
            "noh" | "nohlsearch" | "syntax" | "syn" if !ranged => {}
            "ve" | "version" => {
                self.message = concat!("vi of sampan ", env!("CARGO_PKG_VERSION")).to_owned();
            }
            name => return Err(format!("'{name}' is not implemented")),
        }
        Ok(())
    }

    /// `:m` and `:t`
    fn carry(&mut self, range: (usize, usize), to: &str, remove: bool) -> Result<(), String> {
        let mut after = match to.trim() {
            "0" => 0,
            to => match self.ex_range(to)? {
                (Some((_, line)), "") => line + 1,
                _ => return Err("Where to? A line's number, or $".to_owned()),
            },
        };
        let count = range.1 + 1 - range.0;
        let lines = self.buffer.lines()[range.0..=range.1].to_vec();
        if remove {
            if (range.0 + 1..=range.1).contains(&after) {
                return Err("Move lines into themselves".to_owned());
            }
            // Never empty in between: what comes in first goes out after.
            self.buffer.replace(after, 0, lines);
            let from = if after <= range.0 { range.0 + count } else { range.0 };
            self.buffer.replace(from, count, Vec::new());
            if after > range.0 {
                after -= count;
            }
        } else {
            self.buffer.replace(after, 0, lines);
        }
        self.cursor = self.to_line(after + count - 1).place;
        Ok(())
    }

    fn set(&mut self, argument: &str) -> Result<(), String> {
        for word in argument.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let (name, on) = match name.strip_prefix("no") {
                Some(rest) => (rest, false),
                None => (name, true),
            };
            let options = &mut self.options;
            match name {
                "nu" | "number" => options.number = on,
                "ic" | "ignorecase" => options.ignore_case = on,
                "ai" | "autoindent" => options.auto_indent = on,
                "et" | "expandtab" => options.expand_tab = on,
                "sw" | "shiftwidth" | "ts" | "tabstop" | "sts" | "softtabstop" => {
                    let width = value.parse().ok().filter(|width| (1..=32).contains(width));
                    options.shift = width.ok_or("bad option: a width of 1 to 32 columns")?;
                }
                // They change nothing that could be seen here.
                "sm" | "showmatch" | "fl" | "flash" | "hls" | "hlsearch" | "is" | "incsearch"
                | "ruler" | "ru" | "showmode" | "smd" | "cp" | "compatible" | "wrap" | "list" => {}
                _ => return Err(format!("bad option: {word}")),
            }
        }
        if argument.is_empty() {
            let flag =
                |on: bool, name: &str| if on { name.to_owned() } else { format!("no{name}") };
            self.message = [
                flag(self.options.auto_indent, "autoindent"),
                flag(self.options.expand_tab, "expandtab"),
                flag(self.options.ignore_case, "ignorecase"),
                flag(self.options.number, "number"),
                format!("shiftwidth={}", self.options.shift),
            ]
            .join(" ");
        }
        Ok(())
    }

    /// The lines named before a command, and what follows.
    fn ex_range<'a>(&self, text: &'a str) -> Result<(Option<Range>, &'a str), String> {
        if let Some(rest) = text.strip_prefix('%') {
            return Ok((Some((0, self.buffer.last())), rest));
        }
        let (first, rest) = self.address(text)?;
        let Some(rest) = rest.strip_prefix(',') else {
            return Ok((first.map(|line| (line, line)), rest));
        };
        let (second, rest) = self.address(rest)?;
        let first = first.unwrap_or(self.cursor.line);
        let second = second.unwrap_or(self.cursor.line);
        Ok((Some((first.min(second), first.max(second))), rest))
    }

    /// A line's number, `.`, `$` or a mark, with `+N` and `-N` after it.
    fn address<'a>(&self, text: &'a str) -> Result<(Option<usize>, &'a str), String> {
        let mut rest = text.trim_start();
        let mut line = None;
        if let Some(after) = rest.strip_prefix('.') {
            (line, rest) = (Some(self.cursor.line), after);
        } else if let Some(after) = rest.strip_prefix('$') {
            (line, rest) = (Some(self.buffer.last()), after);
        } else if let Some(after) = rest.strip_prefix('\'') {
            let mark = after.chars().next().and_then(|name| self.marks.get(&name));
            line = Some(mark.ok_or("Mark not set")?.line);
            rest = after.get(1..).unwrap_or_default();
        } else if let (Some(number), after) = digits(rest) {
            (line, rest) = (Some(number.saturating_sub(1)), after);
        }
        while let Some(sign) = rest.chars().next().filter(|c| "+-".contains(*c)) {
            let (number, after) = digits(&rest[1..]);
            let (from, by) = (line.unwrap_or(self.cursor.line), number.unwrap_or(1));
            line = Some(if sign == '+' { from + by } else { from.saturating_sub(by) });
            rest = after;
        }
        Ok((line.map(|line| line.min(self.buffer.last())), rest))
    }
}

fn digits(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}
