//! Lengths and byte strings as operations, replies and snapshots write them: a variable-length number, then the bytes.

use bytes::{Buf, Bytes};
use vsr_actor::PayloadError;

/// Appends a number, seven bits a byte, the lowest first: most lengths take one byte.
pub(super) fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// Appends a signed number so that small ones stay short, whatever their sign.
pub(super) fn put_signed(into: &mut Vec<u8>, number: i64) {
    put_number(into, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends a length and the bytes.
pub(super) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// Reads what the functions above wrote; byte strings share the memory of the input.
pub(super) struct Reader {
    from: Bytes,
    wanted: &'static str,
}

impl Reader {
    pub(super) fn new(from: Bytes, wanted: &'static str) -> Self {
        Self { from, wanted }
    }

    pub(super) fn wrong(&self, why: impl Into<String>) -> PayloadError {
        PayloadError { wanted: self.wanted, why: why.into() }
    }

    pub(super) fn byte(&mut self) -> Result<u8, PayloadError> {
        let byte = *self.from.first().ok_or_else(|| self.wrong("it ends too early"))?;
        self.from.advance(1);
        Ok(byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, PayloadError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.wrong("a number has more than 64 bits"));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.wrong("a number has more than 64 bits"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, PayloadError> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, PayloadError> {
        let length = self.number()?;
        match usize::try_from(length) {
            Ok(length) if length <= self.from.len() => Ok(self.from.split_to(length)),
            _ => Err(self.wrong(format!("{length} bytes announced, {} left", self.from.len()))),
        }
    }

    /// A count of things of which each takes at least one byte: a hostile count cannot make us reserve memory.
    pub(super) fn count(&mut self) -> Result<usize, PayloadError> {
        let count = self.number()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.from.len() => Ok(count),
            _ => Err(self.wrong(format!("{count} parts announced, {} bytes left", self.from.len()))),
        }
    }

    pub(super) fn list(&mut self) -> Result<Vec<Bytes>, PayloadError> {
        let count = self.count()?;
        (0..count).map(|_| self.bytes()).collect()
    }

    pub(super) fn end(self) -> Result<(), PayloadError> {
        if self.from.is_empty() {
            Ok(())
        } else {
            Err(self.wrong(format!("{} bytes follow it", self.from.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            let mut reader = Reader::new(bytes.into(), "number");
            assert_eq!(reader.number(), Ok(number));
            assert_eq!(reader.end(), Ok(()));
        }
        for number in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            assert_eq!(Reader::new(bytes.into(), "number").signed(), Ok(number));
        }
    }

    #[test]
    fn hostile_lengths_are_refused() {
        assert!(Reader::new(Bytes::from_static(&[0xff; 11]), "x").number().is_err());
        assert!(Reader::new(Bytes::from_static(&[0xff, 0xff, 0xff, 0x7f, 1]), "x").bytes().is_err());
        assert!(Reader::new(Bytes::from_static(&[0xff, 0xff, 0xff, 0x7f, 1]), "x").list().is_err());
    }
}
