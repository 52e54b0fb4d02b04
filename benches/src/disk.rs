//! What the disk gives by itself, probed before and after each round: a shared disk is sometimes throttled, and a round in which it
//! was says nothing.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

const BLOCK: usize = 4096;
const BLOCKS: usize = 64;

/// The median time of an `fdatasync` after 4 KiB were written over zeros.
pub(crate) fn probe(directory: &Path) -> io::Result<Duration> {
    let path = directory.join("probe");
    let mut file = File::create(&path)?;
    file.write_all(&vec![0; BLOCK * BLOCKS])?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut times = Vec::with_capacity(BLOCKS);
    for _ in 0..BLOCKS {
        let begun = Instant::now();
        file.write_all(&[7; BLOCK])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort();
    Ok(times[BLOCKS / 2])
}
