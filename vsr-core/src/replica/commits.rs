//! From committed to applied: each operation goes to the state machine once, in order (rule B8, decision 9).

use super::Replica;
use crate::{
    effect::{Answer, Asked, Effect},
    entry::Entry,
    event::Event,
    id::{OpNumber, RequestNumber, SessionId},
    log::Point,
    mutation::Mutation,
    run::{Head, Origin},
    session::{Begin, Lookup, Registered, Sessions},
    snapshot::{Arrived, Replicated, Snapshot},
    state::{BlobError, State},
};
use alloc::{collections::VecDeque, sync::Arc};
use bytes::Bytes;
use core::{ops::Range, time::Duration};

/// A snapshot that could not be written out is tried again after so many heartbeat time-outs: each attempt may fill a disk.
const SNAPSHOT_RETRY_TIMEOUTS: u32 = 10;

/// How far commits went, and what the host owes for them.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Commits {
    /// Given to the host up to here.
    emitted: OpNumber,
    /// The host has handed in all replies up to here.
    applied: OpNumber,
    /// What the host was given and owes replies for, in order.
    owed: VecDeque<Owed>,
    /// The last op at which a snapshot was due. The same on all replicas, for they count from the same ops.
    boundary: OpNumber,
    bytes_since_boundary: u64,
    /// The snapshot that the host is writing.
    writing: Option<Writing>,
}

/// A snapshot under way.
#[derive(Clone, Debug, Hash)]
struct Writing {
    at: Point,
    /// What the protocol keeps, as it was there: `None` until the replies of that turn are in.
    protocol: Option<Bytes>,
}

/// Operations of an entry whose replies are not in.
#[derive(Clone, Debug, Hash)]
struct Owed {
    entry: Entry,
    range: Range<usize>,
}

impl Commits {
    pub(crate) fn after(op: OpNumber) -> Self {
        Self {
            emitted: op,
            applied: op,
            owed: VecDeque::new(),
            boundary: op,
            bytes_since_boundary: 0,
            writing: None,
        }
    }

    pub(crate) fn emitted(&self) -> OpNumber {
        self.emitted
    }

    pub(crate) fn last_applied(&self) -> OpNumber {
        self.applied
    }

    /// Whether the host owes a snapshot.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Whether the state is frozen for a snapshot, and the session table not put aside yet.
    pub(crate) fn awaits_sessions(&self) -> bool {
        matches!(self.writing, Some(Writing { protocol: None, .. }))
    }

    pub(crate) fn owes_replies(&self) -> bool {
        !self.owed.is_empty()
    }

    /// What replies are owed for next, which must be those of the operations from `first` on.
    fn owed_from(&self, first: OpNumber) -> &Owed {
        let owed = self.owed.front().filter(|owed| owed.next() == first);
        owed.expect("replies are handed in once, in the order of the commits")
    }

    /// Notes that so many more replies are in.
    fn handed_in(&mut self, replies: usize) {
        let Some(owed) = self.owed.front_mut() else { return };
        owed.range.start += replies;
        self.applied = OpNumber(owed.next().0 - 1);
        if owed.range.is_empty() {
            self.owed.pop_front();
        }
        if self.owed.is_empty() {
            self.applied = self.emitted;
        }
    }
}

impl Owed {
    fn next(&self) -> OpNumber {
        OpNumber(self.entry.first().0 + self.range.start as u64)
    }

    fn heads(&self) -> &[Head] {
        &self.entry.run().heads()[self.range.clone()]
    }
}

impl Replica {
    /// Gives what is committed to the host, up to a snapshot and a bound a turn.
    pub(super) fn commit_operations(&mut self) {
        let mut room = self.config.limits.turn_ops_max;
        if self.mutated(Mutation::SkipUnapplied) && self.commits.emitted < self.commit {
            let newest = self.log.entry_with(self.commit).map(|entry| entry.first().0 - 1);
            self.commits.emitted = OpNumber(newest.unwrap_or_default()).max(self.commits.emitted);
        }
        let mut frozen = false;
        while self.commits.emitted < self.commit && room > 0 && !frozen {
            let next = self.commits.emitted.next();
            let entry =
                self.log.entry_with(next).expect("what is committed and not applied is in the log").clone();
            self.commit_entry(&entry);
            room = room.saturating_sub(entry.len() as u64);
            self.commits.emitted = entry.last();
            self.commits.bytes_since_boundary += entry.bytes() as u64;
            frozen = self.mark_boundary(&entry);
        }
        if self.commits.owed.is_empty() {
            self.commits.applied = self.commits.emitted;
        }
    }

    fn commit_entry(&mut self, entry: &Entry) {
        let interval = u64::from(self.config.replicated.digest_interval_ops);
        let mut digest_at = entry.first().0.next_multiple_of(interval);
        // Where the operations begin that the host was not given yet.
        let mut begin = 0;
        for (index, head) in entry.run().heads().iter().enumerate() {
            let op = OpNumber(entry.first().0 + index as u64);
            if !self.commit_operation(op, entry.timestamp(index), head.origin) {
                self.emit_run(entry, begin..index);
                begin = index + 1;
            }
            if op.0 == digest_at {
                self.emit_run(entry, begin..index + 1);
                begin = index + 1;
                self.digests.expect(op);
                self.out.push(Effect::TakeDigest { op });
                digest_at = digest_at.saturating_add(interval);
            }
        }
        self.emit_run(entry, begin..entry.len());
    }

    fn emit_run(&mut self, entry: &Entry, range: Range<usize>) {
        if !range.is_empty() {
            self.commits.owed.push_back(Owed { entry: entry.clone(), range: range.clone() });
            self.out.push(Effect::Commit { entry: entry.clone(), range });
        }
    }

    /// Changes the session table (rule H3). Whether the state machine is to be asked.
    fn commit_operation(&mut self, op: OpNumber, timestamp: u64, origin: Origin) -> bool {
        match origin {
            Origin::Tick => {
                self.next_tick.take_if(|at| *at <= timestamp);
                self.tick_committed();
                true
            }
            Origin::Register { client } => {
                self.settled(Asked::Register(client));
                let Registered { session, fresh, evicted } = self.sessions.register(client, op);
                if let Some(session) = evicted {
                    self.observe(Event::SessionEvicted { session });
                }
                if fresh {
                    self.observe(Event::SessionRegistered { client, session });
                }
                self.answer(Asked::Register(client), Answer::Registered(session));
                false
            }
            Origin::Request { session, request, acked_below, checksum } => {
                let of = Asked::Request(session, request);
                self.settled(of);
                let anybody = self.mutated(Mutation::AnySessionInSlot);
                let session = self.sessions.meant(session, anybody);
                match self.sessions.begin(session, request, acked_below, checksum, op) {
                    Begin::Execute => return true,
                    Begin::Duplicate if self.mutated(Mutation::ForgetSessions) => return true,
                    Begin::Duplicate => {
                        self.observe_step(Event::Duplicate { of });
                        if let Some(answer) = self.stored_answer(session, request, checksum) {
                            self.answer(of, answer);
                        }
                    }
                    Begin::NoSession => self.answer(of, Answer::Evicted),
                }
                false
            }
        }
    }

    /// Hands in the reply to a committed operation, in the order of the commits, before the next input (decision 9).
    ///
    /// # Panics
    /// When `op` is not the operation whose reply is due.
    pub fn applied(&mut self, op: OpNumber, reply: &[u8]) {
        self.applied_all(op, [reply]);
    }

    /// [`applied`](Self::applied) for several operations of one [`Commit`](Effect::Commit), in their order: cheaper where there are many
    /// at a time.
    ///
    /// # Panics
    /// When `first` is not the operation whose reply is due, or there are more replies than that effect has operations left.
    pub fn applied_all<'a>(&mut self, first: OpNumber, replies: impl IntoIterator<Item = &'a [u8]>) {
        let anybody = self.mutated(Mutation::AnySessionInSlot);
        let Self { commits, digests, sessions, .. } = self;
        let mut heads = commits.owed_from(first).heads().iter();
        let mut count = 0;
        for reply in replies {
            let head = heads.next().expect("there is a reply for each operation, and no other");
            digests.roll(OpNumber(first.0 + count), reply);
            if let Origin::Request { session, request, .. } = head.origin {
                sessions.finish(sessions.meant(session, anybody), request, reply);
            }
            count += 1;
        }
        commits.handed_in(count as usize);
    }

    /// What the table can answer for an executed request.
    pub(super) fn stored_answer(
        &self,
        session: SessionId,
        request: RequestNumber,
        checksum: u64,
    ) -> Option<Answer> {
        match self.sessions.lookup(session, request, checksum) {
            Lookup::Reply(reply) => Some(Answer::Reply(reply)),
            Lookup::Gone => Some(Answer::ReplyGone),
            Lookup::Conflict if self.mutated(Mutation::AnswerConflicts) => Some(Answer::ReplyGone),
            Lookup::Conflict => Some(Answer::Conflict),
            Lookup::NoSession | Lookup::New | Lookup::Pending => None,
        }
    }

    /// Snapshots are due at ops that the log alone decides, so that replicas can be compared there. One that comes while the last is
    /// not durable yet is left out. True: the state is frozen here, and the turn's commits end.
    fn mark_boundary(&mut self, entry: &Entry) -> bool {
        let limits = &self.config.limits;
        let ops = entry.last().0 - self.commits.boundary.0;
        if ops < limits.snapshot_interval_ops
            && self.commits.bytes_since_boundary < limits.snapshot_interval_bytes
        {
            return false;
        }
        let op = entry.last();
        self.commits.boundary = op;
        self.commits.bytes_since_boundary = 0;
        if self.snapshot_is_under_way() {
            self.observe(Event::SnapshotSkipped { op });
            return false;
        }
        self.take_snapshot(Point::end_of(entry));
        true
    }

    fn take_snapshot(&mut self, at: Point) {
        self.timers.snapshot_at = None;
        self.commits.writing = Some(Writing { at, protocol: None });
        self.out.push(Effect::TakeSnapshot { op: at.op });
    }

    /// The last one could not be written out, and perhaps now it can. A full log has no other boundary to wait for.
    pub(super) fn take_snapshot_again(&mut self) {
        self.timers.snapshot_at = None;
        let latest = self.snapshot.as_ref().map_or(OpNumber(0), |snapshot| snapshot.op());
        let at = self.log.point_at(self.commits.emitted).filter(|at| at.op > latest);
        if let Some(at) = at.filter(|_| !self.snapshot_is_under_way()) {
            self.take_snapshot(at);
            // Nothing is committed between this effect and now.
            self.capture_sessions();
        }
    }

    /// Whether a snapshot will be due without another entry.
    pub(super) fn boundary_is_in_the_log(&self) -> bool {
        self.log.op().0 - self.commits.boundary.0 >= self.config.limits.snapshot_interval_ops
    }

    /// Whether a snapshot was due and could not be written out.
    pub(super) fn snapshot_is_owed(&self) -> bool {
        self.timers.snapshot_at.is_some()
    }

    /// Whether a snapshot is being written out, or on its way to the storage.
    pub(super) fn snapshot_is_under_way(&self) -> bool {
        self.commits.is_writing() || self.durability.snapshot_on_its_way() > OpNumber(0)
    }

    /// The replies of the turn that froze the state are in: the session table is what it was there.
    pub(super) fn capture_sessions(&mut self) {
        let Some(Writing { at, protocol: None }) = self.commits.writing else { return };
        let Some(membership) = self.membership.clone() else { return };
        let sessions = if self.mutated(Mutation::SnapshotWithoutSessions) {
            Sessions::new(self.config.replicated)
        } else {
            self.sessions.clone()
        };
        let replies = if self.mutated(Mutation::DigestNotInSnapshot) { 0 } else { self.digests.rolling() };
        let protocol = Replicated { membership, sessions, replies }.encode();
        self.commits.writing = Some(Writing { at, protocol: Some(protocol) });
        if self.mutated(Mutation::TrimBeforeDurable) {
            self.trim_behind(at.op);
        }
    }

    pub(super) fn on_snapshot_taken(&mut self, op: OpNumber, state: Result<State, BlobError>) {
        let Some(Writing { at, protocol: Some(protocol) }) =
            self.commits.writing.take_if(|it| it.at.op == op)
        else {
            return;
        };
        match state {
            Ok(state) => {
                self.observe(Event::SnapshotTaken { op, bytes: state.len() });
                self.durability.snapshot_taken(Arc::new(Snapshot::new(at, protocol, state)));
            }
            Err(reason) => {
                self.observe(Event::SnapshotFailed { op, reason });
                let for_good = self.mutated(Mutation::SnapshotFailsForGood);
                let wait = self.config.heartbeat_timeout * SNAPSHOT_RETRY_TIMEOUTS;
                let wait = if for_good { Duration::MAX } else { wait };
                self.timers.snapshot_at = Some(self.now.monotonic.after(wait));
            }
        }
    }

    /// More is known to be committed; never less (rule B7).
    pub(super) fn set_commit(&mut self, to: OpNumber) {
        if to < self.commit && self.mutated(Mutation::LowerCommit) {
            let to = to.max(self.log.base());
            self.commit = to;
            self.commits = Commits::after(to);
        }
        if to > self.commit {
            assert!(to <= self.log.op(), "the commit-number never passes the op-number");
            self.observe_step(Event::CommitAdvanced { from: self.commit, to });
            self.commit = to;
        }
    }

    /// Goes on from a snapshot instead of what was applied so far.
    pub(super) fn resume_from(&mut self, arrived: Arrived) {
        let Arrived { snapshot, replicated } = arrived;
        self.sessions = replicated.sessions;
        self.digests.resume(replicated.replies);
        self.commits = Commits::after(snapshot.op());
        self.timers.snapshot_at = None;
        self.observe(Event::SnapshotInstalled { op: snapshot.op() });
        self.out.push(Effect::InstallSnapshot(snapshot));
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        ClientId, Config, Effect, Entry, Input, Now, OpNumber, Origin, Replica, ReplicaId, Request,
        RequestNumber, Restored, SessionId, checksum,
    };
    use alloc::{format, vec, vec::Vec};
    use bytes::Bytes;

    fn ask(replica: &mut Replica, origin: Origin, operation: Bytes, effects: &mut Vec<Effect>) {
        replica.step(Now::default(), Input::Request(Request::new(origin, operation)), effects);
    }

    /// Ends turns with a storage that writes at once. What was committed.
    fn settle(replica: &mut Replica, effects: &mut Vec<Effect>) -> Option<Entry> {
        loop {
            replica.end_turn(Now::default(), effects);
            let done: Vec<_> = core::mem::take(effects);
            for effect in &done {
                match effect {
                    Effect::Append(write) => {
                        replica.step(Now::default(), Input::Persisted(write.id), effects);
                    }
                    Effect::Commit { entry, .. } => return Some(entry.clone()),
                    _ => {}
                }
            }
            if done.is_empty() {
                return None;
            }
        }
    }

    /// A host may watch each operation or none: that must not make replicas differ.
    #[test]
    fn replies_may_be_handed_in_one_by_one_or_together() {
        let mut effects = Vec::new();
        let config = Config::new(ReplicaId(0), vec![ReplicaId(0)]);
        let started = Replica::start(Now::default(), config, Restored::default(), &mut effects);
        let mut replica = started.expect("a valid configuration");
        assert!(settle(&mut replica, &mut effects).is_none());
        ask(&mut replica, Origin::Register { client: ClientId(1) }, Bytes::new(), &mut effects);
        assert!(settle(&mut replica, &mut effects).is_none(), "the machine never sees a registration");
        let session = SessionId { slot: 0, number: OpNumber(1) };
        for number in 1..=3 {
            let operation = Bytes::from(vec![number as u8]);
            let request = RequestNumber(number);
            let checksum = checksum(&operation);
            let origin = Origin::Request { session, request, acked_below: RequestNumber(1), checksum };
            ask(&mut replica, origin, operation, &mut effects);
        }
        let entry = settle(&mut replica, &mut effects).expect("three operations");
        let replies: [&[u8]; 3] = [b"one", b"a reply that is too long to lie in the table itself", b""];

        let mut one_by_one = replica.clone();
        for (index, reply) in replies.iter().enumerate() {
            one_by_one.applied(entry.op(index), reply);
        }
        let mut together = replica.clone();
        together.applied_all(entry.first(), replies);
        assert_eq!(format!("{together:?}"), format!("{one_by_one:?}"));
        let mut in_two = replica.clone();
        in_two.applied_all(entry.first(), replies[..2].iter().copied());
        assert_eq!(in_two.status().applied, entry.op(1));
        in_two.applied_all(entry.op(2), replies[2..].iter().copied());
        assert_eq!(format!("{in_two:?}"), format!("{one_by_one:?}"));
        assert_ne!(format!("{replica:?}"), format!("{one_by_one:?}"), "replies leave a trace");
    }
}
