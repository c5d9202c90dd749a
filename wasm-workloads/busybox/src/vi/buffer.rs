//! The text, as lines of characters, with what undoes and redoes its changes.

/// Without its newline.
pub type Line = Vec<char>;

/// Steps that can be undone.
/// Bound: a person goes back less far, and each step holds the lines it changed.
const STEPS_MAX: usize = 1000;

/// A character, or the end of a line; from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// There is always a line.
#[derive(Debug)]
pub struct Buffer {
    lines: Vec<Line>,
    undo: Vec<Step>,
    redo: Vec<Step>,
    /// Being made.
    step: Option<Step>,
    /// Names the present content.
    version: u64,
    versions: u64,
    saved: u64,
}

/// What goes back or forth together.
#[derive(Debug)]
struct Step {
    replacements: Vec<Replacement>,
    cursor: Place,
    version: u64,
}

/// `count` lines at `at` were `before`.
#[derive(Debug)]
struct Replacement {
    at: usize,
    count: usize,
    before: Vec<Line>,
}

impl Buffer {
    pub fn new(lines: Vec<Line>) -> Self {
        let lines = if lines.is_empty() { vec![Line::new()] } else { lines };
        let (undo, redo) = (Vec::new(), Vec::new());
        Self { lines, undo, redo, step: None, version: 0, versions: 0, saved: 0 }
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn last(&self) -> usize {
        self.lines.len() - 1
    }

    /// Beyond the last one there are empty lines.
    pub fn line(&self, at: usize) -> &[char] {
        self.lines.get(at).map_or(&[], Vec::as_slice)
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub fn at(&self, place: Place) -> Option<char> {
        self.line(place.line).get(place.column).copied()
    }

    pub fn is_modified(&self) -> bool {
        self.version != self.saved
    }

    pub fn set_saved(&mut self) {
        self.saved = self.version;
    }

    /// What changes from here on is undone together; the cursor is where it was before.
    pub fn begin(&mut self, cursor: Place) {
        let version = self.version;
        self.step.get_or_insert(Step { replacements: Vec::new(), cursor, version });
    }

    pub fn end(&mut self) {
        let Some(step) = self.step.take().filter(|step| !step.replacements.is_empty()) else {
            return;
        };
        self.redo.clear();
        self.undo.push(step);
        if self.undo.len() > STEPS_MAX {
            self.undo.remove(0);
        }
    }

    /// The only way that lines change.
    pub fn replace(&mut self, at: usize, count: usize, lines: Vec<Line>) {
        let lines = if lines.is_empty() && count == self.len() { vec![Line::new()] } else { lines };
        let now = lines.len();
        let before: Vec<Line> = self.lines.splice(at..at + count, lines).collect();
        self.versions += 1;
        self.version = self.versions;
        let Some(step) = &mut self.step else { return };
        // Typing changes the same line over and over.
        let same = |last: &Replacement| last.at == at && last.count == 1 && (count, now) == (1, 1);
        if !step.replacements.last().is_some_and(same) {
            step.replacements.push(Replacement { at, count: now, before });
        }
    }

    /// Where the cursor was before the change; `None` if there is none.
    pub fn undo(&mut self) -> Option<Place> {
        let step = self.undo.pop()?;
        let cursor = step.cursor;
        let back = self.revert(step);
        self.redo.push(back);
        Some(cursor)
    }

    pub fn redo(&mut self) -> Option<Place> {
        let step = self.redo.pop()?;
        let cursor = step.cursor;
        let back = self.revert(step);
        self.undo.push(back);
        Some(cursor)
    }

    /// Takes a step back; answers what takes it forth again.
    fn revert(&mut self, step: Step) -> Step {
        let version = std::mem::replace(&mut self.version, step.version);
        let mut replacements = Vec::new();
        for Replacement { at, count, before } in step.replacements.into_iter().rev() {
            let now = before.len();
            let before = self.lines.splice(at..at + count, before).collect();
            replacements.push(Replacement { at, count: now, before });
        }
        Step { replacements, cursor: step.cursor, version }
    }

    /// The text from one place to before another, as pieces of lines.
    pub fn slice(&self, from: Place, to: Place) -> Vec<Line> {
        let piece = |at: usize| {
            let line = self.line(at);
            let start = if at == from.line { from.column } else { 0 };
            let end = if at == to.line { to.column } else { line.len() };
            let end = end.min(line.len());
            line[start.min(end)..end].to_vec()
        };
        (from.line..=to.line).map(piece).collect()
    }

    pub fn delete(&mut self, from: Place, to: Place) {
        let to = Place { line: to.line.min(self.last()), ..to };
        let mut line = self.line(from.line).to_vec();
        line.truncate(from.column);
        line.extend(self.line(to.line).iter().skip(to.column));
        self.replace(from.line, to.line + 1 - from.line, vec![line]);
    }

    /// Puts pieces of lines in; answers the place after them.
    pub fn insert(&mut self, at: Place, text: &[Line]) -> Place {
        let [first, rest @ ..] = text else { return at };
        let mut line = self.line(at.line).to_vec();
        let tail = line.split_off(at.column.min(line.len()));
        line.extend(first);
        let mut lines = vec![line];
        lines.extend(rest.iter().cloned());
        let last = lines.len() - 1;
        let end = Place { line: at.line + last, column: lines[last].len() };
        lines[last].extend(tail);
        self.replace(at.line, 1, lines);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(buffer: &Buffer) -> String {
        buffer.lines.iter().map(|line| line.iter().collect::<String>() + "\n").collect()
    }

    fn lines(text: &str) -> Vec<Line> {
        text.lines().map(|line| line.chars().collect()).collect()
    }

    #[test]
    fn steps_go_back_and_forth_with_what_counts_as_saved() {
        let mut buffer = Buffer::new(lines("one\ntwo\nthree\n"));
        buffer.begin(Place::default());
        buffer.delete(Place { line: 0, column: 1 }, Place { line: 1, column: 2 });
        buffer.insert(Place { line: 0, column: 1 }, &lines("x\ny"));
        buffer.end();
        assert_eq!(text(&buffer), "ox\nyo\nthree\n");
        assert!(buffer.is_modified());
        assert_eq!(buffer.undo(), Some(Place::default()));
        assert_eq!(text(&buffer), "one\ntwo\nthree\n");
        assert!(!buffer.is_modified());
        buffer.redo();
        assert_eq!(text(&buffer), "ox\nyo\nthree\n");
        assert!(buffer.is_modified());
        assert_eq!(buffer.redo(), None);
    }

    #[test]
    fn the_last_line_does_not_go() {
        let mut buffer = Buffer::new(lines("one\ntwo\n"));
        buffer.begin(Place::default());
        buffer.replace(0, 2, Vec::new());
        buffer.end();
        assert_eq!(text(&buffer), "\n");
        buffer.undo();
        assert_eq!(text(&buffer), "one\ntwo\n");
    }
}
