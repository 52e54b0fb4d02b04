use super::*;

fn parser() -> Parser {
    Parser::new(Limits {
        bulk_bytes_max: 100,
        arguments_max: 8,
        request_bytes_max: 150,
        inline_bytes_max: 60,
    })
}

/// All requests of a stream that arrives in the given pieces, and how it ended.
fn all<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<Bytes>>, Option<ProtocolError>) {
    let (mut parser, mut buffer, mut requests) = (parser(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match parser.next(&mut buffer) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

fn whole(bytes: &[u8]) -> (Vec<Vec<Bytes>>, Option<ProtocolError>) {
    all([bytes].into_iter())
}

#[test]
fn requests_and_lines_and_nothing_between_them() {
    let (requests, error) = whole(
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n*0\r\n\r\n*-1\r\n*1\r\n$0\r\n\r\n ECHO 'a b'\n*1\r\n$2\r\nx",
    );
    assert_eq!(error, None);
    let expected: [&[&str]; 4] = [&["GET", "k"], &["PING"], &[""], &["ECHO", "a b"]];
    assert_eq!(requests, expected);
}

#[test]
fn malformed_requests_name_what_is_wrong() {
    let error = |bytes: &[u8]| whole(bytes).1;
    for bytes in
        [&b"*x\r\n"[..], b"*9\r\n", b"*+1\r\n", b"*\r\n", b"*1\n", b"*11111111111111111111111111111111"]
    {
        assert_eq!(error(bytes), Some(ProtocolError::ArgumentCount), "{}", bytes.escape_ascii());
    }
    for bytes in [
        &b"*1\r\n$-1\r\n"[..],
        b"*1\r\n$101\r\n",
        b"*1\r\n$ 1\r\n",
        b"*1\r\n$\r\n",
        b"*1\r\n$99999999999999999999\r\n",
    ] {
        assert_eq!(error(bytes), Some(ProtocolError::BulkLength), "{}", bytes.escape_ascii());
    }
    assert_eq!(error(b"*1\r\nx"), Some(ProtocolError::ExpectedBulk { got: b'x' }));
    assert_eq!(error(b"*1\r\n$1\r\nxy"), Some(ProtocolError::BulkEnd));
    assert_eq!(error(&[b'x'; 60]), Some(ProtocolError::InlineTooBig));
    assert_eq!(error(b"ECHO 'a\r\n"), Some(ProtocolError::Quotes));
    assert_eq!(error(b"a b c d e f g h i\r\n"), Some(ProtocolError::ArgumentCount));
    let big = format!("*2\r\n$100\r\n{}\r\n$51\r\n", "x".repeat(100));
    assert_eq!(error(big.as_bytes()), Some(ProtocolError::RequestTooBig { max: 150 }));
    assert_eq!(
        ProtocolError::ExpectedBulk { got: b'\n' }.to_string(),
        r"ERR Protocol error: expected '$', got '\n'"
    );
}

#[test]
fn an_announced_length_reserves_no_memory() {
    let mut parser = Parser::new(Limits::default());
    let mut buffer = BytesMut::from(&b"*60000\r\n$1048576\r\n"[..]);
    assert_eq!(parser.next(&mut buffer), Ok(None));
    assert!(buffer.capacity() <= 2 * RESERVE_BYTES_MAX, "{}", buffer.capacity());
    assert!(parser.arguments.capacity() < 100);
}

/// Numbers that look random and are the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    /// Mostly a request, with some bytes broken, cut out or doubled.
    fn stream(&mut self) -> Vec<u8> {
        const SCRAPS: [&[u8]; 12] = [
            b"*1\r\n",
            b"$3\r\n",
            b"GET\r\n",
            b"\r\n",
            b"*",
            b"$",
            b"-1",
            b"PING\r\n",
            b"\"a b\"",
            b"'",
            b" ",
            b"\n",
        ];
        let mut bytes = Vec::new();
        for _ in 0..1 + self.below(4) {
            if self.below(3) == 0 {
                for _ in 0..self.below(8) {
                    bytes.extend_from_slice(SCRAPS[self.below(SCRAPS.len())]);
                }
            } else {
                let arguments = 1 + self.below(4);
                bytes.extend_from_slice(format!("*{arguments}\r\n").as_bytes());
                for _ in 0..arguments {
                    let length = self.below(20);
                    bytes.extend_from_slice(format!("${length}\r\n").as_bytes());
                    bytes.extend((0..length).map(|_| b"\r\n*$ax\0\xff"[self.below(8)]));
                    bytes.extend_from_slice(b"\r\n");
                }
            }
        }
        for _ in 0..self.below(3) {
            let at = self.below(bytes.len() + 1);
            if at < bytes.len() {
                bytes[at] = self.below(256) as u8;
            }
        }
        bytes
    }
}

#[test]
fn any_bytes_in_any_pieces_give_the_same_requests() {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let (mut requests, mut errors) = (0, 0);
    for _ in 0..20_000 {
        let stream = draw.stream();
        let at_once = whole(&stream);
        requests += at_once.0.len();
        errors += usize::from(at_once.1.is_some());
        assert_eq!(all(stream.chunks(1)), at_once, "byte by byte: {}", stream.escape_ascii());
        let size = 1 + draw.below(16);
        assert_eq!(all(stream.chunks(size)), at_once, "{size} bytes a piece: {}", stream.escape_ascii());
    }
    // Both must happen often, or the test shows little.
    assert!(requests > 10_000 && errors > 2_000, "{requests} requests, {errors} errors");
}

#[test]
fn pure_noise_never_panics() {
    let mut draw = Draw(7);
    for _ in 0..20_000 {
        let noise: Vec<u8> = (0..draw.below(200)).map(|_| draw.below(256) as u8).collect();
        let _ = whole(&noise);
        let mut request = b"*3\r\n$".to_vec();
        request.extend(noise);
        let _ = whole(&request);
    }
}

#[test]
fn many_arguments_cost_memory_only_while_they_come_in() {
    let limits = Limits { arguments_max: 64 * ARGUMENTS_KEPT, ..Limits::default() };
    let (mut parser, count) = (Parser::new(limits), limits.arguments_max);
    let mut buffer = BytesMut::from(&*format!("*{count}\r\n{}", "$1\r\nx\r\n".repeat(count)));
    let request = parser.next(&mut buffer).expect("well-formed").expect("complete");
    assert_eq!(request.len(), count);
    assert!(parser.arguments.capacity() <= 2 * ARGUMENTS_KEPT);
}
