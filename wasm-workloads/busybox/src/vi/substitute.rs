//! `:s`

use sampan_regexp::Captures;

use super::buffer::{Line, Place};
use super::editor::Editor;
use super::search::{Search, after, until};

/// What `s/…/…/…` says.
struct Substitution {
    search: Search,
    replacement: String,
    global: bool,
}

impl Editor {
    /// On lines of the range, both ends among them.
    pub(super) fn substitute(&mut self, text: &str, range: (usize, usize)) -> Result<(), String> {
        let substitution = self.parse(text)?;
        let (mut total, mut last, mut grown) = (0, None, 0);
        for at in range.0..=range.1 {
            let at = at + grown;
            let line: String = self.buffer.line(at).iter().collect();
            let (text, times) = substitution.apply(&line);
            if times == 0 {
                continue;
            }
            let lines: Vec<Line> = text.split('\n').map(|line| line.chars().collect()).collect();
            grown += lines.len() - 1;
            total += times;
            last = Some((at + lines.len() - 1, last.map_or(1, |(_, lines): (_, usize)| lines + 1)));
            self.buffer.replace(at, 1, lines);
        }
        let (line, lines) = last.ok_or("No match")?;
        self.cursor = Place::new(line, 0);
        if total > 1 {
            self.message = format!("{total} substitutions on {lines} lines");
        }
        Ok(())
    }

    fn parse(&mut self, text: &str) -> Result<Substitution, String> {
        let delimiter = text.chars().next().filter(|c| c.is_ascii_punctuation());
        let delimiter = delimiter.ok_or("nothing to substitute: s/PATTERN/TEXT/[g][i]")?;
        let (pattern, rest) = until(&text[delimiter.len_utf8()..], delimiter);
        let (replacement, flags) = until(rest.unwrap_or_default(), delimiter);
        let flags = flags.unwrap_or_default().trim();
        if let Some(unknown) = flags.chars().find(|flag| !"giI".contains(*flag)) {
            return Err(format!("s: flag '{unknown}' is not implemented"));
        }
        let ignore_case = self.options.ignore_case || flags.contains(['i', 'I']);
        // The delimiter is gone already; a slash in the pattern is not one.
        let escaped = pattern.replace('/', "\\/");
        let search = Search::new(&escaped, true, ignore_case, self.search.as_ref())?;
        self.search = Some(search.clone());
        Ok(Substitution { search, replacement, global: flags.contains('g') })
    }
}

impl Substitution {
    /// The line changed, and how often.
    fn apply(&self, line: &str) -> (String, usize) {
        let (mut out, mut end, mut times) = (String::new(), 0, 0);
        let (mut from, mut found) = (0, Captures::default());
        while from <= line.len() && self.search.find(line, from, &mut found) {
            let (start, stop) = found.whole();
            out.push_str(&line[end..start]);
            self.expand(line, &found, &mut out);
            (end, times) = (stop, times + 1);
            from = if stop > start { stop } else { after(line, stop) };
            if !self.global {
                break;
            }
        }
        out.push_str(&line[end..]);
        (out, times)
    }

    fn expand(&self, line: &str, found: &Captures, out: &mut String) {
        let group = |n: usize| found.get(n).map_or("", |(start, end)| &line[start..end]);
        let mut chars = self.replacement.chars();
        while let Some(c) = chars.next() {
            match c {
                '&' => out.push_str(group(0)),
                '\\' => match chars.next() {
                    Some(digit @ '0'..='9') => {
                        out.push_str(group(digit.to_digit(10).unwrap_or(0) as usize));
                    }
                    Some('n' | 'r') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some(c) => out.push(c),
                    None => out.push('\\'),
                },
                c => out.push(c),
            }
        }
    }
}
