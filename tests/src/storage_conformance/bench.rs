//! A storage without a replica: what is written is chosen, and what is there after a crash is looked at.

use super::any::AnyPlace;
use std::time::Duration;
use tokio::time::timeout;
use vsr_actor::{
    Appended, LogStorage, MemoryStorage, Persisted,
    vsr_core::{Entry, LogState, Restored, Snapshot, Write, WriteId},
};

/// What a check found wrong.
pub(super) type Wrong = String;

/// How long anything may take that must happen in the end. Far more than it takes; a test that waits so long fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Bench<'a> {
    place: Box<dyn AnyPlace + 'a>,
    storage: Option<Box<dyn LogStorage>>,
    persisted: Persisted,
    boot: u64,
    /// Writes that were handed over in this boot, …
    handed: u64,
    /// … and what a storage holds before the first of them and after each.
    models: Vec<Restored>,
    model: MemoryStorage,
}

impl<'a> Bench<'a> {
    /// A new place, opened: it must be empty.
    pub(super) async fn new(place: Box<dyn AnyPlace + 'a>) -> Result<Self, Wrong> {
        let model = MemoryStorage::default();
        let mut bench = Self {
            place,
            storage: None,
            persisted: Persisted::default(),
            boot: 0,
            handed: 0,
            models: Vec::new(),
            model,
        };
        let restored = bench.open().await?;
        if restored.record.is_some() || restored.snapshot.is_some() || !restored.entries.is_empty() {
            return Err(format!("a new storage is not empty: {restored:?}"));
        }
        Ok(bench)
    }

    /// The next boot: what is there must be what the model holds, or what it held before the latest writes.
    async fn open(&mut self) -> Result<Restored, Wrong> {
        let mut storage = self.place.storage();
        self.persisted = Persisted::default();
        let opening = timeout(PATIENCE, storage.open(self.persisted.clone())).await;
        let restored = opening.map_err(|_| "open did not return".to_owned())?;
        let restored = restored.map_err(|error| format!("it cannot be opened: {error}"))?;
        self.storage = Some(storage);
        self.boot += 1;
        self.handed = 0;
        Ok(restored)
    }

    pub(super) fn storage(&mut self) -> &mut dyn LogStorage {
        self.storage.as_deref_mut().expect("it is open")
    }

    /// Hands a write over.
    pub(super) async fn hand(&mut self, mut write: Write) -> Result<(), Wrong> {
        if self.models.is_empty() {
            let held = self.model.open(Persisted::default()).await;
            self.models.push(held.map_err(|error| error.to_string())?);
        }
        self.handed += 1;
        write.id = WriteId { boot: self.boot, sequence: self.handed };
        let appended = self.storage().append(write.clone());
        let appended = appended.map_err(|error| format!("write {} was refused: {error}", self.handed))?;
        self.model.append(write.clone()).map_err(|error| error.to_string())?;
        let held = self.model.open(Persisted::default()).await.map_err(|error| error.to_string())?;
        self.models.push(held);
        if appended == Appended::Done {
            self.persisted.advance(write.id);
        }
        self.check_reported()
    }

    fn check_reported(&self) -> Result<(), Wrong> {
        let (told, handed) = (self.persisted.sequence(), self.handed);
        if told > handed {
            return Err(format!("write {told} was reported, and {handed} were handed over"));
        }
        match self.persisted.error() {
            Some(error) => Err(format!("a write failed: {error}")),
            None => Ok(()),
        }
    }

    /// Waits until all that was handed over is reported.
    pub(super) async fn settle(&mut self) -> Result<(), Wrong> {
        let waiting = async {
            loop {
                self.check_reported()?;
                if self.persisted.sequence() == self.handed {
                    return Ok(());
                }
                self.persisted.changed().await;
            }
        };
        let settled = timeout(PATIENCE, waiting).await;
        settled.unwrap_or_else(|_| {
            let (told, handed) = (self.persisted.sequence(), self.handed);
            Err(format!("{handed} writes were handed over, and nothing after write {told} is reported"))
        })
    }

    /// Hands some writes over and waits for them.
    pub(super) async fn write(&mut self, writes: impl IntoIterator<Item = Write>) -> Result<(), Wrong> {
        for write in writes {
            self.hand(write).await?;
        }
        self.settle().await
    }

    /// Ends it in order and looks at what is there.
    pub(super) async fn close_and_open(&mut self) -> Result<Restored, Wrong> {
        self.storage().close().await;
        self.crash_and_open().await
    }

    /// Drops it as it is and looks at what is there: all that was reported, and nothing that was not asked for.
    pub(super) async fn crash_and_open(&mut self) -> Result<Restored, Wrong> {
        let reported = self.persisted.sequence() as usize;
        drop(self.storage.take());
        let restored = self.open().await?;
        let models = std::mem::take(&mut self.models);
        if models.is_empty() {
            return Ok(restored);
        }
        // What was dropped on its way may be there or not.
        let found = (reported..models.len()).rev().find(|index| holds(&restored, &models[*index]).is_ok());
        let Some(found) = found else {
            let wrong = holds(&restored, &models[reported]).err().unwrap_or_default();
            let beyond = models.len() - 1;
            let earlier = (0..reported).rev().find(|index| holds(&restored, &models[*index]).is_ok());
            return Err(match earlier {
                Some(earlier) => format!("write {reported} was reported, and only {earlier} are there"),
                None => format!(
                    "of {beyond} writes {reported} were reported; what is there is not what {reported} to {beyond} of them make: {wrong}"
                ),
            });
        };
        self.model = model_of(models[found].clone())?;
        Ok(restored)
    }

    /// Takes the log away while nobody uses it. False if the place does not know how.
    pub(super) async fn lose_log(&mut self) -> Result<bool, Wrong> {
        self.storage().close().await;
        drop(self.storage.take());
        let lost = self.place.lose_log();
        if lost {
            self.model.lose_log();
        }
        self.models = vec![self.model.open(Persisted::default()).await.map_err(|error| error.to_string())?];
        self.persisted = Persisted::default();
        Ok(lost)
    }

    /// Opens it after [`lose_log`](Self::lose_log).
    pub(super) async fn look(&mut self) -> Result<Restored, Wrong> {
        self.crash_and_open().await
    }
}

/// A storage that holds this.
fn model_of(restored: Restored) -> Result<MemoryStorage, Wrong> {
    let mut model = MemoryStorage::default();
    let Restored { record, snapshot, entries, commit, log } = restored;
    let (record, entries) = (record.map(Box::new), entries.into());
    let write = Write { record, snapshot, entries, commit, ..super::writes::nothing() };
    model.append(write).map_err(|error| error.to_string())?;
    if log == LogState::Lost {
        model.lose_log();
    }
    Ok(model)
}

/// Whether two storages hold the same, as far as a replica can tell: one may hold more at the beginning of the log.
fn holds(found: &Restored, model: &Restored) -> Result<(), Wrong> {
    let same = |what: &str, found: String, model: String| {
        if found == model { Ok(()) } else { Err(format!("the {what} is {found}, and not {model}")) }
    };
    same("record", format!("{:?}", found.record), format!("{:?}", model.record))?;
    same("log", format!("{:?}", found.log), format!("{:?}", model.log))?;
    same("commit-number", found.commit.to_string(), model.commit.to_string())?;
    let header = |snapshot: &Option<_>| format!("{:?}", snapshot.as_deref().map(Snapshot::header));
    same("snapshot", header(&found.snapshot), header(&model.snapshot))?;
    if found.snapshot != model.snapshot {
        return Err("the snapshot has another state".into());
    }
    let extra = found.entries.len().checked_sub(model.entries.len());
    if extra.is_none_or(|extra| found.entries[extra..] != model.entries) {
        let shown = |entries: &[Entry]| {
            entries
                .iter()
                .map(|entry| format!("{}…{}", entry.first(), entry.last()))
                .collect::<Vec<_>>()
                .join(" ")
        };
        return Err(format!("the entries are {}, and not {}", shown(&found.entries), shown(&model.entries)));
    }
    let follow =
        |pair: &[Entry]| pair[1].first() == pair[0].last().next() && pair[1].parent() == pair[0].hash();
    if found.entries.windows(2).all(follow) {
        Ok(())
    } else {
        Err("the entries at the beginning do not follow one another".into())
    }
}
