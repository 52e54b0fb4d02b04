//! The path of a client: RESP with many connections and pipelines, driven by Redis's own `redis-benchmark`, beside Redis itself.

use crate::{
    options::{Build, Places},
    processes,
    report::Table,
    servers::{self, Running, System},
};
use std::collections::BTreeMap;
use tokio::process::Command;
use vsr_benches::results::{Machine, Measured, Results};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    build: Build,
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many connections.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200, 1000])]
    connections: Vec<usize>,
    /// How many requests of a connection are under way at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    pipeline: Vec<usize>,
    /// How many requests there are of each command; with a pipeline, four times as many.
    #[arg(long, default_value_t = 50_000)]
    requests: usize,
    #[command(flatten)]
    places: Places,
}

const BENCHMARK: &str = "redis-benchmark";
const COMMANDS: [&str; 3] = ["SET", "GET", "INCR"];

pub(crate) async fn run(options: Options) -> Result<(), String> {
    if !processes::is_installed(BENCHMARK) {
        println!("{BENCHMARK} is not installed: nothing is measured (it comes with redis-tools)");
        return Ok(());
    }
    let program = || options.build.vsr_kv.clone();
    let pairs = [
        [System::VsrKvInMemory { program: program() }, System::Redis { durable: false }],
        [System::VsrKv { program: program() }, System::Redis { durable: true }],
    ];
    let (systems, absent) = servers::installed(pairs.iter().flatten())?;
    let mut measured = Vec::new();
    for round in 1..=options.rounds {
        for system in &systems {
            eprintln!("round {round} of {}: {system}", options.rounds);
            measured.extend(measure(system, round, &options).await?);
        }
    }
    let results = Results { machine: Machine::this(), measured };
    println!("{}", results.machine);
    println!(
        "{BENCHMARK} (one thread) over 16384 keys, values of 64 bytes, to the leader; in memory (vsr-kv: three replicas in one process), then each write flushed (vsr-kv: three processes)"
    );
    absent.iter().for_each(|absent| println!("{absent}"));
    for pair in pairs {
        let names = pair.map(|system| system.to_string());
        let of_pair: Vec<Measured> =
            results.measured.iter().filter(|it| names.contains(&it.system)).cloned().collect();
        let load = |it: &Measured| {
            let of = |name: &str| it.parameters[name].clone();
            format!("{}, -c {} -P {}", of("command"), of("connections"), of("pipeline"))
        };
        print!("{}", Table::new(&of_pair, load).text());
    }
    options.places.write(&results)
}

/// All loads on one start of a system.
async fn measure(system: &System, round: usize, options: &Options) -> Result<Vec<Measured>, String> {
    let directory = options.places.fresh()?;
    let running = system.start(directory.path()).await?;
    running.fill().await?;
    let mut all = Vec::new();
    for connections in &options.connections {
        for pipeline in &options.pipeline {
            for command in COMMANDS {
                let requests = if *pipeline > 1 { 4 * options.requests } else { options.requests };
                let figures = benchmark(&running, command, *connections, *pipeline, requests).await;
                let parameters = [
                    ("command", command.to_owned()),
                    ("connections", connections.to_string()),
                    ("pipeline", pipeline.to_string()),
                    ("requests", requests.to_string()),
                ];
                all.push(Measured {
                    bench: "resp".to_owned(),
                    system: system.to_string(),
                    parameters: parameters
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                    figures: figures.map_err(|error| format!("{system}, {command}: {error}"))?,
                    round,
                });
            }
        }
    }
    Ok(all)
}

async fn benchmark(
    running: &Running,
    command: &str,
    connections: usize,
    pipeline: usize,
    requests: usize,
) -> Result<BTreeMap<String, f64>, String> {
    let port = running.redis_port().ok_or("it has no Redis port")?;
    let arguments = processes::flags([
        ("-p", port.to_string()),
        ("-c", connections.to_string()),
        ("-P", pipeline.to_string()),
        ("-n", requests.to_string()),
        ("-r", crate::load::KEYS.to_string()),
        ("-d", crate::load::VALUE_BYTES.to_string()),
        ("-t", command.to_lowercase()),
    ]);
    let before = running.processor_time();
    let said = Command::new(BENCHMARK).args(arguments).arg("--csv").kill_on_drop(true).output().await;
    let said = said.map_err(|error| format!("{BENCHMARK}: {error}"))?;
    let spent = running.processor_time().zip(before).map(|(after, before)| after - before);
    let text = String::from_utf8_lossy(&said.stdout);
    let mut figures = figures(&text, command)
        .ok_or_else(|| format!("{BENCHMARK} said {text} {}", String::from_utf8_lossy(&said.stderr)))?;
    if let Some(spent) = spent {
        figures.insert("cpu_us_per_operation".to_owned(), spent.as_secs_f64() * 1e6 / requests as f64);
    }
    Ok(figures)
}

/// From the lines of `--csv`: names, then values of the command.
fn figures(text: &str, command: &str) -> Option<BTreeMap<String, f64>> {
    let words = |line: &str| -> Vec<String> {
        line.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
    };
    let names = words(text.lines().find(|line| line.starts_with("\"test\""))?);
    let values = words(text.lines().find(|line| line.starts_with(&format!("\"{command}\"")))?);
    let value = |name: &str| values.get(names.iter().position(|it| it == name)?)?.parse::<f64>().ok();
    Some(BTreeMap::from([
        ("operations_per_second".to_owned(), value("rps")?),
        ("p50_ms".to_owned(), value("p50_latency_ms")?),
        ("p99_ms".to_owned(), value("p99_latency_ms")?),
    ]))
}
