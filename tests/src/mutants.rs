//! Every rule that can be switched off, who must notice, and how.

mod hunt;
mod search;

pub use hunt::{HEAD, HEAD_WITH_SEEDS, Outcome, hunt, row};
pub use search::search;

use crate::disk::{StorageMutation as Careless, StorageMutations, Switches};
use vsr_core::{Mutation, Mutations};

/// A rule, what is done without it, and who notices.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// The rule or decision.
    pub rule: &'static str,
    /// What is switched off.
    pub switch: Switch,
    /// Who notices.
    pub killer: Killer,
    /// What exactly must go wrong: a mutant that dies of something else proves nothing about its rule.
    pub kill: Kill,
}

/// What is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// A rule of the core.
    Core(Mutation),
    /// A rule of the storage.
    Storage(Careless),
}

/// The test that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killer {
    /// A file in `tests/scenarios`, without its ending.
    Scenario(&'static str),
}

/// How a mutant must die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// A checker finds its property broken: its name as in `Violation::property`.
    Property(&'static str),
    /// A claim of the scenario is untrue: the text behind `expect`.
    Claim(&'static str),
    /// An invariant of the core does not hold: what its assertion says.
    Invariant(&'static str),
}

impl Switch {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Core(mutation) => mutation.name(),
            Self::Storage(mutation) => mutation.name(),
        }
    }

    /// Everything else left as it should be.
    #[must_use]
    pub fn off(self) -> Switches {
        match self {
            Self::Core(mutation) => Mutations::default().with(mutation).into(),
            Self::Storage(mutation) => StorageMutations::default().with(mutation).into(),
        }
    }
}

impl Killer {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scenario(name) => name,
        }
    }
}

const fn mutant(rule: &'static str, mutation: Mutation, scenario: &'static str, kill: Kill) -> Mutant {
    Mutant { rule, switch: Switch::Core(mutation), killer: Killer::Scenario(scenario), kill }
}

const fn careless(rule: &'static str, mutation: Careless, scenario: &'static str, kill: Kill) -> Mutant {
    Mutant { rule, switch: Switch::Storage(mutation), killer: Killer::Scenario(scenario), kill }
}

/// The storage does not hold what it said is durable.
const WORD: Kill = Kill::Property("storage");

const fn property(name: &'static str) -> Kill {
    Kill::Property(name)
}

const fn claim(text: &'static str) -> Kill {
    Kill::Claim(text)
}

const fn invariant(text: &'static str) -> Kill {
    Kill::Invariant(text)
}

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    mutant(
        "B3",
        Mutation::AcceptHigherPrepare,
        "prepare_of_a_higher_view_is_not_appended",
        property("J7 comparable"),
    ),
    mutant("C6", Mutation::ChooseByOp, "log_is_chosen_by_log_view_before_op", property("J3 durability")),
    mutant("C6", Mutation::ChooseLast, "log_is_chosen_from_all_do_view_changes", property("J3 durability")),
    mutant(
        "A3",
        Mutation::CountDuplicateVotes,
        "duplicate_do_view_change_is_one_vote",
        property("J3 durability"),
    ),
    mutant(
        "A3",
        Mutation::CountDuplicateAcks,
        "duplicate_prepare_ok_is_one_acknowledgement",
        property("J3 durability"),
    ),
    mutant(
        "B4",
        Mutation::AckAcrossViews,
        "acknowledgement_of_an_older_view_does_not_count",
        property("J3 durability"),
    ),
    mutant("B7", Mutation::LowerCommit, "commit_number_never_falls", property("J6 monotone")),
    mutant(
        "B6",
        Mutation::CommitOwnSuffix,
        "commit_of_a_newer_view_is_not_for_the_old_log",
        property("J2 prefix"),
    ),
    mutant(
        "C8",
        Mutation::AcceptOldStartView,
        "start_view_of_an_older_view_is_ignored",
        property("J6 monotone"),
    ),
    mutant("C8", Mutation::KeepLongerLog, "longer_log_gives_way_to_a_shorter_one", claim("R0 op 1")),
    mutant("D2", Mutation::TruncateWhenAsking, "asking_for_state_changes_nothing", property("J3 durability")),
    mutant("D2", Mutation::EagerView, "newer_view_is_taken_with_its_log", property("J7 comparable")),
    mutant(
        "decision 4",
        Mutation::InstallPartialView,
        "part_of_a_newer_view_is_not_installed",
        invariant("the log reaches the op at which its view started"),
    ),
    mutant(
        "decision 5",
        Mutation::StageOtherViews,
        "committed_entries_of_another_view_are_not_staged",
        property("J2 prefix"),
    ),
    mutant(
        "H1",
        Mutation::SessionAtAppend,
        "request_that_a_view_change_dropped_is_taken_again",
        claim("c1 1 answered"),
    ),
    mutant(
        "H5, H6",
        Mutation::ForgetSessions,
        "retry_after_failover_is_answered_from_the_table",
        property("J9 exactly once"),
    ),
    mutant("F1", Mutation::AckBeforePersisted, "acknowledgement_waits_for_the_disk", property("J8 promises")),
    mutant(
        "A4, F1",
        Mutation::OwnVoteBeforePersisted,
        "own_vote_waits_for_the_disk",
        property("J3 durability"),
    ),
    mutant(
        "F1",
        Mutation::DoViewChangeBeforePersisted,
        "do_view_change_waits_for_the_disk",
        property("J8 promises"),
    ),
    mutant(
        "decision 12",
        Mutation::SkipBootstrap,
        "wiped_replica_cannot_found_a_second_group",
        property("J3 durability"),
    ),
    mutant(
        "C10",
        Mutation::PrimaryResumes,
        "restarted_primary_does_not_resume_its_view",
        property("J5 one primary"),
    ),
    mutant("B11", Mutation::NoRetransmission, "lost_prepare_is_sent_again", claim("c1 1 answered")),
    mutant("B2, D1", Mutation::NoStateTransfer, "gap_is_filled_by_state_transfer", claim("R2 op 3")),
    mutant("C1", Mutation::NoViewChangeTimeout, "next_primary_is_dead_too", claim("R2 primary")),
    mutant(
        "decision 2",
        Mutation::NoStartViewAnswer,
        "replica_left_behind_is_told_of_the_view",
        claim("R2 view 1"),
    ),
    mutant(
        "B6",
        Mutation::HeartbeatWithoutCommit,
        "heartbeat_tells_the_commit_number",
        claim("R1 executed 1 put x 1"),
    ),
    mutant("C11", Mutation::NoAbdication, "primary_that_hears_nobody_abdicates", claim("R1 primary")),
    mutant(
        "decision 14",
        Mutation::KeepDigestsSecret,
        "replica_that_answers_otherwise_is_named",
        claim("R2 stopped NotDeterministic"),
    ),
    mutant(
        "decision 14",
        Mutation::StopForOneDigest,
        "two_digests_that_differ_are_an_alarm",
        claim("R1 status Normal"),
    ),
    mutant("decision 14, E1", Mutation::DigestNotInSnapshot, "snapshot_brings_its_digest", property("stop")),
    mutant(
        "B9",
        Mutation::ForwardForwarded,
        "forwarded_request_is_not_passed_on",
        claim("not sent R2->R0 Request"),
    ),
    mutant("F8", Mutation::RejoinWithoutLog, "replica_without_a_log_has_no_vote", property("J3 durability")),
    mutant(
        "F8",
        Mutation::RecoverFromAnyPrimary,
        "lost_log_is_not_taken_from_a_deposed_primary",
        invariant("no transfer of a view that is over"),
    ),
    mutant(
        "F8",
        Mutation::ReuseNonce,
        "recovery_responses_of_an_earlier_loss_are_ignored",
        property("J3 durability"),
    ),
    mutant(
        "F9, F10",
        Mutation::ForgetView,
        "replica_without_a_log_keeps_its_promises",
        property("J6 monotone"),
    ),
    mutant("F8", Mutation::RecoverTooLittle, "lost_log_comes_back_whole", property("J3 durability")),
    mutant(
        "F8, F11",
        Mutation::CountRecovering,
        "replicas_without_logs_cannot_help_each_other",
        claim("R1 status Recovering"),
    ),
    mutant(
        "F8",
        Mutation::VoteWhileRecovering,
        "replica_without_a_log_has_no_vote",
        property("J12 recovering"),
    ),
    mutant(
        "F8",
        Mutation::AnswerBetweenViews,
        "replica_between_views_does_not_answer_a_recovery",
        property("J8 promises"),
    ),
    mutant(
        "F8",
        Mutation::NoRecoveryRetry,
        "recovery_begins_anew_when_the_view_is_over",
        claim("R4 status Normal"),
    ),
    mutant(
        "F11",
        Mutation::CountFetching,
        "replica_that_gets_its_log_is_not_lost",
        claim("not R2 status Stopped"),
    ),
    mutant(
        "decision 2",
        Mutation::IgnoreRecoveryView,
        "recovery_brings_the_others_to_its_view",
        claim("R2 status Normal"),
    ),
    mutant("C13", Mutation::WaitForLostPrimary, "primary_without_a_log_is_left_at_once", claim("R1 primary")),
    mutant(
        "F11",
        Mutation::StopAfterOneRound,
        "three_losses_one_after_the_other_are_survived",
        property("F11 stop"),
    ),
    mutant("A1", Mutation::AcceptStrangers, "message_of_a_stranger_is_dropped", claim("R1 op 1")),
    mutant("A2", Mutation::AcceptFromAnybody, "only_the_primary_proposes", claim("R1 op 1")),
    mutant(
        "A3",
        Mutation::CountDuplicateVotes,
        "primary_to_be_does_not_start_alone",
        property("J3 durability"),
    ),
    mutant("A3", Mutation::CountDuplicateLeaves, "duplicate_vote_to_leave_is_one_vote", claim("R3 view 0")),
    mutant("A3", Mutation::KeepVotes, "votes_of_one_view_do_not_count_in_the_next", claim("R2 view 1")),
    mutant("A5", Mutation::AcceptAnyView, "view_beyond_all_bounds_is_refused", claim("R1 view 0")),
    mutant("A6", Mutation::QuorumOfConnected, "quorum_is_of_the_configured_group", property("J3 durability")),
    mutant(
        "B2",
        Mutation::AppendOverGap,
        "gap_is_filled_by_state_transfer",
        invariant("the log has no gaps"),
    ),
    mutant("B2", Mutation::AckOnce, "lost_acknowledgement_is_repeated", claim("sent R1->R0 PrepareOk op2")),
    mutant(
        "B3",
        Mutation::AcceptHigherPrepare,
        "prepare_before_the_start_view_is_not_appended",
        property("J7 comparable"),
    ),
    mutant("B3", Mutation::IgnoreNewerView, "newer_view_is_asked_for_once", claim("sent R0->R1 GetState")),
    mutant(
        "B5, C9",
        Mutation::CommitOwnViewOnly,
        "operation_in_flight_commits_in_the_next_view",
        claim("R1 executed 1 put x 1"),
    ),
    mutant(
        "B6",
        Mutation::SkipUnapplied,
        "backup_executes_everything_it_skipped",
        invariant("the primary admits the requests of a session without a gap"),
    ),
    mutant(
        "B8",
        Mutation::TimeGoesBack,
        "time_does_not_go_back",
        invariant("replicated time moves on with every op (rule B8)"),
    ),
    mutant(
        "B8",
        Mutation::ForgetTimeOfLogs,
        "time_of_a_log_that_was_not_chosen_counts",
        claim("R2 time at least 10s"),
    ),
    mutant(
        "B11",
        Mutation::StaleHeartbeatCounts,
        "old_heartbeat_is_no_sign_of_life",
        claim("sent R1->R2 StartViewChange"),
    ),
    mutant(
        "B12",
        Mutation::UnboundedPipeline,
        "pipeline_is_bounded",
        invariant("the uncommitted log is within its bounds"),
    ),
    mutant("B12", Mutation::UnboundedQueue, "queue_is_bounded", claim("c1 4 refused")),
    mutant("B13", Mutation::StopAtBrokenChain, "message_that_breaks_the_chain_is_ignored", property("stop")),
    mutant(
        "B13",
        Mutation::AckWithoutHash,
        "acknowledgement_of_another_log_does_not_count",
        claim("R0 commit 1"),
    ),
    mutant("C1", Mutation::SendVotesOnce, "lost_votes_are_sent_again", claim("R1 primary")),
    mutant("C1", Mutation::SendDoViewChangeOnce, "lost_do_view_change_is_sent_again", claim("R1 primary")),
    mutant("C3", Mutation::EnterViewAlone, "cut_off_replica_does_not_raise_its_view", claim("R2 view 0")),
    mutant("C5", Mutation::AppendInViewChange, "log_is_frozen_in_a_view_change", claim("R2 op 1")),
    mutant("C6", Mutation::LogViewWithoutLog, "view_only_passed_is_no_log_view", property("J7 comparable")),
    mutant(
        "C7",
        Mutation::StartViewBeforePersisted,
        "start_view_waits_for_the_disk",
        property("J8 promises"),
    ),
    mutant("C11", Mutation::NoAbdication, "primary_whose_disk_hangs_abdicates", claim("R1 primary")),
    mutant(
        "D2",
        Mutation::TruncateWhenAsking,
        "committed_log_survives_a_transfer_in_a_third_view",
        property("J3 durability"),
    ),
    mutant(
        "D2",
        Mutation::KeepStaleTransfer,
        "answer_of_a_former_transfer_is_dropped",
        invariant("no transfer of a view that is over"),
    ),
    mutant("F1", Mutation::ForgetView, "view_survives_a_restart", property("J6 monotone")),
    mutant("F1", Mutation::LogViewOfLastEntry, "log_view_survives_a_restart", property("J8 promises")),
    mutant("F3", Mutation::ForgetLog, "restart_goes_on_where_the_log_ends", property("J8 promises")),
    mutant("F3", Mutation::LeaveOldTail, "old_tail_does_not_come_back", claim("R0 op 2")),
    mutant(
        "H5",
        Mutation::ForgetSessions,
        "two_requests_of_a_client_execute_once_each",
        property("J9 exactly once"),
    ),
    mutant("H1, H4", Mutation::AnswerConflicts, "number_used_twice_is_a_conflict", claim("c1 conflict")),
    mutant("H7", Mutation::AnySessionInSlot, "stale_session_is_not_its_successor", claim("c1 evicted")),
    mutant("decision 2", Mutation::VotesNeverExpire, "votes_expire", claim("R2 view 0")),
    mutant(
        "decision 2",
        Mutation::KeepOwnVote,
        "vote_to_leave_is_cancelled_by_a_heartbeat",
        claim("not sent R2->* StartViewChange"),
    ),
    mutant("decision 2", Mutation::NoHandOver, "shutdown_hands_the_view_over", claim("R1 primary")),
    mutant("decision 2", Mutation::NoHeartbeatAnswer, "idle_primary_stays", claim("R0 primary")),
    mutant(
        "decision 3",
        Mutation::ForgetCommitNumber,
        "restarted_replica_knows_what_was_committed",
        invariant("the uncommitted log is within its bounds"),
    ),
    mutant(
        "decision 4",
        Mutation::TransferIsNoLife,
        "long_catch_up_is_no_silence",
        claim("not sent R2->R0 StartViewChange"),
    ),
    mutant(
        "decision 4",
        Mutation::AskingIsNoAnswer,
        "replica_that_asks_for_state_is_heard",
        claim("not sent R1->R2 StartViewChange"),
    ),
    mutant("decision 5", Mutation::NonceEachRequest, "slow_answer_is_still_good", claim("R2 op 3")),
    mutant(
        "decision 5",
        Mutation::FetchPerMessage,
        "newer_view_is_asked_for_once",
        claim("not sent R0->R1 GetState"),
    ),
    mutant("decision 6", Mutation::AdmitGaps, "gap_in_a_session_waits", claim("R0 op 1")),
    mutant(
        "decision 6",
        Mutation::ExceedWindow,
        "request_beyond_the_window_is_refused",
        claim("c1 3 refused"),
    ),
    mutant(
        "decision 7",
        Mutation::EvictUnknownSessions,
        "unknown_session_is_not_called_evicted",
        property("J11 sessions"),
    ),
    mutant("B14", Mutation::ExpectTheUsualPace, "idle_group_is_quiet", claim("R0 view 0")),
    mutant(
        "B14",
        Mutation::BelieveAnyPromise,
        "promise_beyond_the_bound_is_not_believed",
        claim("R1 view 1"),
    ),
    mutant(
        "B14",
        Mutation::PromiseTooLittle,
        "lost_heartbeat_of_an_idle_group_is_no_silence",
        claim("votes cast 0"),
    ),
    mutant("B14", Mutation::WaitAsPromised, "dead_primary_of_an_idle_group_is_found", claim("R1 view 1")),
    mutant("B14", Mutation::WakeNobody, "dead_primary_of_an_idle_group_is_found", claim("R1 view 1")),
    mutant("B14", Mutation::SleepThroughVotes, "vote_brings_back_the_usual_pace", claim("R1 hears R0 R2")),
    mutant(
        "B14",
        Mutation::QuietThoughUnanswered,
        "lost_answer_of_an_idle_group_is_no_silence",
        claim("R0 hears R1 R2"),
    ),
    mutant("B15", Mutation::NeverMissAnybody, "dead_backup_of_an_idle_group_is_missed", claim("R0 hears R1")),
    mutant("B15", Mutation::TellOfNobody, "peers_are_known_across_views", claim("R2 hears R0 R1")),
    mutant("H9", Mutation::ForgetTrace, "trace_goes_with_a_request", property("H9 trace")),
    mutant(
        "decision 8",
        Mutation::RefuseForwarded,
        "forwarded_request_is_not_refused",
        claim("not c1 1 refused"),
    ),
    mutant(
        "decision 10",
        Mutation::IgnoreLimits,
        "limits_that_differ_are_named",
        claim("R1 stopped LimitsDiffer"),
    ),
    mutant(
        "decision 11",
        Mutation::PersistedOfAnyBoot,
        "write_of_an_earlier_boot_is_not_of_this_one",
        property("J8 promises"),
    ),
    mutant("decision 16", Mutation::NoTicks, "tick_outlives_its_primary", claim("R1 executed 1")),
    mutant(
        "decision 17",
        Mutation::NoCommitNudge,
        "client_of_a_backup_is_answered_at_once",
        claim("c1 1 answered"),
    ),
    mutant("decision 17", Mutation::ForwardWithoutCredit, "forwarding_needs_credit", claim("c1 3 refused")),
    mutant(
        "decision 18",
        Mutation::CommitInsideEntry,
        "entry_is_committed_whole",
        invariant("nothing is given to the host before it is committed"),
    ),
    mutant("G2", Mutation::ReadWithoutQuorum, "read_is_confirmed_by_a_quorum", property("J10 linearizable")),
    mutant(
        "G2",
        Mutation::ReadWithoutFloor,
        "read_waits_for_the_log_its_view_started_with",
        property("J10 linearizable"),
    ),
    mutant(
        "G2",
        Mutation::CountEarlierProbe,
        "answer_to_an_earlier_probe_confirms_no_later_read",
        property("J10 linearizable"),
    ),
    mutant(
        "G2",
        Mutation::ProbeAcrossViews,
        "probe_of_a_view_that_was_left_is_not_answered",
        property("J10 linearizable"),
    ),
    mutant("G2", Mutation::ReadSurvivesView, "read_ends_with_its_view", property("J10 linearizable")),
    mutant(
        "G4",
        Mutation::ReadBeforeIndex,
        "backup_serves_a_read_when_the_index_is_applied",
        property("J10 linearizable"),
    ),
    mutant(
        "G4",
        Mutation::ReadIndexAcrossBoots,
        "read_index_of_an_earlier_boot_is_ignored",
        property("J10 linearizable"),
    ),
    mutant("G4", Mutation::ReadAfterTooEarly, "read_after_an_op_waits_for_it", property("J10 linearizable")),
    mutant(
        "G2",
        Mutation::ProbeAcrossViews,
        "probe_is_not_answered_in_a_view_change",
        property("J8 promises"),
    ),
    mutant(
        "E1",
        Mutation::TrimBeforeDurable,
        "log_stays_until_the_snapshot_is_durable",
        invariant("the log begins at or below a snapshot"),
    ),
    mutant(
        "H6",
        Mutation::SnapshotWithoutSessions,
        "far_behind_catches_up_by_snapshot",
        property("J11 sessions"),
    ),
    mutant(
        "E4",
        Mutation::SuppressReplay,
        "replay_executes_what_was_executed_before",
        claim("R2 executed 1 add x 3"),
    ),
    mutant(
        "E1, D6",
        Mutation::InstallPartialSnapshot,
        "half_a_snapshot_is_not_installed",
        invariant("a snapshot is whole"),
    ),
    mutant(
        "D6",
        Mutation::MixSnapshots,
        "pieces_of_two_snapshots_are_not_mixed",
        claim("snapshots discarded 0"),
    ),
    mutant("D6", Mutation::SkipSnapshotDigest, "damaged_snapshot_is_fetched_again", claim("R2 applied 1")),
    mutant(
        "D6",
        Mutation::SnapshotLowersCommit,
        "snapshot_below_the_own_commit_number_is_not_installed",
        property("J6 monotone"),
    ),
    mutant("D6", Mutation::KeepUnprovenLog, "own_log_above_a_snapshot_goes", property("J8 promises")),
    mutant(
        "E2",
        Mutation::TrimWhatIsFetched,
        "transfer_slower_than_snapshots_ends",
        claim("sent R0->R2 NewState op4"),
    ),
    mutant("B12", Mutation::GrowWithoutBound, "full_log_waits_for_the_next_snapshot", claim("R0 op 5")),
    mutant("B12", Mutation::GrowWithoutBound, "full_log_waits_for_the_snapshot", claim("not c1 6 answered")),
    careless("F1", Careless::IgnoreFlush, "acknowledgement_waits_for_the_disk", property("J8 promises")),
    careless("F5", Careless::CutCorruptTail, "corrupt_frame_is_no_vote_against_it", WORD),
    careless("F5", Careless::CutWitnessed, "frame_that_a_later_one_has_witnessed_is_not_cut", WORD),
    careless("F5", Careless::LostLogIsEmpty, "mangled_tail_is_a_lost_log", WORD),
    careless("E1", Careless::SnapshotPointerFirst, "snapshot_is_flushed_before_it_is_named", WORD),
    careless(
        "F6",
        Careless::RetryFailedFlush,
        "failed_flush_is_not_repeated",
        claim("R1 failed FlushFailed"),
    ),
    careless("F4", Careless::OneSlotCopy, "one_copy_of_the_record_is_enough", WORD),
    careless("F4", Careless::SlotNotRepaired, "damaged_copy_of_the_record_is_repaired", claim("R2 view 1")),
];
