//! What is done to the group: drawn from a seed before anything starts, so that it can be done again. When exactly each thing happens is up
//! to the machine; which replica is the primary then, too.

use super::proxy::Link;
use std::{collections::BTreeMap, fmt, time::Duration};
use vsr_test::Prng;

/// Which replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    Number(usize),
    /// Whoever is primary then.
    Primary,
}

/// What is done to a file of a replica that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// Its end is gone.
    Truncate,
    /// Some bits are others.
    Flip,
}

/// What is done to processes and disks, one thing at a time: each is over, and the replica back, before the next begins. So at most one
/// replica has a damaged disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Kill(Victim),
    KillAll,
    Pause(Victim),
    /// All replicas, one after the other, are told to end and started again.
    RollingRestart,
    /// The chance decides which file, and where.
    Damage(usize, Damage, u64),
    /// The disk of this replica has no room for a while.
    Fill(usize),
}

/// What is done to the network, until the next thing is done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    /// One replica is cut off.
    Isolate(Victim, Link),
    /// The first so many in a shuffled row are cut off from the rest.
    Split(Vec<usize>, usize),
    /// From one to another nothing arrives; the way back is open.
    OneWay(usize, usize),
    /// All links are like this.
    Everywhere(Link),
}

/// Something to do after a while, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step<T> {
    pub(super) after: Duration,
    pub(super) lasting: Duration,
    pub(super) what: T,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) faults: Vec<Step<Fault>>,
    pub(super) weather: Vec<Step<Weather>>,
}

/// The shortest time between two faults: a run has no more of them than this allows.
const PAUSE_MIN: Duration = Duration::from_millis(300);

impl Plan {
    /// The plan of a seed for so many replicas and so much time. Only replicas in `small_disks` run out of room.
    pub(super) fn new(seed: u64, replicas: usize, time: Duration, small_disks: &[usize]) -> Self {
        let most = usize::try_from(time.as_millis() / PAUSE_MIN.as_millis()).unwrap_or(usize::MAX);
        let mut random = Prng::new(seed);
        let faults = (0..most)
            .map(|_| step(&mut random, 2000, |random| fault(random, replicas, small_disks)))
            .collect();
        let mut random = Prng::new(seed ^ 1);
        let weather =
            (0..most).map(|_| step(&mut random, 3000, |random| weather(random, replicas))).collect();
        Self { faults, weather }
    }
}

fn step<T>(random: &mut Prng, pause_max: u64, what: impl Fn(&mut Prng) -> T) -> Step<T> {
    let millis = |random: &mut Prng, low, high| Duration::from_millis(random.range(low, high));
    let after = millis(random, PAUSE_MIN.as_millis() as u64, pause_max);
    // Mostly shorter than it takes to notice, or a little longer; sometimes much longer.
    let lasting = if random.chance(250) { millis(random, 1000, 4000) } else { millis(random, 20, 1000) };
    Step { after, lasting, what: what(random) }
}

fn fault(random: &mut Prng, replicas: usize, small_disks: &[usize]) -> Fault {
    match random.below(100) {
        0..25 => Fault::Kill(victim(random, replicas)),
        25..35 => Fault::KillAll,
        35..55 => Fault::Pause(victim(random, replicas)),
        55..60 => Fault::RollingRestart,
        60..70 if !small_disks.is_empty() => Fault::Fill(random.pick(small_disks)),
        60..80 => Fault::Damage(random.index(replicas), Damage::Flip, random.bits()),
        _ => Fault::Damage(random.index(replicas), Damage::Truncate, random.bits()),
    }
}

fn victim(random: &mut Prng, replicas: usize) -> Victim {
    if random.chance(500) { Victim::Primary } else { Victim::Number(random.index(replicas)) }
}

fn weather(random: &mut Prng, replicas: usize) -> Weather {
    let broken = if random.chance(500) { Link::Cut } else { Link::Hole };
    match random.below(100) {
        0..30 => Weather::Isolate(victim(random, replicas), broken),
        30..50 => {
            let mut row: Vec<_> = (0..replicas).collect();
            for last in (1..replicas).rev() {
                row.swap(last, random.index(last + 1));
            }
            Weather::Split(row, random.range(1, replicas as u64 - 1) as usize)
        }
        50..70 => {
            let from = random.index(replicas);
            Weather::OneWay(from, (from + 1 + random.index(replicas - 1)) % replicas)
        }
        70..85 => Weather::Everywhere(Link::Slow(Duration::from_millis(random.range(1, 100)))),
        _ => Weather::Everywhere(Link::Lossy(random.range(10, 300))),
    }
}

impl Fault {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Kill(Victim::Number(_)) => "kill",
            Self::Kill(Victim::Primary) => "kill of the primary",
            Self::KillAll => "kill of all",
            Self::Pause(Victim::Number(_)) => "pause",
            Self::Pause(Victim::Primary) => "pause of the primary",
            Self::RollingRestart => "rolling restart",
            Self::Damage(_, Damage::Truncate, _) => "truncated file",
            Self::Damage(_, Damage::Flip, _) => "flipped bits",
            Self::Fill(_) => "full disk",
        }
    }
}

impl Weather {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Isolate(..) => "replica cut off",
            Self::Split(..) => "partition",
            Self::OneWay(..) => "one-way loss",
            Self::Everywhere(Link::Slow(_)) => "delay everywhere",
            Self::Everywhere(_) => "loss everywhere",
        }
    }

    /// The link from one to another, if this says something about it.
    pub(super) fn link(&self, primary: usize, from: usize, to: usize) -> Option<Link> {
        match self {
            Self::Isolate(victim, link) => {
                let who = victim.number(primary);
                ((from == who) != (to == who)).then_some(*link)
            }
            Self::Split(row, first) => {
                let side = |who: usize| row[..*first].contains(&who);
                (side(from) != side(to)).then_some(Link::Cut)
            }
            Self::OneWay(sender, receiver) => ((from, to) == (*sender, *receiver)).then_some(Link::Hole),
            Self::Everywhere(link) => Some(*link),
        }
    }
}

impl Victim {
    pub(super) fn number(self, primary: usize) -> usize {
        match self {
            Self::Number(number) => number,
            Self::Primary => primary,
        }
    }
}

/// How often what was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub(super) fn add(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_is_a_plan_and_all_kinds_of_faults_come_up() {
        let plan = |seed| Plan::new(seed, 3, Duration::from_secs(120), &[2]);
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
        let plan = plan(7);
        let faults: BTreeSet<_> = plan.faults.iter().map(|step| step.what.kind()).collect();
        let weather: BTreeSet<_> = plan.weather.iter().map(|step| step.what.kind()).collect();
        assert_eq!((faults.len(), weather.len()), (9, 5), "{faults:?} {weather:?}");
        let fills = |step: &&Step<Fault>| matches!(step.what, Fault::Fill(who) if who != 2);
        assert_eq!(plan.faults.iter().find(fills), None, "only small disks are filled");
    }

    #[test]
    fn weather_says_which_links_are_meant() {
        let cut = |weather: &Weather| {
            let pairs = (0..3).flat_map(|from| (0..3).map(move |to| (from, to)));
            pairs.filter(|(from, to)| weather.link(1, *from, *to).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(cut(&Weather::Isolate(Victim::Primary, Link::Cut)), [(0, 1), (1, 0), (1, 2), (2, 1)]);
        assert_eq!(cut(&Weather::Split(vec![2, 0, 1], 1)), [(0, 2), (1, 2), (2, 0), (2, 1)]);
        assert_eq!(cut(&Weather::OneWay(2, 0)), [(2, 0)]);
    }
}
