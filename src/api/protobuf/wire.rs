//! The protobuf encoding: a message is a run of (tag, value), nothing more.
//!
//! Upstream: `protobuf.dev/programming-guides/encoding`. Groups are not read: Kubernetes has none.

/// Why bytes are not protobuf, or not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("unexpected EOF")]
    Truncated,
    #[error("proto: integer overflow")]
    Overflow,
    #[error("proto: illegal tag {0}")]
    IllegalTag(u64),
    #[error("proto: illegal wireType {0}")]
    IllegalWireType(u64),
    #[error("proto: wrong wireType for field {0}")]
    WrongWireType(String),
    #[error("proto: field {0} is not UTF-8")]
    NotUtf8(String),
    #[error("proto: field {field} holds no valid {expected}")]
    Value { field: String, expected: &'static str },
    #[error("proto: messages nested deeper than {0}")]
    TooDeep(usize),
}

/// One value as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The values of one message, each with its tag, in their order.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next value, or `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).ok().filter(|tag| *tag > 0);
        let tag = tag.ok_or(Malformed::IllegalTag(key >> 3))?;
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Overflow)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(Malformed::IllegalWireType(other)),
        };
        Ok(Some((tag, value)))
    }

    /// A base-128 number of at most 10 bytes.
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if shift == 63 && byte > 1 { Err(Malformed::Overflow) } else { Ok(number) };
            }
        }
        Err(Malformed::Overflow)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expect: Result<Option<(u32, Wire<'_>)>, Malformed>) {
        assert_eq!(Reader::new(bytes).next(), expect);
    }

    #[test]
    fn every_wire_type_is_read() {
        check(&[], Ok(None));
        check(&[0x08, 0x96, 0x01], Ok(Some((1, Wire::Varint(150)))));
        check(&[0x12, 2, b'h', b'i'], Ok(Some((2, Wire::Bytes(b"hi")))));
        check(&[0x0d, 1, 0, 0, 0], Ok(Some((1, Wire::Fixed32(1)))));
        check(&[0x09, 1, 0, 0, 0, 0, 0, 0, 0], Ok(Some((1, Wire::Fixed64(1)))));
    }

    #[test]
    fn malformed_input_is_an_error() {
        check(&[0x12, 5, b'h'], Err(Malformed::Truncated));
        check(&[0x00, 0], Err(Malformed::IllegalTag(0)));
        check(&[0x0b], Err(Malformed::IllegalWireType(3)));
        check(
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            Err(Malformed::Overflow),
        );
        check(&[0xff; 11], Err(Malformed::Overflow));
        check(
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            Err(Malformed::Truncated),
        );
    }
}
