//! What is simulated: the protocol does not know what its operations mean, and neither does the world around it.

use crate::{checkers::Violation, machine::Machine, prng::Prng};
use bytes::Bytes;
use std::fmt;
use vsr_core::{Entry, OpNumber, Origin};

/// A state machine as a host drives it. What the machine's code does wrong is a [`Violation`].
pub trait Hosted: fmt::Debug {
    /// Executes the operation at `index` of `entry`, and gives its reply.
    ///
    /// # Errors
    /// What the machine did wrong.
    fn apply(&mut self, entry: &Entry, index: usize) -> Result<Bytes, Violation>;

    /// When it wants replicated time to have reached.
    ///
    /// # Errors
    /// What the machine did wrong.
    fn next_tick(&self) -> Result<Option<u64>, Violation>;

    /// Its state as bytes.
    ///
    /// # Errors
    /// What the machine did wrong.
    fn snapshot(&self) -> Result<Bytes, Violation>;

    /// Takes over the state that [`snapshot`](Self::snapshot) wrote, whatever state it had before.
    ///
    /// # Errors
    /// What the machine did wrong.
    fn restore(&mut self, state: &[u8]) -> Result<(), Violation>;

    /// A digest of its state, if it has one: equal states give equal digests.
    ///
    /// # Errors
    /// What the machine did wrong.
    fn digest(&self) -> Result<Option<u128>, Violation>;

    /// Whether its state once came out of a snapshot, if it knows.
    fn is_restored(&self) -> bool {
        false
    }

    /// A named value of its state, for the claims of scenarios.
    fn value(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// An operation as a person reads it.
    fn describe_operation(&self, operation: &Bytes) -> String {
        String::from_utf8_lossy(operation).into_owned()
    }

    /// A reply as a person reads it.
    fn describe_reply(&self, reply: &Bytes) -> String {
        String::from_utf8_lossy(reply).into_owned()
    }
}

/// Machines for the replicas of a group, and work for them.
pub trait Subject: fmt::Debug {
    /// The machine of a replica that starts.
    fn machine(&self) -> Box<dyn Hosted>;

    /// The machine with which the replicas are compared. It executes each operation once, when the first replica has done so.
    fn model(&self) -> Box<dyn Hosted> {
        self.machine()
    }

    /// What a client asks for next.
    fn operation(&self, prng: &mut Prng, client: usize) -> Bytes;
}

/// The subject of the protocol's own tests: named numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers;

impl Subject for Numbers {
    fn machine(&self) -> Box<dyn Hosted> {
        Box::new(Machine::default())
    }

    fn operation(&self, prng: &mut Prng, _client: usize) -> Bytes {
        let name = prng.below(5);
        match prng.below(40) {
            0 => format!("alarm {}", prng.range(1, 500)),
            1..10 => format!("put x{name} {}", prng.below(1000)),
            10..20 => format!("get x{name}"),
            _ => format!("add x{name} {}", prng.range(1, 9)),
        }
        .into()
    }
}

impl Hosted for Machine {
    fn apply(&mut self, entry: &Entry, index: usize) -> Result<Bytes, Violation> {
        let op = OpNumber(entry.first().0 + index as u64);
        let operation = entry.operation(index);
        let is_tick = matches!(entry.origin(index), Origin::Tick);
        Ok(Self::apply(self, op, entry.timestamp(index), (!is_tick).then_some(&operation[..])))
    }

    fn next_tick(&self) -> Result<Option<u64>, Violation> {
        Ok(Self::next_tick(self))
    }

    fn snapshot(&self) -> Result<Bytes, Violation> {
        Ok(Self::snapshot(self))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Violation> {
        *self = Self::restore(state);
        Ok(())
    }

    fn digest(&self) -> Result<Option<u128>, Violation> {
        Ok(Some(Self::digest(self).into()))
    }

    fn value(&self, name: &str) -> Option<String> {
        Self::value(self, name).map(|value| value.to_string())
    }
}
