//! What a client does, and what it remembers of it.

use super::figures::Figures;
use super::history::{Event, Input, Output, event};
use crate::store::{Condition, Expiry, Operation, Reply, Store};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use vsr_actor::{Client, Outcome, RequestError};

const COUNTERS: u64 = 8;
/// Clients that use the same register at a time, about, and how many requests it gets before they move on to a new one: few at once
/// and a short history keep the check of linearizability quick.
const CLIENTS_PER_REGISTER: u64 = 4;
const REQUESTS_PER_REGISTER: u64 = 64;

pub(super) fn counter_key(counter: u64) -> String {
    format!("counter:{counter}")
}

pub(super) fn log_key(writer: u64) -> String {
    format!("log:{writer}")
}

/// What is known of the increments of one counter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Increments {
    /// The replies: each number must be there once.
    pub(super) acknowledged: Vec<i64>,
    pub(super) unknown: u64,
}

/// What is known of the tokens one client appended to its log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) acknowledged: Vec<u64>,
    pub(super) unknown: Vec<u64>,
}

/// All that clients remember.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) counters: BTreeMap<u64, Increments>,
    pub(super) tokens: BTreeMap<u64, Tokens>,
    pub(super) history: Vec<Event>,
    /// Replies that no such operation can have.
    pub(super) nonsense: Vec<String>,
}

impl Record {
    pub(super) fn merge(&mut self, other: Self) {
        for (counter, increments) in other.counters {
            let all = self.counters.entry(counter).or_default();
            all.acknowledged.extend(increments.acknowledged);
            all.unknown += increments.unknown;
        }
        for (writer, tokens) in other.tokens {
            let all = self.tokens.entry(writer).or_default();
            all.acknowledged.extend(tokens.acknowledged);
            all.unknown.extend(tokens.unknown);
        }
        self.history.extend(other.history);
        self.nonsense.extend(other.nonsense);
    }
}

/// One client: one request at a time, with the next as soon as the reply is there.
pub(super) struct Worker {
    number: u64,
    /// How many registers are in use at a time.
    registers: u64,
    client: Client<Store>,
    figures: Arc<Figures>,
    began: Instant,
    record: Record,
    requests: u64,
    /// The value it last saw in a register, to try a `CAS` with.
    seen: Option<(u64, u64)>,
    random: u64,
}

impl Worker {
    /// One of `clients`.
    pub(super) fn new(
        number: u64,
        clients: u64,
        client: Client<Store>,
        figures: Arc<Figures>,
        began: Instant,
    ) -> Self {
        // Any odd number will do; the clients only must not do the same in step.
        let random = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let registers = clients.div_ceil(CLIENTS_PER_REGISTER);
        let record = Record::default();
        Self { number, registers, client, figures, began, record, requests: 0, seen: None, random }
    }

    pub(super) async fn run(mut self, stop: Arc<AtomicBool>) -> Record {
        while !stop.load(Ordering::Relaxed) {
            self.requests += 1;
            match self.below(10) {
                0..3 => self.increment().await,
                3..5 => self.append().await,
                _ => self.use_register().await,
            }
        }
        self.record
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 20) % bound
    }

    async fn request(&self, operation: Operation) -> (Duration, Result<Reply, RequestError>) {
        let called = self.began.elapsed();
        let result = self.client.request(operation).await;
        let now = self.began.elapsed();
        match &result {
            Ok(_) => self.figures.reply(now, now - called),
            Err(error) => {
                let count = match error.outcome() {
                    Outcome::Unknown => &self.figures.unknown,
                    Outcome::NotExecuted => &self.figures.refused,
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        (called, result)
    }

    async fn increment(&mut self) {
        let counter = self.below(COUNTERS);
        let (_, result) = self.request(Operation::Add { key: counter_key(counter).into(), delta: 1 }).await;
        let increments = self.record.counters.entry(counter).or_default();
        match result {
            Ok(Reply::Int(number)) => increments.acknowledged.push(number),
            Ok(other) => self.nonsense("INCR", &other),
            Err(error) if error.outcome() == Outcome::Unknown => increments.unknown += 1,
            Err(_) => {}
        }
    }

    async fn append(&mut self) {
        let token = self.requests;
        let value = format!("{token};").into();
        let (_, result) = self.request(Operation::Append { key: log_key(self.number).into(), value }).await;
        let tokens = self.record.tokens.entry(self.number).or_default();
        match result {
            Ok(Reply::Int(_)) => tokens.acknowledged.push(token),
            // The log is full: nothing was appended.
            Ok(Reply::Error(_)) => {}
            Ok(other) => self.nonsense("APPEND", &other),
            Err(error) if error.outcome() == Outcome::Unknown => tokens.unknown.push(token),
            Err(_) => {}
        }
    }

    async fn use_register(&mut self) {
        let request = self.figures.register_requests.fetch_add(1, Ordering::Relaxed);
        let round = request / (self.registers * REQUESTS_PER_REGISTER);
        let register = round * self.registers + self.below(self.registers);
        // No value is ever written twice: a read tells which write it saw.
        let new = self.number << 40 | self.requests;
        let input = match (self.below(5), self.seen) {
            (0 | 1, _) => Input::Read,
            (2 | 3, Some((seen, old))) if seen == register => Input::CompareAndSet { old, new },
            _ => Input::Write(new),
        };
        let key = Bytes::from(format!("register:{register}"));
        let (called, result) = self.request(operation(key, input)).await;
        let returned = self.began.elapsed();
        let output = match result {
            Ok(reply) => match output(input, &reply) {
                Some(output) => Some(output),
                None => return self.nonsense("a register", &reply),
            },
            Err(error) if error.outcome() == Outcome::Unknown => None,
            // It never was.
            Err(_) => return,
        };
        match (input, &output) {
            (Input::Read, Some(Output::Value(Some(value)))) => self.seen = Some((register, *value)),
            (Input::Write(value), Some(_)) => self.seen = Some((register, value)),
            _ => {}
        }
        let output = output.map(|output| (output, returned));
        self.record.history.push(event(register, input, called, output));
    }

    fn nonsense(&mut self, asked: &str, reply: &Reply) {
        self.record.nonsense.push(format!("{asked} was answered with {reply:?}"));
    }
}

fn operation(key: Bytes, input: Input) -> Operation {
    let text = |number: u64| Bytes::from(number.to_string());
    match input {
        Input::Read => Operation::Get { key },
        Input::Write(value) => Operation::Set {
            key,
            value: text(value),
            condition: Condition::Always,
            get: false,
            expiry: Expiry::Clear,
        },
        Input::CompareAndSet { old, new } => Operation::CompareAndSet { key, old: text(old), new: text(new) },
    }
}

fn output(input: Input, reply: &Reply) -> Option<Output> {
    match (input, reply) {
        (Input::Read, Reply::Nil) => Some(Output::Value(None)),
        (Input::Read, Reply::Bulk(bytes)) => {
            Some(Output::Value(Some(std::str::from_utf8(bytes).ok()?.parse().ok()?)))
        }
        (Input::Write(_), Reply::Ok) => Some(Output::Done),
        (Input::CompareAndSet { .. }, Reply::Int(1)) => Some(Output::Done),
        (Input::CompareAndSet { .. }, Reply::Int(0)) => Some(Output::Other),
        (Input::CompareAndSet { .. }, Reply::Nil) => Some(Output::Missing),
        _ => None,
    }
}
