//! Requests under way, and how they are answered.

use super::{envelope::Asker, fault::Fault, registers::Reply};
use bytes::Bytes;
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc::OwnedPermit;
use vsr_actor::{Replies, ReplyTo, RequestError};

/// One request under way. Its place among the lines that go out is kept from the beginning: whoever answers never waits.
pub(super) struct Asked {
    pub(super) asker: Asker,
    pub(super) place: OwnedPermit<String>,
}

impl Asked {
    pub(super) fn answer(self, line: impl FnOnce(&Asker) -> String) {
        self.place.send(line(&self.asker));
    }

    pub(super) fn fail(self, fault: &Fault) {
        self.answer(|asker| asker.error(fault));
    }
}

/// Requests that the replicas work on, by the number each has here. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    last: u64,
    asked: HashMap<u64, (Asked, &'static str)>,
}

impl Waiting {
    /// Keeps a request, whose success is called `ok`. What it is known by from now on.
    pub(super) fn insert(&self, asked: Asked, ok: &'static str) -> Bytes {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        state.asked.insert(number, (asked, ok));
        Bytes::copy_from_slice(&number.to_be_bytes())
    }

    /// Answers one; does nothing if it is answered.
    pub(super) fn answer(&self, number: &[u8], reply: Result<Reply, RequestError>) {
        let Ok(number) = number.try_into().map(u64::from_be_bytes) else { return };
        let Some((asked, ok)) = self.state().asked.remove(&number) else { return };
        match reply {
            Ok(Reply::Done) => asked.answer(|asker| asker.answer(json!({ "type": ok }))),
            Ok(Reply::Missing) => asked.fail(&Fault::missing()),
            Ok(Reply::Differs) => asked.fail(&Fault::differs()),
            Err(error) => asked.fail(&error.into()),
        }
    }

    /// The replica has ended: nobody else will answer.
    pub(super) fn fail_all(&self) {
        let asked = std::mem::take(&mut self.state().asked);
        for (asked, _) in asked.into_values() {
            asked.fail(&Fault::replica_ended());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `send_reply` of this transport: the line that answers the client.
impl Replies<Reply> for Waiting {
    fn send_reply(&mut self, to: ReplyTo<Reply>, reply: Result<Reply, RequestError>) {
        match to {
            ReplyTo::Custom(number) => self.answer(&number, reply),
            to => to.send(reply),
        }
    }
}
