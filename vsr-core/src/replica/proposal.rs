//! From the queue to the log: the primary proposes what waits (rules B1, B8 and B12), and the ticks of replicated time (decision 16).

use super::{Mode, Replica, normal::Primary};
use crate::{
    entry::Entry,
    event::Event,
    id::{OpNumber, Time},
    message::Body,
    mutation::Mutation,
    run::Run,
};

impl Primary {
    /// Whether there is something to propose, and this replica is the one to do it.
    fn wants_to_propose(&self) -> bool {
        self.announced && !self.abdicated && self.queue.ready().next().is_some()
    }
}

impl Replica {
    /// Proposes what waits, as few entries as its bounds allow; the commit-number rides on them (rules B1, B12).
    pub(super) fn propose(&mut self) {
        self.want_tick();
        let time_goes_back = self.mutated(Mutation::TimeGoesBack);
        while let Some(run) = self.build_run() {
            let Mode::Primary(primary) = &mut self.mode else { return };
            let end = self.log.end();
            let floor = end.timestamp.saturating_add(1).max(primary.timestamp_floor);
            let floor = if time_goes_back { 0 } else { floor };
            let timestamp = self.now.unix.max(floor);
            let entry = Entry::new(end.op.next(), self.view, timestamp, end.hash, run);
            primary.beat += 1;
            primary.commit_told = self.commit;
            let beat = primary.beat;
            self.append(entry.clone());
            let (first, last, commit) = (entry.first(), entry.last(), self.commit);
            self.observe_step(Event::PrepareSent { first, last, commit });
            self.broadcast(&Body::Prepare { entry, commit, beat });
        }
    }

    /// A run of the first requests in the queue, as many as pipeline, entry, log and storage have room for.
    fn build_run(&mut self) -> Option<Run> {
        let wanted = matches!(&self.mode, Mode::Primary(primary) if primary.wants_to_propose());
        if !wanted || self.has_no_room() {
            return None;
        }
        let (me, first) = (self.me, self.log.op().next());
        let (ops, bytes) = self.room_for_run();
        let Mode::Primary(primary) = &mut self.mode else { return None };
        if ops == 0 {
            return None;
        }
        primary.pipeline_bytes += bytes;
        let (body, taken) = primary.queue.take(ops, bytes);
        let operations = (first.0..).zip(taken).map(|(op, ready)| {
            if ready.from != me {
                primary.forwarded_through = OpNumber(op);
            }
            (ready.origin, ready.bytes, ready.trace)
        });
        Some(Run::new(body, operations))
    }

    /// How many requests of the queue may be proposed in one entry, and how many bytes they have.
    fn room_for_run(&self) -> (usize, usize) {
        let Mode::Primary(primary) = &self.mode else { return (0, 0) };
        let (limits, no_bounds) = (&self.config.limits, self.mutated(Mutation::UnboundedPipeline));
        let uncommitted = self.log.op().0 - self.commit.0;
        let (mut ops, mut bytes) = (0, 0);
        for next in primary.queue.ready() {
            let with_next = bytes + next.bytes;
            let entry_full = ops >= limits.entry_ops_max || (ops > 0 && with_next > limits.entry_bytes_max);
            let pipeline_ops = uncommitted + ops as u64;
            let pipeline_full = pipeline_ops >= limits.pipeline_ops_max
                || (pipeline_ops > 0 && primary.pipeline_bytes + with_next > limits.pipeline_bytes_max);
            if entry_full || pipeline_full && !no_bounds {
                break;
            }
            (ops, bytes) = (ops + 1, with_next);
        }
        (ops, bytes)
    }

    /// Decision 16: replicated time moves on when the state machine asked for it.
    fn want_tick(&mut self) {
        let me = self.me;
        let due = self.wanted_tick().is_some_and(|at| at <= self.now.unix);
        if let Mode::Primary(primary) = &mut self.mode
            && due
            && primary.announced
            && !primary.tick_under_way
        {
            primary.tick_under_way = true;
            primary.queue.push_tick(me);
        }
    }

    fn wanted_tick(&self) -> Option<u64> {
        self.next_tick.filter(|_| !self.mutated(Mutation::NoTicks))
    }

    /// When the host must call for the next tick's sake.
    pub(super) fn tick_at(&self) -> Time {
        match (&self.mode, self.wanted_tick()) {
            (Mode::Primary(primary), Some(at)) if primary.announced && !primary.tick_under_way => {
                Time(self.now.monotonic.0.saturating_add(at.saturating_sub(self.now.unix)))
            }
            _ => Time(u64::MAX),
        }
    }

    pub(super) fn tick_committed(&mut self) {
        if let Mode::Primary(primary) = &mut self.mode {
            primary.tick_under_way = false;
        }
    }
}
