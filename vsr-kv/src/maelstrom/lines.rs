//! Bytes that come in, cut into lines.

use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What the next line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    /// Longer than is taken; none of it was kept.
    TooLong,
}

pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    too_long: bool,
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Lines of at most `max` bytes.
    pub(super) fn new(input: R, max: usize) -> Self {
        Self { input, line: Vec::new(), too_long: false, max }
    }

    /// The next line; nothing at the end of the input. What is behind the last end of a line is a line, too. Cancel-safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let bytes = self.input.fill_buf().await?;
            let (end, used) = match bytes.iter().position(|byte| *byte == b'\n') {
                Some(at) => (Some(at), at + 1),
                None => (None, bytes.len()),
            };
            if used == 0 {
                let something = self.too_long || !self.line.is_empty();
                return Ok(something.then(|| self.take()));
            }
            let more = &bytes[..end.unwrap_or(used)];
            if self.line.len() + more.len() > self.max {
                self.too_long = true;
                self.line = Vec::new();
            } else if !self.too_long {
                self.line.extend_from_slice(more);
            }
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.too_long) { Line::TooLong } else { Line::Whole(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::BufReader;

    #[tokio::test]
    async fn lines_end_with_their_end_or_with_the_input() {
        for buffer in [1, 2, 100] {
            let input = BufReader::with_capacity(buffer, &b"ab\n\nabcd\nabcde\n\xff\nabcdefghijk\nx"[..]);
            let mut lines = Lines::new(input, 4);
            let mut got = Vec::new();
            while let Some(line) = lines.next().await.expect("memory has no errors") {
                got.push(line);
            }
            let whole = |line: &[u8]| Line::Whole(line.to_vec());
            let wanted = [
                whole(b"ab"),
                whole(b""),
                whole(b"abcd"),
                Line::TooLong,
                whole(b"\xff"),
                Line::TooLong,
                whole(b"x"),
            ];
            assert_eq!(got, wanted, "in pieces of {buffer}");
        }
    }
}
