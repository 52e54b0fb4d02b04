//! Replies as bytes. The two versions of the protocol differ in nil and maps only, as far as this server needs them.

use bytes::{BufMut, BytesMut};

/// The version of the protocol a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What a connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// Writes replies in one version of the protocol.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut BytesMut,
    protocol: Protocol,
}

impl<'a> Writer<'a> {
    /// Writes to the end of `out`.
    pub fn new(out: &'a mut BytesMut, protocol: Protocol) -> Self {
        Self { out, protocol }
    }

    /// `+OK` and the like. The text has one line.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// An error: a code in capitals, then a text. What is no printable character becomes a space: it may come from a client.
    pub fn error(&mut self, text: &str) {
        self.line(b'-', text);
    }

    fn line(&mut self, mark: u8, text: &str) {
        self.out.put_u8(mark);
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            self.out.extend(text.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
        } else {
            self.out.put_slice(text.as_bytes());
        }
        self.out.put_slice(b"\r\n");
    }

    /// A number.
    pub fn int(&mut self, number: i64) {
        self.out.put_u8(b':');
        if number < 0 {
            self.out.put_u8(b'-');
        }
        self.digits(number.unsigned_abs());
    }

    /// A byte string.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.out.put_u8(b'$');
        self.digits(bytes.len() as u64);
        self.out.put_slice(bytes);
        self.out.put_slice(b"\r\n");
    }

    /// A reply that was written before.
    pub fn written(&mut self, reply: &[u8]) {
        self.out.put_slice(reply);
    }

    /// Nothing.
    pub fn null(&mut self) {
        self.out.put_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Where a list should be, but nothing is.
    pub fn null_array(&mut self) {
        self.out.put_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The head of a list; its elements follow.
    pub fn array(&mut self, length: usize) {
        self.out.put_u8(b'*');
        self.digits(length as u64);
    }

    /// The head of a map; a key and a value follow for each of its pairs. A flat list in the older version.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(2 * pairs),
            Protocol::Resp3 => {
                self.out.put_u8(b'%');
                self.digits(pairs as u64);
            }
        }
    }

    /// The head of a set: a list in the older version.
    pub fn set(&mut self, length: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(length),
            Protocol::Resp3 => {
                self.out.put_u8(b'~');
                self.digits(length as u64);
            }
        }
    }

    /// A text of several lines that a person reads.
    pub fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.out.put_u8(b'=');
                self.digits(text.len() as u64 + 4);
                self.out.put_slice(b"txt:");
                self.out.put_slice(text.as_bytes());
                self.out.put_slice(b"\r\n");
            }
        }
    }

    fn digits(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.out.put_slice(&digits[start..]);
        self.out.put_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut out = BytesMut::new();
        write(&mut Writer::new(&mut out, protocol));
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn replies_of_both_versions() {
        let all = |w: &mut Writer<'_>| {
            w.simple("OK");
            w.error("ERR a\r\nb");
            w.int(0);
            w.int(i64::MIN);
            w.bulk(b"ab");
            w.null();
            w.null_array();
            w.array(0);
            w.map(1);
            w.set(2);
            w.verbatim("x");
        };
        let common = "+OK\r\n-ERR a  b\r\n:0\r\n:-9223372036854775808\r\n$2\r\nab\r\n";
        assert_eq!(
            written(Protocol::Resp2, all),
            format!("{common}$-1\r\n*-1\r\n*0\r\n*2\r\n*2\r\n$1\r\nx\r\n")
        );
        assert_eq!(
            written(Protocol::Resp3, all),
            format!("{common}_\r\n_\r\n*0\r\n%1\r\n~2\r\n=5\r\ntxt:x\r\n")
        );
    }
}
