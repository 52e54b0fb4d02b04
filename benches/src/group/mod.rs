//! This project's groups, all replicas in this process, and clients that put load on them.

mod load;
mod many;
mod table;

pub(crate) use load::{Figures, Load, Work};
pub(crate) use many::Groups;
pub(crate) use table::{Put, Table};

use std::time::Duration;
use vsr_actor::{Config, vsr_core::Limits};

/// A configuration that suits a state of so many bytes: a snapshot, which has all of it, is taken when about as much was written, not
/// sooner. The rest is as it comes.
pub(crate) fn config_for(keys: u64, value_bytes: usize) -> Config {
    let mut config = Config::default();
    let usual = Limits::default();
    let row = (value_bytes + table::KEY_BYTES) as u64;
    config.limits.snapshot_interval_ops = usual.snapshot_interval_ops.max(keys);
    config.limits.snapshot_interval_bytes = usual.snapshot_interval_bytes.max(keys * row);
    keep_in_log(&mut config, usual.log_keep_ops, usual.log_keep_bytes);
    config
}

/// Lets the log hold so much behind a snapshot, and as much as it may have to beyond.
pub(crate) fn keep_in_log(config: &mut Config, ops: u64, bytes: u64) {
    let limits = &mut config.limits;
    (limits.log_keep_ops, limits.log_keep_bytes) = (ops, bytes);
    limits.log_ops_max = limits.log_ops_max.max(ops + 4 * limits.snapshot_interval_ops);
    limits.log_bytes_max = limits.log_bytes_max.max(bytes + 4 * limits.snapshot_interval_bytes);
}

/// A number of seconds that was asked for.
pub(crate) fn seconds(number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number).map_err(|error| format!("{number} s: {error}"))
}

/// For `map_err`.
pub(crate) fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Resident memory of this process.
pub(crate) fn resident_mib() -> Result<f64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(said)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0)
        .ok_or_else(|| "this system does not tell how much memory is resident".to_owned())
}
