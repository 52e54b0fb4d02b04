//! What `serve` is told: flags, or a file with the same names. A flag wins over the file.

use super::{Peer, StoredWhen, peers::cluster_of};
use crate::{dev, server};
use serde::Deserialize;
use std::{
    fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::runtime::{self, Runtime};
use vsr_actor::{Config, ConfigError, ReplicaId, vsr_core::ClusterId};

/// The flags of `vsr-kv serve`, and the keys of its file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Flags {
    /// Takes the settings that are not given as flags from this file: TOML, with the names of the flags as keys.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Which of the peers this replica is.
    #[arg(long)]
    pub id: Option<u32>,
    /// A member of the group and where it listens for the others, as `0=127.0.0.1:7400`; once for each, this one included. All replicas
    /// must be told the same members, and the number of a member never becomes that of another.
    #[arg(long, value_name = "ID=HOST:PORT")]
    pub peer: Vec<Peer>,
    /// Where to listen for the other replicas, if not at the own address among the peers.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Where to listen for clients. Default: 127.0.0.1:6379.
    #[arg(long, value_name = "HOST:PORT")]
    pub redis: Option<String>,
    /// Where to listen for people, probes and Prometheus: /status, /healthz, /readyz, /metrics. Default: 127.0.0.1:8400.
    #[arg(long, value_name = "HOST:PORT")]
    pub admin: Option<String>,
    /// The directory of this replica: made at its first start, and needed at each later one.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// When an operation counts as stored: `sync` (when the disk has it), `interval=100ms` (in memory, flushed that often), `none` (in
    /// memory). Default: sync.
    #[arg(long, value_name = "MODE")]
    pub durability: Option<StoredWhen>,
    /// After how many operations a snapshot is taken. Fewer: a start reads less; more: the disk writes less. Default: 131072.
    #[arg(long, value_name = "N")]
    pub snapshot_interval: Option<u64>,
    /// How many threads serve clients and the other replicas; the log has one of its own. With one an operation costs the least. More
    /// help where that one is always busy and processors are idle. Default: 1.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// The name of the cluster: a number, the same for all replicas. Default: computed from the list of peers.
    #[arg(long, value_name = "N")]
    pub cluster_id: Option<u64>,
    /// The password that clients must give first. Better in the file: other users of the machine see flags.
    #[arg(long, value_name = "PASSWORD")]
    pub requirepass: Option<server::Password>,
    /// How often the primary speaks. Default: 100ms.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde")]
    pub heartbeat_interval: Option<Duration>,
    /// How long a backup waits for its primary before it votes for another. Default: 500ms.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde")]
    pub heartbeat_timeout: Option<Duration>,
    /// How long a request may take before its client gets an error. Default: 10s.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde")]
    pub deadline: Option<Duration>,
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The file cannot be read.
    #[error("the file {} of --config cannot be read: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not TOML, has a key that is none, or a value that does not fit.
    #[error("the file {} of --config: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        error: toml::de::Error,
    },
    /// Something was not told.
    #[error("{name} is missing: give --{name}, or `{name} = …` in the file of --config")]
    Missing {
        /// What.
        name: &'static str,
    },
    /// Two peers have the same number.
    #[error("there are two peers {id}: each has a number of its own")]
    PeerTwice {
        /// Which.
        id: u32,
    },
    /// This replica is not among the peers.
    #[error(
        "the id is {id}, but the peers are {known}: give this replica's own address, too, as --peer {id}=HOST:PORT"
    )]
    NotAPeer {
        /// The id.
        id: u32,
        /// The peers.
        known: String,
    },
    /// A number that breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Settings that are complete and fit together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Which replica this is.
    pub id: ReplicaId,
    /// All members, in the order of their numbers.
    pub peers: Vec<Peer>,
    /// Where to listen for them.
    pub listen: String,
    /// Where to listen for clients.
    pub redis: String,
    /// Where to listen for people and probes.
    pub admin: String,
    /// Where the replica keeps what it must not forget.
    pub data: PathBuf,
    /// When an operation counts as stored.
    pub durability: StoredWhen,
    /// How many threads serve clients and the other replicas.
    pub threads: NonZeroUsize,
    /// Everything else that the replica is told.
    pub config: Config,
    /// What connections of clients are told.
    pub settings: server::Settings,
}

impl Flags {
    /// Reads the file, if there is one, and takes from it what the flags leave open.
    ///
    /// # Errors
    /// See [`OptionsError`].
    pub fn complete(mut self) -> Result<Options, OptionsError> {
        if let Some(path) = self.config.take() {
            self = self.over(Self::read(&path)?);
        }
        self.options()
    }

    fn read(path: &Path) -> Result<Self, OptionsError> {
        let path = path.to_owned();
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| OptionsError::File { path, error }),
            Err(error) => Err(OptionsError::Unreadable { path, error }),
        }
    }

    fn over(self, file: Self) -> Self {
        Self {
            config: None,
            id: self.id.or(file.id),
            // As one thing: half a group from here and half from there is none.
            peer: if self.peer.is_empty() { file.peer } else { self.peer },
            listen: self.listen.or(file.listen),
            redis: self.redis.or(file.redis),
            admin: self.admin.or(file.admin),
            data: self.data.or(file.data),
            durability: self.durability.or(file.durability),
            snapshot_interval: self.snapshot_interval.or(file.snapshot_interval),
            threads: self.threads.or(file.threads),
            cluster_id: self.cluster_id.or(file.cluster_id),
            requirepass: self.requirepass.or(file.requirepass),
            heartbeat_interval: self.heartbeat_interval.or(file.heartbeat_interval),
            heartbeat_timeout: self.heartbeat_timeout.or(file.heartbeat_timeout),
            deadline: self.deadline.or(file.deadline),
        }
    }

    fn options(self) -> Result<Options, OptionsError> {
        let missing = |name| OptionsError::Missing { name };
        let id = self.id.ok_or(missing("id"))?;
        let mut peers = self.peer;
        if peers.is_empty() {
            return Err(missing("peer"));
        }
        peers.sort_unstable();
        if let Some(twice) = peers.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(OptionsError::PeerTwice { id: twice[0].id.0 });
        }
        let Some(own) = peers.iter().find(|peer| peer.id.0 == id) else {
            let known = peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(OptionsError::NotAPeer { id, known });
        };
        let mut config = dev::config();
        config.cluster = self.cluster_id.map_or_else(|| cluster_of(&peers), ClusterId);
        config.heartbeat_interval = self.heartbeat_interval.unwrap_or(config.heartbeat_interval);
        config.heartbeat_timeout = self.heartbeat_timeout.unwrap_or(config.heartbeat_timeout);
        config.client.deadline = self.deadline.unwrap_or(config.client.deadline);
        let limits = &mut config.limits;
        limits.snapshot_interval_ops = self.snapshot_interval.unwrap_or(limits.snapshot_interval_ops);
        config.validate()?;
        Ok(Options {
            id: ReplicaId(id),
            listen: self.listen.unwrap_or_else(|| own.address.clone()),
            redis: self.redis.unwrap_or_else(|| "127.0.0.1:6379".to_owned()),
            admin: self.admin.unwrap_or_else(|| "127.0.0.1:8400".to_owned()),
            data: self.data.ok_or(missing("data"))?,
            durability: self.durability.unwrap_or_default(),
            threads: self.threads.unwrap_or(NonZeroUsize::MIN),
            config,
            settings: server::Settings { requirepass: self.requirepass, ..server::Settings::default() },
            peers,
        })
    }
}

impl Options {
    /// What [`Serve::start`](super::Serve::start) is to run on.
    ///
    /// # Errors
    /// When the system has no threads left, or no descriptors.
    pub fn runtime(&self) -> io::Result<Runtime> {
        // One thread that is not one of a pool: nobody is woken to see whether there is something to steal.
        let mut runtime = match self.threads.get() {
            1 => runtime::Builder::new_current_thread(),
            several => {
                let mut runtime = runtime::Builder::new_multi_thread();
                runtime.worker_threads(several);
                runtime
            }
        };
        runtime.enable_all().build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn flags(line: &str) -> Flags {
        Line::try_parse_from(format!("serve {line}").split_whitespace()).expect(line).flags
    }

    fn file(text: &str) -> Flags {
        toml::from_str(text).expect("a good file")
    }

    const GROUP: &str = "--peer 0=a:1 --peer 1=b:1 --peer 2=c:1";

    #[test]
    fn flags_and_file_have_the_same_names_and_mean_the_same() {
        let line = "--id 1 --peer 0=a:1 --peer 1=b:1 --listen 0.0.0.0:1 --redis [::]:6400 --admin 127.0.0.1:0 --data d \
            --durability interval=100ms --snapshot-interval 9 --threads 4 --cluster-id 7 --requirepass secret --heartbeat-interval 20ms \
            --heartbeat-timeout 100ms --deadline 2s";
        let text = r#"
            id = 1
            peer = ["0=a:1", "1=b:1"]
            listen = "0.0.0.0:1"
            redis = "[::]:6400"
            admin = "127.0.0.1:0"
            data = "d"
            durability = "interval=100ms"
            snapshot-interval = 9
            threads = 4
            cluster-id = 7
            requirepass = "secret"
            heartbeat-interval = "20ms"
            heartbeat-timeout = "100ms"
            deadline = "2s"
        "#;
        assert_eq!(flags(line), file(text));
        assert!(!format!("{:?}", flags(line)).contains("secret"), "a password is not shown");
        let options = flags(line).complete().expect("complete");
        assert_eq!((options.id, options.config.cluster), (ReplicaId(1), ClusterId(7)));
        assert_eq!(options.config.heartbeat_timeout, Duration::from_millis(100));
        assert_eq!(options.config.client.deadline, Duration::from_secs(2));
        assert_eq!(options.listen, "0.0.0.0:1");
        assert_eq!(options.threads.get(), 4);
    }

    #[test]
    fn it_runs_on_as_many_threads_as_it_was_told() {
        for (told, workers) in [("", 1), ("--threads 1", 1), ("--threads 3", 3)] {
            let options = flags(&format!("--id 0 {GROUP} --data d {told}")).complete().expect("complete");
            let runtime = options.runtime().expect("threads");
            assert_eq!(runtime.metrics().num_workers(), workers, "{told}");
            let several = runtime.handle().runtime_flavor() == runtime::RuntimeFlavor::MultiThread;
            assert_eq!(several, workers > 1, "{told}");
        }
        assert!(Line::try_parse_from(["serve", "--threads", "0"]).is_err(), "somebody has to serve");
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_peers_are_one_setting() {
        let both = flags("--id 2 --peer 2=x:9").over(file("id = 1\npeer = [\"1=b:1\"]\ndata = \"d\""));
        let options = both.options().expect("complete");
        assert_eq!((options.id.0, options.peers.len(), options.data), (2, 1, PathBuf::from("d")));
    }

    #[test]
    fn what_is_not_given_is_the_safe_choice() {
        let options = flags(&format!("--id 0 {GROUP} --data d")).complete().expect("complete");
        assert_eq!(options.durability.to_string(), "sync");
        assert_eq!((options.redis.as_str(), options.admin.as_str()), ("127.0.0.1:6379", "127.0.0.1:8400"));
        assert_eq!(options.listen, "a:1", "the own address among the peers");
        assert_eq!(options.config.cluster, cluster_of(&options.peers));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, told) in [
            (String::from(""), "id is missing: give --id"),
            ("--id 0".into(), "peer is missing"),
            (format!("--id 0 {GROUP}"), "data is missing"),
            (format!("--id 3 {GROUP} --data d"), "the id is 3, but the peers are 0=a:1, 1=b:1, 2=c:1"),
            (format!("--id 0 {GROUP} --peer 1=d:1 --data d"), "there are two peers 1"),
            (format!("--id 0 {GROUP} --data d --heartbeat-timeout 10ms"), "heartbeat_interval"),
        ] {
            let error = flags(&line).complete().expect_err(&line).to_string();
            assert!(error.contains(told), "{line}: {error}");
        }
    }

    #[test]
    fn a_file_with_a_key_that_is_none_is_refused_by_its_name() {
        for (text, told) in [
            ("id = 0\npears = []", "pears"),
            ("config = \"other.toml\"", "config"),
            ("id = \"zero\"", "id"),
            ("peer = [\"0=a\"]", "`0=a` is not like `0=127.0.0.1:7400`"),
            ("durability = \"often\"", "`often` is none of `sync`"),
            ("deadline = \"soon\"", "deadline"),
            ("id = ", "TOML parse error"),
        ] {
            let error = toml::from_str::<Flags>(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let error = flags("--config no/such/file.toml").complete().expect_err("there is none").to_string();
        assert!(error.contains("no/such/file.toml of --config cannot be read"), "{error}");
    }
}
