//! Reading a log: which frames are good, where it ends, and whether that can be its end (rule F5).
//!
//! A frame is written only when the one before it was flushed, or where a crash of the machine costs the log in any case. So a frame that
//! can be told to be unfinished, because one of its sectors was never written, may be cut if it is the last: nobody was told of it.
//! Everything else that is not as it was written may have been a promise, and the log is suspect. So is a log that lacks a segment, or
//! goes on behind its end.

use super::{
    batch::{Contents, take_all},
    files::{DataFile, Files, failed},
    format::{BadPlate, FrameHeader, Identity, SECTOR, SegmentHeader, VERSION, is_stamped, is_zero},
    segment::{self, Segment},
};
use crate::StorageError;
use vsr_core::{Entry, OpNumber};

/// A log that can be trusted.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// All segments, the oldest first. Those behind the end are empty.
    pub(super) segments: Vec<Scanned>,
    /// The frames, added up.
    pub(super) contents: Contents,
    /// The numbers of the first and the last frame; 0 if there is none.
    pub(super) first: u64,
    pub(super) sequence: u64,
    /// Checksum of the last frame's header.
    pub(super) chain: u64,
    /// The segment that the end is in, by its position, and where in it.
    pub(super) end: (usize, u64),
    /// Where the first part of a frame begins that was never finished: the segment, and where in it.
    pub(super) torn: Option<(usize, u64)>,
}

/// A segment, with what is in it.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) segment: Segment,
    pub(super) identity: Identity,
    /// The highest op of an entry in it.
    pub(super) op: OpNumber,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Scan {
    Clean(Box<Log>),
    /// Something that may have been promised is not there; in words.
    Suspect(String),
}

/// Why the reading stops.
enum Stop {
    Suspect(String),
    Error(StorageError),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Error(error)
    }
}

/// Reads the segments among `names`, from the one with the number `from` on.
///
/// # Errors
/// Files that cannot be read, and those of another version: there may be nothing wrong with them.
pub(super) fn scan(files: &dyn Files, names: &[String], from: u64) -> Result<Scan, StorageError> {
    let mut numbers: Vec<_> =
        names.iter().filter_map(|name| segment::number(name)).filter(|number| *number >= from).collect();
    numbers.sort_unstable();
    let mut log = Log::default();
    for number in numbers {
        match log.read(files, number) {
            Ok(()) => {}
            Err(Stop::Suspect(what)) => return Ok(Scan::Suspect(what)),
            Err(Stop::Error(error)) => return Err(error),
        }
    }
    Ok(Scan::Clean(Box::new(log)))
}

impl Log {
    fn read(&mut self, files: &dyn Files, number: u64) -> Result<(), Stop> {
        let name = segment::name(number);
        let at = files.path(&name);
        if let Some(before) = self.segments.last()
            && before.segment.number + 1 != number
        {
            return Err(Stop::Suspect(format!("the segment before {at} is missing")));
        }
        let file = files.open(&name).map_err(|error| failed(files, "open", &name, error))?;
        let bytes = read_all(&*file).map_err(|error| failed(files, "read", &name, error))?;
        let header = match bytes.get(..SECTOR).map(SegmentHeader::decode) {
            Some(Ok(header)) => header,
            Some(Err(BadPlate::Version(found))) => {
                let what = format!(
                    "{at} was written by version {found} of the format, this program knows version {VERSION}: start the one that wrote it"
                );
                return Err(Stop::Error(StorageError::new(what)));
            }
            Some(Err(BadPlate::Damaged)) | None => {
                return Err(Stop::Suspect(format!("the header of {at} is damaged")));
            }
        };
        if header.number != number || header.bytes != bytes.len() as u64 || bytes.len() % SECTOR != 0 {
            let (found, expected) = (bytes.len(), header.bytes);
            let what =
                format!("{at} has {found} bytes where {expected} were written as segment {}", header.number);
            return Err(Stop::Suspect(what));
        }
        let segment = Segment { number, bytes: header.bytes, file };
        self.segments.push(Scanned { segment, identity: header.identity, op: OpNumber(0) });
        self.read_frames(&at, &bytes)
    }

    fn read_frames(&mut self, at: &str, bytes: &[u8]) -> Result<(), Stop> {
        let mut offset = SECTOR;
        while offset < bytes.len() && !is_zero(&bytes[offset..offset + SECTOR]) {
            let Some(end) = self.read_frame(at, bytes, offset)? else { break };
            offset = end;
        }
        let this = self.segments.len() - 1;
        if offset > SECTOR || this == 0 {
            self.end = (this, offset as u64);
        }
        // Nothing may follow but what the next frame has left, unfinished: a later one would be a witness that it was finished.
        for (index, sector) in bytes[offset..].chunks(SECTOR).enumerate().filter(|(_, it)| !is_zero(it)) {
            let at_byte = offset + index * SECTOR;
            let torn = *self.torn.get_or_insert((this, at_byte as u64));
            if torn.0 != this || !is_stamped(sector, self.sequence + 1) {
                let what = format!("something that is no unfinished frame is at byte {at_byte} of {at}");
                return Err(Stop::Suspect(what));
            }
        }
        Ok(())
    }

    /// Reads the frame at `offset`: where it ends; nothing if it was never finished.
    fn read_frame(&mut self, at: &str, bytes: &[u8], offset: usize) -> Result<Option<usize>, Stop> {
        let damaged =
            |part| Stop::Suspect(format!("the {part} of the frame at byte {offset} of {at} is damaged"));
        let is_first = self.sequence == 0;
        let Some((header, sum)) = FrameHeader::decode(&bytes[offset..]) else {
            return Err(damaged("header"));
        };
        let follows = is_first || (header.sequence, header.previous) == (self.sequence + 1, self.chain);
        if !follows || self.torn.is_some() {
            let what = format!("the frame at byte {offset} of {at} does not follow the one before it");
            return Err(Stop::Suspect(what));
        }
        let end = offset + header.frame_bytes();
        let Some(frame) = bytes.get(offset..end) else { return Err(damaged("header")) };
        let mut unwritten = false;
        for sector in frame.chunks(SECTOR) {
            if is_zero(sector) {
                unwritten = true;
            } else if !is_stamped(sector, header.sequence) {
                return Err(damaged("payload"));
            }
        }
        if unwritten {
            return Ok(None);
        }
        let payload = header.payload(frame).ok_or_else(|| damaged("payload"))?;
        let writes = take_all(payload).map_err(|error| {
            Stop::Suspect(format!("the frame at byte {offset} of {at} cannot be read: {error}"))
        })?;
        let scanned = self.segments.last_mut().expect("its header was read");
        let ops = writes.iter().flat_map(|write| &write.entries).map(Entry::last);
        scanned.op = ops.fold(scanned.op, OpNumber::max);
        if is_first {
            self.first = header.sequence;
        }
        (self.sequence, self.chain) = (header.sequence, sum);
        self.contents.apply(&header, writes);
        Ok(Some(end))
    }
}

fn read_all(file: &dyn DataFile) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; file.len()? as usize];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}
