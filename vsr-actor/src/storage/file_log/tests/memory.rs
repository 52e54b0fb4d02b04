//! A directory in memory that knows what was flushed and what was not.

use super::super::{
    files::{DataFile, Files},
    format::SECTOR,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    sync::{Arc, Mutex, MutexGuard},
};

/// What the engine does to a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Read,
    Create,
    Write,
    Sync,
    Rename,
    Remove,
    SyncNames,
}

/// Clones are the same directory.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Disk>>);

type Names = BTreeMap<String, usize>;

#[derive(Default)]
struct Disk {
    inodes: Vec<Inode>,
    /// As the operating system shows them.
    names: Names,
    /// As they were when they were flushed last.
    flushed_names: Names,
    /// What became of them since then. A crash may leave each change or not, whatever came after it: no standard promises an order.
    renames: Vec<Rename>,
    /// What can be found after a crash at each step, with the mark of that moment.
    moments: Option<Vec<Moment>>,
    mark: usize,
    rule: Option<Rule>,
}

type Rule = Box<dyn FnMut(Step, &str) -> Option<io::ErrorKind> + Send>;

/// A name that is gone, and one that is there.
#[derive(Clone)]
struct Rename {
    from: Option<String>,
    to: Option<(String, usize)>,
}

impl Rename {
    fn apply(&self, names: &mut Names) {
        self.from.as_ref().and_then(|name| names.remove(name));
        names.extend(self.to.clone());
    }
}

/// A file: what is flushed, and sectors that are not.
#[derive(Clone, Default)]
struct Inode {
    flushed: Vec<u8>,
    pending: BTreeMap<usize, [u8; SECTOR]>,
    length: usize,
}

/// All that a crash may choose from.
#[derive(Clone)]
pub(super) struct Moment {
    names: Names,
    renames: Vec<Rename>,
    inodes: Vec<Inode>,
    pub(super) mark: usize,
}

impl Inode {
    fn bytes(&self, kept: impl Fn(usize) -> bool) -> Vec<u8> {
        let kept: Vec<_> = self.pending.iter().filter(|(sector, _)| kept(**sector)).collect();
        let end = kept.iter().map(|(sector, _)| ((*sector + 1) * SECTOR).min(self.length)).max().unwrap_or(0);
        let mut bytes = self.flushed.clone();
        bytes.resize(bytes.len().max(end), 0);
        for (sector, data) in kept {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(bytes.len());
            bytes[start..end].copy_from_slice(&data[..end - start]);
        }
        bytes
    }

    fn all(&self) -> Vec<u8> {
        self.bytes(|_| true)
    }

    /// The sectors that a crash makes a difference to.
    fn uncertain(&self) -> impl Iterator<Item = usize> {
        let as_flushed = |(sector, data): &(&usize, &[u8; SECTOR])| {
            self.flushed.get(*sector * SECTOR..).and_then(|rest| rest.get(..SECTOR)) == Some(&data[..])
        };
        self.pending.iter().filter(move |it| !as_flushed(it)).map(|(sector, _)| *sector)
    }
}

impl Disk {
    fn step(&mut self, step: Step, name: &str) -> io::Result<()> {
        match self.rule.as_mut().and_then(|rule| rule(step, name)) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn changed(&mut self) {
        let Self { inodes, flushed_names, renames, mark, moments, .. } = self;
        if let Some(moments) = moments {
            let (names, renames) = (flushed_names.clone(), renames.clone());
            moments.push(Moment { names, renames, inodes: inodes.clone(), mark: *mark });
        }
    }

    fn rename(&mut self, from: Option<&str>, to: Option<(&str, usize)>) {
        let to = to.map(|(name, inode)| (name.into(), inode));
        let rename = Rename { from: from.map(Into::into), to };
        rename.apply(&mut self.names);
        self.renames.push(rename);
        self.changed();
    }
}

impl Memory {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("no test goes on after a panic")
    }

    /// Remembers from now on what a crash can leave at each step.
    pub(super) fn record(&self) {
        self.disk().moments = Some(Vec::new());
    }

    pub(super) fn mark(&self, mark: usize) {
        let mut disk = self.disk();
        disk.mark = mark;
        disk.changed();
    }

    pub(super) fn moments(&self) -> Vec<Moment> {
        self.disk().moments.take().expect("it was recorded")
    }

    /// Steps that the rule has an error for fail with it.
    pub(super) fn rule(&self, rule: impl FnMut(Step, &str) -> Option<io::ErrorKind> + Send + 'static) {
        self.disk().rule = Some(Box::new(rule));
    }

    pub(super) fn no_rule(&self) {
        self.disk().rule = None;
    }

    /// What the operating system shows.
    pub(super) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let disk = self.disk();
        disk.names.iter().map(|(name, inode)| (name.clone(), disk.inodes[*inode].all())).collect()
    }

    /// A directory with these files, all flushed.
    pub(super) fn with(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut disk = Disk::default();
        for (name, bytes) in files {
            disk.names.insert(name.clone(), disk.inodes.len());
            disk.inodes.push(Inode { flushed: bytes.clone(), length: bytes.len(), ..Inode::default() });
        }
        disk.flushed_names = disk.names.clone();
        Self(Arc::new(Mutex::new(disk)))
    }
}

/// Of so many things every choice is tried.
const EXHAUSTIVE: usize = 7;

/// What a crash can leave of `count` things. Where there are too many choices: none, all, each alone, each missing, each beginning.
fn choices(count: usize) -> Vec<Vec<bool>> {
    if count <= EXHAUSTIVE {
        return (0..1 << count)
            .map(|bits| (0..count).map(|index| bits >> index & 1 == 1).collect())
            .collect();
    }
    let single = (0..count)
        .flat_map(|one| [false, true].map(|rest| (0..count).map(|index| (index == one) != rest).collect()));
    let beginnings = (0..=count).map(|end| (0..count).map(|index| index < end).collect());
    single.chain(beginnings).collect()
}

impl Moment {
    /// What a crash can leave.
    pub(super) fn images(&self) -> Vec<Memory> {
        let unflushed = self.inodes.iter().enumerate();
        let pending: Vec<(usize, usize)> =
            unflushed.flat_map(|(inode, it)| it.uncertain().map(move |sector| (inode, sector))).collect();
        let sectors = choices(pending.len());
        let image = |names: &Names, choice: &[bool]| {
            let bytes = |inode: usize| {
                let kept =
                    |sector| pending.iter().zip(choice).any(|(it, kept)| *it == (inode, sector) && *kept);
                self.inodes[inode].bytes(kept)
            };
            Memory::with(&names.iter().map(|(name, inode)| (name.clone(), bytes(*inode))).collect())
        };
        let names = choices(self.renames.len()).into_iter().map(|choice| self.names_after(&choice));
        let names = names.collect::<BTreeSet<_>>();
        names.iter().flat_map(|names| sectors.iter().map(|choice| image(names, choice))).collect()
    }

    /// What a crash leaves that takes all that was not flushed.
    pub(super) fn flushed(&self) -> Memory {
        let bytes = |inode: usize| self.inodes[inode].bytes(|_| false);
        Memory::with(&self.names.iter().map(|(name, inode)| (name.clone(), bytes(*inode))).collect())
    }

    fn names_after(&self, choice: &[bool]) -> Names {
        let mut names = self.names.clone();
        let kept = self.renames.iter().zip(choice).filter(|(_, kept)| **kept);
        kept.for_each(|(rename, _)| rename.apply(&mut names));
        names
    }
}

struct MemoryFile {
    disk: Memory,
    inode: usize,
}

impl MemoryFile {
    /// The name it has now.
    fn step(&self, step: Step) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk.disk();
        let name = disk.names.iter().find(|(_, inode)| **inode == self.inode).map(|(name, _)| name.clone());
        disk.step(step, &name.unwrap_or_default())?;
        Ok(disk)
    }
}

impl Files for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DataFile>> {
        let inode = *self.disk().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile { disk: self.clone(), inode }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DataFile>> {
        let mut disk = self.disk();
        disk.step(Step::Create, name)?;
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.rename(None, Some((name, inode)));
        Ok(Arc::new(MemoryFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step(Step::Rename, from)?;
        let inode = *disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        disk.rename(Some(from), Some((to, inode)));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step(Step::Remove, name)?;
        disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        disk.rename(Some(name), None);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step(Step::SyncNames, "")?;
        (disk.flushed_names, disk.renames) = (disk.names.clone(), Vec::new());
        disk.changed();
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        format!("memory/{name}")
    }
}

impl DataFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        let inode = &self.disk.disk().inodes[self.inode];
        Ok(inode.length.max(inode.flushed.len()) as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let disk = self.step(Step::Read)?;
        let bytes = disk.inodes[self.inode].all();
        let range = offset as usize..offset as usize + buffer.len();
        buffer.copy_from_slice(bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.step(Step::Write)?;
        let inode = &mut disk.inodes[self.inode];
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        let mut all = inode.all();
        all.resize(all.len().max(end), 0);
        all[start..end].copy_from_slice(bytes);
        inode.length = inode.length.max(all.len());
        all.resize(all.len().next_multiple_of(SECTOR), 0);
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            let data = all[sector * SECTOR..][..SECTOR].try_into().expect("it is a sector");
            inode.pending.insert(sector, data);
        }
        disk.changed();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.step(Step::Sync)?;
        let inode = &mut disk.inodes[self.inode];
        inode.flushed = inode.all();
        inode.pending.clear();
        disk.changed();
        Ok(())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inode {}", self.inode)
    }
}
