//! Why a replica does not run, or does not run any more.

use super::OptionsError;
use std::{io, process::ExitCode};
use vsr_actor::{ReplicaError, TcpError, observe::prometheus::PrometheusError, vsr_core::StartError};

/// Why a replica does not run, or does not run any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The settings are incomplete, or do not fit together.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A listener has no place.
    #[error(
        "cannot listen at {address} for {whom}: {error}; give another address with --{flag}, or end the program that listens there"
    )]
    Listen {
        /// Where.
        address: String,
        /// For whom.
        whom: &'static str,
        /// The flag that says where.
        flag: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// The replica did not start, or stopped by itself.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The connections to the other replicas cannot be set up.
    #[error(transparent)]
    Tcp(#[from] TcpError),
    /// Signals cannot be listened to.
    #[error("signals cannot be listened to: {0}")]
    Signals(#[from] io::Error),
    /// Threads cannot be started.
    #[error("the threads that serve cannot be started: {0}")]
    Threads(#[source] io::Error),
    /// Metrics cannot be taken.
    #[error(transparent)]
    Metrics(#[from] PrometheusError),
}

/// What a person must mend: starting again does not help. `EX_CONFIG` of sysexits.h.
pub const NEEDS_A_PERSON: u8 = 78;

impl ServeError {
    /// What to do in terms of the flags, where the error does not say it.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Replica(ReplicaError::Start(StartError::OtherReplica {
                found_cluster, cluster, ..
            })) if found_cluster != cluster => {
                let id = found_cluster.0;
                Some(format!(
                    "if the directory is the right one, and only the addresses of peers were changed: --cluster-id {id}, for all replicas"
                ))
            }
            _ => None,
        }
    }

    /// How the process ends: 2 for settings that are wrong, [`NEEDS_A_PERSON`] for what no new start mends, 1 for the rest, which a
    /// supervisor may try again.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Options(_) => ExitCode::from(2),
            Self::Replica(ReplicaError::Storage(_) | ReplicaError::Aborted) => ExitCode::FAILURE,
            Self::Replica(_) => ExitCode::from(NEEDS_A_PERSON),
            _ => ExitCode::FAILURE,
        }
    }
}
