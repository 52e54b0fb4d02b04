//! Steps of the core a second, on one core: with everything that is checked, and without.

use std::time::Instant;
use vsr_test::{
    process::cpu_seconds,
    simulation::{Options, run},
};

/// Runs seeds from 1 on in this thread, once with all checkers and invariants and once without any, and prints how fast.
///
/// # Errors
/// A property does not hold, or a seed ran otherwise when nobody looked.
pub(crate) fn steps(seeds: u64) -> Result<(), Box<dyn std::error::Error>> {
    println!("{seeds} seeds from 1, in one thread");
    println!(
        "{:>12} {:>12} {:>10} {:>14} {:>20}",
        "invariants", "steps", "seconds", "steps/s", "steps/s of its CPU"
    );
    let mut hashes = Vec::new();
    for unchecked in [false, true] {
        let (started, cpu) = (Instant::now(), cpu_seconds());
        let mut steps = 0;
        let mut ran = Vec::new();
        for seed in 1..=seeds {
            let report = run(seed, Options { unchecked, ..Options::default() });
            if let Some(violation) = report.violation {
                return Err(format!("seed {seed}: {violation}").into());
            }
            steps += report.totals.steps;
            ran.push(report.trace_hash);
        }
        let seconds = started.elapsed().as_secs_f64();
        let of_cpu = cpu.zip(cpu_seconds()).map(|(before, after)| steps as f64 / (after - before));
        let of_cpu = of_cpu.map_or("?".into(), |speed| format!("{speed:.0}"));
        let invariants = if unchecked { "off" } else { "on" };
        println!(
            "{invariants:>12} {steps:>12} {seconds:>10.2} {:>14.0} {of_cpu:>20}",
            steps as f64 / seconds
        );
        hashes.push(ran);
    }
    if hashes[0] == hashes[1] { Ok(()) } else { Err("a seed runs otherwise when nobody looks".into()) }
}
