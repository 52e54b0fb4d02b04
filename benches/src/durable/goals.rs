//! What durable writes are to reach beside others, and whether they do.

use crate::report::Table;
use std::fmt::Write;

/// A ratio of this project to another system.
struct Goal {
    /// Short of it, this project has failed; otherwise it is what is aimed at.
    must: bool,
    theirs: &'static str,
    clients: usize,
    figure: &'static str,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const OURS: &str = "vsr-kv ×3";
const ETCD: &str = "etcd ×3";
const REDIS: &str = "Redis ×1, always";
const FLOOR: &str = "floor over zeros ×3";
const RATE: &str = "operations_per_second";
const P50: &str = "p50_ms";
/// With 256 clients, of the leader.
const FLUSHES_MAX: f64 = 0.05;

fn goals() -> Vec<Goal> {
    let goal = |must, theirs, clients, figure, bound| Goal { must, theirs, clients, figure, bound };
    let mut all = Vec::new();
    for (clients, rate) in [(1, 2.0), (64, 5.0), (256, 5.0)] {
        all.push(goal(true, ETCD, clients, RATE, Bound::AtLeast(rate)));
        all.push(goal(true, ETCD, clients, P50, Bound::AtMost(0.5)));
    }
    for (clients, rate) in [(1, 0.45), (64, 0.8), (256, 0.8)] {
        all.push(goal(true, REDIS, clients, RATE, Bound::AtLeast(rate)));
    }
    for clients in [64, 256] {
        all.push(goal(false, REDIS, clients, RATE, Bound::AtLeast(1.0)));
    }
    for clients in [1, 64, 256] {
        all.push(goal(false, FLOOR, clients, RATE, Bound::AtLeast(0.85)));
    }
    all
}

/// A line for each goal of which both sides were measured.
pub(super) fn judged(table: &Table) -> String {
    let mut text = String::new();
    for Goal { must, theirs, clients, figure, bound } in goals() {
        let load = format!("{clients} clients");
        let ratio = table.ratio(OURS, theirs, &load, figure);
        let (sign, limit, holds) = match bound {
            Bound::AtLeast(limit) => ('≥', limit, ratio >= limit),
            Bound::AtMost(limit) => ('≤', limit, ratio <= limit),
        };
        let (rank, what) =
            (if must { "must" } else { "target" }, if figure == P50 { "p50" } else { "ops/s" });
        if ratio.is_finite() {
            let _ = writeln!(
                text,
                "{rank:<6}  {load:<12} {what:<6} {OURS} / {theirs:<22} {sign} {limit:.2}: {ratio:.2}  {}",
                said(holds)
            );
        }
    }
    let flushes = table.middle(OURS, "256 clients", "flushes_per_operation");
    if flushes.is_finite() {
        let _ = writeln!(
            text,
            "must    256 clients  flushes of the leader an operation     < {FLUSHES_MAX}: {flushes:.4}  {}",
            said(flushes < FLUSHES_MAX)
        );
    }
    text
}

fn said(holds: bool) -> &'static str {
    if holds { "holds" } else { "MISSES" }
}
