//! What may break in a simulation.

/// What may break, and how much of it at most: each seed draws its own mix within these bounds. Single knobs are turned by
/// `Faults { crashes: false, ..Faults::default() }`.
///
/// ```
/// use vsr_test::Faults;
///
/// let only_the_network = Faults { partitions: true, drops: 100, ..Faults::none() };
/// assert!(!only_the_network.crashes && Faults::harsh().drops > Faults::calm().drops);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Replicas crash, one, some or all at once, also between two effects of a turn, and start again on their disks.
    pub crashes: bool,
    /// Links between replicas are cut, in one direction or in both, and heal again.
    pub partitions: bool,
    /// Replicas stand still for a while and go on as if no time had passed; primaries are told to leave their view.
    pub pauses: bool,
    /// Clocks jump, stand still, and are set to another time of day.
    pub clocks: bool,
    /// At most so many of a thousand messages are lost.
    pub drops: u64,
    /// At most so many of a thousand messages arrive twice.
    pub duplicates: u64,
    /// At most so many of a thousand messages take far longer than those behind them.
    pub delays: u64,
    /// Disks take their time, stand still, fail, are full, rot, and now and then one is lost with all that was on it; and a crash
    /// takes or tears what was not durable. Without it each write is durable at once; without `crashes` they are only slow.
    pub disk: bool,
    /// Crashes, partitions and pauses come every so many heartbeat time-outs, or up to four times as rarely; 0 is taken for 1.
    pub every: u64,
}

impl Default for Faults {
    /// Everything breaks, often enough that no replica is left alone for long.
    fn default() -> Self {
        Self {
            crashes: true,
            partitions: true,
            pauses: true,
            clocks: true,
            drops: 200,
            duplicates: 200,
            delays: 20,
            disk: true,
            every: 2,
        }
    }
}

impl Faults {
    /// Nothing breaks. Messages still take different times, and overtake each other.
    #[must_use]
    pub fn none() -> Self {
        Self {
            crashes: false,
            partitions: false,
            pauses: false,
            clocks: false,
            drops: 0,
            duplicates: 0,
            delays: 0,
            disk: false,
            every: 2,
        }
    }

    /// A bad day of a good data centre: something breaks now and then, and a few messages are lost.
    #[must_use]
    pub fn calm() -> Self {
        Self { drops: 5, duplicates: 5, delays: 2, every: 10, ..Self::default() }
    }

    /// Twice as bad as the default.
    #[must_use]
    pub fn harsh() -> Self {
        Self { drops: 400, duplicates: 400, delays: 40, every: 1, ..Self::default() }
    }
}
