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
    /// A1: take messages of other clusters, groups and epochs.
    AcceptStrangers = "accept-strangers",
    /// A2: take from anybody what only the primary may say.
    AcceptFromAnybody = "accept-from-anybody",
    /// A5: follow into any view.
    AcceptAnyView = "accept-any-view",
    /// B3: take no notice of a newer view's broadcasts.
    IgnoreNewerView = "ignore-newer-view",
    /// C6: choose the new view's log by op-number, whatever its log view.
    ChooseByOp = "choose-by-op",
    /// C6: choose the log that came last.
    ChooseLast = "choose-last",
    /// A3: count do-view-change messages, not their senders.
    CountDuplicateVotes = "count-duplicate-votes",
    /// A3: count messages of start-view-change, not their senders.
    CountDuplicateLeaves = "count-duplicate-leaves",
    /// A3: keep the votes of one view in the next.
    KeepVotes = "keep-votes",
    /// A3: count acknowledgements, not their senders.
    CountDuplicateAcks = "count-duplicate-acks",
    /// B4: count acknowledgements of other views.
    AckAcrossViews = "ack-across-views",
    /// Decision 13: count acknowledgements of another log.
    AckWithoutHash = "ack-without-hash",
    /// B14: wait no longer for the primary of an idle group than for any other.
    ExpectTheUsualPace = "expect-the-usual-pace",
    /// B14: believe whatever a heartbeat promises.
    BelieveAnyPromise = "believe-any-promise",
    /// B14: promise the interval that begins, not the longer one behind it.
    PromiseTooLittle = "promise-too-little",
    /// B14: wait as long as was promised, whatever is wanted meanwhile.
    WaitAsPromised = "wait-as-promised",
    /// B14: keep it to oneself that something is wanted.
    WakeNobody = "wake-nobody",
    /// B14: stay quiet while somebody wants to leave the view.
    SleepThroughVotes = "sleep-through-votes",
    /// B14, B15: stay quiet though a backup has not answered, and call it gone.
    QuietThoughUnanswered = "quiet-though-unanswered",
    /// B15: take everybody who was ever heard to be there.
    NeverMissAnybody = "never-miss-anybody",
    /// B15: keep from the backups who is heard.
    TellOfNobody = "tell-of-nobody",
    /// A6: a quorum of those who were heard of lately.
    QuorumOfConnected = "quorum-of-connected",
    /// B5: commit only what this view proposed.
    CommitOwnViewOnly = "commit-own-view-only",
    /// Decision 18: commit a part of an entry.
    CommitInsideEntry = "commit-inside-entry",
    /// B6: execute only the newest of what was committed.
    SkipUnapplied = "skip-unapplied",
    /// B1: take what an earlier view has logged for new requests.
    ProposeLoggedAgain = "propose-logged-again",
    /// B2: append beyond a gap.
    AppendOverGap = "append-over-gap",
    /// B2: do not acknowledge again what is already there.
    AckOnce = "ack-once",
    /// B8: take the time from the own clock alone.
    TimeGoesBack = "time-goes-back",
    /// B8: take no notice of the times in the logs that were not chosen.
    ForgetTimeOfLogs = "forget-time-of-logs",
    /// Decision 16: propose no ticks.
    NoTicks = "no-ticks",
    /// Decision 13: stop when a message does not fit the own log.
    StopAtBrokenChain = "stop-at-broken-chain",
    /// B12: propose without bounds.
    UnboundedPipeline = "unbounded-pipeline",
    /// B12: let requests wait without bounds.
    UnboundedQueue = "unbounded-queue",
    /// B7: take a smaller commit-number over.
    LowerCommit = "lower-commit",
    /// B6: advance the commit-number over what is not in the log of this view.
    CommitOwnSuffix = "commit-own-suffix",
    /// C8: install a start-view of an older view.
    AcceptOldStartView = "accept-old-start-view",
    /// C8: keep the own log where the new view's is shorter.
    KeepLongerLog = "keep-longer-log",
    /// C5: append what the old view proposes during a view change.
    AppendInViewChange = "append-in-view-change",
    /// C6: call a view through which this replica only passed the view of its log.
    LogViewWithoutLog = "log-view-without-log",
    /// E3: choose among the logs that follow the own one without a gap.
    ChooseWhatJoins = "choose-what-joins",
    /// C7: announce a view that is not durable.
    StartViewBeforePersisted = "start-view-before-persisted",
    /// D2: drop the uncommitted log when asking for state.
    TruncateWhenAsking = "truncate-when-asking",
    /// D2: be in the new view before its log arrived.
    EagerView = "eager-view",
    /// D3: acknowledge what is staged, as if it were the own log.
    AckStaged = "ack-staged",
    /// D3: cast no vote while entries are missing.
    NoVoteInTransfer = "no-vote-in-transfer",
    /// Decision 4: install a newer view from a part of its log.
    InstallPartialView = "install-partial-view",
    /// D2: go on with a transfer of a view that is over.
    KeepStaleTransfer = "keep-stale-transfer",
    /// D7: answer a question about another log with this one.
    AnswerAnyHash = "answer-any-hash",
    /// Decision 4: pieces of a log are no sign of life.
    TransferIsNoLife = "transfer-is-no-life",
    /// Decision 4: a request for state is no answer to a heartbeat.
    AskingIsNoAnswer = "asking-is-no-answer",
    /// Decision 5: draw a nonce for each question.
    NonceEachRequest = "nonce-each-request",
    /// Decision 5: ask again at each message that tells of the view.
    FetchPerMessage = "fetch-per-message",
    /// Decision 5: stage what a replica of another view calls committed.
    StageOtherViews = "stage-other-views",
    /// H1: remember a request when it is appended, not when it is committed.
    SessionAtAppend = "session-at-append",
    /// H5, H6: forget the replies when the view changes.
    ForgetSessions = "forget-sessions",
    /// Decision 6: admit a request whose predecessor is missing.
    AdmitGaps = "admit-gaps",
    /// Decision 6: admit requests beyond the window.
    ExceedWindow = "exceed-window",
    /// Decision 6, H1: answer another operation under a used number like the first.
    AnswerConflicts = "answer-conflicts",
    /// Decision 7: call every unknown session evicted.
    EvictUnknownSessions = "evict-unknown-sessions",
    /// H7: take the session that now has the slot for the one that had it.
    AnySessionInSlot = "any-session-in-slot",
    /// H9: forget the trace of a request that is forwarded.
    ForgetTrace = "forget-trace",
    /// Decision 8: refuse what was forwarded.
    RefuseForwarded = "refuse-forwarded",
    /// Decision 10: work with replicas that have other replicated limits.
    IgnoreLimits = "ignore-limits",
    /// Decision 11: take the answer to a write of an earlier boot for one of this.
    PersistedOfAnyBoot = "persisted-of-any-boot",
    /// F1: take the view of the last entry for the view of the log.
    LogViewOfLastEntry = "log-view-of-last-entry",
    /// F3: start without the log.
    ForgetLog = "forget-log",
    /// F3: leave the end of a longer log in the storage.
    LeaveOldTail = "leave-old-tail",
    /// Decision 3: forget the commit-number in a crash.
    ForgetCommitNumber = "forget-commit-number",
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
    /// C1: send votes once.
    SendVotesOnce = "send-votes-once",
    /// C1: send the own log once.
    SendDoViewChangeOnce = "send-do-view-change-once",
    /// B11: take old heartbeats for signs of life.
    StaleHeartbeatCounts = "stale-heartbeat-counts",
    /// C1: wait for ever in a view change.
    NoViewChangeTimeout = "no-view-change-timeout",
    /// C16: wait longer for the primary, too, by chance.
    JitterAtOnce = "jitter-at-once",
    /// C2, C15: take no notice of votes and logs for a higher view.
    IgnoreHigherVotes = "ignore-higher-votes",
    /// Decision 2: leave the view without the others.
    EnterViewAlone = "enter-view-alone",
    /// Decision 2: votes stand for ever.
    VotesNeverExpire = "votes-never-expire",
    /// Decision 2: the own vote stands although the primary is heard.
    KeepOwnVote = "keep-own-vote",
    /// Decision 2: do not follow a primary that wants out.
    NoHandOver = "no-hand-over",
    /// Decision 2: do not answer heartbeats.
    NoHeartbeatAnswer = "no-heartbeat-answer",
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
    /// Decision 17: leave a backup's client waiting for the next heartbeat.
    NoCommitNudge = "no-commit-nudge",
    /// Decision 17: forward more than the primary has room for.
    ForwardWithoutCredit = "forward-without-credit",
    /// B9: pass a forwarded request on again.
    ForwardForwarded = "forward-forwarded",
    /// F8: rejoin with nothing where the log was lost.
    RejoinWithoutLog = "rejoin-without-log",
    /// F8: take the log of any primary that answers, whatever views others are in, and name no view when asking.
    RecoverFromAnyPrimary = "recover-from-any-primary",
    /// F8: ask with the same nonce after every crash.
    ReuseNonce = "reuse-nonce",
    /// F1, F9, F10: forget the view in a crash, with the log or without.
    ForgetView = "forget-view",
    /// F8: install a recovered log before it reaches what the primary had.
    RecoverTooLittle = "recover-too-little",
    /// F8: count a replica that recovers itself as one that answers.
    CountRecovering = "count-recovering",
    /// F8: vote while the log is lost.
    VoteWhileRecovering = "vote-while-recovering",
    /// F8: answer a recovery in a view whose log is not installed.
    AnswerBetweenViews = "answer-between-views",
    /// F8: never begin the recovery anew.
    NoRecoveryRetry = "no-recovery-retry",
    /// F11: take a replica that already gets its log for one that waits for answers.
    CountFetching = "count-fetching",
    /// Decision 2: stay in a view that a recovering replica has promised to leave.
    IgnoreRecoveryView = "ignore-recovery-view",
    /// C13: wait for a primary that has lost its log.
    WaitForLostPrimary = "wait-for-lost-primary",
    /// F11: take all that were recovering within one round for recovering at one moment.
    StopAfterOneRound = "stop-after-one-round",
    /// G2: serve a read without asking a quorum.
    ReadWithoutQuorum = "read-without-quorum",
    /// G2: forget that the log a view started with may be answered for.
    ReadWithoutFloor = "read-without-floor",
    /// G2: count the answer to an earlier probe for a later read.
    CountEarlierProbe = "count-earlier-probe",
    /// G2: answer the probe of a view that was left, and count that.
    ProbeAcrossViews = "probe-across-views",
    /// G2: serve what was asked in a view that is over.
    ReadSurvivesView = "read-survives-view",
    /// G4: serve at a backup before the primary's index is applied there.
    ReadBeforeIndex = "read-before-index",
    /// G4: take the answer to a question of an earlier boot.
    ReadIndexAcrossBoots = "read-index-across-boots",
    /// G4: serve a read after an op before that op.
    ReadAfterTooEarly = "read-after-too-early",
    /// E1: trim the log when a snapshot begins, not when it is durable.
    TrimBeforeDurable = "trim-before-durable",
    /// H6: leave the session table out of snapshots.
    SnapshotWithoutSessions = "snapshot-without-sessions",
    /// E4: do not execute again what was committed before a restart.
    SuppressReplay = "suppress-replay",
    /// E1, D6: install a snapshot before all of its pieces are here.
    InstallPartialSnapshot = "install-partial-snapshot",
    /// D6: put pieces of different snapshots together.
    MixSnapshots = "mix-snapshots",
    /// D6: install a snapshot without a look at its digest.
    SkipSnapshotDigest = "skip-snapshot-digest",
    /// D6: install a snapshot below the own commit-number.
    SnapshotLowersCommit = "snapshot-lowers-commit",
    /// D6: keep the own log above a snapshot, whatever it follows.
    KeepUnprovenLog = "keep-unproven-log",
    /// E2: keep nothing of the log for those who are a little behind.
    KeepNoTail = "keep-no-tail",
    /// E2: trim a snapshot's log, and forget the snapshot, while somebody fetches it.
    TrimWhatIsFetched = "trim-what-is-fetched",
    /// D6: hand the host another part while one is under way.
    StageTwoAtOnce = "stage-two-at-once",
    /// D6: take what comes of a part that was given up for what comes of the one under way.
    StagedOfAnyName = "staged-of-any-name",
    /// D6: go on behind a part that could not be kept.
    KeepFailedStage = "keep-failed-stage",
    /// E1: take no other snapshot when one could not be written out.
    SnapshotFailsForGood = "snapshot-fails-for-good",
    /// B12: add to a log that cannot be trimmed because a snapshot does not get done.
    GrowWithoutBound = "grow-without-bound",
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

    /// What a replica finds in its storage if rules of restarting are switched off.
    pub(crate) fn forget(self, mut restored: crate::input::Restored) -> crate::input::Restored {
        let crate::input::Restored { record, entries, commit, snapshot, .. } = &mut restored;
        if let Some(record) = record {
            if self.contains(Mutation::ForgetView) {
                record.view = record.log_view;
            }
            if self.contains(Mutation::LogViewOfLastEntry) {
                record.log_view = entries.last().map_or_else(Default::default, crate::entry::Entry::view);
            }
        }
        if self.contains(Mutation::ForgetLog) {
            entries.clear();
            *snapshot = None;
        }
        if self.contains(Mutation::ForgetLog) || self.contains(Mutation::ForgetCommitNumber) {
            *commit = Default::default();
        }
        restored
    }
}
