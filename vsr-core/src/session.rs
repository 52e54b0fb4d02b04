//! The exactly-once table: sessions are windows of requests in order (decisions 6, 7 and 9).

use crate::{
    config::ReplicatedLimits,
    id::{ClientId, OpNumber, RequestNumber, SessionId},
};
use alloc::{collections::VecDeque, vec::Vec};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// All sessions. Replicated: it changes with the log and with nothing else (rule H3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sessions {
    limits: ReplicatedLimits,
    /// Dense: a slot is filled once, and then only used again.
    slots: Vec<Session>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Session {
    client: ClientId,
    number: OpNumber,
    /// The highest request executed.
    last: RequestNumber,
    /// The op of the last change: the session with the lowest one is evicted first (rule H3).
    last_op: OpNumber,
    /// The newest executed requests, up to `last`; a reply that is not in yet is pending.
    kept: VecDeque<Kept>,
    kept_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Kept {
    checksum: u64,
    reply: Stored,
}

/// What is there of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Stored {
    /// The host owes it.
    Pending,
    Here(Reply),
    /// Too large to be kept.
    Gone,
}

/// What the table knows of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The table has no such session.
    NoSession,
    /// Not executed yet.
    New,
    /// Being executed.
    Pending,
    /// Executed, and this was the reply.
    Reply(Bytes),
    /// Executed; the reply is not kept any more.
    Gone,
    /// Executed with another operation under the same number.
    Conflict,
}

/// What committing a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// The state machine is asked.
    Execute,
    /// It was executed before (rule H5).
    Duplicate,
    /// Its session is gone.
    NoSession,
}

/// What committing a registration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) session: SessionId,
    pub(crate) fresh: bool,
    pub(crate) evicted: Option<SessionId>,
}

impl Sessions {
    pub(crate) fn new(limits: ReplicatedLimits) -> Self {
        Self { limits, slots: Vec::new() }
    }

    /// How many sessions are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What is known of a request; `checksum` is that of the operation the asker means.
    #[must_use]
    pub fn lookup(&self, session: SessionId, request: RequestNumber, checksum: u64) -> Lookup {
        let Some(found) = self.get(session) else { return Lookup::NoSession };
        if request > found.last {
            return Lookup::New;
        }
        match found.kept_index(request).map(|index| &found.kept[index]) {
            None => Lookup::Gone,
            Some(kept) if kept.checksum != checksum => Lookup::Conflict,
            Some(Kept { reply: Stored::Pending, .. }) => Lookup::Pending,
            Some(Kept { reply: Stored::Gone, .. }) => Lookup::Gone,
            Some(Kept { reply: Stored::Here(reply), .. }) => Lookup::Reply(reply.to_bytes()),
        }
    }

    /// The live session of a client.
    pub(crate) fn of_client(&self, client: ClientId) -> Option<SessionId> {
        self.slots.iter().position(|session| session.client == client).map(|slot| self.id_of(slot))
    }

    /// The highest request executed in a session.
    pub(crate) fn last(&self, session: SessionId) -> Option<RequestNumber> {
        self.get(session).map(|found| found.last)
    }

    /// Commits a registration: the client's live session, a free slot, or the slot of the session unused for longest.
    pub(crate) fn register(&mut self, client: ClientId, op: OpNumber) -> Registered {
        if let Some(session) = self.of_client(client) {
            return Registered { session, fresh: false, evicted: None };
        }
        let fresh = Session {
            client,
            number: op,
            last: RequestNumber(0),
            last_op: op,
            kept: VecDeque::new(),
            kept_bytes: 0,
        };
        let (slot, evicted) = if self.slots.len() < self.limits.sessions_max as usize {
            self.slots.push(fresh);
            (self.slots.len() - 1, None)
        } else {
            let slot = self.oldest();
            let evicted = self.id_of(slot);
            self.slots[slot] = fresh;
            (slot, Some(evicted))
        };
        Registered { session: SessionId { slot: slot as u32, number: op }, fresh: true, evicted }
    }

    /// Commits a request; its reply is pending from here until [`finish`](Self::finish).
    #[inline]
    pub(crate) fn begin(
        &mut self,
        session: SessionId,
        request: RequestNumber,
        acked_below: RequestNumber,
        checksum: u64,
        op: OpNumber,
    ) -> Begin {
        let window = u64::from(self.limits.window);
        let Some(found) = self.get_mut(session) else { return Begin::NoSession };
        if request <= found.last {
            return Begin::Duplicate;
        }
        assert_eq!(request.0, found.last.0 + 1, "the primary admits the requests of a session without a gap");
        found.last = request;
        found.last_op = op;
        found.kept.push_back(Kept { checksum, reply: Stored::Pending });
        let not_acked = request.0 + 1 - acked_below.min(request).0;
        let kept_max = not_acked.min(window) as usize;
        while found.kept.len() > kept_max {
            found.forget_oldest();
        }
        Begin::Execute
    }

    /// Stores the reply of a request, unless its session or its place in the window is gone.
    #[inline]
    pub(crate) fn finish(&mut self, session: SessionId, request: RequestNumber, reply: &[u8]) {
        let bytes_max = u64::from(self.limits.session_reply_bytes_max);
        let Some(found) = self.get_mut(session) else { return };
        let Some(index) = found.kept_index(request) else { return };
        if reply.len() as u64 > bytes_max {
            // It alone is given up, not all the others for its sake.
            found.kept[index].reply = Stored::Gone;
            return;
        }
        found.kept[index].reply = Stored::Here(Reply::new(reply));
        found.kept_bytes += reply.len() as u64;
        while found.kept_bytes > bytes_max {
            found.forget_oldest();
        }
    }

    /// The session that is meant; for the mutation that does not ask who it is: `anybody` who has the slot now.
    #[inline]
    pub(crate) fn meant(&self, session: SessionId, anybody: bool) -> SessionId {
        let taken = anybody && (session.slot as usize) < self.slots.len();
        if taken { self.id_of(session.slot as usize) } else { session }
    }

    fn oldest(&self) -> usize {
        let slots = 0..self.slots.len();
        slots.min_by_key(|slot| self.slots[*slot].last_op).expect("a full table has at least one slot")
    }

    fn id_of(&self, slot: usize) -> SessionId {
        SessionId { slot: slot as u32, number: self.slots[slot].number }
    }

    fn get(&self, session: SessionId) -> Option<&Session> {
        self.slots.get(session.slot as usize).filter(|found| found.number == session.number)
    }

    fn get_mut(&mut self, session: SessionId) -> Option<&mut Session> {
        self.slots.get_mut(session.slot as usize).filter(|found| found.number == session.number)
    }

    /// Whether a table from outside is one that this code could have made with these limits, all replies up to `op` being in.
    pub(crate) fn is_well_formed(&self, limits: ReplicatedLimits, op: OpNumber) -> bool {
        let fine = |session: &Session| {
            let bytes = session.kept.iter().try_fold(0u64, |bytes, kept| match &kept.reply {
                Stored::Pending => None,
                Stored::Here(reply) => Some(bytes + reply.as_slice().len() as u64),
                Stored::Gone => Some(bytes),
            });
            bytes == Some(session.kept_bytes)
                && session.kept_bytes <= limits.session_reply_bytes_max.into()
                && session.kept.len() <= limits.window as usize
                && session.kept.len() as u64 <= session.last.0
                && session.last.0 < u64::MAX
                && session.number <= session.last_op
                && session.last_op <= op
        };
        self.limits == limits
            && self.slots.len() <= limits.sessions_max as usize
            && self.slots.iter().all(fine)
    }

    /// Checks what must always hold; called by `check_invariants`.
    pub(crate) fn check(&self) {
        assert!(self.slots.len() <= self.limits.sessions_max as usize, "sessions within their bound");
        for session in &self.slots {
            assert!(session.kept.len() <= self.limits.window as usize, "replies within their window");
            assert!(session.kept.len() as u64 <= session.last.0, "no reply without a request");
        }
    }
}

impl Session {
    fn first_kept(&self) -> RequestNumber {
        RequestNumber(self.last.0 + 1 - self.kept.len() as u64)
    }

    fn kept_index(&self, request: RequestNumber) -> Option<usize> {
        let index = request.0.checked_sub(self.first_kept().0)?;
        (index < self.kept.len() as u64).then_some(index as usize)
    }

    fn forget_oldest(&mut self) {
        if let Some(Kept { reply: Stored::Here(reply), .. }) = self.kept.pop_front() {
            self.kept_bytes -= reply.len() as u64;
        }
    }
}

/// A stored reply; short ones need no memory of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Reply {
    Short { len: u8, bytes: [u8; Self::SHORT_MAX] },
    Long(Bytes),
}

impl Reply {
    const SHORT_MAX: usize = 23;

    fn new(reply: &[u8]) -> Self {
        if reply.len() <= Self::SHORT_MAX {
            let mut bytes = [0; Self::SHORT_MAX];
            bytes[..reply.len()].copy_from_slice(reply);
            Self::Short { len: reply.len() as u8, bytes }
        } else {
            Self::Long(Bytes::copy_from_slice(reply))
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Short { len, .. } => (*len).into(),
            Self::Long(bytes) => bytes.len(),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }

    fn to_bytes(&self) -> Bytes {
        match self {
            Self::Short { .. } => Bytes::copy_from_slice(self.as_slice()),
            Self::Long(bytes) => bytes.clone(),
        }
    }
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_slice())
    }
}

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bytes::deserialize(deserializer).map(|bytes| Self::new(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(sessions_max: u32, window: u32, session_reply_bytes_max: u32) -> Sessions {
        Sessions::new(ReplicatedLimits {
            sessions_max,
            window,
            session_reply_bytes_max,
            ..ReplicatedLimits::default()
        })
    }

    /// Commits request `n` of a session at `op` and answers it.
    fn execute(
        sessions: &mut Sessions,
        session: SessionId,
        n: u64,
        acked_below: u64,
        op: u64,
        reply: &[u8],
    ) -> Begin {
        let begun = sessions.begin(session, RequestNumber(n), RequestNumber(acked_below), n, OpNumber(op));
        if begun == Begin::Execute {
            sessions.finish(session, RequestNumber(n), reply);
        }
        begun
    }

    fn lookup(sessions: &Sessions, session: SessionId, n: u64) -> Lookup {
        sessions.lookup(session, RequestNumber(n), n)
    }

    #[test]
    fn a_request_is_executed_once_and_its_reply_kept() {
        let mut table = sessions(2, 4, 100);
        let session = table.register(ClientId(1), OpNumber(1)).session;
        assert_eq!(lookup(&table, session, 1), Lookup::New);
        assert_eq!(execute(&mut table, session, 1, 1, 2, b"first"), Begin::Execute);
        assert_eq!(execute(&mut table, session, 1, 1, 3, b"again"), Begin::Duplicate);
        assert_eq!(lookup(&table, session, 1), Lookup::Reply(Bytes::from_static(b"first")));
        assert_eq!(table.lookup(session, RequestNumber(1), 99), Lookup::Conflict);
    }

    #[test]
    fn a_reply_is_pending_until_it_is_handed_in() {
        let mut table = sessions(2, 4, 100);
        let session = table.register(ClientId(1), OpNumber(1)).session;
        table.begin(session, RequestNumber(1), RequestNumber(1), 1, OpNumber(2));
        assert_eq!(lookup(&table, session, 1), Lookup::Pending);
    }

    #[test]
    fn replies_go_when_they_are_acknowledged_or_out_of_the_window_or_too_many_bytes() {
        let mut table = sessions(2, 3, 100);
        let session = table.register(ClientId(1), OpNumber(1)).session;
        for n in 1..=3 {
            execute(&mut table, session, n, 1, n + 1, b"x");
        }
        execute(&mut table, session, 4, 1, 5, b"x");
        assert_eq!(lookup(&table, session, 1), Lookup::Gone, "the window holds three");
        execute(&mut table, session, 5, 5, 6, b"x");
        assert_eq!(lookup(&table, session, 4), Lookup::Gone, "all below 5 were acknowledged");
        execute(&mut table, session, 6, 5, 7, &[0; 100]);
        assert_eq!(lookup(&table, session, 5), Lookup::Gone, "100 bytes are the bound");
        assert_eq!(lookup(&table, session, 6), Lookup::Reply(Bytes::from(alloc::vec![0; 100])));
        execute(&mut table, session, 7, 5, 8, &[0; 101]);
        assert_eq!(lookup(&table, session, 7), Lookup::Gone, "too large to be kept");
        assert!(matches!(lookup(&table, session, 6), Lookup::Reply(_)), "and nobody else's loss");
    }

    #[test]
    fn the_session_unused_for_longest_makes_room() {
        let mut table = sessions(2, 4, 100);
        let first = table.register(ClientId(1), OpNumber(1)).session;
        let second = table.register(ClientId(2), OpNumber(2)).session;
        execute(&mut table, first, 1, 1, 3, b"x");
        let third = table.register(ClientId(3), OpNumber(4));
        assert_eq!(third.evicted, Some(second));
        assert_eq!(execute(&mut table, second, 1, 1, 5, b"x"), Begin::NoSession);
        assert_eq!(third.session.slot, second.slot);
        assert_ne!(third.session, second, "the slot is used again, the session is not");
    }

    #[test]
    fn a_client_with_a_live_session_gets_it_again() {
        let mut table = sessions(2, 4, 100);
        let session = table.register(ClientId(1), OpNumber(1)).session;
        let again = table.register(ClientId(1), OpNumber(2));
        assert_eq!((again.session, again.fresh, again.evicted), (session, false, None));
    }

    /// Replicas cut the log into turns as they like; the table must not depend on it.
    #[test]
    fn the_table_does_not_depend_on_how_commits_are_cut_into_turns() {
        let ops: Vec<(u64, u64, usize)> =
            (1..=40u64).map(|n| (n, n.saturating_sub(n % 7).max(1), (n * 13 % 40) as usize)).collect();
        let run = |turn: usize| {
            let mut table = sessions(2, 8, 64);
            let session = table.register(ClientId(1), OpNumber(1)).session;
            for ops in ops.chunks(turn) {
                for (n, acked_below, _) in ops {
                    table.begin(session, RequestNumber(*n), RequestNumber(*acked_below), *n, OpNumber(n + 1));
                }
                for (n, _, bytes) in ops {
                    table.finish(session, RequestNumber(*n), &alloc::vec![7; *bytes]);
                }
            }
            table
        };
        let one_by_one = run(1);
        for turn in 2..=8 {
            assert_eq!(run(turn), one_by_one, "turns of {turn}");
        }
    }
}
