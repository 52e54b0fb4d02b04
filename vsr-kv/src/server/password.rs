//! What a client must know before it is served.

use serde::Deserialize;
use std::{fmt, hint::black_box};

/// A password; not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Password(Box<[u8]>);

impl Password {
    /// Compares in a time that depends on the lengths only: nobody learns by measuring how much of a guess was right.
    pub(super) fn is(&self, guess: &[u8]) -> bool {
        let pairs = guess.iter().zip(self.0.iter().cycle());
        let different = pairs.fold(self.0.len() ^ guess.len(), |seen, (guessed, real)| {
            black_box(seen | usize::from(guessed ^ real))
        });
        different == 0
    }
}

impl From<String> for Password {
    fn from(password: String) -> Self {
        Self(password.into_bytes().into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_the_password_and_it_is_not_shown() {
        let password = Password::from("secret".to_owned());
        assert!(password.is(b"secret"));
        for guess in [&b""[..], b"s", b"secreT", b"secre", b"secrets", b"secretsecret"] {
            assert!(!password.is(guess), "{guess:?}");
        }
        assert!(Password::from(String::new()).is(b"") && !Password::from(String::new()).is(b"x"));
        assert!(!format!("{password:?}").contains("secret"));
    }
}
