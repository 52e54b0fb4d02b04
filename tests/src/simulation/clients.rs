//! Clients: some quick, some slow, with windows, retries, moves and deaths.

use super::{Course, Event, reads::Reading, swarm::Swarm};
use crate::{
    checkers::Violation,
    client::{Client, Outcome},
    host::Heard,
    prng::Prng,
};
use vsr_core::{Asked, ClientId, Request};

#[derive(Debug)]
pub(super) struct Person {
    pub(super) client: Client,
    home: usize,
    /// When it loses patience.
    retry_at: u64,
    pub(super) reading: Option<Reading>,
    /// Counts its reads.
    pub(super) reads: u64,
}

#[derive(Debug)]
pub(super) struct Workload {
    pub(super) people: Vec<Person>,
    next_id: u128,
    /// Ask for nothing new.
    pub(super) draining: bool,
    /// Only so many are active: more clients than sessions evict each other for ever.
    pub(super) active: usize,
}

impl Workload {
    pub(super) fn new(swarm: &Swarm, prng: &mut Prng) -> Self {
        let person = |i: usize| Person {
            client: Client::new(ClientId(i as u128 + 1)),
            home: prng.index(swarm.replicas),
            retry_at: 0,
            reading: None,
            reads: 0,
        };
        let people = (0..swarm.clients).map(person).collect();
        Self { people, next_id: swarm.clients as u128 + 1, draining: false, active: swarm.clients }
    }

    pub(super) fn len(&self) -> usize {
        self.people.len()
    }

    pub(super) fn unknown(&self) -> u64 {
        self.people.iter().map(|person| person.client.unknown).sum()
    }

    /// How many answers each client has.
    pub(super) fn answered(&self) -> impl Iterator<Item = u64> {
        self.people[..self.active].iter().map(|person| person.client.answered)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.people[..self.active]
            .iter()
            .all(|person| person.client.outstanding() == 0 && person.reading.is_none())
    }

    fn fresh_id(&mut self) -> ClientId {
        self.next_id += 1;
        ClientId(self.next_id)
    }
}

impl Course {
    pub(super) fn wake_client(&mut self, client: usize) {
        if client >= self.workload.active {
            return;
        }
        let pause = self.prng.delay(self.swarm.think_mean) + 1;
        self.queue.at(self.now + pause, Event::Client { client });
        self.wake_reader(client);
        if self.faults && self.prng.chance(self.swarm.abandon) {
            let id = self.workload.fresh_id();
            self.workload.people[client].client.reincarnate(id);
        }
        let replicas = self.swarm.replicas;
        let (now, timeout, draining) = (self.now, self.swarm.client_timeout, self.workload.draining);
        let floor = self.world.checkers.answered();
        let person = &mut self.workload.people[client];
        let impatient = now >= person.retry_at;
        let mut requests = Vec::new();
        if person.client.session().is_none() {
            if draining || !impatient {
                return;
            }
            requests.push(person.client.registration());
        } else if person.client.outstanding() > 0 && impatient {
            requests = person.client.unanswered();
        }
        if impatient {
            if !requests.is_empty() && self.prng.chance(600) {
                person.home = self.prng.index(replicas);
            }
            person.retry_at = now + timeout + self.prng.below(timeout);
        }
        let burst = if draining { 0 } else { self.prng.range(1, 3) };
        for _ in 0..burst {
            if person.client.outstanding() < self.swarm.window {
                let operation = self.subject.operation(&mut self.prng, client);
                requests.extend(person.client.invoke(operation, floor));
            }
        }
        let home = person.home;
        self.call(client, home, requests);
    }

    fn call(&mut self, client: usize, replica: usize, requests: Vec<Request>) {
        if requests.is_empty() || (self.faults && self.prng.chance(self.swarm.drop / 2)) {
            return;
        }
        let delay = self.prng.delay(self.swarm.delay_mean / 2);
        self.queue.at(self.now + delay, Event::Requests { replica, client, requests });
    }

    pub(super) fn answer(&mut self, client: usize, of: Asked, heard: &Heard) -> Result<(), Violation> {
        let person = &mut self.workload.people[client];
        let now = self.now;
        self.world.trace.fold(now ^ client as u64);
        self.world.trace.note(|| format!("{now}: client {client} hears of {of:?}: {heard:?}"));
        match person.client.hear(of, heard, &mut self.world.checkers)? {
            Outcome::Registered | Outcome::Replied(..) | Outcome::Executed(_) => {
                person.retry_at = now + self.swarm.client_timeout;
            }
            Outcome::Evicted => {
                let id = self.workload.fresh_id();
                let person = &mut self.workload.people[client];
                person.client.reincarnate(id);
                person.retry_at = now;
            }
            Outcome::Refused(_) => {
                // Soon again, and perhaps elsewhere.
                person.retry_at = person.retry_at.min(now + self.swarm.client_timeout / 4);
            }
            Outcome::Stale => {}
        }
        Ok(())
    }
}
