//! The rules, one sentence each.

use super::{Rule, later, rule};

/// In the order in which the page shows them.
pub const RULES: &[Rule] = &[
    // Identity and admission.
    rule("A1", "Only members of the same cluster, group and epoch are heard."),
    rule("A2", "Prepare, Commit and StartView are heard from the primary of their view only."),
    rule("A3", "Votes are sets of senders, for one view: a copy adds nothing, and a new view begins with none."),
    rule("A4", "The own vote counts under the same conditions as any other, durability included."),
    rule("A5", "A view of 2^62 or more is refused; every lower one is followed, however far the jump."),
    rule("A6", "Quorums are of the configured group, not of those who happen to be connected."),
    // Normal operation.
    rule("B1", "The primary gives each new request the next op, appends and proposes it.")
        .also(&["tests/it/seeds.rs: fixed_seeds_hold_all_properties"]),
    rule("B2", "A backup appends what follows its log in its view, acknowledges again what it has, fetches what is missing."),
    rule("B3", "A broadcast of a view not installed here says that the view has started, and nothing about the own log."),
    rule("B4", "Acknowledgements count in their own view only."),
    rule("B5", "What a quorum of distinct replicas has acknowledged in this view is committed, inherited or not."),
    rule("B6", "A commit-number is taken as far as the log of this view reaches, and everything up to it is executed."),
    rule("B7", "Commit-number and what was executed never go back."),
    rule("B8", "Replicated time is the primary's, and grows with every op, across views."),
    rule("B9", "A forwarded request is not passed on again; who asked is answered by the own replica."),
    rule("B11", "What is not acknowledged is sent again; an old heartbeat is no sign of life."),
    rule("B12", "Pipeline and queues are bounded: what finds no room waits or is refused."),
    rule("B13", "Entries are a chain of hashes; an acknowledgement names the hash it is for."),
    rule("B14", "The primary of an idle group speaks less and less often, and says when next; who wants anything brings back the usual pace."),
    rule("B15", "Every replica knows who is heard: the primary itself, the others through it."),
    // View change.
    rule("C1", "Waiting in a view change ends: votes and logs are sent again, and after a time-out the next view is tried."),
    rule("C2", "A higher view is entered at once; a vote of the own view makes nobody leave it.")
        .also(&["tests/it/seeds.rs: fixed_seeds_hold_all_properties"]),
    rule("C3", "Who wants out of a view says so and stays until a quorum wants out."),
    rule("C5", "From the moment a view is entered until it starts the log is frozen."),
    rule("C6", "The new log is the one with the highest log view, then the highest op, of a quorum of distinct logs."),
    rule("C7", "A view is announced when its log and record are durable at its primary."),
    rule("C8", "StartView installs a view not yet installed here, and replaces everything uncommitted, also by less."),
    rule("C9", "Inherited operations are committed in the new view without waiting for another request."),
    rule("C10", "A replica is primary of a view once: after a restart it goes to the next."),
    rule("C11", "A primary that hears no quorum, or whose storage hangs, gives up; an idle one does not."),
    later("C12", "A candidate far behind lets another lead.", "an optimisation; not built"),
    rule("C13", "Backups leave a primary that lost its log as soon as they hear of it."),
    rule("C14", "Clients are told the latest view that has started, not the one a replica tries to reach.")
        .also(&["vsr-actor/tests/it/primaries.rs: a_view_that_does_not_start_is_not_told"]),
    rule("C15", "A quorum that can talk gets to one view and serves, from any state.")
        .also(&["tests/it/seeds.rs: fixed_seeds_hold_all_properties", "tests/it/seeds.rs: five_replicas_hold_all_properties"]),
    rule("C16", "A backup misses its primary after exactly one time-out; only who waits for a view or a lost log waits longer by chance.")
        .also(&["tests/it/timers.rs: no_seed_delays_a_failover", "vsr-actor/tests/it/failover.rs: a_request_survives_the_crash_of_the_primary"]),
    // State transfer.
    rule("D1", "In the own view, what is fetched is appended, and nothing else."),
    rule("D2", "Asking for a newer view's log changes nothing here; a late answer of an earlier view is dropped."),
    rule("D3", "A transfer under way neither votes nor acknowledges; the unchanged log may take part in a view change.")
        .also(&["tests/it/seeds.rs: fixed_seeds_hold_all_properties"]),
    rule("D4", "Only a replica normal in exactly the view asked for serves what is not committed."),
    rule("D5", "A newer view's prepare is no reason to append, gap or not."),
    rule("D6", "A snapshot takes the place of log, sessions and commit-number at once, and lowers nothing."),
    rule("D7", "Who asks names the hash where the answer must begin.")
        .also(&["vsr-core/src/message.rs: a_suffix_is_a_chain_from_its_base"]),
    // Snapshots.
    rule("E1", "The log is trimmed behind a durable snapshot, which holds state, sessions and place in the chain."),
    rule("E2", "A replica a little behind finds what it lacks in the log, and one that fetches what it began with, while there is room.")
        .also(&["vsr-core/src/log.rs: trimming_keeps_what_the_limits_say"]),
    rule("E3", "The best log is chosen first; what its chooser lacks below it is fetched, by snapshot if need be.")
        .also(&["tests/it/seeds.rs: fixed_seeds_hold_all_properties"]),
    rule("E4", "After a restart everything above the snapshot is executed again."),
    rule("E5", "Replicas that answer differently are found out."),
    later("E6", "Only what differs of a snapshot is sent.", "an optimisation; not built"),
    // Crash and recovery.
    rule("F1", "No message says what a crash could make untrue: view, log view and log are durable first."),
    rule("F2", "Votes and timers are not kept over a crash; the commit-number is, in the writes."),
    rule("F3", "A replica goes on from its record and its log."),
    rule("F4", "Durable numbers never fall.").also(&["tests/it/seeds.rs: fixed_seeds_hold_all_properties"]),
    rule("F5", "A log that may have lost what was acknowledged is treated as lost."),
    rule("F6", "A storage that fails stops its replica.")
        .also(&["vsr-actor/tests/it/replica.rs: a_storage_that_fails_stops_the_replica_with_its_error"]),
    rule("F7", "An empty storage under a known name is refused, with what to do.")
        .also(&["vsr-actor/tests/it/failover.rs: a_wiped_replica_is_a_stranger"]),
    rule("F8", "A replica without a log asks with a fresh nonce, and takes it from the primary of the highest view it hears of."),
    rule("F9", "A promise to leave a view is not forgotten with the log."),
    rule("F10", "In VIEW-DURABLE mode the view alone is durable, and no lower one is recovered."),
    rule("F11", "A group that lost more logs than it can bear stops, and says so."),
    later("F12", "A log with a lossy end is trusted up to its durable commit-number.", "there is no such mode"),
    // Reads.
    rule("G1", "An operation through the log reads what is current.")
        .also(&["vsr-actor/tests/it/history.rs: the_history_of_a_stormy_hour_is_linearizable"]),
    rule("G2", "A primary asks a quorum before it serves a read from its state."),
    later("G3", "Leases.", "not built"),
    rule("G4", "A backup serves a read when it has applied the primary's index."),
    // Clients.
    rule("H1", "A number stands for one operation, and what a view change dropped can be asked again."),
    rule("H2", "A session is opened through the log and never used again by another."),
    rule("H3", "The session table changes at commit, in log order, alike on all replicas.")
        .also(&["vsr-core/src/session.rs: the_session_unused_for_longest_makes_room", "vsr-core/src/session.rs: the_table_does_not_depend_on_how_commits_are_cut_into_turns"]),
    rule("H4", "A repeated request gets the stored reply, one under way is not proposed twice, an unknown session is told apart from an evicted one."),
    rule("H5", "A request that is in the log twice is executed once."),
    rule("H6", "Replies are part of the replicated state."),
    rule("H7", "An evicted session stays dead, whoever has its place."),
    rule("H8", "A time-out means: unknown.")
        .also(&[
            "vsr-actor/tests/it/outcomes.rs: an_unknown_request_is_executed_once_when_the_network_heals",
            "vsr-actor/tests/it/resolve.rs: what_a_partition_left_unknown_is_known_when_it_heals",
        ]),
    rule("H9", "The trace of a request's caller goes with it into the log, whichever replica took it, and changes nothing else."),
    later("I", "Reconfiguration.", "not built; the epoch is in every message and record"),
    // Decisions of this project.
    rule("decision 1", "Two modes, DURABLE and VIEW-DURABLE; in both no message names a view that is not durable."),
    rule("decision 2", "Leaving a view takes a quorum of votes that change nothing, expire, and are cancelled by a heartbeat; who is left behind is told; a primary may hand over."),
    rule("decision 3", "A do-view-change holds the whole uncommitted log, which is bounded, also after a restart."),
    rule("decision 4", "A newer view is installed whole; its pieces are staged, and each is a sign of life."),
    rule("decision 5", "Only replicas normal in a view fill its staging area; a nonce lasts as long as what it asks for; questions are not repeated per message."),
    rule("decision 6", "A session is a window of requests in order: a gap waits, what is beyond the window is refused, a number used twice is a conflict."),
    rule("decision 7", "A session is called evicted only where its registration was applied and the table lacks it."),
    rule("decision 8", "A replica that passed a request on never says that it was not executed.")
        .also(&["vsr-actor/src/client/tests.rs: what_another_replica_may_have_taken_is_unknown"]),
    rule("decision 9", "The table changes with the commit; the reply is pending until the host hands it in.")
        .also(&["vsr-core/src/session.rs: a_reply_is_pending_until_it_is_handed_in"]),
    rule("decision 10", "Limits that shape replicated state are the group's; a replica configured otherwise does not start."),
    rule("decision 11", "A write of an earlier boot is never taken for one of this."),
    rule("decision 12", "A group forms once, when all members are unformatted; a wiped member is a stranger."),
    rule("decision 13", "A received message that breaks the chain is ignored; only the own storage is a reason to stop."),
    rule("decision 14", "Digests of what the state machines answered are compared; a quorum against one stops that one."),
    rule("decision 15", "A panic of the state machine poisons every replica at the same op, and is named.")
        .also(&["vsr-actor/tests/it/panics.rs: a_panic_poisons_every_replica_at_the_same_operation"]),
    rule("decision 16", "The state machine's time moves through the log alone; a tick it asked for comes once."),
    rule("decision 17", "Each replica answers its own clients; forwarding takes credit, one hop, and does not wait for heartbeats."),
    rule("decision 18", "Requests that waited together are one entry, whole in everything."),
    rule("decision 19", "Each read says what it guarantees."),
    rule("decision 20", "Logs of one log view are prefixes of each other.")
        .also(&["tests/it/seeds.rs: fixed_seeds_hold_all_properties"]),
    later("decision 21", "Reconfiguration by epochs.", "not built"),
    // Faults that the Elixir original showed when it was run.
    rule("fault 1", "A new primary counts its own log twice and starts alone: a committed write is lost."),
    rule("fault 2", "The commit-number is set before execution: a backup skips operations for ever."),
    rule("fault 3", "A start-view with a smaller commit-number makes an operation happen twice."),
    rule("fault 4", "A commit message moves over entries that are missing: states diverge."),
    rule("fault 5", "Acknowledgements are counted, not collected: one backup heard twice is a quorum of five."),
    rule("fault 6", "A prepare of a higher view is adopted on top of another log."),
    rule("fault 7", "A primary restarted within the time-out overwrites what it had proposed."),
    rule("fault 8", "The last normal view is taken from views that were only passed: a committed write is replaced."),
    rule("fault 9", "What was executed is forgotten at failover: a retry executes again."),
    rule("fault 10", "Two requests in flight from one client: a retry executes one twice."),
    rule("fault 11", "A restart begins at op 0, and a shorter log leaves the old tail behind."),
    rule("fault 12", "One lost prepare leaves a backup behind for good; nothing is sent again."),
    rule("fault 13", "A view change waits for ever for a dead primary or for lost messages."),
    rule("fault 14", "A healed primary takes no notice of the newer view."),
    rule("fault 15", "What was in flight stays uncommitted until somebody asks for something else."),
    rule("fault 16", "A request that was dropped is taken for under way: its retry waits for ever."),
    rule("fault 17", "Two replicas forward one request to each other without end."),
    rule("fault 18", "Heartbeats carry no commit-number: a lost commit waits for the next operation."),
];
