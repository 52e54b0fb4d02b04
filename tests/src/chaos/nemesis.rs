//! Carries a plan out: one task for processes and disks, one for the network.

use super::{
    disk,
    group::{Group, primary},
    plan::{Counts, Fault, Step, Victim, Weather},
    proxy::Network,
    replica::{Replica, tail},
};
use std::{net::SocketAddr, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// How long an orderly end may take: connections of clients end, another replica takes over.
const ORDERLY_END_WITHIN: Duration = Duration::from_secs(15);

/// What was done, and what went wrong while it was.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    pub(super) counts: Counts,
    /// Each damage, in words.
    pub(super) damages: Vec<String>,
    /// Damaged directories that the replica refused, with a reason, and that were put back from a copy made before.
    pub(super) refused: u64,
    pub(super) problems: Vec<String>,
}

pub(super) struct Nemesis<'a> {
    pub(super) group: &'a mut Group,
    pub(super) deeds: Deeds,
}

impl Nemesis<'_> {
    /// Carries out the faults, until `end` or the first problem.
    pub(super) async fn run(&mut self, faults: &[Step<Fault>], end: Instant) {
        for step in faults {
            let due = Instant::now() + step.after;
            if due >= end {
                return sleep_until(end).await;
            }
            sleep_until(due).await;
            self.deeds.counts.add(step.what.kind());
            if let Err(problem) = self.carry_out(&step.what, step.lasting).await {
                let problem = format!("{}: {problem}", step.what.kind());
                return self.deeds.problems.push(problem);
            }
            if let Err(problem) = self.look_for_the_dead() {
                return self.deeds.problems.push(problem);
            }
        }
    }

    async fn carry_out(&mut self, fault: &Fault, lasting: Duration) -> Result<(), String> {
        match fault {
            Fault::Kill(victim) => {
                let id = self.number(*victim).await;
                self.replica(id).kill().await.map_err(text)?;
                sleep(lasting).await;
                self.replica(id).start().map_err(text)?;
                self.group.ready(id).await
            }
            Fault::KillAll => {
                self.group.kill_all().await.map_err(text)?;
                sleep(lasting).await;
                self.group.start_all().map_err(text)?;
                self.group.all_ready().await.map(drop)
            }
            Fault::Pause(victim) => {
                let id = self.number(*victim).await;
                self.replica(id).signal("STOP").await.map_err(text)?;
                sleep(lasting).await;
                self.replica(id).signal("CONT").await.map_err(text)
            }
            Fault::RollingRestart => {
                for id in 0..self.group.replicas.len() {
                    self.replica(id).signal("TERM").await.map_err(text)?;
                    match self.replica(id).ended(ORDERLY_END_WITHIN).await.map_err(text)? {
                        Some(status) if status.success() => {}
                        Some(status) => {
                            return Err(format!("replica {id} ended with {status} when told to end"));
                        }
                        None => return Err(format!("replica {id} does not end when told to")),
                    }
                    self.replica(id).start().map_err(text)?;
                    self.group.ready(id).await?;
                }
                Ok(())
            }
            Fault::Damage(id, damage, chance) => {
                self.replica(*id).kill().await.map_err(text)?;
                self.damaged(*id, *damage, *chance).await
            }
            Fault::Fill(id) => {
                if let Some(disk) = self.group.small_disks.get(id) {
                    disk.fill().map_err(text)?;
                    sleep(lasting).await;
                    disk.empty().map_err(text)?;
                }
                self.group.ready(*id).await
            }
        }
    }

    /// Damages the directory of a replica that is down, and starts it. It comes back, or says why not and gets its directory back.
    async fn damaged(&mut self, id: usize, damage: super::plan::Damage, chance: u64) -> Result<(), String> {
        let copy = self.group.root.join(format!("copy-{id}"));
        let data = self.replica(id).data.clone();
        disk::copy(&data, &copy).map_err(text)?;
        let Some(told) = disk::damage(&data, damage, chance).map_err(text)? else {
            self.replica(id).start().map_err(text)?;
            return self.group.ready(id).await;
        };
        self.deeds.damages.push(format!("replica {id}: {told}"));
        self.replica(id).start().map_err(text)?;
        let Err(problem) = self.group.ready(id).await else { return Ok(()) };
        let status = self.replica(id).has_ended().map_err(text)?;
        let log = tail(&self.replica(id).log, 1);
        match status {
            Some(status) if status.code().is_some_and(|code| code != 0) && !log.contains("panicked") => {
                self.deeds.refused += 1;
                self.deeds.damages.push(format!("  refused, with {status}: {log}"));
                self.replica(id).kill().await.map_err(text)?;
                disk::copy(&copy, &data).map_err(text)?;
                self.replica(id).start().map_err(text)?;
                self.group.ready(id).await
            }
            _ => Err(format!("{told}: {problem}")),
        }
    }

    /// Nobody ends without having been told to.
    fn look_for_the_dead(&mut self) -> Result<(), String> {
        for (id, replica) in self.group.replicas.iter_mut().enumerate() {
            if let Some(status) = replica.has_ended().map_err(text)? {
                return Err(format!(
                    "replica {id} ended by itself with {status}:\n{}",
                    tail(&replica.log, 12)
                ));
            }
        }
        Ok(())
    }

    fn replica(&mut self, id: usize) -> &mut Replica {
        &mut self.group.replicas[id]
    }

    async fn number(&self, victim: Victim) -> usize {
        match victim {
            Victim::Number(number) => number,
            Victim::Primary => {
                let admins: Vec<_> = self.group.replicas.iter().map(|replica| replica.admin).collect();
                primary(&admins).await
            }
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Makes bad weather until `end`, and good weather then.
pub(super) async fn weather(
    network: &Network,
    admins: &[SocketAddr],
    steps: &[Step<Weather>],
    end: Instant,
    counts: &mut Counts,
) {
    for step in steps {
        let due = Instant::now() + step.after;
        if due >= end {
            break;
        }
        sleep_until(due).await;
        counts.add(step.what.kind());
        let primary = primary(admins).await;
        network.set(|from, to| step.what.link(primary, from, to));
        sleep_until((Instant::now() + step.lasting).min(end)).await;
        network.heal();
    }
    network.heal();
}
