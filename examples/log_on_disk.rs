//! A storage of one's own: a replica's log in a file, one line of JSON for each write, behind the key-value store. Three replicas are
//! stopped and started again from their files: state, sessions and log are back. `cargo run -p vsr-examples --example log_on_disk`.
//!
//! It shows what [`LogStorage`] asks for: writes durable in their order, each whole or not at all, and no word before they are. It syncs
//! every write and checks no more than a line's checksum; a storage for production groups writes and looks closer at damage.
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};
use tokio::task::JoinSet;
use vsr_actor::{
    Appended, Builder, InProcessNetwork, LogStorage, MemoryStorage, Persisted, ReplicaId, StorageError,
    vsr_core::{Entry, OpNumber, Piece, Record, Restored, Snapshot, Write, WriteId, checksum},
};
use vsr_kv::store::{Condition, Expiry, Operation, Reply, Store};

/// One write, as it is in the file.
#[derive(Serialize, Deserialize)]
struct Line {
    record: Option<Box<Record>>,
    reset: bool,
    snapshot: Option<Piece>,
    truncate_above: Option<OpNumber>,
    entries: Vec<Entry>,
    trim_through: Option<OpNumber>,
    commit: OpNumber,
}

impl Line {
    fn of(write: Write) -> io::Result<Self> {
        let Write { record, reset, snapshot, truncate_above, entries, trim_through, commit, .. } = write;
        // A snapshot is its header and its bytes; one piece holds both.
        let piece = |snapshot: Arc<Snapshot>| {
            let state = snapshot.state().read(0, usize::MAX).map_err(io::Error::other)?;
            let bytes = Bytes::from([&snapshot.protocol()[..], &state[..]].concat());
            Ok::<_, io::Error>(Piece { header: *snapshot.header(), offset: 0, bytes: bytes.into() })
        };
        let snapshot = snapshot.map(piece).transpose()?;
        let entries = entries.into_vec();
        Ok(Self { record, reset, snapshot, truncate_above, entries, trim_through, commit })
    }

    fn write(self) -> Option<Write> {
        let Self { record, reset, snapshot, truncate_above, entries, trim_through, commit } = self;
        let snapshot = match snapshot {
            Some(piece) => {
                let (protocol, mut state) = (piece.header.protocol_bytes as usize, piece.bytes.read().ok()?);
                let protocol = state.split_to(protocol.min(state.len()));
                Some(Arc::new(Snapshot::assemble(piece.header, protocol, state.into())?))
            }
            None => None,
        };
        let (id, entries) = (WriteId::default(), entries.into());
        Some(Write { id, record, reset, snapshot, truncate_above, entries, trim_through, commit })
    }

    fn text(&self) -> io::Result<String> {
        let json = serde_json::to_string(self)?;
        Ok(format!("{:016x} {json}\n", checksum(json.as_bytes())))
    }

    fn parse(text: &str) -> Option<Self> {
        let (sum, json) = text.split_once(' ')?;
        let whole = u64::from_str_radix(sum, 16).ok()? == checksum(json.as_bytes());
        whole.then(|| serde_json::from_str(json).ok())?
    }
}

/// The file, and its contents as they are after all its lines.
pub(crate) struct LogOnDisk {
    path: PathBuf,
    contents: MemoryStorage,
    writer: Option<mpsc::Sender<Write>>,
}

impl LogOnDisk {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), contents: MemoryStorage::default(), writer: None }
    }

    /// Reads the file. A last line without its end was never reported as durable: it is cut. Any other damage is refused.
    fn read(&mut self) -> Result<(), StorageError> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|error| self.failed("read", error))?,
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for (number, line) in text[..whole].lines().enumerate() {
            let Some(write) = Line::parse(line).and_then(Line::write) else {
                let (path, line) = (self.path.display(), number + 1);
                let what = format!(
                    "{path}: line {line} is damaged; remove nothing, restore the file or replace this replica"
                );
                return Err(StorageError::new(what));
            };
            self.contents.append(write)?;
        }
        Ok(())
    }

    fn failed(&self, what: &str, error: io::Error) -> StorageError {
        StorageError::caused_by(format!("cannot {what} {}: {error}", self.path.display()), error)
    }
}

#[async_trait::async_trait]
impl LogStorage for LogOnDisk {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        self.read()?;
        let restored = self.contents.open(persisted.clone()).await?;
        // What was cut is gone before anything is added, and the file begins with one line for all.
        let file = rewrite(&self.path, &restored).map_err(|error| self.failed("write", error))?;
        let (writer, writes) = mpsc::channel();
        let path = self.path.clone();
        // It ends when the replica lets go of its storage.
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(&path, file, writes, &persisted))
            .map_err(|error| self.failed("start a thread for", error))?;
        self.writer = Some(writer);
        Ok(restored)
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        let writer = self.writer.as_ref().ok_or_else(|| StorageError::new("the log is not open"))?;
        writer.send(write).map_err(|_| StorageError::new("the log's thread has ended"))?;
        Ok(Appended::Pending)
    }
}

/// The thread: a line for each write, synced, then reported. The file only grows; the next start begins it anew.
fn write_all(path: &Path, mut file: File, writes: mpsc::Receiver<Write>, persisted: &Persisted) {
    for write in writes {
        let id = write.id;
        let line = Line::of(write).and_then(|line| line.text());
        let done = line.and_then(|line| file.write_all(line.as_bytes())).and_then(|()| file.sync_data());
        match done {
            Ok(()) => persisted.advance(id),
            Err(error) => {
                // What is in the file now nobody knows: the replica stops, and reads it again when it starts.
                let what = format!("cannot write {}: {error}", path.display());
                return persisted.fail(StorageError::caused_by(what, error));
            }
        }
    }
}

/// Puts a file with everything in one line in the place of the old one.
fn rewrite(path: &Path, restored: &Restored) -> io::Result<File> {
    let Restored { record, snapshot, entries, commit, .. } = restored.clone();
    let all = Write {
        id: WriteId::default(),
        record: record.map(Box::new),
        reset: false,
        snapshot,
        truncate_above: None,
        entries: entries.into(),
        trim_through: None,
        commit,
    };
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(Line::of(all)?.text()?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    OpenOptions::new().append(true).open(path)
}

async fn set_and_count(directory: &Path, value: &str) -> Result<(Reply, Reply), Box<dyn Error>> {
    let ids = [0, 1, 2].map(ReplicaId);
    let network = InProcessNetwork::default();
    let (mut replicas, mut postmen) = (Vec::new(), JoinSet::new());
    for id in ids {
        let log = LogOnDisk::new(directory.join(format!("replica-{}.log", id.0)));
        let (transport, mut arrivals) = network.connect(id, 1024);
        let replica =
            Builder::new(id, ids, Store::default()).transport(transport).storage(log).start().await?;
        replicas.push(replica.clone());
        postmen.spawn(async move {
            while let Some(message) = arrivals.recv().await {
                replica.deliver(message);
            }
        });
    }
    let client = replicas[0].client();
    let key = Bytes::from_static(b"greeting");
    let value = Bytes::copy_from_slice(value.as_bytes());
    let old = client
        .request(Operation::Set {
            key,
            value,
            condition: Condition::Always,
            get: true,
            expiry: Expiry::Clear,
        })
        .await?;
    let count = client.request(Operation::Add { key: "runs".into(), delta: 1 }).await?;
    for replica in replicas {
        replica.shutdown().await?;
    }
    Ok((old, count))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("vsr-log-on-disk-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    assert_eq!(set_and_count(&directory, "hello").await?, (Reply::Nil, Reply::Int(1)));
    // Every replica is gone. What is left is three files.
    assert_eq!(set_and_count(&directory, "again").await?, (Reply::Bulk("hello".into()), Reply::Int(2)));
    // A crash in the middle of a write leaves half a line: it was never reported as durable, so nobody misses it.
    let torn = directory.join("replica-0.log");
    OpenOptions::new().append(true).open(&torn)?.write_all(b"0123456789abcdef {\"rec")?;
    assert_eq!(set_and_count(&directory, "still").await?, (Reply::Bulk("again".into()), Reply::Int(3)));
    // Damage inside of the log is refused, with what to do.
    let text = fs::read_to_string(&torn)?.replacen("\"reset\":false", "\"reset\":true ", 1);
    fs::write(&torn, text)?;
    let error = set_and_count(&directory, "never").await.expect_err("the line does not match its checksum");
    println!("as it should: {error}");
    fs::remove_dir_all(&directory)?;
    Ok(())
}
