//! What is done to the files of a replica, and a disk that can be filled.

use super::plan::Damage;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};
use vsr_test::Prng;

/// How large a small disk is: the log's files, two snapshots and a little more.
const SMALL_DISK_MIB: usize = 128;
/// How many bits are flipped at once at most.
const FLIPS_MAX: u64 = 8;

/// Damages one file of a directory, where something is written; says what was done. Nothing, if there is nothing to damage.
pub(super) fn damage(directory: &Path, damage: Damage, chance: u64) -> io::Result<Option<String>> {
    let mut random = Prng::new(chance);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name() != "lock" {
            files.push(entry.path());
        }
    }
    // The same seed means the same file, whatever order the system lists them in.
    files.sort();
    if files.is_empty() {
        return Ok(None);
    }
    let path = &files[random.index(files.len())];
    let mut bytes = fs::read(path)?;
    // Files are prepared with zeros: what is written ends before them.
    let Some(written) = bytes.iter().rposition(|byte| *byte != 0).map(|last| last + 1) else {
        return Ok(None);
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match damage {
        Damage::Truncate => {
            let length = random.below(written as u64);
            OpenOptions::new().write(true).open(path)?.set_len(length)?;
            Ok(Some(format!("{name} truncated to {length} of {written} bytes")))
        }
        Damage::Flip => {
            let count = random.range(1, FLIPS_MAX);
            for _ in 0..count {
                bytes[random.index(written)] ^= 1 << random.below(8);
            }
            fs::write(path, bytes)?;
            Ok(Some(format!("{count} bits flipped in {name}, of {written} bytes")))
        }
    }
}

/// Copies the files of a directory over those of another.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        for entry in fs::read_dir(to)? {
            fs::remove_file(entry?.path())?;
        }
    } else {
        fs::create_dir_all(to)?;
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A file system of its own that is small enough to be filled: a tmpfs. Needs the right to mount.
pub(super) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one; an error, where that is not allowed.
    pub(super) fn mount(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let size = format!("size={SMALL_DISK_MIB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output()?;
        if mounted.status.success() {
            Ok(Self { path: path.to_owned() })
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&mounted.stderr).trim().to_owned()))
        }
    }

    /// Takes all the room that is left.
    pub(super) fn fill(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.filler())?;
        let block = vec![0xAA; 64 << 10];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives it back.
    pub(super) fn empty(&self) -> io::Result<()> {
        match fs::remove_file(self.filler()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is about to end may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_damaged_and_a_copy_brings_it_back() {
        let root = std::env::temp_dir().join(format!("vsr-chaos-disk-{}", std::process::id()));
        let (data, copied) = (root.join("data"), root.join("copy"));
        fs::create_dir_all(&data).expect("it can be made");
        let mut contents = vec![7; 100];
        contents.resize(4096, 0);
        fs::write(data.join("log"), &contents).expect("it can be written");
        fs::write(data.join("lock"), "").expect("it can be written");
        copy(&data, &copied).expect("it can be copied");
        for chance in 0..20 {
            let told =
                damage(&data, Damage::Flip, chance).expect("it can be read").expect("there is something");
            let flipped = fs::read(data.join("log")).expect("it is there");
            assert!(flipped[..100] != contents[..100] && flipped[100..] == contents[100..], "{told}");
            copy(&copied, &data).expect("it can be copied");
            let told =
                damage(&data, Damage::Truncate, chance).expect("it can be read").expect("there is something");
            assert!(fs::metadata(data.join("log")).expect("it is there").len() < 100, "{told}");
            copy(&copied, &data).expect("it can be copied");
            assert!(fs::read(data.join("log")).expect("it is there") == contents);
        }
        fs::remove_dir_all(root).expect("it is there");
    }
}
