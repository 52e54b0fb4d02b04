//! The replica.
use crate::*;
use alloc::vec::Vec;

/// One replica of a group.
#[derive(Clone, Debug)]
pub struct Replica {}

/// What a replica tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Which replica.
    pub replica: ReplicaId,
    /// How many replicas the group has.
    pub replicas: usize,
    /// What it is doing.
    pub status: StatusName,
    /// The view it is in.
    pub view: ViewNumber,
    /// The latest view whose log it has installed: the view that clients may be told of (rule C14).
    pub log_view: ViewNumber,
    /// The primary of the view; itself, perhaps.
    pub primary: ReplicaId,
    /// Whether it is the primary of a started view.
    pub is_primary: bool,
    /// The paper's op-number.
    pub op: OpNumber,
    /// The paper's commit-number.
    pub commit: OpNumber,
    /// The highest operation whose reply is in.
    pub applied: OpNumber,
    /// The op of the latest durable snapshot.
    pub snapshot: OpNumber,
    /// Operations held in the log.
    pub log_ops: u64,
    /// Open sessions.
    pub sessions: usize,
}

impl Replica {
    /// Starts.
    /// # Errors
    /// See [`StartError`].
    pub fn start(now: Now, config: Config, restored: Restored, effects: &mut Vec<Effect>) -> Result<Self, StartError> { let _ = (now, config, restored, effects); Ok(Self {}) }
    /// One input.
    pub fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) { let _ = (now, input, effects); }
    /// Ends a turn.
    pub fn end_turn(&mut self, now: Now, effects: &mut Vec<Effect>) { let _ = (now, effects); }
    /// Hands in the reply of a committed operation.
    pub fn applied(&mut self, op: OpNumber, reply: &[u8]) { let _ = (op, reply); }
    /// When to say [`Input::Timer`]; a time that is past means at once.
    pub fn deadline(&self) -> Time { Time(0) }
    /// How many more client requests it can take now without refusing any; 0 says: leave them in the mailbox.
    pub fn room(&self) -> usize { 0 }
    /// A copy of what it knows of itself.
    pub fn status(&self) -> Status { unimplemented!() }
    /// What the session table knows of a request.
    pub fn lookup(&self, session: SessionId, request: RequestNumber, checksum: u64) -> Lookup { let _ = (session, request, checksum); Lookup::NoSession }
    /// The session of a registered client.
    pub fn session_of(&self, client: ClientId) -> Option<SessionId> { let _ = client; None }
    /// The session table.
    pub fn sessions(&self) -> &Sessions { unimplemented!() }
    /// Hash at a position of the log, if held.
    pub fn hash_at(&self, op: OpNumber) -> Option<Hash> { let _ = op; None }
    /// Panics when an invariant of the protocol is broken.
    pub fn check_invariants(&self) {}
}
