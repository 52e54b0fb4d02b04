//! Whether what the group ended with, and what clients saw on the way, is what they were promised.

use super::history;
use super::workload::{Increments, Record, Tokens};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What was read at the end.
#[derive(Debug, Default)]
pub(super) struct FinalState {
    /// `None`: the value is no number.
    pub(super) counters: BTreeMap<u64, Option<i64>>,
    pub(super) logs: BTreeMap<u64, String>,
}

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Increments and appends whose place in the final state was checked.
    pub(super) writes_checked: u64,
    /// Requests in the history of the registers.
    pub(super) history: usize,
    pub(super) registers: usize,
    /// What is wrong; empty if nothing is.
    pub(super) problems: Vec<String>,
}

pub(super) fn verify(record: &Record, state: &FinalState) -> Verdict {
    let mut problems = record.nonsense.clone();
    let mut writes_checked = 0;
    for (counter, increments) in &record.counters {
        writes_checked += increments.acknowledged.len() as u64;
        problems.extend(check_counter(*counter, increments, state.counters.get(counter).copied().flatten()));
    }
    for (writer, tokens) in &record.tokens {
        writes_checked += tokens.acknowledged.len() as u64;
        problems.extend(check_log(*writer, tokens, state.logs.get(writer).map_or("", String::as_str)));
    }
    problems.extend(history::check(&record.history));
    let registers: HashSet<u64> = record.history.iter().map(|event| event.op.0).collect();
    Verdict { writes_checked, history: record.history.len(), registers: registers.len(), problems }
}

/// Each acknowledged increment counted once, each unknown one at most once, and no two were told the same number.
fn check_counter(counter: u64, increments: &Increments, end: Option<i64>) -> Vec<String> {
    let Some(end) = end else {
        return vec![format!("counter {counter} ends as something else than a number")];
    };
    let mut problems = Vec::new();
    let least = increments.acknowledged.len() as i64;
    let most = least.saturating_add_unsigned(increments.unknown);
    if end < least {
        problems.push(format!(
            "counter {counter} is {end}, but {least} increments were acknowledged: some are lost"
        ));
    }
    if end > most {
        let unknown = increments.unknown;
        problems.push(format!(
            "counter {counter} is {end}, but only {least} increments were acknowledged and {unknown} are unknown: \
             some were done twice"
        ));
    }
    let mut told = HashSet::new();
    for number in &increments.acknowledged {
        if !told.insert(number) {
            problems.push(format!("two increments of counter {counter} were both told {number}"));
        }
        if !(1..=end).contains(number) {
            problems
                .push(format!("an increment of counter {counter} was told {number}, but it ends at {end}"));
        }
    }
    problems
}

/// Each acknowledged token once, each unknown one at most once, and no other.
fn check_log(writer: u64, tokens: &Tokens, log: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut found: HashMap<u64, u32> = HashMap::new();
    for token in log.split_terminator(';') {
        match token.parse() {
            Ok(token) => *found.entry(token).or_default() += 1,
            Err(_) => problems.push(format!("log {writer} holds {token:?}, which nobody wrote")),
        }
    }
    for token in &tokens.acknowledged {
        match found.remove(token) {
            Some(1) => {}
            Some(times) => problems.push(format!("token {token} of log {writer} is there {times} times")),
            None => problems.push(format!("token {token} of log {writer} was acknowledged and is lost")),
        }
    }
    for token in &tokens.unknown {
        if let Some(times) = found.remove(token)
            && times > 1
        {
            problems.push(format!(
                "token {token} of log {writer}, whose outcome is unknown, is there {times} times"
            ));
        }
    }
    problems.extend(found.keys().map(|token| format!("token {token} of log {writer} was written by nobody")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(acknowledged: &[i64], unknown: u64, end: Option<i64>) -> usize {
        check_counter(0, &Increments { acknowledged: acknowledged.to_vec(), unknown }, end).len()
    }

    #[test]
    fn a_counter_between_what_is_known_and_what_may_be_is_right() {
        assert_eq!(counter(&[], 0, Some(0)), 0);
        assert_eq!(counter(&[2, 1, 3], 0, Some(3)), 0);
        assert_eq!(counter(&[4, 1, 2], 2, Some(4)), 0);
    }

    #[test]
    fn lost_doubled_and_impossible_increments_are_found() {
        assert_eq!(counter(&[1, 2], 0, None), 1);
        // Lost; and the reply 3 cannot be.
        assert_eq!(counter(&[1, 2, 3], 0, Some(2)), 2);
        assert_eq!(counter(&[1, 2], 0, Some(3)), 1);
        assert_eq!(counter(&[1, 2], 1, Some(4)), 1);
        assert_eq!(counter(&[1, 1], 0, Some(2)), 1);
        assert_eq!(counter(&[0, 1], 0, Some(2)), 1);
    }

    fn log(acknowledged: &[u64], unknown: &[u64], log: &str) -> usize {
        let tokens = Tokens { acknowledged: acknowledged.to_vec(), unknown: unknown.to_vec() };
        check_log(0, &tokens, log).len()
    }

    #[test]
    fn a_log_with_each_token_once_is_right() {
        assert_eq!(log(&[], &[], ""), 0);
        assert_eq!(log(&[1, 12, 2], &[3, 4], "1;2;3;12;"), 0);
    }

    #[test]
    fn lost_doubled_and_foreign_tokens_are_found() {
        assert_eq!(log(&[1, 2], &[], "1;12;"), 2);
        assert_eq!(log(&[1], &[], "1;1;"), 1);
        assert_eq!(log(&[1], &[2], "1;2;2;"), 1);
        assert_eq!(log(&[1], &[], "1;x;"), 1);
        assert_eq!(log(&[1], &[], "1;7;"), 1);
    }

    #[test]
    fn every_part_of_the_record_is_looked_at() {
        let mut record = Record::default();
        record.counters.insert(1, Increments { acknowledged: vec![1], unknown: 0 });
        record.tokens.insert(2, Tokens { acknowledged: vec![5], unknown: vec![] });
        record.nonsense.push("nonsense".into());
        let mut state = FinalState::default();
        state.counters.insert(1, Some(1));
        state.logs.insert(2, "5;".into());
        assert_eq!(verify(&record, &state).problems, ["nonsense"]);
        assert_eq!(verify(&record, &state).writes_checked, 2);
        assert_eq!(verify(&record, &FinalState::default()).problems.len(), 3);
    }
}
