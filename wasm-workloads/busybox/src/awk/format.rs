//! `printf` and `sprintf`: the shell's, with awk's values.

use super::machine::{Machine, Stop, failed};
use super::program::Expression;
use super::value::Value;

impl Machine<'_> {
    /// The first argument with the others put in.
    pub fn formatted(&mut self, arguments: &[Expression]) -> Result<Vec<u8>, Stop> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.evaluate(argument)?);
        }
        let Some((format, values)) = values.split_first() else { return Ok(Vec::new()) };
        let format = self.text(format);
        let mut values = values.iter();
        let (mut out, mut rest) = (Vec::new(), &format[..]);
        while let Some(at) = memchr::memchr(b'%', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            let length = 1 + rest[1..]
                .iter()
                .position(|byte| !b"-+ #0123456789.*'lhqLjzt".contains(byte))
                .unwrap_or(rest.len() - 1);
            let Some(conversion) = rest.get(length) else { break };
            let spec = self.spec(&rest[1..length], &mut values);
            match conversion {
                b'%' => out.push(b'%'),
                conversion => {
                    let value = values.next().cloned().unwrap_or_default();
                    self.convert(&mut out, &spec, *conversion, &value)?;
                }
            }
            rest = &rest[length + 1..];
        }
        out.extend_from_slice(rest);
        Ok(out)
    }

    /// Flags, width and precision, with values for stars and without lengths.
    fn spec<'v>(&self, text: &[u8], values: &mut impl Iterator<Item = &'v Value>) -> String {
        let mut spec = String::new();
        for byte in text {
            match byte {
                b'*' => spec += &(values.next().map_or(0.0, Value::number) as i64).to_string(),
                b'l' | b'h' | b'q' | b'L' | b'j' | b'z' | b't' | b'\'' => {}
                byte => spec.push(char::from(*byte)),
            }
        }
        spec
    }

    fn convert(
        &self,
        out: &mut Vec<u8>,
        spec: &str,
        conversion: u8,
        value: &Value,
    ) -> Result<(), Stop> {
        let mut letter = char::from(conversion);
        let argument = match conversion {
            b's' if spec.is_empty() => {
                out.extend_from_slice(&self.text(value));
                return Ok(());
            }
            b's' => self.string(value),
            b'c' => {
                letter = 's';
                match value {
                    Value::Number(number) | Value::Numeric(_, number) => {
                        let code = *number as u32;
                        if code == 0 {
                            out.push(0);
                            return Ok(());
                        }
                        char::from_u32(code).map(String::from).unwrap_or_default()
                    }
                    value => {
                        self.string(value).chars().next().map(String::from).unwrap_or_default()
                    }
                }
            }
            b'd' | b'i' => {
                let number = value.number();
                if number.is_finite() {
                    (number as i64).to_string()
                } else {
                    letter = 'f';
                    number.to_string()
                }
            }
            b'o' | b'x' | b'X' | b'u' => (value.number() as i64).to_string(),
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' => value.number().to_string(),
            _ => return failed(format!("%{letter} format is unknown")),
        };
        let printed = sampan_sh::printf::printf(&format!("%{spec}{letter}"), &[argument]);
        out.extend(printed.bytes);
        Ok(())
    }
}
