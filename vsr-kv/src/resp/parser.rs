//! Requests out of a stream of bytes, in pieces of any size.

use super::inline;
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// What one request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest argument.
    pub bulk_bytes_max: usize,
    /// The most arguments, the name of the command included.
    pub arguments_max: usize,
    /// The most bytes of all arguments together.
    pub request_bytes_max: usize,
    /// The longest line typed by a person.
    pub inline_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bulk_bytes_max: crate::store::VALUE_BYTES_MAX,
            arguments_max: 64 << 10,
            request_bytes_max: 4 << 20,
            inline_bytes_max: 64 << 10,
        }
    }
}

impl Limits {
    /// What a client may send that has not proved yet that it may send anything.
    #[must_use]
    pub fn of_strangers(self) -> Self {
        Self {
            bulk_bytes_max: self.bulk_bytes_max.min(16 << 10),
            arguments_max: self.arguments_max.min(10),
            ..self
        }
    }
}

/// Bytes that are no request. The connection cannot go on: where the next request begins is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number of arguments is no number, or above the limit.
    #[error("ERR Protocol error: invalid multibulk length")]
    ArgumentCount,
    /// Something else than the `$` of an argument.
    #[error("ERR Protocol error: expected '$', got '{}'", got.escape_ascii())]
    ExpectedBulk {
        /// What was there.
        got: u8,
    },
    /// The length of an argument is no number, or above the limit.
    #[error("ERR Protocol error: invalid bulk length")]
    BulkLength,
    /// An argument is longer than it said.
    #[error("ERR Protocol error: expected the end of an argument")]
    BulkEnd,
    /// The arguments of one request are too many bytes.
    #[error("ERR Protocol error: too big request, the arguments have more than {max} bytes together")]
    RequestTooBig {
        /// How many may be.
        max: usize,
    },
    /// A line without an end.
    #[error("ERR Protocol error: too big inline request")]
    InlineTooBig,
    /// A line with an open quote.
    #[error("ERR Protocol error: unbalanced quotes in request")]
    Quotes,
}

/// A line of a count or a length: a sign, 19 digits, the line's end, and some room.
const COUNT_LINE_BYTES_MAX: usize = 32;
/// Room is made at once for an argument up to this length; a longer one grows with what really arrives.
const RESERVE_BYTES_MAX: usize = 64 << 10;
/// Room for so many arguments is kept for the next request.
const ARGUMENTS_KEPT: usize = 1024;

/// Cuts requests out of a buffer; remembers how far it came, so that a request in many pieces is read once.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    /// Arguments still to come of the request at the start of the buffer; `None` between requests.
    missing: Option<usize>,
    /// Where its complete arguments are, counted from the start of the buffer.
    arguments: Vec<Range<usize>>,
    /// Bytes of the buffer that were read already.
    read: usize,
    /// Their bytes without lengths and line ends.
    bytes: usize,
    /// Length of the argument whose bytes come next.
    bulk: Option<usize>,
}

impl Parser {
    /// A parser at the beginning of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, missing: None, arguments: Vec::new(), read: 0, bytes: 0, bulk: None }
    }

    /// What requests may take from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The next request at the start of `buffer`, cut off it: at least one argument, sharing the buffer's memory. `None`
    /// when it is not complete: call again, with the same buffer, when more bytes came in.
    ///
    /// # Errors
    /// When the bytes are no request. The stream is lost then.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        loop {
            let request = match self.missing {
                Some(_) => self.arguments(buffer)?,
                None if buffer.is_empty() => return Ok(None),
                None if buffer[0] == b'*' => {
                    let Some(line) = self.count_line(buffer, ProtocolError::ArgumentCount)? else {
                        return Ok(None);
                    };
                    match parse_count(&buffer[line]).ok_or(ProtocolError::ArgumentCount)? {
                        count if count > self.limits.arguments_max as i64 => {
                            return Err(ProtocolError::ArgumentCount);
                        }
                        count => self.missing = Some(usize::try_from(count).unwrap_or(0)),
                    }
                    continue;
                }
                None => self.inline(buffer)?,
            };
            match request {
                Some(request) if request.is_empty() => {}
                other => return Ok(other),
            }
        }
    }

    fn arguments(&mut self, buffer: &mut BytesMut) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        while self.missing.is_some_and(|missing| self.arguments.len() < missing) {
            let length = match self.bulk {
                Some(length) => length,
                None => {
                    match buffer.get(self.read) {
                        None => return Ok(None),
                        Some(b'$') => {}
                        Some(&got) => return Err(ProtocolError::ExpectedBulk { got }),
                    }
                    let Some(line) = self.count_line(buffer, ProtocolError::BulkLength)? else {
                        return Ok(None);
                    };
                    let length = parse_count(&buffer[line])
                        .and_then(|length| usize::try_from(length).ok())
                        .filter(|length| *length <= self.limits.bulk_bytes_max)
                        .ok_or(ProtocolError::BulkLength)?;
                    self.bytes += length;
                    if self.bytes > self.limits.request_bytes_max {
                        return Err(ProtocolError::RequestTooBig { max: self.limits.request_bytes_max });
                    }
                    self.bulk = Some(length);
                    length
                }
            };
            let end = self.read + length;
            // The first byte that is wrong decides, however the bytes are cut into pieces.
            if buffer.get(end).is_some_and(|byte| *byte != b'\r')
                || buffer.get(end + 1).is_some_and(|byte| *byte != b'\n')
            {
                return Err(ProtocolError::BulkEnd);
            }
            if buffer.len() < end + 2 {
                buffer.reserve((end + 2 - buffer.len()).min(RESERVE_BYTES_MAX));
                return Ok(None);
            }
            self.arguments.push(self.read..end);
            self.read = end + 2;
            self.bulk = None;
        }
        let whole = buffer.split_to(self.read).freeze();
        let request = self.arguments.drain(..).map(|range| whole.slice(range)).collect();
        // One request of very many arguments must not cost memory for as long as the connection lives.
        self.arguments.shrink_to(ARGUMENTS_KEPT);
        (self.missing, self.read, self.bytes) = (None, 0, 0);
        Ok(Some(request))
    }

    /// The digits between the mark at `read` and the end of its line; moves `read` behind the line.
    fn count_line(
        &mut self,
        buffer: &[u8],
        wrong: ProtocolError,
    ) -> Result<Option<Range<usize>>, ProtocolError> {
        let rest = &buffer[self.read..];
        let rest = &rest[..rest.len().min(COUNT_LINE_BYTES_MAX)];
        match rest.iter().position(|byte| *byte == b'\n') {
            None if rest.len() == COUNT_LINE_BYTES_MAX => Err(wrong),
            None => Ok(None),
            Some(end) if end > 1 && rest[end - 1] == b'\r' => {
                let line = self.read + 1..self.read + end - 1;
                self.read += end + 1;
                Ok(Some(line))
            }
            Some(_) => Err(wrong),
        }
    }

    fn inline(&mut self, buffer: &mut BytesMut) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        let searched = buffer.len().min(self.limits.inline_bytes_max);
        let Some(end) = buffer[self.read..searched].iter().position(|byte| *byte == b'\n') else {
            self.read = searched;
            return if searched == self.limits.inline_bytes_max {
                Err(ProtocolError::InlineTooBig)
            } else {
                Ok(None)
            };
        };
        let line = buffer.split_to(self.read + end + 1);
        self.read = 0;
        let words = inline::split(&line).ok_or(ProtocolError::Quotes)?;
        if words.len() > self.limits.arguments_max {
            return Err(ProtocolError::ArgumentCount);
        }
        Ok(Some(words))
    }
}

/// A decimal number, with a sign when negative.
fn parse_count(digits: &[u8]) -> Option<i64> {
    let after_sign = digits.strip_prefix(b"-").unwrap_or(digits);
    if after_sign.is_empty() || !after_sign.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
