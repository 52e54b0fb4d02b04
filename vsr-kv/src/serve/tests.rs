//! What is told of a replica before anybody can ask it, and while its disk is full.

use super::{
    Flags, Options,
    admin::{self, Admin},
    exposure,
    state::{Phase, State},
};
use crate::store::{Operation, Store};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use vsr_actor::{
    Appended, Builder, DnsAddresses, LogStorage, MemoryStorage, Persisted, ReplicaId, StorageError, Tcp,
    TcpConfig,
    vsr_core::{Restored, Write},
};

#[test]
fn who_can_be_reached_from_other_machines_is_told_port_by_port() {
    let here: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    let here_6: SocketAddr = "[::1]:2".parse().expect("an address");
    for open in ["0.0.0.0:3", "10.0.0.7:4", "[::]:5", "[fe80::1]:6"] {
        let open: SocketAddr = open.parse().expect("an address");
        for (peers, redis, admin, has_password, told) in [
            (here, here_6, here, false, &[][..]),
            (here_6, here, here_6, true, &[]),
            (open, here, here, true, &["asks nobody who he is: whoever reaches it can change the data"]),
            (here, open, here, true, &["the password and the data travel in the clear"]),
            (here, open, here, false, &["no --requirepass: whoever reaches it can read and change the data"]),
            (here, here, open, false, &["sees the state of the group, no data"]),
            (open, open, open, false, &["port for replicas", "no --requirepass", "the admin port"]),
        ] {
            let warnings: Vec<_> = exposure(peers, redis, admin, has_password).collect();
            assert_eq!(warnings.len(), told.len(), "{warnings:?}");
            for ((address, warning), told) in warnings.into_iter().zip(told) {
                assert!(address == open && warning.contains(told), "{address}: {warning}");
            }
        }
    }
}

/// A storage that has no room while the test says so, and tells it as the one of a directory does.
#[derive(Clone, Default)]
struct Narrow(Arc<Disk>);

#[derive(Default)]
struct Disk {
    content: Mutex<Content>,
    stuck: Notify,
}

#[derive(Default)]
struct Content {
    kept: MemoryStorage,
    is_full: bool,
    waiting: Vec<Write>,
    persisted: Persisted,
}

impl Narrow {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.content.lock().expect("no panic")
    }

    fn make_room(&self) {
        let mut content = self.content();
        content.is_full = false;
        for write in std::mem::take(&mut content.waiting) {
            let id = write.id;
            content.kept.append(write).expect("memory takes all");
            content.persisted.advance(id);
        }
    }
}

#[async_trait::async_trait]
impl LogStorage for Narrow {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        self.content().persisted = persisted;
        Ok(Restored::default())
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        let mut content = self.content();
        if !content.is_full {
            return content.kept.append(write);
        }
        content.waiting.push(write);
        content.persisted.stalled(StorageError::new("the log cannot grow"));
        self.0.stuck.notify_one();
        Ok(Appended::Pending)
    }
}

/// The settings of a group of one.
fn alone() -> Options {
    let peer = vec!["0=127.0.0.1:1".parse().expect("a peer")];
    let flags = Flags { id: Some(0), peer, data: Some("unused".into()), ..Flags::default() };
    flags.complete().expect("complete")
}

async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port")
}

/// The status code and the body that the admin port answers with.
async fn get(admin: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("an open connection");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, body.to_owned())
}

#[tokio::test]
async fn a_replica_whose_disk_is_full_is_worth_keeping_but_not_ready_until_there_is_room() {
    let (options, id, disk) = (alone(), ReplicaId(0), Narrow::default());
    let config = TcpConfig::of(&options.config, id, [id]);
    let book = DnsAddresses::new([(id, "127.0.0.1:1".to_owned())]);
    let tcp = Tcp::listen(listener().await, config, book).expect("valid settings");
    let state = Arc::new(State::new(&options, Arc::new(tcp)));
    let port = listener().await;
    let admin = port.local_addr().expect("a bound socket");
    let mut served = JoinSet::new();
    served.spawn(admin::serve(port, Admin { state: state.clone(), metrics: None }));
    let starting = get(admin, "/readyz").await;
    assert!(starting.0 == 503 && starting.1.starts_with("starting"), "{starting:?}");

    let replica = Builder::new(id, [id], Store::default()).storage(disk.clone()).start().await;
    let replica = replica.expect("it is new");
    state.enter(Phase::Running(replica.clone()));
    let client = replica.client();
    client.request(Operation::Size).await.expect("there is room");
    let fine = (200, "ok\n".to_owned());
    assert_eq!(get(admin, "/readyz").await, fine);

    for _ in 0..2 {
        disk.content().is_full = true;
        let waits = client.try_submit(Operation::Size).expect("the window has room");
        disk.0.stuck.notified().await;
        let full = get(admin, "/readyz").await;
        assert_eq!(full, (503, "the storage waits for room: the log cannot grow\n".to_owned()));
        assert_eq!(get(admin, "/healthz").await, fine, "another process would find the same disk");
        let told = get(admin, "/status").await.1;
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(
            (&told["ready"], &told["storage"]["stalled"]),
            (&false.into(), &"the log cannot grow".into())
        );
        disk.make_room();
        waits.await.expect("nobody has to ask again");
        assert_eq!(get(admin, "/readyz").await, fine);
    }
}
