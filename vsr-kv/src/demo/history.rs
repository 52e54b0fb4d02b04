//! What clients saw of registers, and whether one register without replicas could have shown it.

use std::time::Duration;
use vsr_actor::linearizability::{Call, CallOutcome, Model, check_by_key};

/// What a client asked of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Read,
    Write(u64),
    CompareAndSet { old: u64, new: u64 },
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// One request: which register, what was asked, and what came of it.
pub(super) type Event = Call<(u64, Input), Output>;

/// A request made at `called`, with the reply and its time; without them, if its outcome is unknown.
pub(super) fn event(
    register: u64,
    input: Input,
    called: Duration,
    output: Option<(Output, Duration)>,
) -> Event {
    let nanos = |at: Duration| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    let outcome = match output {
        Some((reply, at)) => CallOutcome::Returned { at: nanos(at), reply },
        None => CallOutcome::Unknown,
    };
    Call { op: (register, input), invoked: nanos(called), outcome }
}

struct Register;

impl Model for Register {
    type State = Option<u64>;
    type Op = (u64, Input);
    type Reply = Output;

    fn initial() -> Self::State {
        None
    }

    fn step(value: &Self::State, (_, input): &Self::Op) -> (Self::State, Output) {
        match *input {
            Input::Read => (*value, Output::Value(*value)),
            Input::Write(new) => (Some(new), Output::Done),
            Input::CompareAndSet { old, new } => match *value {
                None => (None, Output::Missing),
                Some(there) if there == old => (Some(new), Output::Done),
                Some(_) => (*value, Output::Other),
            },
        }
    }
}

/// What is wrong with the history; nothing, if it is linearizable.
pub(super) fn check(history: &[Event]) -> Option<String> {
    let (register, violation) = check_by_key::<Register, _>(history, |(register, _)| *register).err()?;
    Some(format!("register {register}: {violation}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(called: u64, returned: u64, input: Input, output: Output) -> Event {
        event(0, input, Duration::from_millis(called), Some((output, Duration::from_millis(returned))))
    }

    fn read(called: u64, end: u64, value: impl Into<Option<u64>>) -> Event {
        returned(called, end, Input::Read, Output::Value(value.into()))
    }

    fn write(called: u64, end: u64, value: u64) -> Event {
        returned(called, end, Input::Write(value), Output::Done)
    }

    fn cas(called: u64, end: u64, old: u64, new: u64, output: Output) -> Event {
        returned(called, end, Input::CompareAndSet { old, new }, output)
    }

    fn unknown(event: Event) -> Event {
        Event { outcome: CallOutcome::Unknown, ..event }
    }

    fn is_linearizable(history: &[Event]) -> bool {
        check(history).is_none()
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
        let other = Event { op: (5, Input::Read), ..read(2, 3, 8) };
        let problem = check(&[write(0, 1, 1), other, read(2, 3, 1)]).expect("nobody wrote 8");
        assert!(problem.starts_with("register 5: not linearizable"), "{problem}");
    }
}
