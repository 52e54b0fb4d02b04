//! Every step from every state of a very small group; and rules that are switched off are missed soon.

use vsr_core::{Mutation, Mutations};
use vsr_test::explore::{Bounds, End, Report, explore};

fn small(operations: u32, views: u64, crashes: u32) -> Bounds {
    Bounds { operations, views, crashes, ..Bounds::default() }
}

fn search(bounds: Bounds) -> Report {
    explore(Bounds { states: 100_000, ..bounds })
}

#[test]
fn small_spaces_are_visited_to_their_end() {
    let spaces = [
        (small(1, 1, 1), 300),
        (small(0, 2, 1), 4_000),
        (Bounds { repeats: true, ..small(1, 1, 0) }, 1_000),
        (Bounds { repeats: true, ..small(0, 2, 0) }, 3_000),
        (Bounds { writes_at_once: true, ..small(1, 1, 2) }, 100),
    ];
    for (bounds, at_least) in spaces {
        let report = search(bounds);
        assert_eq!(report.end, End::Exhausted, "{bounds:?}: {report}");
        assert!(report.states >= at_least, "{bounds:?}: {report}");
    }
}

#[test]
fn the_same_search_finds_the_same() {
    let numbers = || {
        let report = search(small(0, 2, 1));
        (report.states, report.transitions, report.depth, report.replica_states, report.messages)
    };
    assert_eq!(numbers(), numbers());
}

#[test]
fn a_search_stops_where_it_is_told_to() {
    let report = search(Bounds { depth: Some(5), ..small(2, 3, 1) });
    assert_eq!((report.end, report.depth), (End::Depth, 5));
    let report = explore(Bounds { states: 500, ..small(2, 3, 1) });
    assert_eq!(report.end, End::States);
    assert!((500..600).contains(&report.states), "{report}");
    let report = explore(Bounds { memory_mib: 0, ..small(2, 3, 1) });
    assert_eq!(report.end, End::Memory);
}

/// The shortest way to see that the rule is gone is at most as long as it was when this was written.
#[test]
fn planted_bugs_are_found() {
    let at_once = Bounds { writes_at_once: true, ..small(2, 3, 1) };
    let planted = [
        (Mutation::AcceptHigherPrepare, at_once, 7),
        (Mutation::ChooseLast, at_once, 5),
        (Mutation::InstallPartialView, at_once, 8),
        (Mutation::EagerView, at_once, 7),
        (Mutation::KeepLongerLog, at_once, 7),
        (Mutation::TruncateWhenAsking, at_once, 4),
        (Mutation::CommitOwnSuffix, at_once, 7),
        (Mutation::LowerCommit, at_once, 7),
        (Mutation::AcceptOldStartView, at_once, 6),
        (Mutation::ForgetSessions, at_once, 5),
        (Mutation::AckBeforePersisted, small(2, 3, 1), 3),
        (Mutation::OwnVoteBeforePersisted, small(2, 1, 1), 4),
        (Mutation::PrimaryResumes, small(2, 2, 1), 6),
        (Mutation::DoViewChangeBeforePersisted, small(2, 3, 1), 3),
    ];
    for (mutation, bounds, steps) in planted {
        let report = search(Bounds { mutations: Mutations::default().with(mutation), ..bounds });
        let counterexample =
            report.counterexample.unwrap_or_else(|| panic!("{} is not found", mutation.name()));
        assert!(counterexample.steps.len() <= steps, "{}:\n{counterexample}", mutation.name());
        assert!(
            search(bounds_to(bounds, counterexample.steps.len())).counterexample.is_none(),
            "found with the rule on"
        );
    }
}

/// As far as the counterexample, and no further.
fn bounds_to(bounds: Bounds, depth: usize) -> Bounds {
    Bounds { depth: Some(depth), ..bounds }
}
