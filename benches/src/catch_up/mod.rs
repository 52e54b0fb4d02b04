//! A replica that was away catches up while the others go on: with a large state by a snapshot from disk to disk, and far behind in
//! memory.

mod far_behind;
mod snapshot;
mod watch;

use crate::group::Figures;
use std::path::PathBuf;
use vsr_benches::results::{Machine, Measured, Results, median, spread};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// MiB of state that is snapshotted, sent and installed; 0: leave this out.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// Operations that a replica is behind; 0: leave this out.
    #[arg(long, default_value_t = 10_000_000)]
    behind: u64,
    /// How often each is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where the replicas keep their directories: the disk that is measured.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Where the figures go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// At most so many times as long as without a replica that catches up.
const GOAL: f64 = 2.0;

pub(crate) async fn run(options: Options) -> Result<(), String> {
    let machine = Machine::this();
    println!("{machine}");
    let mut measured = Vec::new();
    if options.mib > 0 {
        println!("\n{}", snapshot::what(options.mib));
        let rounds = snapshot::measure(options.mib, options.rounds, &options.directory).await?;
        measured.extend(results("snapshot", ("state_mib", options.mib), rounds));
    }
    if options.behind > 0 {
        println!("\n{}", far_behind::what(options.behind));
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            rounds.push(far_behind::measure(options.behind).await?);
        }
        measured.extend(results("far-behind", ("behind", options.behind), rounds));
    }
    options.json.as_ref().map_or(Ok(()), |path| Results { machine, measured }.write(path))
}

/// Prints the medians of all figures, in the order of their names, and makes results of them.
fn results(what: &str, (parameter, value): (&str, u64), rounds: Vec<Figures>) -> Vec<Measured> {
    let names = rounds.first().map(|figures| figures.keys().cloned().collect()).unwrap_or_default();
    let names: Vec<String> = names;
    for name in &names {
        let values: Vec<f64> = rounds.iter().filter_map(|figures| figures.get(name).copied()).collect();
        let (low, high) = spread(&values);
        let middle = median(values);
        let word = match name.as_str() {
            "p99_ratio" if middle <= GOAL => "  must be at most 2: holds",
            "p99_ratio" => "  must be at most 2: MISSED",
            _ => "",
        };
        println!("  {name:<32} {middle:>12.2} ({low:.2}–{high:.2}){word}");
    }
    let one = |(index, figures)| Measured {
        bench: "catch-up".to_owned(),
        system: "vsr".to_owned(),
        parameters: [("what".to_owned(), what.to_owned()), (parameter.to_owned(), value.to_string())].into(),
        figures,
        round: index + 1,
    };
    rounds.into_iter().enumerate().map(one).collect()
}
