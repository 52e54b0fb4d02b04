//! Medians, spreads and ratios, as tables for people.

use std::{collections::BTreeMap, fmt::Write};
use vsr_benches::results::{Measured, median, spread};

/// A flush this much slower than those of the faster quarter of the run says that the disk was throttled.
const THROTTLED: f64 = 3.0;

/// All systems under all loads; the first system beside each of the others.
#[derive(Debug)]
pub(crate) struct Table {
    measured: Vec<Measured>,
    /// What the systems are compared under, in the words of its parameters.
    load: fn(&Measured) -> String,
}

impl Table {
    pub(crate) fn new(measured: &[Measured], load: fn(&Measured) -> String) -> Self {
        Self { measured: measured.to_vec(), load }
    }

    /// Leaves out what was measured while the disk was throttled, and says so.
    pub(crate) fn without_throttled(mut self) -> (Self, String) {
        let flushes = |it: &Measured| [it.figure("flush_before_us"), it.figure("flush_after_us")];
        let mut all: Vec<f64> = self.measured.iter().flat_map(flushes).collect();
        all.sort_by(f64::total_cmp);
        let usual = all.get(all.len() / 4).copied().unwrap_or(f64::NAN);
        let usable = |it: &Measured| flushes(it).iter().all(|flush| *flush < usual * THROTTLED);
        let (count, throttled) = (self.measured.len(), self.measured.iter().filter(|it| !usable(it)).count());
        let mut said = format!("a 4 KiB write over zeros and its flush, by themselves: {usual:.0} µs; ");
        if 2 * throttled > count {
            said += "the disk was throttled most of the time: NONE OF THESE FIGURES COUNTS\n";
        } else {
            let _ = writeln!(said, "{throttled} of {count} loads left out, for the disk was throttled then");
            self.measured.retain(usable);
        }
        (self, said)
    }

    pub(crate) fn measured(&self) -> &[Measured] {
        &self.measured
    }

    pub(crate) fn systems(&self) -> Vec<String> {
        names(self.measured.iter().map(|it| it.system.clone()))
    }

    pub(crate) fn loads(&self) -> Vec<String> {
        names(self.measured.iter().map(self.load))
    }

    /// A figure by rounds.
    fn rounds(&self, system: &str, load: &str, figure: &str) -> BTreeMap<usize, f64> {
        let of_both = self.measured.iter().filter(|it| it.system == system && (self.load)(it) == load);
        of_both.map(|it| (it.round, it.figure(figure))).filter(|(_, value)| value.is_finite()).collect()
    }

    pub(crate) fn middle(&self, system: &str, load: &str, figure: &str) -> f64 {
        median(self.rounds(system, load, figure).into_values().collect())
    }

    /// One system's figure to that of another: the median of the rounds' ratios, for a machine is as busy for both within a round.
    pub(crate) fn ratio(&self, ours: &str, theirs: &str, load: &str, figure: &str) -> f64 {
        let theirs = self.rounds(theirs, load, figure);
        let ours = self.rounds(ours, load, figure);
        median(ours.iter().filter_map(|(round, value)| Some(value / theirs.get(round)?)).collect())
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let systems = self.systems();
        let Some(first) = systems.first() else { return text };
        for load in self.loads() {
            let _ = writeln!(
                text,
                "\n{load:<26} {:>9} {:>17} {:>8} {:>8} {:>10} {:>8} {:>9}   {first} / it: {:>6} {:>6}",
                "ops/s",
                "(low–high)",
                "p50 ms",
                "p99 ms",
                "CPU µs/op",
                "of load",
                "flushes/op",
                "ops/s",
                "p50"
            );
            for system in &systems {
                let of = |figure| self.middle(system, &load, figure);
                let rates: Vec<f64> =
                    self.rounds(system, &load, "operations_per_second").into_values().collect();
                if rates.is_empty() {
                    continue;
                }
                let (low, high) = spread(&rates);
                let _ = writeln!(
                    text,
                    "{system:<26} {:>9.0} {:>17} {:>8.3} {:>8.3} {:>10.1} {:>8} {:>9}    {:>width$.2} {:>6.2}",
                    median(rates),
                    format!("({low:.0}–{high:.0})"),
                    of("p50_ms"),
                    of("p99_ms"),
                    of("cpu_us_per_operation"),
                    told(of("load_cpu_us_per_operation"), 1),
                    told(of("flushes_per_operation"), 4),
                    self.ratio(first, system, &load, "operations_per_second"),
                    self.ratio(first, system, &load, "p50_ms"),
                    width = first.chars().count() + 13,
                );
            }
        }
        text
    }
}

/// Not all is known of all.
fn told(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "–".to_owned() }
}

fn names(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
