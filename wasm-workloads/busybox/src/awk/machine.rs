//! What a running program knows: variables, the record, what it reads.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use sampan_regexp::Regexp;

use crate::call::{Call, Failure, reason};
use crate::stream::Input;

use super::expression::{SYNTAX, with_escapes};
use super::program::{Expression, Program, Variable, special};
use super::reader::{Reader, Separator};
use super::record::{Between, FIELDS_MAX, Record};
use super::streams::Streams;
use super::value::{Array, SharedArray, Text, Value};

/// Why a program stops going on where it is.
pub enum Stop {
    Failed(Failure),
    Next,
    NextFile,
    Exit,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

pub fn failed<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(Failure::Message(why.into())))
}

pub fn complex(err: sampan_regexp::TooComplex) -> Stop {
    Stop::Failed(Failure::Message(err.to_string()))
}

#[derive(Debug, Clone)]
pub enum Slot {
    Value(Value),
    Array(SharedArray),
}

/// Expressions made of texts are kept, this many.
const REGEXPS_MAX: usize = 100;

pub struct Machine<'a> {
    pub call: &'a Call,
    pub program: &'a Program,
    globals: Vec<Slot>,
    pub locals: Vec<Slot>,
    /// Where the current function's variables begin.
    pub base: usize,
    /// How many functions wait for one another.
    pub depth: u32,
    record: Record,
    between: Between,
    separator: Separator,
    pub streams: Streams<'a>,
    input: Option<Reader>,
    /// The next of ARGV.
    next_argument: usize,
    had_file: bool,
    buffer: (Vec<u8>, Vec<u8>),
    regexps: HashMap<Text, Rc<Regexp>>,
    pub exit_code: u8,
    pub random: u64,
    pub seed: f64,
    /// Whether a file could not be read.
    pub unread: bool,
}

impl<'a> Machine<'a> {
    pub fn new(call: &'a Call, program: &'a Program) -> Self {
        let globals = program.globals.iter().map(|_| Slot::Value(Value::Unset)).collect();
        let mut machine = Self {
            call,
            program,
            globals,
            locals: Vec::new(),
            base: 0,
            depth: 0,
            record: Record::default(),
            between: Between::Blanks,
            separator: Separator::Byte(b'\n'),
            streams: Streams::new(call),
            input: None,
            next_argument: 1,
            had_file: false,
            buffer: Default::default(),
            regexps: HashMap::new(),
            exit_code: 0,
            random: 1,
            seed: 0.0,
            unread: false,
        };
        let texts = [
            (special::FS, " "),
            (special::OFS, " "),
            (special::RS, "\n"),
            (special::ORS, "\n"),
            (special::SUBSEP, "\x1c"),
            (special::CONVFMT, "%.6g"),
            (special::OFMT, "%.6g"),
        ];
        for (place, text) in texts {
            machine.globals[place] = Slot::Value(text.as_bytes().into());
        }
        for place in [special::NR, special::FNR, special::RSTART] {
            machine.globals[place] = Slot::Value(0.0.into());
        }
        machine.globals[special::RLENGTH] = Slot::Value((-1.0).into());
        machine
    }

    fn slot(&mut self, variable: Variable) -> &mut Slot {
        match variable {
            Variable::Global(place) => &mut self.globals[place],
            Variable::Local(place) => &mut self.locals[self.base + place],
        }
    }

    fn name(&self, variable: Variable) -> &str {
        match variable {
            Variable::Global(place) => &self.program.globals[place],
            Variable::Local(_) => "a parameter",
        }
    }

    /// What a variable holds, be it an array.
    pub fn any(&mut self, variable: Variable) -> Slot {
        self.slot(variable).clone()
    }

    pub fn get(&mut self, variable: Variable) -> Result<Value, Stop> {
        if variable == Variable::Global(special::NF) {
            return Ok((self.fields()?.len() as f64).into());
        }
        match self.slot(variable) {
            Slot::Value(value) => Ok(value.clone()),
            Slot::Array(_) => failed(format!("'{}' is an array", self.name(variable))),
        }
    }

    /// A variable as an array; an unset one becomes one.
    pub fn array(&mut self, variable: Variable) -> Result<SharedArray, Stop> {
        let slot = self.slot(variable);
        match slot {
            Slot::Array(array) => Ok(Rc::clone(array)),
            Slot::Value(Value::Unset) => {
                let array = Rc::new(RefCell::new(Array::default()));
                *slot = Slot::Array(Rc::clone(&array));
                Ok(array)
            }
            Slot::Value(_) => failed(format!("'{}' is not an array", self.name(variable))),
        }
    }

    pub fn set(&mut self, variable: Variable, value: Value) -> Result<(), Stop> {
        if let Slot::Array(_) = self.slot(variable) {
            return failed(format!("'{}' is an array", self.name(variable)));
        }
        *self.slot(variable) = Slot::Value(value.clone());
        match variable {
            Variable::Global(special::NF) => self.set_field_count(value.number())?,
            Variable::Global(special::FS) => {
                // The record at hand is still split as before.
                self.fields()?;
                self.between = self.between_of(&value.text("%.6g"))?;
            }
            Variable::Global(special::RS) => {
                self.separator = self.separator_of(&value.text("%.6g"))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A special variable as text.
    pub fn setting(&self, place: usize) -> Text {
        match &self.globals[place] {
            Slot::Value(value) => value.text("%.6g"),
            Slot::Array(_) => Text::from(&b""[..]),
        }
    }

    /// CONVFMT or OFMT.
    pub fn format(&self, place: usize) -> String {
        String::from_utf8_lossy(&self.setting(place)).into_owned()
    }

    pub fn text(&self, value: &Value) -> Text {
        match value {
            Value::Number(number) if number.fract() != 0.0 => {
                value.text(&self.format(special::CONVFMT))
            }
            value => value.text("%.6g"),
        }
    }

    pub fn string(&self, value: &Value) -> String {
        String::from_utf8_lossy(&self.text(value)).into_owned()
    }

    /// What FS, or the third argument of `split`, means.
    pub fn between_of(&mut self, text: &[u8]) -> Result<Between, Stop> {
        Ok(match text {
            b" " => Between::Blanks,
            b"" => Between::Nothing,
            [byte] if *byte != b'\\' => Between::Byte(*byte),
            text => Between::Regexp(self.regexp(text)?),
        })
    }

    fn separator_of(&mut self, text: &[u8]) -> Result<Separator, Stop> {
        Ok(match text {
            b"" => Separator::Paragraph,
            [byte] => Separator::Byte(*byte),
            text => Separator::Regexp(self.regexp(text)?),
        })
    }

    /// A text as an expression.
    pub fn regexp(&mut self, text: &[u8]) -> Result<Rc<Regexp>, Stop> {
        if let Some(known) = self.regexps.get(text) {
            return Ok(Rc::clone(known));
        }
        let pattern = String::from_utf8_lossy(text);
        let regexp = match Regexp::new(&with_escapes(&pattern), SYNTAX) {
            Ok(regexp) => Rc::new(regexp),
            Err(why) => return failed(format!("bad regex '{pattern}': {why}")),
        };
        if self.regexps.len() >= REGEXPS_MAX {
            self.regexps.clear();
        }
        self.regexps.insert(text.into(), Rc::clone(&regexp));
        Ok(regexp)
    }

    fn fields(&mut self) -> Result<&mut Vec<Value>, Stop> {
        let lines = matches!(self.separator, Separator::Paragraph);
        self.record.fields(&self.between, lines).map_err(complex)
    }

    pub fn record(&mut self) -> Text {
        let between = self.setting(special::OFS);
        self.record.text(&between, "%.6g")
    }

    pub fn set_record(&mut self, text: Text) {
        self.record.set(text);
    }

    fn field_place(number: f64) -> Result<usize, Stop> {
        match number as i64 {
            place @ 0.. if place as usize <= FIELDS_MAX => Ok(place as usize),
            place => failed(format!("no field ${place}")),
        }
    }

    pub fn field(&mut self, number: f64) -> Result<Value, Stop> {
        match Self::field_place(number)? {
            0 => Ok(Value::input(&self.record())),
            place => Ok(self.fields()?.get(place - 1).cloned().unwrap_or_default()),
        }
    }

    pub fn set_field(&mut self, number: f64, value: &Value) -> Result<(), Stop> {
        let text = self.text(value);
        let place = Self::field_place(number)?;
        if place == 0 {
            self.set_record(text);
            return Ok(());
        }
        let fields = self.fields()?;
        if fields.len() < place {
            fields.resize(place, Value::Unset);
        }
        fields[place - 1] = match value {
            Value::Number(number) => Value::Numeric(text, *number),
            Value::Numeric(text, number) => Value::Numeric(Rc::clone(text), *number),
            _ => Value::Text(text),
        };
        self.record.changed();
        Ok(())
    }

    fn set_field_count(&mut self, number: f64) -> Result<(), Stop> {
        let count = Self::field_place(number)?;
        self.fields()?.resize(count, Value::Unset);
        self.record.changed();
        Ok(())
    }

    /// Stores into a variable, an element or a field.
    pub fn assign(&mut self, target: &Expression, value: Value) -> Result<(), Stop> {
        match target {
            Expression::Variable(variable) => self.set(*variable, value),
            Expression::Field(number) => {
                let number = self.evaluate(number)?.number();
                self.set_field(number, &value)
            }
            Expression::Element(array, key) => {
                let key = self.key(key)?;
                *self.array(*array)?.borrow_mut().get(key) = value;
                Ok(())
            }
            _ => failed("nothing can be assigned to this"),
        }
    }

    pub fn count(&mut self, places: &[usize]) {
        for place in places {
            let number =
                if let Slot::Value(value) = &self.globals[*place] { value.number() } else { 0.0 };
            self.globals[*place] = Slot::Value((number + 1.0).into());
        }
    }

    /// The next record of the files that ARGV names.
    pub fn next_record(&mut self) -> Result<Option<Text>, Stop> {
        loop {
            if let Some(reader) = &mut self.input {
                let (record, end) = &mut self.buffer;
                match reader.next(&self.separator, record, end) {
                    Ok(true) => {
                        let text: Text = record.as_slice().into();
                        self.globals[special::RT] = Slot::Value(end.as_slice().into());
                        self.count(&[special::NR, special::FNR]);
                        return Ok(Some(text));
                    }
                    Ok(false) => {}
                    Err(err) => return failed(reason(&err)),
                }
            }
            self.input = None;
            match self.next_file()? {
                Some(input) => self.input = Some(Reader::new(input)),
                None => return Ok(None),
            }
        }
    }

    /// `nextfile`
    pub fn skip_file(&mut self) {
        self.input = None;
    }

    fn next_file(&mut self) -> Result<Option<Input>, Stop> {
        loop {
            let count = self.get(Variable::Global(special::ARGC))?.number();
            if self.next_argument as f64 >= count {
                if self.had_file {
                    return Ok(None);
                }
                self.had_file = true;
                return Ok(Some(self.begin_file("-").unwrap_or_else(Input::stdin)));
            }
            let place: Text = self.next_argument.to_string().into_bytes().into();
            self.next_argument += 1;
            let arguments = self.array(Variable::Global(special::ARGV))?;
            if !arguments.borrow().holds(&place) {
                continue;
            }
            let name = arguments.borrow_mut().get(place).clone();
            let name = self.string(&name);
            if name.is_empty() || self.assign_argument(&name)? {
                continue;
            }
            self.had_file = true;
            if let Some(input) = self.begin_file(&name) {
                return Ok(Some(input));
            }
            self.unread = true;
        }
    }

    fn begin_file(&mut self, name: &str) -> Option<Input> {
        let input = self.call.open(name, |name, why| format!("{name}: {why}"))?;
        let shown = if name == "-" { "" } else { name };
        self.globals[special::FILENAME] = Slot::Value(shown.as_bytes().into());
        self.globals[special::FNR] = Slot::Value(0.0.into());
        Some(input)
    }

    /// `name=value` sets a variable; whether it was that.
    pub fn assign_argument(&mut self, word: &str) -> Result<bool, Stop> {
        let Some((name, value)) = word.split_once('=') else { return Ok(false) };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Ok(false);
        }
        // A variable that the program never mentions is nobody's.
        if let Some(place) = self.program.globals.iter().position(|known| known == name) {
            let value = Value::input(&super::lex::unescape(value));
            self.set(Variable::Global(place), value)?;
        }
        Ok(true)
    }

    /// The next record of a file or a command.
    pub fn read_from(&mut self, name: &str, command: bool) -> Result<Option<Option<Text>>, Stop> {
        let separator = self.separator.clone();
        let Some(reader) = self.streams.reader(name, command)? else { return Ok(None) };
        let (record, end) = &mut self.buffer;
        match reader.next(&separator, record, end) {
            Ok(found) => Ok(Some(found.then(|| record.as_slice().into()))),
            Err(_) => Ok(None),
        }
    }
}
