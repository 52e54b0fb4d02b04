//! Histories that cannot be, and that must be found.

use super::{
    history::{Account, Event, account, problems},
    model::{Act, Key, Kind, Operation, Seen},
};
use std::collections::BTreeMap;
use vsr_actor::linearizability::CallOutcome;

fn key(kind: Kind) -> Key {
    Key { kind, number: 0 }
}

fn done(kind: Kind, act: Act, times: (u64, u64), reply: Seen) -> Event {
    let op = Operation { key: key(kind), act };
    Event { op, invoked: times.0, outcome: CallOutcome::Returned { at: times.1, reply } }
}

fn unknown(event: Event) -> Event {
    Event { outcome: CallOutcome::Unknown, ..event }
}

fn write(times: (u64, u64), value: u64) -> Event {
    done(Kind::Register, Act::Write(value), times, Seen::Written)
}

fn read(times: (u64, u64), value: Option<u64>) -> Event {
    done(Kind::Register, Act::Read, times, Seen::Value(value))
}

#[test]
fn a_lost_write_and_a_stale_read_are_found() {
    assert_eq!(problems(&[write((0, 1), 1), read((2, 3), Some(1))]), [""; 0]);
    assert_eq!(problems(&[unknown(write((0, 1), 1)), read((2, 3), None)]), [""; 0]);
    let lost = problems(&[write((0, 1), 1), read((2, 3), None)]);
    assert!(lost[0].starts_with("Register 0: not linearizable"), "{lost:?}");
    let stale = problems(&[write((0, 1), 1), write((2, 3), 2), read((4, 5), Some(1))]);
    assert!(stale[0].starts_with("Register 0: not linearizable"), "{stale:?}");
}

#[test]
fn an_increment_done_twice_and_a_torn_pair_are_found() {
    let increment = |times, number| done(Kind::Counter, Act::Increment, times, Seen::Number(number));
    assert_eq!(problems(&[increment((0, 1), 1), increment((2, 3), 2)]), [""; 0]);
    assert_eq!(problems(&[increment((0, 1), 1), increment((2, 3), 3)]).len(), 1, "twice");
    let torn = done(Kind::Pair, Act::Read, (2, 3), Seen::Both(1, 0));
    let both = done(Kind::Pair, Act::Increment, (0, 5), Seen::Both(1, 1));
    assert_eq!(problems(&[both, torn]).len(), 1);
    let strange = done(Kind::Counter, Act::Read, (0, 1), Seen::Strange("nonsense".to_owned()));
    assert_eq!(problems(&[strange])[0], "nonsense");
}

#[test]
fn acknowledged_writes_are_counted_against_what_is_there() {
    let append = |token, times| done(Kind::Text, Act::Append(token), times, Seen::Length(8));
    let increment = done(Kind::Counter, Act::Increment, (0, 1), Seen::Number(1));
    let events = [append(1, (0, 1)), unknown(append(2, (0, 1))), increment.clone(), unknown(increment)];
    let count = |number: u64, tokens: &[u64]| {
        let numbers = BTreeMap::from([(key(Kind::Counter), number)]);
        account(&events, &numbers, &BTreeMap::from([(key(Kind::Text), tokens.to_vec())]))
    };
    let account = |missing, surplus| Account { acknowledged: 2, missing, surplus };
    assert_eq!(count(1, &[1]), account(0, 0));
    assert_eq!(count(2, &[2, 1]), account(0, 0), "what is unknown may be there");
    assert_eq!(count(0, &[2]), account(2, 0), "lost");
    assert_eq!(count(3, &[1, 1]), account(0, 2), "once too often");
    assert_eq!(count(1, &[1, 7]), account(0, 1), "nobody asked for 7");
}
