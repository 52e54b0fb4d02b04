//! When an operation counts as stored, in the words of the flag.

use serde::Deserialize;
use std::{fmt, str::FromStr};
use vsr_actor::Durability;

/// When an operation counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StoredWhen(pub Durability);

/// A text that says nothing about durability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is none of `sync`, `interval=100ms` (or another time) and `none`")]
#[non_exhaustive]
pub struct DurabilityError {
    /// The text.
    pub text: String,
}

impl FromStr for StoredWhen {
    type Err = DurabilityError;

    fn from_str(text: &str) -> Result<Self, DurabilityError> {
        let time = |time| humantime::parse_duration(time).ok().filter(|time| !time.is_zero());
        match (text, text.strip_prefix("interval=").and_then(time)) {
            ("sync", _) => Ok(Self(Durability::Sync)),
            ("none", _) => Ok(Self(Durability::None)),
            (_, Some(time)) => Ok(Self(Durability::Interval(time))),
            _ => Err(DurabilityError { text: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for StoredWhen {
    type Error = DurabilityError;

    fn try_from(text: String) -> Result<Self, DurabilityError> {
        text.parse()
    }
}

impl fmt::Display for StoredWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Durability::Sync => f.write_str("sync"),
            Durability::Interval(time) => write!(f, "interval={}", humantime::format_duration(time)),
            Durability::None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_read_as_they_are_printed() {
        for text in ["sync", "none", "interval=100ms", "interval=2s"] {
            assert_eq!(text.parse::<StoredWhen>().expect(text).to_string(), text);
        }
        for text in ["", "Sync", "interval", "interval=", "interval=0s", "interval=fast", "100ms"] {
            let told = text.parse::<StoredWhen>().expect_err(text).to_string();
            assert!(told.contains(&format!("`{text}`")) && told.contains("interval=100ms"), "{told}");
        }
    }
}
