//! A replica that has committed something else than its group stops (decision 13): neither of the two logs may be mended in silence.
//! Scenarios cannot show it, for to them it is a fault wherever it happens; here the storage was changed while the replica was down.

use super::Replica;
use crate::{
    config::{Config, ReplicatedLimits},
    configuration::{Member, Membership, Record},
    effect::Effect,
    entry::Entry,
    event::StatusName,
    id::{
        ClientId, ClusterId, EpochNumber, GroupId, Hash, Incarnation, Now, OpNumber, ReplicaId, ViewNumber,
    },
    input::{Input, LogState, Restored},
    message::{Body, DoViewChange, Message, StartView, Suffix},
    run::{Origin, Request, RunBuilder},
    stop::StopReason,
};
use alloc::{boxed::Box, vec, vec::Vec};
use bytes::Bytes;

/// A log of one operation an entry; `names` tells one operation from another.
fn log(names: &[u128]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for name in names {
        let parent = entries.last().map_or(Hash::default(), Entry::hash);
        let mut run = RunBuilder::default();
        run.push(&Request::new(Origin::Register { client: ClientId(*name) }, Bytes::new()));
        let op = OpNumber(entries.len() as u64 + 1);
        entries.push(Entry::new(op, ViewNumber(0), op.0, parent, run.finish()));
    }
    entries
}

/// What follows the first `base` entries.
fn suffix(entries: &[Entry], base: usize) -> Suffix {
    let (before, entries) = entries.split_at(base);
    let base_hash = before.last().map_or(Hash::default(), Entry::hash);
    Suffix { base: OpNumber(base as u64), base_hash, entries: entries.to_vec() }
}

/// R`id` of three in view 0, restarted on a log of which so much is committed.
fn restarted(id: u32, entries: Vec<Entry>, commit: u64) -> Replica {
    let ids = vec![ReplicaId(0), ReplicaId(1), ReplicaId(2)];
    let config = Config::new(ReplicaId(id), ids.clone());
    let members = ids.into_iter().map(|id| Member { id, incarnation: Incarnation(7) }).collect();
    let limits = ReplicatedLimits::default();
    let record = Record {
        cluster: ClusterId(0),
        group: GroupId(0),
        replica: ReplicaId(id),
        incarnation: Incarnation(7),
        membership: Some(Membership { epoch: EpochNumber(0), members, limits }),
        formed: true,
        view: ViewNumber(0),
        log_view: ViewNumber(0),
        start_op: OpNumber(0),
    };
    let commit = OpNumber(commit);
    let restored = Restored { record: Some(record), snapshot: None, entries, commit, log: LogState::Intact };
    let mut effects = Vec::new();
    let mut replica =
        Replica::start(Now::default(), config, restored, &mut effects).expect("it fits together");
    replica.end_turn(Now::default(), &mut effects);
    assert_eq!(replica.status().status, StatusName::Normal);
    replica
}

/// Why the replica stops at this message, if it does.
fn stops_at(replica: &mut Replica, from: u32, body: Body) -> Option<StopReason> {
    let message = Message {
        cluster: ClusterId(0),
        group: GroupId(0),
        epoch: EpochNumber(0),
        from: ReplicaId(from),
        incarnation: Incarnation(7),
        view: ViewNumber(1),
        body,
    };
    stop(carry_out(replica, Input::Message(message)))
}

/// Steps, ends the turn, and lets the storage answer at once. What else the replica wants, in order.
fn carry_out(replica: &mut Replica, input: Input) -> Vec<Effect> {
    let (mut inputs, mut told) = (vec![input], Vec::new());
    while let Some(input) = inputs.pop() {
        let mut effects = Vec::new();
        replica.step(Now::default(), input, &mut effects);
        replica.end_turn(Now::default(), &mut effects);
        inputs.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Append(write) => Some(Input::Persisted(write.id)),
            _ => None,
        }));
        told.append(&mut effects);
    }
    told
}

fn stop(effects: Vec<Effect>) -> Option<StopReason> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Stop(reason) => Some(reason),
        _ => None,
    })
}

fn start_view(suffix: Suffix, start_op: u64) -> Body {
    Body::StartView(Box::new(StartView { start_op: OpNumber(start_op), commit: suffix.base, suffix }))
}

const AT_2: Option<StopReason> = Some(StopReason::Divergence { op: OpNumber(2) });

#[test]
fn a_view_that_begins_without_what_is_committed_here_stops_a_backup() {
    for (theirs, base) in [([1, 9, 3], 2), ([8, 2, 3], 1)] {
        let mut replica = restarted(2, log(&[1, 2]), 2);
        assert_eq!(stops_at(&mut replica, 1, start_view(suffix(&log(&theirs), base), 3)), AT_2);
        assert_eq!(replica.status().status, StatusName::Stopped);
    }
    let mut replica = restarted(2, log(&[1, 2]), 2);
    assert_eq!(stops_at(&mut replica, 1, start_view(suffix(&log(&[1, 2, 3]), 1), 3)), None);
    assert_eq!(replica.status().op, OpNumber(3), "a log that has it is taken");
}

#[test]
fn what_became_committed_while_a_view_arrived_must_be_in_it() {
    let mut replica = restarted(2, log(&[1, 2]), 1);
    let theirs = log(&[1, 9, 3]);
    // Not the whole of it, so it lies beside the own log.
    assert_eq!(stops_at(&mut replica, 1, start_view(suffix(&theirs[..2], 1), 3)), None);
    replica.learn_commit(OpNumber(2));
    assert_eq!(stops_at(&mut replica, 1, start_view(suffix(&theirs, 1), 3)), AT_2);
}

#[test]
fn a_chosen_log_without_what_is_committed_here_stops_the_primary_to_be() {
    for (theirs, expected) in [(log(&[1, 9, 3]), AT_2), (log(&[1, 2, 3]), None)] {
        let mut replica = restarted(1, log(&[1, 2]), 2);
        let body = DoViewChange { log_view: ViewNumber(0), timestamp: 0, suffix: suffix(&theirs, 2) };
        assert_eq!(stops_at(&mut replica, 0, Body::DoViewChange(Box::new(body))), expected);
        assert_eq!(replica.status().is_primary, expected.is_none());
    }
}
