//! Requests that got no reply, in the words of Redis.
//!
//! Clients retry after CLUSTERDOWN, LOADING and TRYAGAIN, so these are said only of what was not executed (decision 8 of the protocol).
//! An unknown outcome is said to be unknown, and the connection stays open: a client that is cut off retries too.

use vsr_actor::{Outcome, RequestError};

/// `loading`: the replica of this door is not ready yet.
pub(super) fn text(error: &RequestError, loading: bool) -> String {
    match (error.outcome(), error) {
        (Outcome::NotExecuted, RequestError::Overloaded { .. } | RequestError::Behind { .. }) => {
            format!("TRYAGAIN {error}")
        }
        (Outcome::NotExecuted, RequestError::NoPrimary { .. }) if loading => {
            format!("LOADING this replica is not ready yet: {error}")
        }
        (Outcome::NotExecuted, RequestError::NoPrimary { .. } | RequestError::Stopped { .. }) => {
            format!("CLUSTERDOWN {error}")
        }
        (Outcome::NotExecuted, _) => format!("ERR {error}; it was not executed"),
        (Outcome::Unknown, _) => format!("ERR UNKNOWNOUTCOME {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use vsr_actor::RequestId;

    #[test]
    fn clients_are_told_to_retry_only_what_was_not_executed() {
        let waited = Duration::from_secs(1);
        let told = [
            (RequestError::NoPrimary { waited, hint: None }, "CLUSTERDOWN "),
            (RequestError::Overloaded { waited }, "TRYAGAIN "),
            (RequestError::Behind { waited, hint: None }, "TRYAGAIN "),
            (RequestError::Stopped { outcome: Outcome::NotExecuted }, "CLUSTERDOWN "),
            (RequestError::Stopped { outcome: Outcome::Unknown }, "ERR UNKNOWNOUTCOME "),
            (RequestError::Deadline { waited, request: RequestId::default() }, "ERR UNKNOWNOUTCOME "),
            (RequestError::SessionEvicted, "ERR UNKNOWNOUTCOME "),
            (RequestError::ReplyGone, "ERR UNKNOWNOUTCOME "),
            (RequestError::TooLarge { bytes: 2, bytes_max: 1 }, "ERR the operation has 2 bytes"),
        ];
        for (error, start) in told {
            assert!(text(&error, false).starts_with(start), "{}", text(&error, false));
            // What may have been executed stays unknown, whatever the replica is doing.
            let start = if matches!(error, RequestError::NoPrimary { .. }) { "LOADING " } else { start };
            assert!(text(&error, true).starts_with(start), "{}", text(&error, true));
        }
    }
}
