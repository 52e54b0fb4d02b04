//! Errors as the protocol numbers them.
//!
//! All numbers but 0 and 13 are definite: they say that the operation did not happen and never will.

use vsr_actor::{Outcome, RequestError};

/// What is known when there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// No answer in time; it may have happened, or may happen yet.
    Timeout = 0,
    /// Nobody here knows such a request.
    NotSupported = 10,
    /// Not now.
    TemporarilyUnavailable = 11,
    /// The request does not have the form it must have.
    Malformed = 12,
    /// Something broke; it may have happened, or may happen yet.
    Crash = 13,
    /// Given up, and asking again is no help.
    Abort = 14,
    /// There is no such register.
    KeyDoesNotExist = 20,
    /// The register has another value.
    PreconditionFailed = 22,
}

/// An error for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) text: String,
}

impl Fault {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(super) fn malformed(text: impl Into<String>) -> Self {
        Self::new(Code::Malformed, text)
    }

    pub(super) fn missing() -> Self {
        Self::new(Code::KeyDoesNotExist, "there is no such key")
    }

    pub(super) fn differs() -> Self {
        Self::new(Code::PreconditionFailed, "the value is not \"from\"")
    }

    pub(super) fn not_yet() -> Self {
        Self::new(Code::TemporarilyUnavailable, "this node has not been initialised: send \"init\" first")
    }

    pub(super) fn overloaded() -> Self {
        Self::new(Code::TemporarilyUnavailable, "too many requests are under way at this node")
    }

    /// The replica has ended with the request under way.
    pub(super) fn replica_ended() -> Self {
        Self::new(Code::Crash, "the replica has stopped; whether the request was executed is unknown")
    }
}

impl From<RequestError> for Fault {
    /// A definite number only for what was certainly not executed and never will be.
    fn from(error: RequestError) -> Self {
        let code = match (error.outcome(), &error) {
            (Outcome::Unknown, RequestError::Deadline { .. }) => Code::Timeout,
            (Outcome::Unknown, _) => Code::Crash,
            (Outcome::NotExecuted, RequestError::TooLarge { .. }) => Code::Malformed,
            (Outcome::NotExecuted, error) if error.is_retryable() => Code::TemporarilyUnavailable,
            (Outcome::NotExecuted, _) => Code::Abort,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use vsr_actor::RequestId;

    #[test]
    fn only_what_was_not_executed_gets_a_definite_number() {
        let waited = Duration::from_secs(1);
        let errors = [
            (RequestError::NoPrimary { waited, hint: None }, 11),
            (RequestError::Overloaded { waited }, 11),
            (RequestError::Behind { waited, hint: None }, 11),
            (RequestError::TooLarge { bytes: 2, bytes_max: 1 }, 12),
            (RequestError::ReadPanicked { reason: String::new() }, 14),
            (RequestError::Stopped { outcome: Outcome::NotExecuted }, 14),
            (RequestError::Stopped { outcome: Outcome::Unknown }, 13),
            (RequestError::Deadline { waited, request: RequestId::default() }, 0),
            (RequestError::SessionEvicted, 13),
            (RequestError::ReplyGone, 13),
            (RequestError::Conflict, 13),
        ];
        for (error, number) in errors {
            let definite = error.outcome() == Outcome::NotExecuted;
            let code = Fault::from(error.clone()).code as u16;
            assert_eq!(code, number, "{error}");
            assert_eq!(definite, ![0, 13].contains(&code), "{error}");
        }
    }
}
