//! Kill -9 of the leader under load: how long until a write is acknowledged again. Three processes, every write flushed; those of openraft
//! are in memory, which spares them the flushes.

mod writers;

use crate::{
    options::{Build, Places},
    servers::{self, Group, System, TimeoutIs, Timers},
};
use std::{collections::BTreeMap, fmt::Write};
use vsr_benches::results::{Machine, Measured, Results, median, spread};
use writers::Writers;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    build: Build,
    /// How often a leader is killed, for each system and preset.
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// Leave out all but these systems.
    #[arg(long, value_delimiter = ',', default_values = ["vsr-kv", "openraft", "openraft-low", "etcd"])]
    only: Vec<String>,
    /// Leave out all but these presets of the timers.
    #[arg(long, value_delimiter = ',', default_values = ["fast", "default", "slow"])]
    presets: Vec<String>,
    #[arg(long, default_value_t = 16)]
    writers: usize,
    #[command(flatten)]
    places: Places,
}

/// Timers of this project; the others get the same. etcd demands that the time-out be at least five times the interval. openraft is told a
/// least and a most, and is measured twice: with our time-out as its least, the way its defaults are written (150 to 300 ms, those of the
/// fast preset), and with our time-out as its most, which suits it better.
const PRESETS: [(&str, Timers); 3] = [
    ("fast", Timers { heartbeat_ms: 30, timeout_ms: 150 }),
    ("default", Timers { heartbeat_ms: 100, timeout_ms: 500 }),
    ("slow", Timers { heartbeat_ms: 200, timeout_ms: 1000 }),
];
/// What etcd has by itself.
const ETCD_DEFAULT: (&str, Timers) = ("etcd's default", Timers { heartbeat_ms: 100, timeout_ms: 1000 });
/// After the time-out, a new primary is to acknowledge a write within this.
const GOAL_MS: f64 = 50.0;
/// Before a leader is killed.
const WRITES: u64 = 1000;

pub(crate) async fn run(options: Options) -> Result<(), String> {
    let all = [
        System::VsrKv { program: options.build.vsr_kv.clone() },
        System::Openraft(TimeoutIs::Least),
        System::Openraft(TimeoutIs::Most),
        System::Etcd,
    ];
    let wanted = |system: &&System| options.only.contains(&system.key().to_owned());
    let (systems, absent) = servers::installed(all.iter().filter(wanted))?;
    let mut measured = Vec::new();
    for system in &systems {
        let presets = PRESETS.into_iter().filter(|(name, _)| options.presets.contains(&(*name).to_owned()));
        let own = (*system == System::Etcd).then_some(ETCD_DEFAULT);
        for (name, timers) in presets.chain(own) {
            eprintln!("{system}, {name}: {} times", options.times);
            measured.extend(measure(system, name, timers, &options).await?);
        }
    }
    let results = Results { machine: Machine::this(), measured };
    println!("{}", results.machine);
    println!(
        "kill -9 of the leader under {} writers, all at the leader; a writer that is cut off goes on at the next member after 5 ms, and so does one without an answer for 50 to 200 ms; from the kill to the first write that began after it and was acknowledged",
        options.writers
    );
    println!(
        "time-outs: vsr-kv waits for the one given, etcd for one to two of it; openraft draws one to two of it (low: a half to one), which begins when a lease of its most is over; it is in memory, and starts anew after each kill"
    );
    absent.iter().for_each(|absent| println!("{absent}"));
    print!("{}", table(&results.measured));
    options.places.write(&results)
}

/// One group, of which one leader after the other is killed and started again.
async fn measure(
    system: &System,
    preset: &str,
    timers: Timers,
    options: &Options,
) -> Result<Vec<Measured>, String> {
    let wrong = |error: String| format!("{system}, {preset}: {error}");
    let directory = options.places.fresh()?;
    let mut group = Group::start(system, directory.path(), timers).await?;
    let mut all = Vec::new();
    for round in 1..=options.times {
        let gap_ms = kill(&mut group, options.writers).await.map_err(wrong)?;
        let parameters = [
            ("preset", preset.to_owned()),
            ("heartbeat_ms", timers.heartbeat_ms.to_string()),
            ("timeout_ms", timers.timeout_ms.to_string()),
            ("writers", options.writers.to_string()),
        ];
        let beyond_ms = gap_ms - timers.timeout_ms as f64;
        let figures = [("gap_ms", gap_ms), ("beyond_timeout_ms", beyond_ms)];
        all.push(Measured {
            bench: "failover".to_owned(),
            system: system.to_string(),
            parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            figures: figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            round,
        });
    }
    Ok(all)
}

/// Kills the leader; milliseconds until a write is acknowledged by another. Afterwards the group is whole again.
async fn kill(group: &mut Group, count: usize) -> Result<f64, String> {
    loop {
        let leader = group.leader().await?;
        let mut writers = Writers::start(&group.doors(), leader, count);
        writers.acknowledged(WRITES).await?;
        if group.leader().await? != leader {
            // On a machine that is too busy another may have taken over: nobody would miss the one that led.
            continue;
        }
        let killed = writers.killing(leader);
        group.kill(leader).await?;
        let first = writers.first_after().await?;
        drop(writers);
        group.restart(leader).await?;
        return Ok((first - killed).as_secs_f64() * 1e3);
    }
}

fn table(measured: &[Measured]) -> String {
    let mut by: BTreeMap<(u64, String, String), Vec<f64>> = BTreeMap::new();
    for it in measured {
        let timeout = it.parameters["timeout_ms"].parse().unwrap_or(0);
        let preset = it.parameters["preset"].clone();
        by.entry((timeout, preset, it.system.clone())).or_default().push(it.figure("gap_ms"));
    }
    let mut text = format!(
        "\n{:<16} {:>11} {:<20} {:>3} {:>9} {:>17} {:>17}\n",
        "preset", "time-out ms", "system", "n", "median ms", "(low–high)", "beyond time-out"
    );
    let mut judged = String::new();
    for ((timeout, preset, system), gaps) in &by {
        let (low, high) = spread(gaps);
        let (count, middle) = (gaps.len(), median(gaps.clone()));
        let beyond = middle - *timeout as f64;
        let _ = writeln!(
            text,
            "{preset:<16} {timeout:>11} {system:<20} {count:>3} {middle:>9.0} {:>17} {beyond:>14.0} ms",
            format!("({low:.0}–{high:.0})")
        );
        if system.starts_with("vsr-kv") {
            let said = |holds| if holds { "holds" } else { "MISSES" };
            let _ = writeln!(
                judged,
                "target  {preset}: beyond the time-out ≤ {GOAL_MS} ms: {beyond:.0} ms  {}",
                said(beyond <= GOAL_MS)
            );
            let peers = [System::Openraft(TimeoutIs::Least), System::Openraft(TimeoutIs::Most), System::Etcd];
            for peer in peers {
                let rank = if peer == System::Openraft(TimeoutIs::Least) { "must" } else { "target" };
                let other = peer.to_string();
                let Some(others) = by.get(&(*timeout, preset.clone(), other.clone())) else { continue };
                let theirs = median(others.clone());
                let _ = writeln!(
                    judged,
                    "{rank:<6}  {preset}: median below that of {other} at equal timers: {middle:.0} < {theirs:.0} ms  {}",
                    said(middle < theirs)
                );
            }
        }
    }
    text + "\n" + &judged
}
