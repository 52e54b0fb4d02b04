//! Patterns as `KEYS`, `SCAN` and `CONFIG GET` know them: `*`, `?`, `[abc]`, `[^a-z]`, and a backslash before what is meant literally.

/// The longest pattern that is taken: the work of one comparison is bounded by its length times that of the text.
pub(crate) const PATTERN_BYTES_MAX: usize = 256;

/// Whether all of `text` fits.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    // After the last star so far, and the text from which it was tried last: a later star makes earlier ones settled.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', after @ ..] = rest {
            star = Some((after, left));
            rest = after;
            continue;
        }
        match (one(rest, left.first().copied()), left) {
            (Some(after), [_, tail @ ..]) => (rest, left) = (after, tail),
            _ if rest.is_empty() && left.is_empty() => return true,
            _ => match star {
                Some((after, [_, tail @ ..])) => {
                    star = Some((after, tail));
                    (rest, left) = (after, tail);
                }
                _ => return false,
            },
        }
    }
}

/// What is left of the pattern if its first part fits the byte.
fn one(pattern: &[u8], byte: Option<u8>) -> Option<&[u8]> {
    let byte = byte?;
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', set @ ..] => class(set, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// The same behind a `[`. As in Redis, a set that is not closed ends with the pattern.
fn class(set: &[u8], byte: u8) -> Option<&[u8]> {
    let (wanted, mut set) = match set {
        [b'^', rest @ ..] => (false, rest),
        _ => (true, set),
    };
    let mut found = false;
    loop {
        set = match set {
            [] => break,
            [b']', rest @ ..] => {
                set = rest;
                break;
            }
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [from, b'-', to, rest @ ..] => {
                found |= (*from.min(to)..=*from.max(to)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
        };
    }
    (found == wanted).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_redis() {
        let fits = [
            ("save", "save"),
            ("*", ""),
            ("*", "anything"),
            ("s*e", "save"),
            ("s*e", "sae e"),
            ("**a*", "save"),
            ("?ave", "save"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-c]llo", "hbllo"),
            ("h[c-a]llo", "hbllo"),
            ("h\\*llo", "h*llo"),
            ("[\\]]", "]"),
            ("[a", "a"),
            ("\\", "\\"),
            ("*a*b*c", "xaxbxaxcbc"),
            ("", ""),
        ];
        for (pattern, text) in fits {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        let misses = [
            ("", "s"),
            ("sav", "save"),
            ("saves", "save"),
            ("SAVE", "save"),
            ("?", ""),
            ("*a", "save"),
            ("h[ae]llo", "hillo"),
            ("h[^e]llo", "hello"),
            ("h\\*llo", "hello"),
            ("[]a", "a"),
            ("*a*b*c", "xaxbxax"),
        ];
        for (pattern, text) in misses {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
