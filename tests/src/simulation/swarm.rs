//! What kind of world a seed lives in: every seed has its own mix of speeds, faults and bounds.

use super::{Options, storage::DiskFaults};
use crate::{faults::Faults, host::Storage, prng::Prng};
use std::time::Duration;
use vsr_core::{Config, Limits, ReplicaId, ReplicatedLimits};

/// Nanoseconds in a millisecond.
pub(super) const MS: u64 = 1_000_000;

/// The parameters of one run. Times are nanoseconds, odds are per mille.
#[derive(Clone, Debug)]
pub(super) struct Swarm {
    pub(super) replicas: usize,
    /// How many operations are executed at least.
    pub(super) operations: u64,
    pub(super) faults: Faults,
    pub(super) heartbeat_interval: u64,
    pub(super) heartbeat_timeout: u64,
    /// How often the primary of an idle group speaks at least, if it may become quieter.
    pub(super) idle_heartbeat_interval: Option<u64>,
    pub(super) limits: Limits,
    pub(super) replicated: ReplicatedLimits,
    pub(super) storage: Storage,
    /// Every crash takes the log; the record stays (VIEW-DURABLE).
    pub(super) forgets: bool,
    /// At most a minority is without a log at one time.
    pub(super) spares: bool,
    pub(super) storage_mean: u64,
    /// How long a snapshot takes to be written out.
    pub(super) snapshot_mean: u64,
    /// Odds that there is no room for a state that is written out, or for a part of one that arrives.
    pub(super) no_room: u64,
    pub(super) delay_mean: u64,
    pub(super) turn_delay: u64,
    pub(super) drop: u64,
    pub(super) duplicate: u64,
    /// Odds that a piece of a snapshot is not what was sent.
    pub(super) damage: u64,
    /// Odds that a message takes very long.
    pub(super) straggler: u64,
    pub(super) lose_answer: u64,
    /// Mean time between faults; each lasts about as long as `outage_mean`.
    pub(super) fault_mean: u64,
    pub(super) outage_mean: u64,
    pub(super) clients: usize,
    pub(super) window: usize,
    pub(super) think_mean: u64,
    pub(super) client_timeout: u64,
    /// Odds that a client that is awake reads.
    pub(super) read: u64,
    pub(super) abandon: u64,
    /// Odds that a host hands in more requests than there is room for.
    pub(super) ignore_room: bool,
    /// Messages travel as bytes.
    pub(super) wire: bool,
    /// Clocks differ by at most this many millionths.
    pub(super) drift_ppm: u64,
    /// Clocks jump and stop.
    pub(super) clock_faults: bool,
    pub(super) disk: DiskFaults,
}

impl Swarm {
    pub(super) fn draw(prng: &mut Prng, options: &Options) -> Self {
        let faults = some_of(prng, options.faults);
        let replicas = options.replicas.unwrap_or_else(|| prng.pick(&[3, 3, 3, 3, 5, 5, 7]));
        let heartbeat_interval = prng.pick(&[10, 20, 50, 100]) * MS;
        let heartbeat_timeout = heartbeat_interval * prng.range(3, 6);
        let mut limits = Limits::default();
        limits.pipeline_ops_max = prng.pick(&[4, 8, 32, 256]);
        limits.entry_ops_max = limits.pipeline_ops_max.min(prng.pick(&[1, 2, 4, 64])) as usize;
        limits.entry_bytes_max = prng.pick(&[16, 64, 4096]);
        limits.operation_bytes_max = options.operation_bytes_max;
        limits.pipeline_bytes_max = prng.pick(&[4096, 65_536]).max(limits.operation_bytes_max);
        limits.queue_ops_max = prng.pick(&[2, 8, 64]);
        limits.forward_ops_max = prng.pick(&[2, 8, 64]);
        limits.reads_max = prng.pick(&[2, 16, 1000]);
        limits.turn_ops_max = prng.pick(&[1, 4, 64]);
        let interval = prng.pick(&[5, 20, 60, 200]);
        limits.snapshot_interval_ops = options.snapshot_interval_ops.unwrap_or(interval);
        limits.log_keep_ops = prng.pick(&[0, 5, 20, 100]);
        // Whose operations may be large has a large state: its pieces must not be too many.
        let piece_bytes_min = options.operation_bytes_max / 64;
        limits.transfer_bytes_max = prng.pick(&[64, 200, 1000, 1 << 20]).max(piece_bytes_min);
        // A full log stands still until a snapshot is done: some seeds get there.
        limits.log_ops_max = limits.log_keep_ops + limits.snapshot_interval_ops * prng.pick(&[1, 3, 1000]);
        limits.retransmit_bytes_max = prng.pick(&[1, 500, 1 << 20]);
        let mut replicated = ReplicatedLimits::default();
        let clients = prng.range(1, 6) as usize;
        let clients = options.clients.unwrap_or(clients);
        replicated.sessions_max = prng.pick(&[2, 4, 8, 64]);
        replicated.window = prng.pick(&[1, 4, 16]);
        replicated.session_reply_bytes_max = prng.pick(&[8, 64, 4096]);
        replicated.digest_interval_ops = prng.pick(&[1, 3, 10, 64]);
        let quick = prng.chance(250);
        let storage = if quick || !faults.disk { Storage::Immediate } else { Storage::Delayed };
        let calm = prng.chance(100);
        let every = faults.every.max(1);
        // Drawn aside: what else a seed draws stays as it was.
        let mut aside = prng.clone();
        let quiet = aside.chance(500);
        let idle_heartbeat_interval = quiet.then(|| heartbeat_interval * aside.pick(&[2, 5, 16]));
        let no_room = if faults.disk { aside.pick(&[0, 200, 500]) } else { 0 };
        Self {
            replicas,
            operations: options.operations,
            faults,
            heartbeat_interval,
            heartbeat_timeout,
            idle_heartbeat_interval,
            storage,
            forgets: prng.chance(300) || options.view_durable,
            spares: !options.too_many_losses,
            snapshot_mean: heartbeat_interval * prng.pick(&[0, 1, 4, 12]),
            no_room,
            storage_mean: heartbeat_interval / prng.pick(&[100, 20, 5, 1]),
            delay_mean: heartbeat_interval / prng.pick(&[100, 20, 5, 2]),
            turn_delay: heartbeat_interval / prng.pick(&[1000, 100, 20]),
            drop: share(prng, faults.drops, &[0, 25, 100, 500, 1000]),
            damage: share(prng, faults.drops, &[0, 250, 1000]),
            duplicate: share(prng, faults.duplicates, &[0, 50, 250, 1000]),
            straggler: share(prng, faults.delays, &[0, 250, 1000]),
            lose_answer: share(prng, faults.drops, &[0, 100, 500]),
            fault_mean: heartbeat_timeout * if calm { 20 * every } else { prng.range(every, 4 * every) },
            outage_mean: heartbeat_timeout * prng.range(1, 5) / 2,
            clients,
            window: prng.range(1, u64::from(replicated.window)) as usize,
            think_mean: heartbeat_interval / prng.pick(&[1, 2, 4]) * clients as u64 / 2 + 1,
            client_timeout: heartbeat_timeout * prng.range(1, 4) / 2,
            read: prng.pick(&[0, 100, 500]),
            abandon: prng.pick(&[0, 2, 10]),
            ignore_room: prng.chance(200),
            wire: prng.chance(50),
            drift_ppm: prng.pick(&[0, 100, 20_000]),
            clock_faults: prng.chance(500) && faults.clocks,
            disk: DiskFaults::draw(prng, heartbeat_timeout, every),
            limits,
            replicated,
        }
    }

    pub(super) fn configs(&self, mutations: vsr_core::Mutations) -> Vec<Config> {
        let members: Vec<_> = (0..self.replicas as u32).map(ReplicaId).collect();
        let config = |id: &ReplicaId| {
            let mut config = Config::new(*id, members.clone());
            config.heartbeat_interval = Duration::from_nanos(self.heartbeat_interval);
            config.heartbeat_timeout = Duration::from_nanos(self.heartbeat_timeout);
            config.idle_heartbeat_interval = self.idle_heartbeat_interval.map(Duration::from_nanos);
            config.limits = self.limits.clone();
            config.replicated = self.replicated;
            config.mutations = mutations;
            config
        };
        members.iter().map(config).collect()
    }
}

/// Faults hide each other: now and then a seed goes without one kind or the other.
fn some_of(prng: &mut Prng, most: Faults) -> Faults {
    let mut without = || prng.chance(150);
    Faults {
        crashes: most.crashes && !without(),
        partitions: most.partitions && !without(),
        pauses: most.pauses && !without(),
        clocks: most.clocks && !without(),
        ..most
    }
}

/// One of `shares`, thousandths of what there may be at most; a message has a thousand thousandths of a chance, no more.
fn share(prng: &mut Prng, most: u64, shares: &[u64]) -> u64 {
    most.min(1000) * prng.pick(shares) / 1000
}
