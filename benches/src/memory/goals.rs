//! What this project is to reach: ahead of every peer, and close to what the runtime allows.

use super::{
    report::{middle, ratio},
    systems::{Kind, System},
};
use crate::results::Measured;
use std::fmt::Write;

const THROUGHPUT: &str = "operations_per_second";
const PROCESSOR: &str = "cpu_ns_per_operation";
const ALLOCATIONS: &str = "allocations_per_operation";

/// What a figure of ours is compared with.
#[derive(Clone, Copy)]
enum Beside {
    One(System),
    /// The peer that has the best of this figure.
    BestPeer,
    Nothing,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

struct Goal {
    clients: usize,
    figure: &'static str,
    beside: Beside,
    bound: Bound,
    level: &'static str,
}

/// Told as p99 / p50.
const TAIL: &str = "tail";

fn all() -> Vec<Goal> {
    use {Beside::*, Bound::*};
    let goal = |level, clients, figure, beside, bound| Goal { clients, figure, beside, bound, level };
    let must = |clients, figure, beside, bound| goal("must", clients, figure, beside, bound);
    let target = |clients, figure, beside, bound| goal("target", clients, figure, beside, bound);
    let floor = One(System::Floor);
    let mut goals = vec![
        must(1, THROUGHPUT, One(System::ViewstampedReplication), AtLeast(1.03)),
        must(1, THROUGHPUT, One(System::OpenraftNine), AtLeast(8.0)),
        must(1, THROUGHPUT, One(System::OpenraftTen), AtLeast(8.0)),
        must(64, THROUGHPUT, BestPeer, AtLeast(1.3)),
        must(256, THROUGHPUT, BestPeer, AtLeast(1.2)),
        must(1024, THROUGHPUT, BestPeer, AtLeast(1.15)),
        must(256, PROCESSOR, BestPeer, AtMost(0.8)),
        must(256, ALLOCATIONS, Nothing, AtMost(2.0)),
        target(1, THROUGHPUT, floor, AtLeast(0.85)),
        target(64, THROUGHPUT, floor, AtLeast(0.7)),
        target(256, THROUGHPUT, floor, AtLeast(0.7)),
        target(1024, THROUGHPUT, floor, AtLeast(0.7)),
        target(256, PROCESSOR, floor, AtMost(1.4)),
        target(256, ALLOCATIONS, Nothing, AtMost(1.1)),
    ];
    for clients in [64, 256, 1024] {
        goals.push(must(clients, TAIL, Nothing, AtMost(2.0)));
        goals.push(target(clients, TAIL, Nothing, AtMost(1.8)));
    }
    goals.sort_by_key(|goal| (goal.level, goal.clients));
    goals
}

/// Each goal that this run has the figures for, and whether it holds.
pub(super) fn table(measured: &[Measured], systems: &[System], clients: &[usize]) -> String {
    let mut text = format!("\n{:<7} {:>7} {:<70} {:>6} {:>9}\n", "goal", "clients", "of", "is", "");
    if !systems.contains(&System::Vsr) {
        return String::new();
    }
    for goal in all().iter().filter(|goal| clients.contains(&goal.clients)) {
        let Some((what, is)) = goal.reached(measured, systems) else { continue };
        let (sign, bound, holds) = match goal.bound {
            Bound::AtLeast(bound) => ("≥", bound, is >= bound),
            Bound::AtMost(bound) => ("≤", bound, is <= bound),
        };
        let _ = writeln!(
            text,
            "{:<7} {:>7} {what:<70} {is:>6.2} {sign} {bound:<5} {}",
            goal.level,
            goal.clients,
            if holds { "holds" } else { "MISSED" }
        );
    }
    text
}

impl Goal {
    /// What is compared, and what came out; nothing where this run left out what it is compared with.
    fn reached(&self, measured: &[Measured], systems: &[System]) -> Option<(String, f64)> {
        let of = |system| middle(measured, system, self.clients, self.figure);
        let beside = match self.beside {
            Beside::Nothing if self.figure == TAIL => {
                let of = |figure| middle(measured, System::Vsr, self.clients, figure);
                return Some(("p99 / p50".to_owned(), of("p99_us") / of("p50_us")));
            }
            Beside::Nothing => return Some((self.figure.to_owned(), of(System::Vsr))),
            Beside::One(system) => systems.contains(&system).then_some(system)?,
            Beside::BestPeer => {
                let peers = systems.iter().copied().filter(|system| system.kind() == Kind::Peer);
                let better = |one: &System, other: &System| of(*one).total_cmp(&of(*other));
                match self.bound {
                    Bound::AtLeast(_) => peers.max_by(better)?,
                    Bound::AtMost(_) => peers.min_by(better)?,
                }
            }
        };
        let what = format!("{} / {}", self.figure, beside.name());
        Some((what, ratio(measured, beside, self.clients, self.figure)))
    }
}
