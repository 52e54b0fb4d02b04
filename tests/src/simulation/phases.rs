//! A run: bring the group up, break things, heal, demand progress, then demand rest.

use super::{Course, Event, Options, Totals};
use crate::{
    checkers::Violation,
    faults::Faults,
    host::Host,
    record::Recording,
    subject::{Numbers, Subject},
    world::World,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};
use vsr_core::StatusName;

/// Every run takes at least this many steps for each operation that it must execute.
const STEPS_PER_OPERATION_MIN: u64 = 50;
/// A run in which too much is broken to get there is healed after this many steps for each.
const STEPS_PER_OPERATION_PATIENCE: u64 = 200;
/// Time-outs within which a healed group must get somewhere.
const PATIENCE_TIMEOUTS: u64 = 60;
/// Events on their way at once; a group that talks more than that has lost itself.
const QUEUE_MAX: usize = 20_000;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What it did.
    pub totals: Totals,
    /// Hash of all that happened.
    pub trace_hash: u64,
    /// What was wrong.
    pub violation: Option<Violation>,
    /// The last lines of the trace, if they were kept.
    pub trace: Vec<String>,
}

/// Runs a seed to its end. A panic anywhere is a violation.
#[must_use]
pub fn run(seed: u64, options: Options) -> Report {
    run_subject(seed, options, Rc::new(Numbers))
}

/// Runs a seed with machines and work of somebody's own.
pub(crate) fn run_subject(seed: u64, options: Options, subject: Rc<dyn Subject>) -> Report {
    finish(seed, &mut Course::new(seed, options, subject))
}

/// Runs a seed, and gives what was done to its world to somebody.
pub(crate) fn record<T>(
    seed: u64,
    options: Options,
    read: impl FnOnce(&World, &Recording) -> T,
) -> (Report, T) {
    let mut course = Course::new(seed, options, Rc::new(Numbers));
    course.world.recording = Some(Recording::default());
    let report = finish(seed, &mut course);
    let recording = course.world.recording.take().unwrap_or_default();
    (report, read(&course.world, &recording))
}

fn finish(seed: u64, course: &mut Course) -> Report {
    let result = catch_unwind(AssertUnwindSafe(|| course.run()));
    let violation = match result {
        Ok(result) => result.err(),
        Err(panic) => Some(Violation::new("panic", crate::user::message(&*panic))),
    };
    Report {
        seed,
        totals: course.totals(),
        trace_hash: course.trace().hash(),
        violation,
        trace: course.trace().lines().map(String::from).collect(),
    }
}

/// Messages that the replicas of a seed send to each other: at most `count`, spread over the run.
#[must_use]
pub fn messages(seed: u64, options: Options, count: usize) -> Vec<vsr_core::Message> {
    let mut course = Course::new(seed, options, Rc::new(Numbers));
    course.collected = Some(Vec::new());
    // What went wrong, if anything did, is for others to tell; the messages were sent all the same.
    let _ = course.run();
    let all = course.collected.unwrap_or_default();
    let step = (all.len() / count).max(1);
    all.into_iter().step_by(step).take(count).collect()
}

impl Course {
    fn run(&mut self) -> Result<(), Violation> {
        for replica in 0..self.swarm.replicas {
            let at = self.prng.delay(self.swarm.heartbeat_timeout);
            self.queue.at(at, Event::Restart { replica });
        }
        for client in 0..self.workload.len() {
            let at = self.prng.delay(self.swarm.heartbeat_timeout);
            self.queue.at(at, Event::Client { client });
        }
        let first_fault = self.swarm.heartbeat_timeout + self.prng.delay(self.swarm.fault_mean);
        self.queue.at(first_fault, Event::Fault);
        self.queue.at(first_fault, Event::DiskFault);
        let patience = self.swarm.operations.saturating_mul(STEPS_PER_OPERATION_PATIENCE);
        while self.world.steps < patience && !self.has_done_enough() {
            self.advance()?;
            if self.queue.len() > QUEUE_MAX {
                return Err(Violation::new("J15 bounded", "messages without end".into()));
            }
        }
        if !self.swarm.spares {
            return Ok(());
        }
        self.heal_most();
        let goal: Vec<_> = self.workload.answered().map(|answered| answered + 3).collect();
        self.within_patience("every client gets answers", |this| {
            let served = this.workload.answered().zip(&goal).all(|(answered, goal)| answered >= *goal);
            Ok(served)
        })?;
        self.heal_all();
        while !self.has_done_enough() {
            let before = self.world.checkers.executed();
            self.within_patience("work is done", |this| {
                Ok(this.has_done_enough() || this.world.checkers.executed() > before)
            })?;
        }
        self.workload.draining = true;
        // What is left gets done bit by bit: patience begins anew with each.
        while !self.is_at_rest() {
            let before = self.world.checkers.executed();
            self.within_patience("all is answered, and all replicas are equal", |this| {
                Ok(this.is_at_rest() || this.world.checkers.executed() > before)
            })?;
        }
        self.world.checkers.at_rest(&self.world.hosts)
    }

    fn has_done_enough(&self) -> bool {
        let operations = self.swarm.operations;
        self.world.steps >= operations.saturating_mul(STEPS_PER_OPERATION_MIN)
            && self.world.checkers.executed() >= operations
    }

    /// Heals a majority; the others stay dead, or deaf, or are healed as well. That must be enough for progress (C11, C15).
    fn heal_most(&mut self) {
        self.heal_all();
        let replicas = self.swarm.replicas;
        let (first, count) = (self.prng.index(replicas), self.prng.index(replicas.div_ceil(2)));
        // Who has lost its memory needs the others to get it back, and may need to be left out.
        let count = count.min((replicas - 1) / 2 - self.world.without_memory());
        let Faults { crashes, partitions, .. } = self.swarm.faults;
        let deaf = match self.prng.below(4) {
            0 if crashes => false,
            1 if partitions => true,
            _ => return,
        };
        for lame in (first..first + count).map(|lame| lame % replicas) {
            let now = self.now;
            self.world.trace.tell(|| format!("{now}: R{lame} stays {}", if deaf { "deaf" } else { "dead" }));
            if deaf {
                (0..replicas).for_each(|from| self.network.cut(from, lame));
            } else {
                self.crash(lame);
            }
            self.sites[lame].banned = true;
        }
    }

    fn heal_all(&mut self) {
        let now = self.now;
        self.world.trace.tell(|| format!("{now}: everything is healed"));
        self.faults = false;
        self.workload.active = self.workload.len().min(self.swarm.replicated.sessions_max as usize);
        self.network.heal();
        for replica in 0..self.swarm.replicas {
            self.sites[replica].paused_until = 0;
            self.sites[replica].clock.resume(now);
            self.sites[replica].banned = false;
            self.world.hosts[replica].crash_after = None;
            self.world.fill(replica, false);
            if !self.sites[replica].running {
                self.queue.at(now, Event::Restart { replica });
            }
            self.schedule_timer(replica);
        }
    }

    fn within_patience(
        &mut self,
        what: &str,
        mut done: impl FnMut(&Self) -> Result<bool, Violation>,
    ) -> Result<(), Violation> {
        let end = self.now + PATIENCE_TIMEOUTS * self.swarm.heartbeat_timeout.max(self.swarm.client_timeout);
        while !done(self)? {
            if self.now > end {
                let states: Vec<_> = self.world.hosts.iter().map(Host::status).collect();
                return Err(Violation::new("J14 progress", format!("not in time: {what}; {states:#?}")));
            }
            self.advance()?;
        }
        Ok(())
    }

    fn is_at_rest(&self) -> bool {
        let here = || self.world.hosts.iter().filter(|host| !host.is_out());
        let Some((first, digest)) =
            here().find_map(|host| Some((host.status()?, host.machine().digest().ok())))
        else {
            return false;
        };
        let equal = |host: &Host| {
            host.status().is_some_and(|status| {
                status.status == StatusName::Normal
                    && (status.view, status.op, status.commit) == (first.view, first.op, first.commit)
                    && status.applied == status.op
                    && host.machine().digest().ok() == digest
            })
        };
        let refused = |host: &Host| host.stopped.is_some() || host.failed().is_some();
        here().all(equal)
            && self.world.hosts.iter().filter(|host| host.is_out()).all(refused)
            && self.workload.is_idle()
    }
}
