//! A busy group alone, and beside a thousand groups that have nothing to do, in turns: two processes, of which one rests.

use crate::{
    child::{self, Asked},
    group::{Groups, Load, Table, Work, said, seconds},
};
use std::{io::BufRead, path::PathBuf, time::Duration};
use vsr_actor::{Client, Config};
use vsr_benches::results::{Machine, Measured, Results, median, spread};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Groups of three that have nothing to do.
    #[arg(long, default_value_t = 1000)]
    groups: u64,
    /// Pairs of measurements.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// How long each is, after a warm-up of half a second.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Clients of the busy group with one operation under way each.
    #[arg(long, default_value_t = 256)]
    clients: usize,
    /// Where the figures go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Once {
    #[arg(long)]
    groups: u64,
    #[arg(long)]
    clients: usize,
    #[arg(long)]
    seconds: f64,
}

const WORK: Work = Work { keys: 16_384, value_bytes: 64 };
const WARM_UP: Duration = Duration::from_millis(500);
/// Until the intervals of idle groups have grown to what they will be.
const SETTLE: Duration = Duration::from_secs(12);
/// At least so much of its throughput a busy group keeps.
const GOAL: f64 = 0.95;

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let Options { groups, rounds, seconds, clients, json } = options;
    let machine = Machine::this();
    println!("{machine}");
    println!(
        "a busy group of three in memory, {clients} clients, 2 workers; alone, and beside {groups} idle groups; {rounds} pairs of {seconds} s"
    );
    let start = |groups: u64| {
        let arguments = format!("idle-once --groups {groups} --clients {clients} --seconds {seconds}");
        Asked::start(&arguments.split(' ').map(str::to_owned).collect::<Vec<_>>())
    };
    let (mut alone, mut beside) = (start(0)?, start(*groups)?);
    // Not counted: they answer when all groups are there, and the idle ones quiet.
    beside.figures()?;
    alone.figures()?;
    let (mut measured, mut ratios, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=*rounds {
        // Each goes first as often as the other.
        let first_is_alone = round % 2 == 1;
        let one = if first_is_alone { alone.figures()? } else { beside.figures()? };
        let other = if first_is_alone { beside.figures()? } else { alone.figures()? };
        let (by_itself, among) = if first_is_alone { (one, other) } else { (other, one) };
        for (count, figures) in [(0, by_itself), (*groups, among)] {
            let parameters = [
                ("idle_groups", count.to_string()),
                ("clients", clients.to_string()),
                ("workers", "2".to_owned()),
                ("window", "1024".to_owned()),
            ];
            measured.push(Measured {
                bench: "idle-groups".to_owned(),
                system: "vsr".to_owned(),
                parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
                figures,
                round,
            });
        }
        if let [.., alone, beside] = measured.as_slice() {
            let both = |figure| [alone, beside].map(|it: &Measured| it.figure(figure));
            let ([rate, among], [cost, dearer]) =
                (both("operations_per_second"), both("cpu_ns_per_operation"));
            println!(
                "{rate:>10.0} ops/s alone {among:>10.0} beside: {:.3}; {cost:>6.0} ns of processor time an operation alone {dearer:>6.0} beside: {:.3}",
                among / rate,
                dearer / cost
            );
            ratios.push(among / rate);
            costs.push(dearer / cost);
        }
    }
    println!("processor time an operation: {:.3} (median)", median(costs));
    let (low, high) = spread(&ratios);
    let middle = median(ratios);
    let word = if middle >= GOAL { "holds" } else { "MISSED" };
    println!("median {middle:.3} ({low:.3}–{high:.3}); must be at least {GOAL}: {word}");
    json.as_ref().map_or(Ok(()), |path| Results { machine, measured }.write(path))
}

/// Starts the groups, and measures the busy one for each line that is read.
pub(crate) fn once(options: &Once) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let state = |group| if group == 0 { Table::for_keys(WORK.keys) } else { Table::for_keys(1) };
    let groups = runtime.block_on(Groups::start(options.groups + 1, Config::default(), state))?;
    let busy = groups.clients().first().ok_or("there is no group")?;
    std::thread::sleep(SETTLE);
    for line in std::io::stdin().lock().lines() {
        line.map_err(said)?;
        // Spawned: what drives the load runs on a worker, like everything else.
        runtime.block_on(runtime.spawn(load(busy.clone(), *options))).map_err(said)??;
    }
    Ok(())
}

async fn load(busy: Client<Table>, options: Once) -> Result<(), String> {
    let mut load = Load::start((0..options.clients).map(|_| busy.clone()), WORK)?;
    tokio::time::sleep(WARM_UP).await;
    let figures = load.measure_for(seconds(options.seconds)?).await?;
    load.stop().await?;
    child::tell(&figures)
}
