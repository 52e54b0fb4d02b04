//! Options that several commands have.

use std::path::PathBuf;
use tempfile::TempDir;
use vsr_benches::results::Results;

/// Which build of this project.
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The program `vsr-kv`, built for release.
    #[arg(long, default_value = "../target/release/vsr-kv")]
    pub(crate) vsr_kv: PathBuf,
}

/// How loads of servers are repeated, and from whom they come.
#[derive(Debug, clap::Args)]
pub(crate) struct Loads {
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256])]
    pub(crate) clients: Vec<usize>,
    /// How many connections the clients share at most; 0: each has its own (those of etcd share 16 all the same).
    #[arg(long, default_value_t = 16)]
    pub(crate) connections: usize,
}

/// What a command that starts servers reads and writes.
#[derive(Debug, clap::Args)]
pub(crate) struct Places {
    /// Where the servers keep their data: the disk that is measured.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Where the figures go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Places {
    /// An empty directory for one start of a system; gone when it is dropped.
    pub(crate) fn fresh(&self) -> Result<TempDir, String> {
        tempfile::tempdir_in(&self.directory)
            .map_err(|error| format!("no directory in {}: {error}", self.directory.display()))
    }

    /// Writes the figures, if somebody asked for them.
    pub(crate) fn write(&self, results: &Results) -> Result<(), String> {
        self.json.as_ref().map_or(Ok(()), |path| results.write(path))
    }
}
