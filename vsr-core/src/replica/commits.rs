//! From committed to applied: each operation goes to the state machine once, in order (rule B8, decision 9).

use super::Replica;
use crate::{
    effect::{Answer, Asked, Effect},
    entry::Entry,
    event::Event,
    id::{OpNumber, RequestNumber, SessionId},
    log::Point,
    mutation::Mutation,
    run::Origin,
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

    /// Notes that the reply of `op` is in, and says where the operation comes from.
    #[inline]
    pub(crate) fn applied(&mut self, op: OpNumber) -> Origin {
        let owed = self.owed.front_mut().filter(|owed| owed.next() == op);
        let owed = owed.expect("replies are handed in once, in the order of the commits");
        let origin = owed.entry.origin(owed.range.start);
        owed.range.start += 1;
        if owed.range.is_empty() {
            self.owed.pop_front();
        }
        self.applied = if self.owed.is_empty() { self.emitted } else { op };
        origin
    }
}

impl Owed {
    fn next(&self) -> OpNumber {
        OpNumber(self.entry.first().0 + self.range.start as u64)
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
                let session = self.session_meant(session);
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
        self.digests.roll(op, reply);
        if let Origin::Request { session, request, .. } = self.commits.applied(op) {
            self.sessions.finish(self.session_meant(session), request, reply);
        }
    }

    #[cfg(feature = "inject")]
    fn session_meant(&self, session: SessionId) -> SessionId {
        let anybody = self.mutated(Mutation::AnySessionInSlot);
        if anybody { self.sessions.in_slot(session.slot).unwrap_or(session) } else { session }
    }

    #[cfg(not(feature = "inject"))]
    #[expect(clippy::unused_self, reason = "the same face as with the feature")]
    fn session_meant(&self, session: SessionId) -> SessionId {
        session
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
