//! Replicated actors for tokio: write one method, survive the loss of any minority of replicas.
//!
//! A [`StateMachine`] says what an operation does; this crate runs it on several replicas with Viewstamped Replication. [`Client`]
//! sends operations, each executed exactly once and linearizably. [`Cluster`] is a whole group in one process, for embedding and for
//! tests; [`Builder`] starts one replica behind a [`Transport`] of your own; [`linearizability`] checks what clients saw.
//!
//! The rooms: `replica_task` waits, steps the protocol of [`vsr_core`] and carries its effects out; `client` numbers, sends and
//! resends requests; `transport` and `storage` are the outside; [`observe`] is the only place that knows tracing and metrics.
#![deny(missing_docs)]

mod answers;
mod background;
mod backoff;
mod bell;
mod board;
mod builder;
mod callbacks;
mod changes;
mod client;
mod clock;
mod cluster;
mod config;
mod control;
mod door;
mod dump;
mod entrance;
mod error;
mod groups;
mod handle;
mod lanes;
mod leaving;
pub mod linearizability;
mod machine;
pub mod observe;
mod read;
mod replica_task;
mod replies;
mod restoring;
mod seat;
mod server;
mod state_reader;
mod status;
mod storage;
mod supervisor;
mod transport;
mod waiters;

pub use builder::Builder;
pub use callbacks::{Commit, Frozen, Payload, PayloadError, Raw, Snapshot, StateMachine};
pub use client::{Client, PrimaryChanges, PrimaryHint, RequestId, Ticket};
pub use cluster::{Cluster, ClusterBuilder};
pub use config::{ClientConfig, Config, ConfigError, Mailboxes};
pub use dump::{Callbacks, Depths, Dump};
pub use error::{ClusterError, Outcome, ReplicaError, RequestError};
pub use groups::{Node, NodeError, NodeNetwork, NodeTransport, Registry, RegistryError, Routed};
pub use handle::Handle;
pub use observe::{Observer, Record};
pub use read::{Stale, Token};
pub use replies::{InProcessReplies, Replies, ReplyTo, Waiting};
pub use server::{
    AlreadyRunning, CallError, Context, HandleCall, HandleCast, HandleInfo, Next, PeerState, ReplyToken,
    ServerRef, Stop, Timer, VsrServer,
};
pub use status::{Health, Status, StatusStream, WatchStatus};
pub use storage::{
    Appended, Durability, FileLog, LogStorage, MemoryStage, MemoryStorage, Persisted, Stage, StorageError,
};
pub use supervisor::{
    Child, Handles, Restart, Supervisor, SupervisorBuilder, SupervisorConfig, SupervisorError,
};
pub use transport::{
    Transport,
    in_process::{InProcessNetwork, Rule, Verdict},
    tcp::{
        AddressBook, AddressError, ConnectionError, Deliver, Delivery, DnsAddresses, FrameError,
        HandshakeError, PeerRefusal, Side, StaticAddresses, Tcp, TcpConfig, TcpConfigError, TcpConnection,
        TcpError, TcpPeer, TcpTransport,
    },
};
pub use vsr_core;
pub use vsr_core::{
    Limits, Message, OpNumber, ReplicaId, ReplicatedLimits, StatusName, TraceContext, ViewNumber,
};

/// What most programs need.
pub mod prelude {
    pub use crate::{
        Client, Cluster, Commit, Context, HandleCall, HandleCast, HandleInfo, Next, Record, ReplyToken,
        Snapshot, StateMachine, Stop, VsrServer,
    };
    pub use serde::{Deserialize, Serialize};
}
