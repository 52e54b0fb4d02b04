//! Reads beside the log in a scenario.

use super::stage::Stage;
use crate::host::{Reader, Seen};
use vsr_core::{Input, OpNumber, ReadKind, Refusal};

/// A read of a client.
#[derive(Debug)]
pub(super) struct Reading {
    client: usize,
    /// Which of the client's reads it is.
    number: u64,
    /// The least op that it must reflect.
    floor: OpNumber,
    outcome: Option<Result<Seen, Refusal>>,
}

impl Stage {
    pub(super) fn read(
        &mut self,
        replica: usize,
        name: &str,
        value: &str,
        kind: ReadKind,
    ) -> Result<(), String> {
        let floor = match kind {
            ReadKind::Linearizable => self.world.checkers.answered(),
            ReadKind::After(op) => op,
        };
        let reader = self.begin_read(name, value, floor);
        let id = self.world.hosts[replica].ask(reader);
        self.put(replica, Input::Read { id, kind })
    }

    pub(super) fn read_stale(&mut self, replica: usize, name: &str, value: &str) -> Result<(), String> {
        let reader = self.begin_read(name, value, OpNumber(0));
        let seen = self.world.hosts[replica].read_stale(value, &self.world.checkers);
        let seen = self.hold_to(seen)?;
        self.read_ends(&reader, Ok(seen.ok_or("it has no state")?))
    }

    fn begin_read(&mut self, name: &str, value: &str, floor: OpNumber) -> Reader {
        let client = self.client(name);
        let number = 1 + self.reads.iter().filter(|reading| reading.client == client).count() as u64;
        self.reads.push(Reading { client, number, floor, outcome: None });
        Reader { client, number, name: value.into() }
    }

    pub(super) fn read_ends(
        &mut self,
        reader: &Reader,
        outcome: Result<Seen, Refusal>,
    ) -> Result<(), String> {
        let Reader { client, number, name: value } = reader;
        let reading =
            self.reads.iter_mut().find(|reading| (reading.client, reading.number) == (*client, *number));
        let reading = reading.expect("every read was begun");
        reading.outcome = Some(outcome.clone());
        let floor = reading.floor;
        let name = self.clients.iter().find(|(_, it)| *it == client).map_or("?", |(name, _)| name);
        let line = match &outcome {
            Ok(Seen { at, value: found }) => {
                let found = found.as_deref().unwrap_or("nil");
                format!("{name} read {number}: {value} = {found} at {at}")
            }
            Err(reason) => format!("{name} read {number} is refused: {reason:?}"),
        };
        self.say(line);
        match outcome {
            Ok(Seen { at, .. }) => {
                let result = self.world.checkers.on_read_answered(floor, at);
                self.hold_to(result)
            }
            Err(_) => Ok(()),
        }
    }

    /// Whether a claim about the read of a client is true, and what is the case.
    pub(super) fn read_claim(
        &self,
        client: usize,
        number: &str,
        what: &[&str],
    ) -> Result<(bool, String), String> {
        let mut of_client = self.reads.iter().filter(|reading| reading.client == client);
        let reading = of_client.find(|reading| reading.number.to_string() == number);
        let outcome = &reading.ok_or("no such read")?.outcome;
        let found = format!("{outcome:?}");
        let holds = match (what, outcome) {
            (["=" | "at" | "refused" | "answered", ..], None) => false,
            (["answered"], Some(_)) => true,
            (["=", wanted], Some(Ok(seen))) => seen.value.as_deref().unwrap_or("nil") == *wanted,
            (["at", op], Some(Ok(seen))) => seen.at.0.to_string() == *op,
            (["refused", reason], Some(Err(found))) => format!("{found:?}") == *reason,
            (["=" | "at" | "refused", _], Some(_)) => false,
            _ => return Err("unknown claim".into()),
        };
        Ok((holds, found))
    }
}
