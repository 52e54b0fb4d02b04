//! What clients saw of registers, and whether one register without replicas could have shown it.
//!
//! The search is that of Wing, Gong and Lowe, with a cache of what was tried: it looks for an order of the requests in which each
//! takes place between its call and its return, and each reply is right.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

/// What a client asked of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Read,
    Write(u64),
    CompareAndSet { old: u64, new: u64 },
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Output {
    /// The value; none, if the register was never written.
    Value(Option<u64>),
    /// Written.
    Done,
    /// Not written: the value is another.
    Other,
    /// Not written: there is no value.
    Missing,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) client: u64,
    pub(super) register: u64,
    /// When it was made, since the start.
    pub(super) called: Duration,
    pub(super) input: Input,
    /// What came back, and when; nothing, if its outcome is unknown: it may have been executed at any time since.
    pub(super) output: Option<(Output, Duration)>,
}

/// More than this was never needed for a history that is linearizable; one that needs more is reported as undecided.
const STATES_MAX: usize = 1 << 18;

/// What is wrong with the history; nothing, if it is linearizable.
pub(super) fn check(history: &[Event]) -> Vec<String> {
    let mut registers: BTreeMap<u64, Vec<&Event>> = BTreeMap::new();
    for event in history {
        registers.entry(event.register).or_default().push(event);
    }
    registers.into_iter().filter_map(|(register, events)| check_register(register, events)).collect()
}

fn check_register(register: u64, mut events: Vec<&Event>) -> Option<String> {
    // A read that nobody saw the result of says nothing.
    events.retain(|event| event.input != Input::Read || event.output.is_some());
    events.sort_by_key(|event| event.called);
    match search(&events) {
        Search::Found => None,
        Search::TooLong => Some(format!("register {register}: too many orders to try, not decided")),
        Search::Impossible { explained } => {
            let clients: Vec<_> = events.iter().skip(explained).take(4).map(|event| event.client).collect();
            Some(format!(
                "register {register}: what clients saw is not linearizable; of {} requests at most {explained} can be put \
                 in order, look at clients {clients:?}",
                events.len()
            ))
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Search {
    Found,
    Impossible { explained: usize },
    TooLong,
}

/// Which requests took place already, and the value then.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    done: Box<[u64]>,
    value: Option<u64>,
}

impl Place {
    fn is_done(&self, index: usize) -> bool {
        self.done[index / 64] & (1 << (index % 64)) != 0
    }

    fn after(&self, index: usize, value: Option<u64>) -> Self {
        let mut done = self.done.clone();
        done[index / 64] |= 1 << (index % 64);
        Self { done, value }
    }

    fn count(&self) -> usize {
        self.done.iter().map(|bits| bits.count_ones() as usize).sum()
    }
}

fn search(events: &[&Event]) -> Search {
    let start = Place { done: vec![0; events.len().div_ceil(64)].into(), value: None };
    let mut tried = HashSet::from([start.clone()]);
    let mut to_try = vec![start];
    let mut explained = 0;
    while let Some(place) = to_try.pop() {
        explained = explained.max(place.count());
        let open = || (0..events.len()).filter(|index| !place.is_done(*index));
        // Whatever comes next was called before the first of the others returned.
        let returned = |index: &usize| events[*index].output.map(|(_, returned)| returned);
        let first = open().filter(|index| returned(index).is_some()).min_by_key(returned);
        let Some(first) = first else { return Search::Found };
        let candidates = open().filter(|index| Some(events[*index].called) <= returned(&first));
        let mut next = Vec::new();
        for index in candidates {
            let Some(value) = take_place(events[index], place.value) else { continue };
            if value == place.value && events[index].output.is_some() {
                // It changes nothing: if there is an order at all, there is one with this request here.
                next = vec![place.after(index, value)];
                break;
            }
            next.push(place.after(index, value));
        }
        // Tried first, being last: what the first one to return must find.
        let wanted = needed(events[first]);
        next.sort_by_key(|place| place.is_done(first) || wanted.is_some() && place.value == wanted);
        to_try.extend(next.into_iter().filter(|place| tried.insert(place.clone())));
        if tried.len() > STATES_MAX {
            return Search::TooLong;
        }
    }
    Search::Impossible { explained }
}

/// The value that a request must have met, if its reply tells.
fn needed(event: &Event) -> Option<u64> {
    match (event.input, event.output) {
        (Input::Read, Some((Output::Value(value), _))) => value,
        (Input::CompareAndSet { old, .. }, Some((Output::Done, _))) => Some(old),
        _ => None,
    }
}

/// The value after a request, if its reply is right when it meets `value`.
fn take_place(event: &Event, value: Option<u64>) -> Option<Option<u64>> {
    let (output, after) = match event.input {
        Input::Read => (Output::Value(value), value),
        Input::Write(new) => (Output::Done, Some(new)),
        Input::CompareAndSet { old, new } => match value {
            None => (Output::Missing, None),
            Some(there) if there == old => (Output::Done, Some(new)),
            Some(_) => (Output::Other, value),
        },
    };
    event.output.is_none_or(|(seen, _)| seen == output).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(called: u64, returned: u64, input: Input, output: Output) -> Event {
        let at = Duration::from_millis;
        Event { client: 0, register: 0, called: at(called), input, output: Some((output, at(returned))) }
    }

    fn read(called: u64, returned: u64, value: impl Into<Option<u64>>) -> Event {
        event(called, returned, Input::Read, Output::Value(value.into()))
    }

    fn write(called: u64, returned: u64, value: u64) -> Event {
        event(called, returned, Input::Write(value), Output::Done)
    }

    fn cas(called: u64, returned: u64, old: u64, new: u64, output: Output) -> Event {
        event(called, returned, Input::CompareAndSet { old, new }, output)
    }

    fn unknown(event: Event) -> Event {
        Event { output: None, ..event }
    }

    fn is_linearizable(history: &[Event]) -> bool {
        check(history).is_empty()
    }

    #[test]
    fn histories_of_one_register_are_linearizable() {
        assert!(is_linearizable(&[]));
        assert!(is_linearizable(&[read(0, 1, None), write(2, 3, 1), read(4, 5, 1)]));
        // Concurrent: the read may come before or after the write.
        assert!(is_linearizable(&[write(0, 9, 1), read(1, 2, None), read(3, 4, 1)]));
        assert!(is_linearizable(&[write(0, 9, 1), write(0, 9, 2), read(10, 11, 1)]));
        assert!(is_linearizable(&[
            write(0, 1, 1),
            cas(2, 3, 1, 2, Output::Done),
            cas(4, 5, 1, 3, Output::Other)
        ]));
        assert!(is_linearizable(&[cas(0, 1, 1, 2, Output::Missing), write(2, 3, 1), read(4, 5, 1)]));
    }

    #[test]
    fn stale_lost_and_returning_values_are_found() {
        assert!(!is_linearizable(&[write(0, 1, 1), read(2, 3, None)]), "lost");
        assert!(!is_linearizable(&[write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)]), "stale");
        assert!(!is_linearizable(&[write(0, 9, 1), read(1, 2, 1), read(3, 4, None)]), "seen and gone");
        assert!(!is_linearizable(&[read(0, 1, 7)]), "never written");
        let twice = [write(0, 1, 1), cas(2, 9, 1, 2, Output::Done), cas(2, 9, 1, 3, Output::Done)];
        assert!(!is_linearizable(&twice), "two winners");
        assert!(
            !is_linearizable(&[write(0, 1, 1), cas(2, 3, 1, 2, Output::Other)]),
            "refused without a reason"
        );
    }

    #[test]
    fn an_unknown_write_may_take_place_late_or_never_but_once() {
        let lost = unknown(write(0, 1, 1));
        assert!(is_linearizable(&[lost.clone(), read(2, 3, None), read(4, 5, None)]));
        assert!(is_linearizable(&[lost.clone(), read(2, 3, None), read(4, 5, 1)]));
        let overwritten = [lost.clone(), read(2, 3, 1), write(4, 5, 2), read(6, 7, 1)];
        assert!(!is_linearizable(&overwritten), "done twice");
        assert!(!is_linearizable(&[read(0, 1, 1), unknown(write(2, 3, 1))]), "before it was asked for");
        assert!(is_linearizable(&[unknown(read(0, 1, None)), lost]));
    }

    #[test]
    fn registers_are_looked_at_one_by_one() {
        let other = Event { register: 5, ..read(2, 3, 8) };
        let problems = check(&[write(0, 1, 1), other, read(2, 3, 1)]);
        assert!(matches!(problems.as_slice(), [one] if one.starts_with("register 5:")), "{problems:?}");
    }

    #[test]
    fn many_concurrent_requests_are_decided() {
        // Writers at once, and a reader that sees their values one after the other; then one again.
        let history = |writers| {
            let mut history: Vec<_> = (0..writers).map(|number| write(0, 100, number)).collect();
            history.extend((0..writers).map(|number| read(2 * number + 1, 2 * number + 2, number)));
            history
        };
        assert!(is_linearizable(&history(40)));
        let again = [history(8), vec![read(60, 61, 3)]].concat();
        assert!(!is_linearizable(&again));
    }
}
