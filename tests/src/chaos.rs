//! `vsr-test chaos`: replicas that are processes, on disks and behind sockets, and everything that happens to such. What their clients saw
//! is checked: nothing acknowledged may be lost, and one machine must have been able to say what all of them said.

mod disk;
mod group;
mod history;
mod kill_all;
mod model;
mod nemesis;
mod plan;
mod proxy;
mod replica;
mod resp;
#[cfg(test)]
mod tests;
mod verify;
mod workload;

use group::{Group, Setting};
use nemesis::{Deeds, Nemesis, weather};
use plan::{Counts, Plan};
use std::{
    error::Error,
    future::pending,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use verify::Verdict;
use workload::{Clients, Shared};

/// What is done to which replicas, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long clients work and things break. Fractions are allowed.
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// The seed of the plan; drawn from the system's entropy if absent. The plan is the same then, but not the moments of a busy machine.
    #[arg(long)]
    seed: Option<u64>,
    /// How many replicas.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=9))]
    replicas: u8,
    /// How many clients, each with one operation under way.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..))]
    clients: u8,
    /// In place of chaos: kills all processes at once so many times, under load, and measures how long they take to be back.
    #[arg(long, value_name = "TIMES")]
    kill_all: Option<u32>,
    /// With --kill-all: so many operations are done before, and no snapshot is taken.
    #[arg(long, requires = "kill_all", default_value_t = 0)]
    operations: u64,
    /// The program; `vsr-kv` beside this program if absent.
    #[arg(long)]
    bin: Option<PathBuf>,
    /// Where the replicas keep their data and logs; a directory for temporary files if absent. It is removed if all went well.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Breaks the promise on purpose: succeeds if that is found.
    #[arg(long, value_enum, conflicts_with = "kill_all")]
    broken: Option<Broken>,
}

/// What is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Broken {
    /// All disks are put back to what they were some time ago.
    RolledBack,
    /// Clients read what the replica at hand has, and take it for the latest.
    StaleReads,
}

/// The longest rest of a client between two operations, in microseconds: what matters is what happens while things break, not how much.
const REST_MAX: u64 = 20_000;
/// Operations between two snapshots: few, so that many are taken, sent and damaged.
const SNAPSHOT_INTERVAL: u64 = 2000;

impl Arguments {
    pub(crate) fn run(self) -> ExitCode {
        let runtime = match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error),
        };
        match runtime.block_on(self.chaos()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => failed(&*error),
        }
    }

    async fn chaos(self) -> Result<bool, Box<dyn Error>> {
        let program = match &self.bin {
            Some(path) => path.clone(),
            None => beside_this_program()?,
        };
        let seed = self.seed.unwrap_or_else(crate::entropy);
        let temporary = || std::env::temp_dir().join(format!("vsr-chaos-{seed}-{}", std::process::id()));
        let root = self.dir.clone().unwrap_or_else(temporary);
        if root.exists() {
            return Err(format!("{} is there already: a run begins with nothing", root.display()).into());
        }
        let problems = match self.kill_all {
            Some(times) => kill_all::run(&program, &root, &self, times, seed).await?,
            None => self.anything_may_break(&program, &root, seed).await?,
        };
        for problem in &problems {
            println!("FAILED: {problem}");
        }
        if self.broken.is_some() {
            println!(
                "{}",
                if problems.is_empty() { "FAILED: nobody noticed" } else { "found, as it should be" }
            );
        }
        if problems.is_empty() || self.broken.is_some() {
            // Small disks are gone by now.
            std::fs::remove_dir_all(&root)?;
        } else {
            println!("directories and logs: {}", root.display());
            println!("again: {}", self.command(seed));
        }
        Ok(problems.is_empty() != self.broken.is_some())
    }

    fn command(&self, seed: u64) -> String {
        let mut command = format!(
            "cargo run --release -p vsr-test -- chaos --replicas {} --clients {} --seed {seed}",
            self.replicas, self.clients
        );
        command += &match self.kill_all {
            Some(times) => format!(" --kill-all {times} --operations {}", self.operations),
            None => format!(" --minutes {}", self.minutes),
        };
        command
    }

    async fn anything_may_break(
        &self,
        program: &Path,
        root: &Path,
        seed: u64,
    ) -> Result<Vec<String>, Box<dyn Error>> {
        let replicas = usize::from(self.replicas);
        let time = Duration::try_from_secs_f64(self.minutes * 60.0)?;
        // The last ones, a minority: where room runs out at more, nothing is acknowledged anyway.
        let small: Vec<_> = (replicas - (replicas - 1) / 2..replicas).collect();
        let snapshot_interval = SNAPSHOT_INTERVAL;
        let setting = Setting { program, root, replicas, seed, snapshot_interval, small_disks: &small };
        let (mut group, why_not) = Group::new(setting).await?;
        println!("{replicas} replicas of {}, seed {seed}, {:.1} minutes", program.display(), self.minutes);
        println!("network: a proxy for each direction of each pair; no privileges needed");
        match why_not {
            None => println!("full disks: replicas {small:?} have a tmpfs of their own"),
            Some(reason) => {
                println!("full disks: left out, for a small file system cannot be mounted here: {reason}")
            }
        }
        let disks: Vec<_> = group.small_disks.keys().copied().collect();
        let plan = Plan::new(seed, replicas, time, &disks);
        group.start_all()?;
        group.all_ready().await?;
        let stale = self.broken == Some(Broken::StaleReads);
        let addresses: Vec<_> = group.replicas.iter().map(|replica| replica.redis).collect();
        let admins: Vec<_> = group.replicas.iter().map(|replica| replica.admin).collect();
        let shared = Arc::new(Shared::new(addresses, REST_MAX, stale));
        let clients = Clients::start(&shared, usize::from(self.clients), seed);
        let network = group.network.clone();
        let (end, mut storms) = (Instant::now() + time, Counts::default());
        let deeds = if self.broken == Some(Broken::RolledBack) {
            roll_back(&mut group, time).await?
        } else {
            let mut nemesis = Nemesis { group: &mut group, deeds: Deeds::default() };
            let storm = async {
                weather(&network, &admins, &plan.weather, end, &mut storms).await;
                pending::<()>().await;
            };
            // The first problem is the end, also of the bad weather.
            tokio::select! {
                () = nemesis.run(&plan.faults, end) => {}
                () = storm => {}
            }
            nemesis.deeds
        };
        let mut problems = deeds.problems.clone();
        let mut converged = None;
        if problems.is_empty() {
            match verify::converge(&mut group).await {
                Ok(time) => converged = Some(time),
                Err(problem) => problems.push(problem),
            }
        }
        clients.stop().await;
        let verdict =
            if problems.is_empty() { Some(verify::final_reads(&group, &shared).await) } else { None };
        group.kill_all().await?;
        let carried = network.bytes();
        drop(group);
        let shared = Arc::into_inner(shared).ok_or("clients have ended")?;
        let verdict = Verdict::of(shared.history, verdict.transpose(), &mut problems);
        println!("{verdict}");
        println!("processes and disks: {}", deeds.counts);
        println!("network: {storms}; {} MiB carried", carried >> 20);
        println!(
            "damaged files: {}, of them refused at the start and put back: {}",
            deeds.damages.iter().filter(|told| !told.starts_with(' ')).count(),
            deeds.refused
        );
        if !problems.is_empty() {
            deeds.damages.iter().for_each(|told| println!("  {told}"));
        }
        if let Some(time) = converged {
            println!("all replicas ready {:.0} ms after everything was healed", time.as_secs_f64() * 1e3);
        }
        Ok(problems)
    }
}

/// Puts the disks of all replicas back to what they were before: what was acknowledged since is gone.
async fn roll_back(group: &mut Group, time: Duration) -> Result<Deeds, Box<dyn Error>> {
    for lasts in [time / 2, time / 2] {
        tokio::time::sleep(lasts).await;
        group.kill_all().await?;
        for id in 0..group.replicas.len() {
            let (data, copy) = (group.replicas[id].data.clone(), group.root.join(format!("copy-{id}")));
            if copy.exists() {
                disk::copy(&copy, &data)?;
            } else {
                disk::copy(&data, &copy)?;
            }
        }
        group.start_all()?;
        group.all_ready().await?;
    }
    Ok(Deeds::default())
}

fn beside_this_program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(format!("vsr-kv{}", std::env::consts::EXE_SUFFIX));
    if path.exists() {
        return Ok(path);
    }
    let text =
        format!("there is no {}: cargo build --release -p vsr-kv, or name it with --bin", path.display());
    Err(io::Error::new(io::ErrorKind::NotFound, text))
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
