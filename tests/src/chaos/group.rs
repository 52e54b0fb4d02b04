//! A group of processes: their directories, ports and peers.

use super::{
    disk::SmallDisk,
    proxy::Network,
    replica::{Replica, tail},
};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How long a replica may take to be ready, the network being bad in between.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Group {
    pub(super) root: PathBuf,
    pub(super) replicas: Vec<Replica>,
    pub(super) network: Arc<Network>,
    pub(super) small_disks: BTreeMap<usize, SmallDisk>,
}

/// How the replicas are started.
pub(super) struct Setting<'a> {
    pub(super) program: &'a Path,
    pub(super) root: &'a Path,
    pub(super) replicas: usize,
    pub(super) seed: u64,
    /// Operations between two snapshots.
    pub(super) snapshot_interval: u64,
    /// Replicas whose disks can be filled, if the system lets us mount.
    pub(super) small_disks: &'a [usize],
}

impl Group {
    /// Makes directories, proxies and small disks. Nothing runs yet. The second value is why there are no small disks.
    pub(super) async fn new(setting: Setting<'_>) -> io::Result<(Self, Option<String>)> {
        let Setting { program, root, replicas, seed, snapshot_interval, small_disks } = setting;
        fs::create_dir_all(root)?;
        let ports = free_ports(replicas * 3)?;
        let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listen: Vec<_> = ports.iter().take(replicas).copied().map(at).collect();
        let network = Arc::new(Network::start(&listen, seed).await?);
        let mut group =
            Self { root: root.to_owned(), replicas: Vec::new(), network, small_disks: BTreeMap::new() };
        let mut why_not = None;
        for id in 0..replicas {
            let mut data = root.join(format!("replica-{id}"));
            if small_disks.contains(&id) {
                match SmallDisk::mount(&data) {
                    Ok(disk) => {
                        group.small_disks.insert(id, disk);
                        data = data.join("data");
                    }
                    Err(error) => why_not = Some(error.to_string()),
                }
            }
            let (redis, admin) = (at(ports[replicas + id]), at(ports[2 * replicas + id]));
            let mut arguments: Vec<OsString> = vec!["serve".into()];
            let mut flag = |name: &str, value: &dyn ToString| {
                arguments.extend([name.into(), value.to_string().into()]);
            };
            flag("--id", &id);
            for (peer, own) in listen.iter().enumerate() {
                // Whoever dials, dials a proxy.
                let address = if peer == id { *own } else { group.network.address(id, peer) };
                flag("--peer", &format!("{peer}={address}"));
            }
            flag("--redis", &redis);
            flag("--admin", &admin);
            flag("--cluster-id", &1);
            flag("--snapshot-interval", &snapshot_interval);
            flag("--heartbeat-interval", &"50ms");
            flag("--heartbeat-timeout", &"250ms");
            flag("--deadline", &"2s");
            arguments.extend(["--data".into(), data.clone().into_os_string()]);
            let log = root.join(format!("replica-{id}.log"));
            group.replicas.push(Replica {
                program: program.to_owned(),
                arguments,
                data,
                log,
                redis,
                admin,
                child: None,
            });
        }
        Ok((group, why_not))
    }

    pub(super) fn start_all(&mut self) -> io::Result<()> {
        self.replicas.iter_mut().filter(|replica| replica.child.is_none()).try_for_each(Replica::start)
    }

    /// As if the power were gone.
    pub(super) async fn kill_all(&mut self) -> io::Result<()> {
        // First all signals, then the waiting.
        for replica in &mut self.replicas {
            if let Some(child) = &mut replica.child {
                child.start_kill()?;
            }
        }
        for replica in &mut self.replicas {
            replica.kill().await?;
        }
        Ok(())
    }

    /// Waits until all are ready; how long that took.
    pub(super) async fn all_ready(&mut self) -> Result<Duration, String> {
        let began = std::time::Instant::now();
        for id in 0..self.replicas.len() {
            self.ready(id).await?;
        }
        Ok(began.elapsed())
    }

    pub(super) async fn ready(&mut self, id: usize) -> Result<(), String> {
        let replica = &mut self.replicas[id];
        match replica.ready(READY_WITHIN).await {
            Ok(_) => Ok(()),
            Err(told) => {
                Err(format!("replica {id}: {told}; the end of its log:\n{}", tail(&replica.log, 12)))
            }
        }
    }
}

/// The primary of the highest view that anybody speaks of; the first replica, if nobody is.
pub(super) async fn primary(replicas: &[SocketAddr]) -> usize {
    let mut found = (0, 0);
    for (id, admin) in replicas.iter().enumerate() {
        let Some(status) = super::replica::status(*admin).await else { continue };
        let protocol = &status["protocol"];
        let view = protocol["view"].as_u64().unwrap_or(0);
        if protocol["is_primary"] == true && view >= found.0 {
            found = (view, id);
        }
    }
    found.1
}

/// Ports below those that the system gives to whoever asks for any.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let first = std::process::id() as u16 % 1000 * 12;
    let port = |step: u16| 20_000 + (first + step) % 12_000;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let ports: Vec<_> = (0..12_000).map(port).filter(is_free).take(count).collect();
    if ports.len() == count { Ok(ports) } else { Err(io::Error::other("there are too few free ports")) }
}
