//! Tables for people: each system's medians, and this project's as ratios to them.

use super::systems::System;
use crate::results::{Measured, median, spread};
use std::fmt::Write;

/// A figure of one system at one number of clients, by rounds.
pub(super) fn rounds(measured: &[Measured], system: System, clients: usize, figure: &str) -> Vec<f64> {
    let mut all: Vec<_> =
        measured.iter().filter(|it| it.system == system.name() && it.with("clients", clients)).collect();
    all.sort_by_key(|it| it.round);
    all.into_iter().map(|it| it.figure(figure)).collect()
}

pub(super) fn middle(measured: &[Measured], system: System, clients: usize, figure: &str) -> f64 {
    median(rounds(measured, system, clients, figure))
}

/// This project's figure to that of another: the median of the rounds' ratios, for a machine is as busy for both within a round.
pub(super) fn ratio(measured: &[Measured], other: System, clients: usize, figure: &str) -> f64 {
    let ours = rounds(measured, System::Vsr, clients, figure);
    let theirs = rounds(measured, other, clients, figure);
    median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect())
}

pub(super) fn tables(measured: &[Measured], systems: &[System], clients: &[usize]) -> String {
    let mut text = String::new();
    for clients in clients {
        let _ = writeln!(
            text,
            "\n{:<24} {:>9} {:>19} {:>8} {:>8} {:>7} {:>9} {:>10}   vsr / it: {:>7} {:>6}",
            format!("{clients} clients"),
            "ops/s",
            "(low–high)",
            "p50 µs",
            "p99 µs",
            "p99/p50",
            "CPU ns/op",
            "allocs/op",
            "ops/s",
            "CPU"
        );
        for system in systems {
            let of = |figure| middle(measured, *system, *clients, figure);
            let (low, high) = spread(&rounds(measured, *system, *clients, "operations_per_second"));
            let _ = writeln!(
                text,
                "{:<24} {:>9.0} {:>19} {:>8.1} {:>8.1} {:>7.2} {:>9.0} {:>10.2}             {:>7.2} {:>6.2}",
                system.name(),
                of("operations_per_second"),
                format!("({low:.0}–{high:.0})"),
                of("p50_us"),
                of("p99_us"),
                of("p99_us") / of("p50_us"),
                of("cpu_ns_per_operation"),
                of("allocations_per_operation"),
                ratio(measured, *system, *clients, "operations_per_second"),
                ratio(measured, *system, *clients, "cpu_ns_per_operation"),
            );
        }
    }
    text
}
