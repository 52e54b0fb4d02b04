//! Requests as a person types them: one line, words separated by spaces, quotes as in a shell.

use bytes::Bytes;

/// Splits a line into words; `None` when a quote is not closed or text follows a closing quote.
pub(super) fn split(line: &[u8]) -> Option<Vec<Bytes>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        rest = take_word(rest, &mut word)?;
        words.push(word.into());
    }
}

fn take_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return Some(rest),
            [b'"', tail @ ..] => return at_end_of_word(double_quoted(tail, word)?),
            [b'\'', tail @ ..] => return at_end_of_word(single_quoted(tail, word)?),
            [byte, ..] if byte.is_ascii_whitespace() => return Some(rest),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn at_end_of_word(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some(rest)
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                tail
            }
            [b'\'', tail @ ..] => return Some(tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        };
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) << 4 | hex(*low));
                tail
            }
            [b'\\', byte, tail @ ..] => {
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                tail
            }
            [b'"', tail @ ..] => return Some(tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        };
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_words() {
        let words = |line: &str| {
            split(line.as_bytes()).map(|words| words.iter().map(|w| w.to_vec()).collect::<Vec<_>>())
        };
        assert_eq!(words(""), Some(vec![]));
        assert_eq!(words("  PING \t a "), Some(vec![b"PING".to_vec(), b"a".to_vec()]));
        assert_eq!(words(r#"set "a b" 'c''"#), None);
        assert_eq!(
            words(r#"set "a b" 'it\'s'"#),
            Some(vec![b"set".to_vec(), b"a b".to_vec(), b"it's".to_vec()])
        );
        assert_eq!(words(r#""\x00\xFf\n\q""#), Some(vec![vec![0, 255, b'\n', b'q']]));
        assert_eq!(words(r#""" x"#), Some(vec![vec![], b"x".to_vec()]));
        assert_eq!(words(r#""a"b"#), None);
        assert_eq!(words(r#""a"#), None);
    }
}
