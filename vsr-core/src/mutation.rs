//! Protocol rules that tests can switch off at run time, to prove that the rule is needed and its test alive.
//! Without the feature `inject` the question is answered at compile time.

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A rule that can be switched off, named by what is done without it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(feature = "inject"), expect(unreachable_pub, dead_code, reason = "public and complete only with the feature"))]
        pub enum Mutation { $($(#[$doc])* $name,)* }

        #[cfg(feature = "inject")]
        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in scenarios and reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

mutations! {
    /// B3: append a prepare of a higher view.
    AcceptHigherPrepare = "accept-higher-prepare",
    /// C6: choose the new view's log by op-number, whatever its log view.
    ChooseByOp = "choose-by-op",
    /// C6: choose the log that came last.
    ChooseLast = "choose-last",
    /// A3: count do-view-change messages, not their senders.
    CountDuplicateVotes = "count-duplicate-votes",
    /// A3: count acknowledgements, not their senders.
    CountDuplicateAcks = "count-duplicate-acks",
    /// B4: count acknowledgements of other views.
    AckAcrossViews = "ack-across-views",
    /// B7: take a smaller commit-number over.
    LowerCommit = "lower-commit",
    /// B6: advance the commit-number over what is not in the log of this view.
    CommitOwnSuffix = "commit-own-suffix",
    /// C8: install a start-view of an older view.
    AcceptOldStartView = "accept-old-start-view",
    /// C8: keep the own log where the new view's is shorter.
    KeepLongerLog = "keep-longer-log",
    /// D2: drop the uncommitted log when asking for state.
    TruncateWhenAsking = "truncate-when-asking",
    /// D2: be in the new view before its log arrived.
    EagerView = "eager-view",
    /// Decision 4: install a newer view from a part of its log.
    InstallPartialView = "install-partial-view",
    /// Decision 5: stage what a replica of another view calls committed.
    StageOtherViews = "stage-other-views",
    /// H1: remember a request when it is appended, not when it is committed.
    SessionAtAppend = "session-at-append",
    /// H5, H6: forget the replies when the view changes.
    ForgetSessions = "forget-sessions",
    /// D2 of the design, F1: acknowledge before the entry is durable.
    AckBeforePersisted = "ack-before-persisted",
    /// F1: count the own vote before the entry is durable.
    OwnVoteBeforePersisted = "own-vote-before-persisted",
    /// F1: send do-view-change before view and log are durable.
    DoViewChangeBeforePersisted = "do-view-change-before-persisted",
    /// Decision 12: vote before all members were seen to be unformatted.
    SkipBootstrap = "skip-bootstrap",
    /// C10: a restarted primary goes on in its view.
    PrimaryResumes = "primary-resumes",
    /// B11: send nothing twice.
    NoRetransmission = "no-retransmission",
    /// B2, D1: do not ask for what is missing.
    NoStateTransfer = "no-state-transfer",
    /// C1: wait for ever in a view change.
    NoViewChangeTimeout = "no-view-change-timeout",
    /// Decision 2: a replica that is left behind is not told.
    NoStartViewAnswer = "no-start-view-answer",
    /// B11: heartbeats without a commit-number.
    HeartbeatWithoutCommit = "heartbeat-without-commit",
    /// C11: a primary that hears nobody goes on.
    NoAbdication = "no-abdication",
    /// Decision 14: compare nothing.
    KeepDigestsSecret = "keep-digests-secret",
    /// Decision 14: stop for one replica that says something else.
    StopForOneDigest = "stop-for-one-digest",
    /// Decision 14, E1: leave the digest out of snapshots.
    DigestNotInSnapshot = "digest-not-in-snapshot",
    /// B9: pass a forwarded request on again.
    ForwardForwarded = "forward-forwarded",
    /// F8: rejoin with nothing where the log was lost.
    RejoinWithoutLog = "rejoin-without-log",
    /// F8: take the log of any primary that answers, whatever views others are in, and name no view when asking.
    RecoverFromAnyPrimary = "recover-from-any-primary",
    /// F8: ask with the same nonce after every crash.
    ReuseNonce = "reuse-nonce",
    /// F9, F10: forget the view together with the log.
    ForgetView = "forget-view",
    /// F8: install a recovered log before it reaches what the primary had.
    RecoverTooLittle = "recover-too-little",
    /// F8: count a replica that recovers itself as one that answers.
    CountRecovering = "count-recovering",
    /// Decision 2: stay in a view that a recovering replica has promised to leave.
    IgnoreRecoveryView = "ignore-recovery-view",
    /// C13: wait for a primary that has lost its log.
    WaitForLostPrimary = "wait-for-lost-primary",
    /// F11: take all that were recovering within one round for recovering at one moment.
    StopAfterOneRound = "stop-after-one-round",
}

/// The rules that are switched off.
#[cfg(feature = "inject")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mutations([u64; Mutation::ALL.len().div_ceil(64)]);

#[cfg(feature = "inject")]
impl Mutations {
    /// Switches one rule off.
    #[must_use]
    pub fn with(mut self, mutation: Mutation) -> Self {
        let bit = mutation as usize;
        self.0[bit / 64] |= 1 << (bit % 64);
        self
    }

    pub(crate) fn contains(self, mutation: Mutation) -> bool {
        let bit = mutation as usize;
        self.0[bit / 64] & 1 << (bit % 64) != 0
    }
}
