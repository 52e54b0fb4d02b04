//! A replica that has committed something else than its group is told from the others, and says so (decision 13).

use crate::common::{Journal, add, read};
use std::time::Duration;
use tokio::{task::JoinSet, time::timeout};
use vsr_actor::{
    Appended, Builder, Handle, Health, InProcessNetwork, LogStorage, MemoryStorage, Persisted, ReplicaError,
    ReplicaId, StorageError,
    vsr_core::{OpNumber, Restored, StopReason, Write},
};

/// A storage into which somebody may have copied the log of another group: its record stays its own.
struct Disk {
    own: MemoryStorage,
    foreign: Option<MemoryStorage>,
}

#[async_trait::async_trait]
impl LogStorage for Disk {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        let own = self.own.open(persisted.clone()).await?;
        match &mut self.foreign {
            None => Ok(own),
            Some(foreign) => Ok(Restored { record: own.record, ..foreign.open(persisted).await? }),
        }
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        self.own.append(write)
    }
}

/// What another group has committed: a session, and one operation.
async fn foreign_log() -> MemoryStorage {
    let (id, kept) = (ReplicaId(0), MemoryStorage::default());
    let builder = Builder::new(id, [id], Journal::default()).storage(kept.clone());
    let replica = builder.start().await.expect("it is new");
    assert_eq!(add(&replica.client(), 99).await, Ok(1));
    replica.shutdown().await.expect("nothing failed");
    kept
}

/// Three replicas in one process, as a cluster has them, on storages that can be changed.
#[derive(Default)]
struct Group {
    network: InProcessNetwork,
    pumps: JoinSet<()>,
}

impl Group {
    async fn start(&mut self, id: ReplicaId, storage: Disk) -> Handle<Journal> {
        let (transport, mut arrived) = self.network.connect(id, 1024);
        let builder = Builder::new(id, [0, 1, 2].map(ReplicaId), Journal::default());
        let started = builder.transport(transport).storage(storage).start().await;
        let replica = started.expect("the storage fits together");
        let to = replica.clone();
        self.pumps.spawn(async move {
            while let Some(message) = arrived.recv().await {
                to.deliver(message);
            }
        });
        replica
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_whose_log_was_changed_stops_and_the_others_go_on() {
    let (mut group, kept) = (Group::default(), [(); 3].map(|()| MemoryStorage::default()));
    let ids = [0, 1, 2].map(ReplicaId);
    let own = |id: ReplicaId| Disk { own: kept[id.0 as usize].clone(), foreign: None };
    let mut replicas = Vec::new();
    for id in ids {
        replicas.push(group.start(id, own(id)).await);
    }
    let client = replicas[1].client();
    for item in 1..=3 {
        assert_eq!(add(&client, item).await, Ok(item));
    }
    replicas.pop().expect("three").shutdown().await.expect("nothing failed");
    let foreign = Some(foreign_log().await);
    let changed = group.start(ids[2], Disk { foreign, ..own(ids[2]) }).await;
    // What it hears does not follow its log: it waits for what is behind that.
    assert_eq!(add(&client, 4).await, Ok(4));
    assert!(changed.status().health.is_running());
    // The next view comes with the group's log.
    replicas.remove(0).shutdown().await.expect("it hands over");
    let ended = timeout(Duration::from_secs(60), changed.join()).await.expect("it stops");
    let Err(ReplicaError::Fenced(StopReason::Divergence { op })) = ended else {
        panic!("{:?}", changed.status())
    };
    assert_eq!(op, OpNumber(2), "the end of what is committed there");
    let Health::Failed(error) = changed.status().health else { panic!("{:?}", changed.status()) };
    assert!(error.to_string().contains("this replica's storage was changed"), "{error}");
    let _again = group.start(ids[0], own(ids[0])).await;
    assert_eq!(add(&client, 5).await, Ok(5));
    assert_eq!(read(&client).await, [1, 2, 3, 4, 5]);
}
