//! Every rule that can be switched off, and the scenario that must notice.

use crate::scenario;
use std::fs;
use vsr_core::{Mutation, Mutations};

/// A rule, what is done without it, and who notices.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// The rule or decision.
    pub rule: &'static str,
    /// The switch.
    pub mutation: Mutation,
    /// The scenario that fails without the rule.
    pub scenario: &'static str,
}

const fn mutant(rule: &'static str, mutation: Mutation, scenario: &'static str) -> Mutant {
    Mutant { rule, mutation, scenario }
}

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    mutant("B3", Mutation::AcceptHigherPrepare, "prepare_of_a_higher_view_is_not_appended"),
    mutant("C6", Mutation::ChooseByOp, "log_is_chosen_by_log_view_before_op"),
    mutant("C6", Mutation::ChooseLast, "log_is_chosen_from_all_do_view_changes"),
    mutant("A3", Mutation::CountDuplicateVotes, "duplicate_do_view_change_is_one_vote"),
    mutant("A3", Mutation::CountDuplicateAcks, "duplicate_prepare_ok_is_one_acknowledgement"),
    mutant("B4", Mutation::AckAcrossViews, "acknowledgement_of_an_older_view_does_not_count"),
    mutant("B7", Mutation::LowerCommit, "commit_number_never_falls"),
    mutant("B6", Mutation::CommitOwnSuffix, "commit_of_a_newer_view_is_not_for_the_old_log"),
    mutant("C8", Mutation::AcceptOldStartView, "start_view_of_an_older_view_is_ignored"),
    mutant("C8", Mutation::KeepLongerLog, "longer_log_gives_way_to_a_shorter_one"),
    mutant("D2", Mutation::TruncateWhenAsking, "asking_for_state_changes_nothing"),
    mutant("D2", Mutation::EagerView, "newer_view_is_taken_with_its_log"),
    mutant("decision 4", Mutation::InstallPartialView, "part_of_a_newer_view_is_not_installed"),
    mutant("decision 5", Mutation::StageOtherViews, "committed_entries_of_another_view_are_not_staged"),
    mutant("H1", Mutation::SessionAtAppend, "request_that_a_view_change_dropped_is_taken_again"),
    mutant("H5, H6", Mutation::ForgetSessions, "retry_after_failover_is_answered_from_the_table"),
    mutant("F1", Mutation::AckBeforePersisted, "acknowledgement_waits_for_the_disk"),
    mutant("A4, F1", Mutation::OwnVoteBeforePersisted, "own_vote_waits_for_the_disk"),
    mutant("F1", Mutation::DoViewChangeBeforePersisted, "do_view_change_waits_for_the_disk"),
    mutant("decision 12", Mutation::SkipBootstrap, "wiped_replica_cannot_found_a_second_group"),
    mutant("C10", Mutation::PrimaryResumes, "restarted_primary_does_not_resume_its_view"),
    mutant("B11", Mutation::NoRetransmission, "lost_prepare_is_sent_again"),
    mutant("B2, D1", Mutation::NoStateTransfer, "gap_is_filled_by_state_transfer"),
    mutant("C1", Mutation::NoViewChangeTimeout, "next_primary_is_dead_too"),
    mutant("decision 2", Mutation::NoStartViewAnswer, "replica_left_behind_is_told_of_the_view"),
    mutant("B6", Mutation::HeartbeatWithoutCommit, "heartbeat_tells_the_commit_number"),
    mutant("C11", Mutation::NoAbdication, "primary_that_hears_nobody_abdicates"),
    mutant("B9", Mutation::ForwardForwarded, "forwarded_request_is_not_passed_on"),
];

/// Runs the scenario of a mutant without its rule. What failed, or nothing if the mutant survived.
///
/// # Errors
/// When the scenario cannot be read.
pub fn hunt(mutant: &Mutant) -> std::io::Result<Option<scenario::Failure>> {
    let path = scenario::directory().join(mutant.scenario).with_extension("txt");
    let text = fs::read_to_string(path)?;
    Ok(scenario::run(&text, Mutations::default().with(mutant.mutation)).err())
}
