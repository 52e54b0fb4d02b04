//! What is done with a write, step by step: snapshot, frame, flush, record, and only then what nobody needs any more is given up. On the
//! writer's thread; it knows nothing of threads itself, so that a test can take every step.

use super::{
    Durability, batch,
    files::{Files, failed, is_no_room},
    format::{FrameHeader, Identity, SECTOR, SnapshotName, frame_bytes},
    marker,
    segment::{self, Order, Segment},
    shelf::{self, Shelf, name_of},
    slots::{Slot, Slots},
};
use crate::StorageError;
use std::{
    collections::VecDeque,
    io, mem,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use vsr_core::{Entry, OpNumber, Record, Write};

/// How a directory is used.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) durability: Durability,
    pub(super) segment_bytes: u64,
    /// Whether a thread prepares the next segment while this one is used.
    pub(super) prepare_ahead: bool,
    /// Names this boot of the machine.
    pub(super) boot: Option<String>,
}

/// Why a batch was not written.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no room. Nothing of it is in the log: it may be tried again.
    NoRoom(StorageError),
    /// Nobody knows what is on the disk now (rule F6).
    Failed(StorageError),
}

/// A flush of the log, for whoever counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flush {
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) files: Arc<dyn Files>,
    pub(super) options: Options,
    pub(super) slots: Slots,
    /// The record that is durable. None in a directory that was never used.
    pub(super) record: Option<Record>,
    /// Segments before this one count for nothing.
    pub(super) log_from: u64,
    pub(super) journal: Journal,
    pub(super) shelf: Shelf,
    /// The number of the last frame, or of the last record that was written without one.
    pub(super) sequence: u64,
    /// What holds after the last frame.
    pub(super) now: Sum,
    /// The number of the next segment that is prepared.
    pub(super) next_number: u64,
    /// Segments to be given up when the next one is prepared.
    pub(super) retired: Vec<String>,
    /// Whether there are files that the first frame of a new log makes useless.
    pub(super) stale: bool,
    pub(super) ahead: Ahead,
    /// Whether the next frame is the first of its segment.
    pub(super) begins: bool,
    /// Bytes that were written and not flushed.
    pub(super) unflushed: u64,
    /// The last frame that is known to be flushed.
    pub(super) flushed: u64,
    /// Since they were last taken.
    pub(super) flushes: Vec<Flush>,
}

/// Where frames go.
#[derive(Debug)]
pub(super) enum Journal {
    /// Nowhere, yet.
    None {
        /// The log was lost: until one takes its place there is nothing to write to it.
        lost: bool,
    },
    Open(Tail),
}

/// The end of the log.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) segment: Segment,
    pub(super) offset: u64,
    /// The highest op of an entry in it.
    pub(super) op: OpNumber,
    /// Checksum of the last frame's header.
    pub(super) chain: u64,
    /// The segments before, the oldest first, with the highest op in each.
    pub(super) older: VecDeque<(u64, OpNumber)>,
}

/// What every frame says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) commit: OpNumber,
    pub(super) trim: OpNumber,
    pub(super) snapshot: SnapshotName,
}

impl Sum {
    fn add(&mut self, write: &Write) {
        if write.reset {
            *self = Self::default();
        }
        if let Some(snapshot) = &write.snapshot {
            self.snapshot = name_of(snapshot);
        }
        self.trim = self.trim.max(write.trim_through.unwrap_or_default());
        self.commit = self.commit.max(write.commit);
    }
}

/// The next segment.
#[derive(Debug)]
pub(super) enum Ahead {
    None,
    Ready(Segment),
    UnderWay(JoinHandle<io::Result<Segment>>),
}

impl Ahead {
    /// Waits for it, if it is under way.
    fn take(&mut self) -> Option<io::Result<Segment>> {
        match mem::replace(self, Self::None) {
            Self::None => None,
            Self::Ready(segment) => Some(Ok(segment)),
            Self::UnderWay(thread) => {
                Some(thread.join().unwrap_or_else(|_| Err(io::Error::other("preparing a segment panicked"))))
            }
        }
    }
}

/// Nobody writes to the directory any more when this is dropped.
impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.ahead.take());
    }
}

impl Engine {
    /// Makes writes durable as one: all of them, or nothing.
    pub(super) fn write(&mut self, batch: &[Write]) -> Result<(), Fault> {
        let record = self.next_record(batch)?;
        let Some(known) = record.as_ref().or(self.record.as_ref()) else {
            let what = "the first write of a storage must hold the record of whose it is";
            return Err(Fault::Failed(StorageError::new(what)));
        };
        let identity = Identity::of(known);
        if matches!(self.journal, Journal::None { lost: true }) && !batch.iter().any(|write| write.reset) {
            // A replica without a log has only promises.
            return record.map_or(Ok(()), |record| {
                self.sequence += 1;
                self.keep_record(record)
            });
        }
        let mut sum = self.now;
        for write in batch {
            sum.add(write);
            if let Some(snapshot) = &write.snapshot {
                let put = self.shelf.put(snapshot, &identity);
                put.map_err(|error| self.short_of_room("keep a snapshot in", error))?;
            }
        }
        let mut payload = Vec::new();
        batch.iter().for_each(|write| batch::put(&mut payload, write));
        self.make_room(frame_bytes(payload.len()), identity)?;
        self.append(&payload, sum, batch)?;
        if record.is_some() || self.begins || self.options.durability == Durability::Sync {
            self.flush().map_err(Fault::Failed)?;
        }
        // With the number of a segment's first frame beside the record, no segment can go without being missed.
        let begins = mem::take(&mut self.begins);
        if let Some(record) = record.or_else(|| self.record.clone().filter(|_| begins)) {
            self.keep_record(record)?;
        }
        self.give_up()
    }

    /// The last record of a batch. It may only grow (rule F4).
    fn next_record(&self, batch: &[Write]) -> Result<Option<Record>, Fault> {
        let mut last = self.record.as_ref();
        for next in batch.iter().filter_map(|write| write.record.as_ref()) {
            let grows = last.is_none_or(|last| {
                Identity::of(last).is_same(&Identity::of(next))
                    && last.view <= next.view
                    && last.log_view <= next.log_view
                    && last.formed <= next.formed
            });
            if !grows {
                let what =
                    format!("the record may not fall back from {last:?} to {next:?}: please report it");
                return Err(Fault::Failed(StorageError::new(what)));
            }
            last = Some(next);
        }
        Ok(batch.iter().rev().find_map(|write| write.record.as_deref().cloned()))
    }

    /// Sees to it that a frame of so many bytes fits at the end of the log.
    fn make_room(&mut self, bytes: usize, identity: Identity) -> Result<(), Fault> {
        if let Journal::Open(tail) = &self.journal
            && tail.offset + bytes as u64 <= tail.segment.bytes
        {
            return Ok(());
        }
        self.flush().map_err(Fault::Failed)?;
        let segment = self.next_segment(SECTOR as u64 + bytes as u64, identity)?;
        let mut tail =
            Tail { segment, offset: SECTOR as u64, op: OpNumber(0), chain: 0, older: VecDeque::new() };
        if let Journal::Open(before) = mem::replace(&mut self.journal, Journal::None { lost: false }) {
            tail.chain = before.chain;
            tail.older = before.older;
            tail.older.push_back((before.segment.number, before.op));
        }
        self.journal = Journal::Open(tail);
        self.begins = true;
        if self.options.prepare_ahead {
            let (order, files) = (self.order(identity), self.files.clone());
            self.ahead = match thread::Builder::new()
                .name("vsr-log-ahead".into())
                .spawn(move || order.prepare(&*files))
            {
                Ok(thread) => Ahead::UnderWay(thread),
                // Then it is prepared when it is needed.
                Err(_) => Ahead::None,
            };
        }
        Ok(())
    }

    fn next_segment(&mut self, needed: u64, identity: Identity) -> Result<Segment, Fault> {
        let number = self.next_number;
        let ready = self
            .ahead
            .take()
            .transpose()
            .map_err(|error| self.short_of_room("prepare a segment in", error))?;
        if ready.is_some() {
            self.retired.clear();
        }
        let segment = match ready {
            Some(segment) if segment.bytes >= needed => segment,
            // A single frame may be larger than a segment is by default.
            _ => {
                let mut order = self.order(identity);
                order.bytes = order.bytes.max(needed).next_multiple_of(SECTOR as u64);
                let prepared = order.prepare(&*self.files);
                let segment = prepared.map_err(|error| self.short_of_room("prepare a segment in", error))?;
                self.retired.clear();
                segment
            }
        };
        self.next_number = number + 1;
        Ok(segment)
    }

    /// The next segment, and what may be given up for it.
    fn order(&mut self, identity: Identity) -> Order {
        // What follows the older of two snapshots stays: the newer one may turn out to be damaged.
        let keep = self.now.trim.min(self.shelf.older());
        if let Journal::Open(tail) = &mut self.journal {
            // The log's last frame is in the segment before as long as there is none in this one.
            let end = usize::from(tail.offset == SECTOR as u64);
            while tail.older.len() > end
                && let Some((number, _)) = tail.older.front().filter(|(_, op)| *op <= keep)
            {
                self.retired.push(segment::name(*number));
                tail.older.pop_front();
            }
        }
        let bytes = self.options.segment_bytes.next_multiple_of(SECTOR as u64).max(2 * SECTOR as u64);
        Order { identity, number: self.next_number, bytes, retired: self.retired.clone() }
    }

    /// Writes a frame.
    fn append(&mut self, payload: &[u8], sum: Sum, batch: &[Write]) -> Result<(), Fault> {
        let Journal::Open(tail) = &mut self.journal else { return Ok(()) };
        let header = FrameHeader {
            sequence: self.sequence + 1,
            flushed: self.flushed,
            previous: tail.chain,
            payload_bytes: payload.len() as u32,
            payload_sum: vsr_core::checksum(payload),
            commit: sum.commit,
            trim: sum.trim,
            snapshot: sum.snapshot,
        };
        let (frame, chain) = header.frame(payload);
        let name = segment::name(tail.segment.number);
        let written = tail.segment.file.write_at(tail.offset, &frame);
        written.map_err(|error| Fault::Failed(failed(&*self.files, "write", &name, error)))?;
        if batch.iter().any(|write| write.reset) {
            // What was there before is void.
            tail.older.iter_mut().for_each(|(_, op)| *op = OpNumber(0));
        }
        let ops = batch.iter().flat_map(|write| &write.entries).map(Entry::last);
        tail.op = ops.fold(tail.op, OpNumber::max);
        tail.offset += frame.len() as u64;
        tail.chain = chain;
        self.unflushed += frame.len() as u64;
        self.sequence += 1;
        self.now = sum;
        Ok(())
    }

    /// What was written is durable.
    pub(super) fn flush(&mut self) -> Result<(), StorageError> {
        let Journal::Open(tail) = &self.journal else { return Ok(()) };
        if self.unflushed == 0 {
            return Ok(());
        }
        let began = Instant::now();
        let name = segment::name(tail.segment.number);
        tail.segment.file.sync().map_err(|error| failed(&*self.files, "flush", &name, error))?;
        self.flushes.push(Flush { bytes: mem::take(&mut self.unflushed), took: began.elapsed() });
        self.flushed = self.sequence;
        Ok(())
    }

    /// The record where it is found when the log is not.
    fn keep_record(&mut self, record: Record) -> Result<(), Fault> {
        let slot = Slot { sequence: self.sequence, log_from: self.log_from, record };
        let kept = self.slots.write(&*self.files, &slot);
        kept.map_err(|error| Fault::Failed(failed(&*self.files, "write", "record", error)))?;
        self.record = Some(slot.record);
        Ok(())
    }

    /// Removes what the frame that is flushed now has replaced.
    fn give_up(&mut self) -> Result<(), Fault> {
        let remove = |error| Fault::Failed(failed(&*self.files, "remove old files from", "", error));
        if let (true, Journal::Open(tail)) = (self.stale, &self.journal) {
            for name in self.files.list().map_err(remove)? {
                let is_old = segment::number(&name).is_some_and(|number| number < tail.segment.number);
                if is_old || shelf::is_snapshot(&name) && !self.shelf.holds(&name) {
                    self.files.remove(&name).map_err(remove)?;
                }
            }
            self.stale = false;
        }
        if self.now.snapshot.op.0 > 0 {
            self.shelf.retire(self.now.snapshot).map_err(remove)?;
        }
        Ok(())
    }

    /// A clean end: all is flushed.
    pub(super) fn close(&mut self) -> Result<(), StorageError> {
        self.flush()?;
        drop(self.ahead.take());
        if self.options.durability == Durability::Sync {
            return Ok(());
        }
        marker::clear(&*self.files).map_err(|error| failed(&*self.files, "mark a clean end in", "", error))
    }

    fn short_of_room(&self, what: &str, error: io::Error) -> Fault {
        let no_room = is_no_room(&error);
        let error = failed(&*self.files, what, "", error);
        if no_room { Fault::NoRoom(error) } else { Fault::Failed(error) }
    }
}
