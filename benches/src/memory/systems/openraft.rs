//! What the drivers of both versions of openraft say in the same words of types that differ: hence a macro.
//!
//! Choices: as in upstream's benchmark the network is a function call to the other replica's handle, a payload has up to 1024 entries,
//! and clients call `client_write` of the leader. A snapshot every 100 000 entries, which is a copy of the table, trims the log to
//! 10 000. Replica 0 is made leader by `initialize`; clients begin when all replicas have applied its first entry, as upstream's do. A
//! leader is called so before: 0.10 refuses writes until a quorum has confirmed it.

/// The group, its client, and the router between its replicas: of the crate, and of the type of a replica's handle.
macro_rules! group {
    ($openraft:ident, $replica:ty) => {
        const REPLICAS: [u64; 3] = [0, 1, 2];

        pub(super) struct Group {
            leader: $replica,
        }

        impl super::Running for Group {
            type Client = OneClient;

            async fn start() -> Result<Self, String> {
                let config = $openraft::Config {
                    // A replica that gets no processor for a while is not to be taken for dead.
                    election_timeout_min: 1000,
                    election_timeout_max: 2000,
                    max_payload_entries: 1024,
                    purge_batch_size: 1024,
                    snapshot_policy: $openraft::SnapshotPolicy::LogsSinceLast(super::LOG_MAX as u64),
                    max_in_snapshot_log_to_keep: super::LOG_MAX as u64 / 10,
                    ..Default::default()
                };
                let config = std::sync::Arc::new(config.validate().map_err(said)?);
                let router = Router::default();
                let mut replicas = Vec::new();
                for id in REPLICAS {
                    let (log, machine) = (Log::default(), Machine::default());
                    let replica = $openraft::Raft::new(id, config.clone(), router.clone(), log, machine);
                    replicas.push(replica.await.map_err(said)?);
                }
                router.replicas.set(replicas.clone()).map_err(|_| "a router is filled once")?;
                let members = std::collections::BTreeSet::from(REPLICAS);
                replicas[0].initialize(members).await.map_err(said)?;
                for replica in &replicas {
                    // The first entry is the list of members, the second the leader's own.
                    let wait = replica.wait(Some(std::time::Duration::from_secs(10)));
                    wait.applied_index_at_least(Some(1), "initialized").await.map_err(said)?;
                }
                Ok(Self { leader: replicas.swap_remove(0) })
            }

            fn client(&self) -> OneClient {
                OneClient(self.leader.clone())
            }
        }

        pub(super) struct OneClient($replica);

        impl crate::memory::workload::Client for OneClient {
            async fn put(&mut self, put: crate::memory::workload::Put) -> Result<u64, String> {
                self.0.client_write(put).await.map(|written| written.data).map_err(said)
            }
        }

        fn said(error: impl std::fmt::Display) -> String {
            error.to_string()
        }

        /// Finds the other replicas: all are in this process.
        #[derive(Clone, Default)]
        struct Router {
            replicas: std::sync::Arc<std::sync::OnceLock<Vec<$replica>>>,
        }

        impl $openraft::RaftNetworkFactory<Types> for Router {
            type Network = Way;

            async fn new_client(&mut self, target: u64, (): &()) -> Way {
                Way { router: self.clone(), target }
            }
        }

        struct Way {
            router: Router,
            target: u64,
        }

        impl Way {
            fn replica(&self) -> Result<&$replica, std::io::Error> {
                let found =
                    self.router.replicas.get().and_then(|replicas| replicas.get(self.target as usize));
                found.ok_or_else(|| std::io::Error::other("it has not started yet"))
            }
        }
    };
}

pub(super) use group;
