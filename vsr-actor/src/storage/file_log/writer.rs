//! The thread that writes. Everything that waits becomes one frame, with one flush.

use super::{
    Durability,
    engine::{Engine, Fault},
    lock::Lock,
};
use crate::{Persisted, StorageError};
use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use vsr_core::{Entry, Write};

/// A frame takes no more writes when it has so many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// How long to wait for room before the next attempt.
pub(super) const ROOM_RETRY: Duration = Duration::from_millis(200);

/// The thread's owner. When it is dropped what waits is not written any more; the thread ends with the flush that is under way, and the
/// directory is locked until then.
pub(super) struct Writer {
    writes: Option<Sender<Write>>,
    abandoned: Arc<Abandoned>,
    ended: Option<oneshot::Receiver<()>>,
}

/// Whether the owner is gone.
#[derive(Default)]
pub(super) struct Abandoned {
    is: Mutex<bool>,
    told: Condvar,
}

impl Abandoned {
    pub(super) fn tell(&self) {
        *self.is.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }

    /// Waits, but not for longer than `time`.
    fn wait(&self, time: Duration) -> bool {
        let guard = self.is.lock().unwrap_or_else(PoisonError::into_inner);
        *self.told.wait_timeout_while(guard, time, |is| !*is).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Writer {
    pub(super) fn start(engine: Engine, lock: Lock, persisted: Persisted) -> io::Result<Self> {
        let (mut work, writes) = Work::new(engine, persisted);
        let (end, ended) = oneshot::channel();
        let abandoned = work.abandoned.clone();
        thread::Builder::new().name("vsr-log".into()).spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(|| work.run()));
            let error = ended
                .unwrap_or_else(|_| Err(StorageError::new("the log's writer panicked: please report it")));
            if let Err(error) = error {
                work.persisted.fail(error);
            }
            // The directory is free when nobody writes to it any more.
            drop(work);
            drop(lock);
            drop(end);
        })?;
        Ok(Self { writes: Some(writes), abandoned, ended: Some(ended) })
    }

    /// Hands a write over. False if the thread has ended.
    pub(super) fn append(&self, write: Write) -> bool {
        self.writes.as_ref().is_some_and(|writes| writes.send(write).is_ok())
    }

    /// Waits until all is written and flushed.
    pub(super) async fn close(&mut self) {
        self.writes = None;
        if let Some(ended) = &mut self.ended {
            // It says nothing; it ends.
            let _ = ended.await;
        }
        self.ended = None;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.abandoned.tell();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

/// What the thread does.
pub(super) struct Work {
    engine: Engine,
    persisted: Persisted,
    waiting: Receiver<Write>,
    pub(super) abandoned: Arc<Abandoned>,
    /// When the log is flushed, if it is neither at once nor never.
    pub(super) flush_at: Option<Instant>,
}

impl Work {
    pub(super) fn new(engine: Engine, persisted: Persisted) -> (Self, Sender<Write>) {
        let (writes, waiting) = mpsc::channel();
        (Self { engine, persisted, waiting, abandoned: Arc::default(), flush_at: None }, writes)
    }

    /// Writes what is handed over, until there will be no more.
    pub(super) fn run(&mut self) -> Result<(), StorageError> {
        while let Some(first) = self.next()? {
            let batch = self.batch(first);
            if !self.write(&batch)? {
                return Ok(());
            }
        }
        self.engine.close()?;
        self.report();
        Ok(())
    }

    /// Waits for a write, and flushes meanwhile when it is time. None: there will be no more.
    fn next(&mut self) -> Result<Option<Write>, StorageError> {
        loop {
            let Some(at) = self.flush_at else { return Ok(self.waiting.recv().ok()) };
            match self.waiting.recv_timeout(at.saturating_duration_since(Instant::now())) {
                Ok(write) => return Ok(Some(write)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    self.engine.flush()?;
                    self.flush_at = None;
                    self.report();
                }
            }
        }
    }

    /// What waits, as far as a frame has room for it.
    fn batch(&self, first: Write) -> Vec<Write> {
        let bytes = |write: &Write| write.entries.iter().map(Entry::bytes).sum::<usize>();
        let mut held = bytes(&first);
        let mut batch = vec![first];
        while held < BATCH_BYTES
            && let Ok(write) = self.waiting.try_recv()
        {
            held += bytes(&write);
            batch.push(write);
        }
        batch
    }

    /// Writes a batch; waits for room as long as there is none. False if nobody wants it any more.
    pub(super) fn write(&mut self, batch: &[Write]) -> Result<bool, StorageError> {
        while !self.abandoned.wait(Duration::ZERO) {
            match self.engine.write(batch) {
                Ok(()) => {
                    let last = batch.last().expect("a batch has a first write");
                    self.report();
                    self.persisted.advance(last.id);
                    if let Durability::Interval(interval) = self.engine.options.durability
                        && self.engine.unflushed > 0
                    {
                        self.flush_at.get_or_insert_with(|| Instant::now() + interval);
                    }
                    return Ok(true);
                }
                Err(Fault::Failed(error)) => return Err(error),
                Err(Fault::NoRoom(error)) => {
                    self.persisted.stalled(error);
                    self.abandoned.wait(ROOM_RETRY);
                }
            }
        }
        Ok(false)
    }

    fn report(&mut self) {
        for flush in self.engine.flushes.drain(..) {
            self.persisted.flushed(flush.bytes, flush.took);
        }
    }
}
