//! What clients asked and were told, and whether one register a key without replicas could have told it.

use super::validate::{Answer, Kind};
use serde_json::Value;
use std::{fmt::Write, time::Duration};
use vsr_test::linearizability::{Call, CallOutcome, Model, Violation, check_by_key};

/// What is asked of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Read,
    Write(u64),
    Cas { from: u64, to: u64 },
}

impl Op {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Read => Kind::Read,
            Self::Write(_) => Kind::Write,
            Self::Cas { .. } => Kind::Cas,
        }
    }
}

/// What is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Value(u64),
    Done,
    /// There is no value.
    Missing,
    /// The value is another.
    Differs,
}

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was done, or was not because of what the register holds: either says what that is.
    Told(Told),
    /// It did not happen and never will.
    Not(u64),
    /// It may have happened, or may happen yet: an error that says no more, or none for too long.
    Unknown(Option<u64>),
}

/// What an answer means for the one who asked for `op`.
pub(super) fn meaning(op: Op, answer: &Answer) -> Result<End, String> {
    match (op, answer) {
        (Op::Read, Answer::Value(value)) => match value.as_u64() {
            Some(value) => Ok(End::Told(Told::Value(value))),
            None => Err(format!("nobody ever wrote {value}")),
        },
        (Op::Write(_) | Op::Cas { .. }, Answer::Done) => Ok(End::Told(Told::Done)),
        (Op::Read | Op::Cas { .. }, Answer::Error(20)) => Ok(End::Told(Told::Missing)),
        (Op::Cas { .. }, Answer::Error(22)) => Ok(End::Told(Told::Differs)),
        (_, Answer::Error(code @ (11 | 14))) => Ok(End::Not(*code)),
        (_, Answer::Error(code @ (0 | 13 | 1000..))) => Ok(End::Unknown(Some(*code))),
        (_, answer) => Err(format!("{op:?} is answered by {answer:?}")),
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) client: usize,
    pub(super) node: usize,
    pub(super) key: u64,
    pub(super) op: Op,
    /// Counts what clients do and see, so that no two things happen at once.
    pub(super) invoked: u64,
    pub(super) asked_at: Duration,
    /// How it ended, and when; nothing: it has not.
    pub(super) end: Option<(End, u64, Duration)>,
}

struct Register;

impl Model for Register {
    type State = Option<u64>;
    type Op = (u64, Op);
    type Reply = Told;

    fn initial() -> Self::State {
        None
    }

    fn step(value: &Self::State, (_, op): &Self::Op) -> (Self::State, Told) {
        match (*op, *value) {
            (Op::Write(new), _) => (Some(new), Told::Done),
            (_, None) => (None, Told::Missing),
            (Op::Read, Some(there)) => (*value, Told::Value(there)),
            (Op::Cas { from, to }, Some(there)) if there == from => (Some(to), Told::Done),
            (Op::Cas { .. }, Some(_)) => (*value, Told::Differs),
        }
    }
}

/// Checks each key alone.
pub(super) fn check(rows: &[Row]) -> Result<(), (u64, Violation)> {
    let call = |row: &Row| {
        let outcome = match row.end {
            Some((End::Told(reply), at, _)) => CallOutcome::Returned { at, reply },
            Some((End::Not(_), ..)) => return None,
            Some((End::Unknown(_), ..)) | None => CallOutcome::Unknown,
        };
        Some(Call { op: (row.key, row.op), invoked: row.invoked, outcome })
    };
    let calls: Vec<_> = rows.iter().filter_map(call).collect();
    check_by_key::<Register, _>(&calls, |(key, _)| *key)
}

/// The requests of one key, or of all, in the order in which they were made: a line each.
pub(super) fn table(rows: &[Row], key: Option<u64>) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| key.is_none_or(|key| key == row.key)) {
        let end = match &row.end {
            Some((End::Told(told), _, at)) => format!("{:10.3} ms {told:?}", millis(*at)),
            Some((End::Not(code), _, at)) => format!("{:10.3} ms not done, error {code}", millis(*at)),
            Some((End::Unknown(Some(code)), _, at)) => {
                format!("{:10.3} ms unknown, error {code}", millis(*at))
            }
            Some((End::Unknown(None), _, at)) => format!("{:10.3} ms unknown, no answer", millis(*at)),
            None => "             never ended".to_owned(),
        };
        let Row { client, node, key, op, asked_at, .. } = row;
        let op = format!("{op:?}");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:10.3} ms c{client} n{node} key {key} {op:24} {end}", millis(*asked_at));
    }
    text
}

fn millis(at: Duration) -> f64 {
    at.as_secs_f64() * 1e3
}

/// The body of a request, but for its number.
pub(super) fn body(key: u64, op: Op) -> Value {
    let mut body = match op {
        Op::Read => serde_json::json!({ "type": "read" }),
        Op::Write(value) => serde_json::json!({ "type": "write", "value": value }),
        Op::Cas { from, to } => serde_json::json!({ "type": "cas", "from": from, "to": to }),
    };
    body["key"] = key.into();
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests by when they began and ended, one after the other if these follow each other.
    fn rows(calls: &[(u64, u64, Op, End)]) -> Vec<Row> {
        let at = Duration::from_millis;
        let row = |(invoked, ended, op, end): &(u64, u64, Op, End)| Row {
            client: 1,
            node: 0,
            key: 7,
            op: *op,
            invoked: *invoked,
            asked_at: at(*invoked),
            end: Some((*end, *ended, at(*ended))),
        };
        calls.iter().map(row).collect()
    }

    const CAS: Op = Op::Cas { from: 1, to: 2 };

    fn value(value: u64) -> End {
        End::Told(Told::Value(value))
    }

    #[test]
    fn what_a_register_could_have_told_is_accepted() {
        let (done, missing, differs) =
            (End::Told(Told::Done), End::Told(Told::Missing), End::Told(Told::Differs));
        assert_eq!(check(&[]), Ok(()));
        let good = [
            (1, 2, Op::Read, missing),
            (3, 4, CAS, missing),
            (5, 8, Op::Write(1), done),
            (6, 7, Op::Read, missing),
            (9, 10, CAS, done),
            (11, 12, CAS, differs),
            (13, 14, Op::Read, value(2)),
        ];
        assert_eq!(check(&rows(&good)), Ok(()));
    }

    #[test]
    fn planted_faults_are_found() {
        let done = End::Told(Told::Done);
        let stale = [(1, 2, Op::Write(1), done), (3, 4, Op::Write(2), done), (5, 6, Op::Read, value(1))];
        let lost = [(1, 2, Op::Write(1), done), (3, 4, Op::Read, End::Told(Told::Missing))];
        let two_winners = [(1, 2, Op::Write(1), done), (3, 9, CAS, done), (4, 8, CAS, done)];
        let out_of_thin_air = [(1, 2, Op::Write(1), done), (3, 4, Op::Read, value(3))];
        let back_again = [
            (1, 9, Op::Write(1), done),
            (2, 3, Op::Read, value(1)),
            (4, 5, Op::Read, End::Told(Told::Missing)),
        ];
        let refused_without_reason = [(1, 2, Op::Write(1), done), (3, 4, CAS, End::Told(Told::Differs))];
        let not_done_but_seen = [(1, 2, Op::Write(1), End::Not(11)), (3, 4, Op::Read, value(1))];
        for bad in [
            &stale[..],
            &lost,
            &two_winners,
            &out_of_thin_air,
            &back_again,
            &refused_without_reason,
            &not_done_but_seen,
        ] {
            let found = check(&rows(bad));
            assert!(matches!(found, Err((7, Violation::NotLinearizable { .. }))), "{bad:?}: {found:?}");
        }
    }

    #[test]
    fn what_is_unknown_may_happen_late_or_never() {
        let unknown = End::Unknown(Some(0));
        let late = [
            (1, 2, Op::Write(1), unknown),
            (3, 4, Op::Read, End::Told(Told::Missing)),
            (5, 6, Op::Read, value(1)),
        ];
        assert_eq!(check(&rows(&late)), Ok(()));
        let never = [(1, 2, Op::Write(1), End::Unknown(None)), (3, 4, Op::Read, End::Told(Told::Missing))];
        assert_eq!(check(&rows(&never)), Ok(()));
    }

    #[test]
    fn an_answer_means_what_the_protocol_says() {
        let (read, write) = (Op::Read, Op::Write(1));
        let means = |op, answer| meaning(op, &answer);
        assert_eq!(means(read, Answer::Value(3.into())), Ok(value(3)));
        assert_eq!(means(read, Answer::Error(20)), Ok(End::Told(Told::Missing)));
        assert_eq!(means(CAS, Answer::Error(20)), Ok(End::Told(Told::Missing)));
        assert_eq!(means(CAS, Answer::Error(22)), Ok(End::Told(Told::Differs)));
        for op in [read, write, CAS] {
            assert_eq!(means(op, Answer::Error(11)), Ok(End::Not(11)));
            assert_eq!(means(op, Answer::Error(14)), Ok(End::Not(14)));
            assert_eq!(means(op, Answer::Error(0)), Ok(End::Unknown(Some(0))));
            assert_eq!(means(op, Answer::Error(13)), Ok(End::Unknown(Some(13))));
            // What the runner asks for is known and well-formed.
            assert!(means(op, Answer::Error(10)).is_err() && means(op, Answer::Error(12)).is_err());
        }
        assert!(means(read, Answer::Value("x".into())).is_err());
        assert!(means(write, Answer::Error(20)).is_err());
        assert!(means(write, Answer::Error(22)).is_err());
        assert!(means(read, Answer::Error(22)).is_err());
    }

    #[test]
    fn a_table_has_a_line_for_each_request_of_the_key() {
        let all = rows(&[(1, 2, Op::Write(1), End::Told(Told::Done)), (3, 4, CAS, End::Unknown(None))]);
        assert_eq!(table(&all, None).lines().count(), 2);
        assert_eq!(table(&all, Some(7)).lines().count(), 2);
        assert_eq!(table(&all, Some(8)), "");
        assert!(table(&all, None).contains("unknown, no answer"));
    }
}
