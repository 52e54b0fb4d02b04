//! What became of requests that nobody waits for any more, in case somebody asks.

use crate::RequestError;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Where a reply will be, or is.
pub(super) type Late<R> = oneshot::Receiver<Result<R, RequestError>>;

/// By the requests' serial numbers. Of both kinds the newest `max` are kept.
pub(super) struct Kept<R> {
    max: usize,
    /// Replies that nobody has taken: there already, or on their way.
    replies: BTreeMap<u64, Late<R>>,
    /// Of requests that left without being executed, or with an outcome that nobody will ever know.
    errors: BTreeMap<u64, RequestError>,
    /// Errors of requests before this one are forgotten.
    complete_from: u64,
}

/// What is known of a request that is not under way.
#[derive(Debug)]
pub(super) enum Found<R> {
    Reply(Late<R>),
    Error(RequestError),
    /// No error is known: it was executed, and somebody took the reply, or it fell out.
    Nothing,
    Forgotten,
}

impl<R> Kept<R> {
    pub(super) fn new(max: usize) -> Self {
        Self { max, replies: BTreeMap::new(), errors: BTreeMap::new(), complete_from: 0 }
    }

    /// Keeps the place of a reply, unless there is another one for the request. Returns what is not kept any more: it may hold a value
    /// of the user's, to be dropped without the lock.
    #[must_use]
    pub(super) fn keep_reply(&mut self, serial: u64, reply: Late<R>) -> Option<Late<R>> {
        if self.replies.contains_key(&serial) || self.errors.contains_key(&serial) {
            return Some(reply);
        }
        self.replies.insert(serial, reply);
        let full = self.replies.len() > self.max;
        full.then(|| self.replies.pop_first()).flatten().map(|(_, oldest)| oldest)
    }

    /// Keeps why there will be no reply. Returns what is not kept any more, to be dropped without the lock.
    #[must_use]
    pub(super) fn keep_error(&mut self, serial: u64, error: RequestError) -> Option<Late<R>> {
        self.errors.insert(serial, error);
        if self.errors.len() > self.max
            && let Some((oldest, _)) = self.errors.pop_first()
        {
            self.complete_from = oldest + 1;
        }
        self.replies.remove(&serial)
    }

    /// A reply is handed out once; an error as often as it is asked for.
    pub(super) fn find(&mut self, serial: u64) -> Found<R> {
        if let Some(error) = self.errors.get(&serial) {
            return Found::Error(error.clone());
        }
        match self.replies.remove(&serial) {
            Some(reply) => Found::Reply(reply),
            None if serial < self.complete_from => Found::Forgotten,
            None => Found::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late(value: u64) -> Late<u64> {
        let (to, late) = oneshot::channel();
        to.send(Ok(value)).expect("it is there");
        late
    }

    #[test]
    fn the_newest_are_kept_and_what_is_forgotten_is_not_called_executed() {
        let mut kept = Kept::new(2);
        assert!(kept.keep_reply(1, late(10)).is_none());
        assert!(kept.keep_reply(3, late(30)).is_none());
        assert!(kept.keep_reply(2, late(20)).is_some(), "the oldest goes");
        assert!(matches!(kept.find(1), Found::Nothing), "no error is known: executed");
        assert!(matches!(kept.find(2), Found::Reply(_)));
        assert!(matches!(kept.find(2), Found::Nothing), "handed out once");
        for serial in 4..=6 {
            assert!(kept.keep_error(serial, RequestError::SessionEvicted).is_none());
        }
        assert!(matches!(kept.find(4), Found::Forgotten));
        assert!(matches!(kept.find(5), Found::Error(RequestError::SessionEvicted)));
        assert!(matches!(kept.find(5), Found::Error(_)), "as often as it is asked for");
        assert!(matches!(kept.find(3), Found::Reply(_)), "a reply is a reply");
        assert!(matches!(kept.find(7), Found::Nothing));
    }

    #[test]
    fn an_error_replaces_the_hope_for_a_reply_but_no_reply_replaces_an_error() {
        let mut kept = Kept::new(2);
        assert!(kept.keep_reply(1, late(10)).is_none());
        assert!(kept.keep_error(1, RequestError::SessionEvicted).is_some());
        assert!(kept.keep_reply(1, late(11)).is_some());
        assert!(matches!(kept.find(1), Found::Error(_)));
    }
}
