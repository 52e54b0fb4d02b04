//! Clients that read: any kind of read at any replica, asked again until it is answered.

use super::{Course, Event};
use crate::{checkers::Violation, host::Reader};
use vsr_core::{Input, OpNumber, ReadKind, Refusal};

/// A read that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    number: u64,
    /// What the protocol is asked for; nothing for a stale read.
    kind: Option<ReadKind>,
    /// The least op it must reflect.
    floor: OpNumber,
    retry_at: u64,
}

impl Course {
    /// A client that is awake begins to read, or asks again.
    pub(super) fn wake_reader(&mut self, client: usize) {
        let draining = self.workload.draining;
        let answered = self.world.checkers.answered();
        let person = &mut self.workload.people[client];
        if person.reading.is_none() && !draining && self.prng.chance(self.swarm.read) {
            let (kind, floor) = match self.prng.below(4) {
                0 => (None, OpNumber(0)),
                1 => (Some(ReadKind::After(person.client.seen)), person.client.seen),
                _ => (Some(ReadKind::Linearizable), answered),
            };
            person.reads += 1;
            person.reading = Some(Reading { number: person.reads, kind, floor, retry_at: 0 });
        }
        let Some(reading) = &mut person.reading else { return };
        if self.now < reading.retry_at {
            return;
        }
        reading.retry_at = self.now + self.swarm.client_timeout;
        let number = reading.number;
        let replica = self.prng.index(self.swarm.replicas);
        let delay = self.prng.delay(self.swarm.delay_mean / 2);
        self.queue.at(self.now + delay, Event::Read { replica, client, number });
    }

    pub(super) fn read_arrives(
        &mut self,
        replica: usize,
        client: usize,
        number: u64,
    ) -> Result<(), Violation> {
        let reading = self.workload.people[client].reading.filter(|reading| reading.number == number);
        let Some(reading) = reading.filter(|_| self.world.hosts[replica].is_up()) else { return Ok(()) };
        let host = &mut self.world.hosts[replica];
        if let Some(kind) = reading.kind {
            let id = host.ask(Reader { client, number, name: String::new() });
            self.sites[replica].inbox.push(Input::Read { id, kind });
            self.schedule_turn(replica);
            return Ok(());
        }
        match host.read_stale("", &self.world.checkers)? {
            Some(seen) => self.read_ends(client, number, Ok(seen.at)),
            None => Ok(()),
        }
    }

    pub(super) fn read_ends(
        &mut self,
        client: usize,
        number: u64,
        outcome: Result<OpNumber, Refusal>,
    ) -> Result<(), Violation> {
        let now = self.now;
        self.world.trace.note(|| format!("{now}: read {number} of client {client} ends: {outcome:?}"));
        let person = &mut self.workload.people[client];
        let Some(reading) = person.reading.as_mut().filter(|reading| reading.number == number) else {
            return Ok(());
        };
        match outcome {
            Ok(at) => {
                self.world.checkers.on_read_answered(reading.floor, at)?;
                person.client.seen = person.client.seen.max(at);
                person.reading = None;
                self.totals.reads += 1;
            }
            Err(_) => reading.retry_at = reading.retry_at.min(now + self.swarm.client_timeout / 4),
        }
        Ok(())
    }
}
