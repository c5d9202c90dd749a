//! The current record and its fields, each made from the other when it is asked for.

use std::rc::Rc;

use sampan_regexp::{Captures, Regexp, TooComplex};

use super::value::{Text, Value};

/// What is between fields: FS.
#[derive(Debug, Clone)]
pub enum Between {
    Blanks,
    Byte(u8),
    /// Each character is a field.
    Nothing,
    Regexp(Rc<Regexp>),
}

/// Pieces of a text, as FS or `split` has them.
pub fn split(text: &[u8], between: &Between, lines: bool) -> Result<Vec<Value>, TooComplex> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let is_line = |byte: u8| lines && byte == b'\n';
    Ok(match between {
        Between::Blanks => text
            .split(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
            .filter(|piece| !piece.is_empty())
            .map(Value::input)
            .collect(),
        Between::Byte(end) => {
            text.split(|byte| byte == end || is_line(*byte)).map(Value::input).collect()
        }
        Between::Nothing => {
            let chunks = text.utf8_chunks();
            chunks
                .flat_map(|chunk| {
                    let chars = chunk.valid().char_indices();
                    let valid =
                        chars.map(|(at, c)| &chunk.valid().as_bytes()[at..at + c.len_utf8()]);
                    valid.chain(chunk.invalid().chunks(1)).collect::<Vec<_>>()
                })
                .map(Value::input)
                .collect()
        }
        Between::Regexp(regexp) => split_by(text, regexp, lines)?,
    })
}

fn split_by(text: &[u8], regexp: &Regexp, lines: bool) -> Result<Vec<Value>, TooComplex> {
    let (mut pieces, mut captures) = (Vec::new(), Captures::default());
    for text in text.split(|byte| lines && *byte == b'\n') {
        let (mut start, mut from) = (0, 0);
        while regexp.find_at(text, from, &mut captures)? {
            let (first, end) = captures.whole();
            if end == first {
                from = end + 1;
                continue;
            }
            pieces.push(Value::input(&text[start..first]));
            (start, from) = (end, end);
        }
        pieces.push(Value::input(&text[start..]));
    }
    Ok(pieces)
}

#[derive(Debug)]
pub struct Record {
    text: Text,
    fields: Vec<Value>,
    /// The fields are those of the text.
    is_split: bool,
    /// A field was changed since the text was made.
    is_stale: bool,
}

/// `$100000000 = 1` would fill the memory.
pub const FIELDS_MAX: usize = 1 << 20;

impl Default for Record {
    fn default() -> Self {
        Self { text: Text::from(&b""[..]), fields: Vec::new(), is_split: true, is_stale: false }
    }
}

impl Record {
    pub fn set(&mut self, text: Text) {
        (self.text, self.is_split, self.is_stale) = (text, false, false);
    }

    /// Splits the text if that is not done.
    pub fn fields(
        &mut self,
        between: &Between,
        lines: bool,
    ) -> Result<&mut Vec<Value>, TooComplex> {
        if !self.is_split {
            self.fields = split(&self.text, between, lines)?;
            self.is_split = true;
        }
        Ok(&mut self.fields)
    }

    /// The fields were changed.
    pub fn changed(&mut self) {
        self.is_stale = true;
    }

    /// The text, made of the fields if one was changed.
    pub fn text(&mut self, between: &[u8], format: &str) -> Text {
        if self.is_stale {
            let fields: Vec<Text> = self.fields.iter().map(|field| field.text(format)).collect();
            self.text = fields.join(between).into();
            self.is_stale = false;
        }
        Rc::clone(&self.text)
    }
}
