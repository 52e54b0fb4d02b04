//! Does an operation cost more as there is more of something? Each point is a process of its own.

pub(crate) mod once;

use crate::{child, group::Figures};
use once::{Axis, Point};
use std::{collections::BTreeMap, path::PathBuf};
use vsr_benches::results::{Machine, Measured, Results, median, spread};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often everything is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each point is measured, after a warm-up of half a second.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// What grows.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Axis::ALL)]
    axes: Vec<Axis>,
    /// Worker threads of the runtime.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    workers: Vec<usize>,
    /// Clients with one operation under way each.
    #[arg(long, default_value_t = 256)]
    clients: usize,
    /// Where the figures go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let machine = Machine::this();
    println!("{machine}");
    println!(
        "one process, in memory; {} clients, closed loop, {} s each, {} rounds; else three replicas, one group, 16 384 keys, 64-byte values",
        options.clients, options.seconds, options.rounds
    );
    let mut measured = Vec::new();
    for round in 1..=options.rounds {
        for axis in &options.axes {
            eprintln!("round {round} of {}: {}", options.rounds, axis.name());
            for value in axis.values() {
                for workers in &options.workers {
                    let point = Point { axis: *axis, value: *value, workers: *workers };
                    let figures = child::figures(&point.arguments(options.clients, options.seconds))?;
                    measured.push(result(&point, options, round, figures));
                }
            }
        }
    }
    options.axes.iter().for_each(|axis| table(&measured, *axis, &options.workers));
    options.json.as_ref().map_or(Ok(()), |path| Results { machine, measured }.write(path))
}

fn result(point: &Point, options: &Options, round: usize, figures: Figures) -> Measured {
    let parameters = [
        ("axis", point.axis.name().to_owned()),
        ("value", point.value.to_string()),
        ("workers", point.workers.to_string()),
        ("clients", options.clients.to_string()),
        ("seconds", options.seconds.to_string()),
        ("window", "1024".to_owned()),
    ];
    Measured {
        bench: "growth".to_owned(),
        system: "vsr".to_owned(),
        parameters: BTreeMap::from(parameters.map(|(name, value)| (name.to_owned(), value))),
        figures,
        round,
    }
}

/// Medians, and throughput as a part of that at the first point.
fn table(measured: &[Measured], axis: Axis, workers: &[usize]) {
    println!("\n{}", axis.what());
    for workers in workers {
        println!(
            "  {workers} worker{:<10} {:>10} {:>19} {:>7} {:>9} {:>9} {:>9} {:>9}",
            if *workers == 1 { " " } else { "s" },
            "ops/s",
            "(lowest–highest)",
            "ratio",
            "p50 µs",
            "p99 µs",
            "CPU ns/op",
            "MiB"
        );
        let mut first = f64::NAN;
        for value in axis.values() {
            let at = measured.iter().filter(|it| {
                it.with("axis", axis.name()) && it.with("value", value) && it.with("workers", workers)
            });
            let of = |figure: &str| -> Vec<f64> { at.clone().map(|it| it.figure(figure)).collect() };
            let rates = of("operations_per_second");
            let (low, high) = spread(&rates);
            let rate = median(rates);
            if first.is_nan() {
                first = rate;
            }
            println!(
                "  {value:>18} {rate:>10.0} {:>19} {:>7.2} {:>9.0} {:>9.0} {:>9.0} {:>9.0}",
                format!("({low:.0}–{high:.0})"),
                rate / first,
                median(of("p50_us")),
                median(of("p99_us")),
                median(of("cpu_ns_per_operation")),
                median(of("resident_mib")),
            );
        }
    }
}
