//! Whether the log may hold what was never flushed: a file that is there as long as that is so. It names the boot of the machine, and
//! what the operating system holds of a log survives as long as that.

use super::files::Files;
use std::io;

const NAME: &str = "unflushed";

/// Whether the log can be read as it is: nobody wrote to it without flushing, or the machine was up ever since.
pub(super) fn is_trusted(files: &dyn Files, names: &[String], boot: Option<&str>) -> io::Result<bool> {
    if !names.iter().any(|name| name == NAME) {
        return Ok(true);
    }
    let file = files.open(NAME)?;
    let mut found = vec![0; file.len()?.min(256) as usize];
    file.read_at(0, &mut found)?;
    Ok(boot.is_some_and(|boot| boot.as_bytes() == found))
}

/// From now on the log may hold what was not flushed. Only the name need survive the machine: what else is in the file then, it is not
/// the boot after that.
pub(super) fn set(files: &dyn Files, boot: Option<&str>) -> io::Result<()> {
    let file = files.create(NAME)?;
    file.write_at(0, boot.unwrap_or_default().as_bytes())?;
    files.sync_names()
}

/// All is flushed.
pub(super) fn clear(files: &dyn Files) -> io::Result<()> {
    match files.remove(NAME) {
        Ok(()) => files.sync_names(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Names this boot of the machine, where the machine does.
pub(super) fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}
