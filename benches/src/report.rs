//! Medians, spreads and ratios.

use crate::durable::Measured;
use std::fmt::Write;

/// A flush this much slower than the run's median says that the disk was throttled.
const THROTTLED: f64 = 3.0;

/// A table for people, the first system beside each of the others. Rounds in which the disk was throttled are left out, and counted.
pub(crate) fn table(measured: &[Measured], clients: &[usize]) -> String {
    let usual = median(measured.iter().flat_map(|it| it.flush_us).collect());
    let (good, bad): (Vec<_>, Vec<_>) =
        measured.iter().partition(|it| it.flush_us.iter().all(|flush| *flush < usual * THROTTLED));
    let mut systems: Vec<&str> = Vec::new();
    for it in measured {
        if !systems.contains(&it.system.as_str()) {
            systems.push(&it.system);
        }
    }
    let mut text = format!(
        "a 4 KiB write and flush by itself: {usual:.0} µs (median); {} loads left out\n\n",
        bad.len()
    );
    for count in clients {
        let _ = writeln!(text, "{count} clients");
        let of = |system: &str, figure: fn(&Measured) -> f64| -> Vec<f64> {
            good.iter()
                .filter(|it| it.system == system && it.figures.clients == *count)
                .map(|it| figure(it))
                .collect()
        };
        let throughput = |system: &str| of(system, |it| it.figures.operations_per_second);
        let first = systems.first().map_or(f64::NAN, |system| median(throughput(system)));
        for system in &systems {
            let all = throughput(system);
            let (low, high) =
                all.iter().fold((f64::MAX, 0_f64), |(low, high), it| (low.min(*it), high.max(*it)));
            let middle = median(all);
            let _ = writeln!(
                text,
                "  {system:<10} {middle:>8.0} ops/s ({low:.0}–{high:.0})  p50 {:.2} ms  p99 {:.2} ms  ratio {:.2}",
                median(of(system, |it| it.figures.p50_ms)),
                median(of(system, |it| it.figures.p99_ms)),
                first / middle,
            );
            let flushes = of(system, |it| it.flushes_per_operation.unwrap_or(f64::NAN));
            if flushes.iter().any(|it| it.is_finite()) {
                let _ = writeln!(text, "  {:<10} {:.4} flushes of the leader a write", "", median(flushes));
            }
        }
    }
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
    }
}
