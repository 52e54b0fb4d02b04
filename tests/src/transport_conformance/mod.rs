//! Tests a transport of your own: a [`Transport`], and what hands in the messages that arrive.
//!
//! A transport is an unreliable datagram service whose addresses are replica ids. To lose, double, delay and reorder messages is its
//! good right; docs/transports.md has the list of what is not. [`Check`] has one name for each of these duties, and the macro
//! [`transport_conformance!`](crate::transport_conformance!) makes a test of each, so that a failure has its name:
//!
//! ```
//! # // The macro makes tests; they are run in tests/it/transports.
//! use std::collections::BTreeMap;
//! use tokio::task::JoinHandle;
//! use vsr_actor::{InProcessNetwork, ReplicaId, Transport};
//! use vsr_test::transport_conformance::{Inbox, Network};
//!
//! #[derive(Default)]
//! struct Channels {
//!     network: InProcessNetwork,
//!     pumps: BTreeMap<ReplicaId, JoinHandle<()>>,
//! }
//!
//! impl Network for Channels {
//!     type Transport = Box<dyn Transport>;
//!     async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Box<dyn Transport> {
//!         let (transport, mut arrived) = self.network.connect(id, 1024);
//!         let pump = async move { while let Some(message) = arrived.recv().await { inbox.deliver(message) } };
//!         self.pumps.insert(id, tokio::spawn(pump));
//!         transport
//!     }
//!     async fn disconnect(&mut self, id: ReplicaId) {
//!         self.network.disconnect(id);
//!         if let Some(pump) = self.pumps.remove(&id) { pump.abort() }
//!     }
//! }
//!
//! vsr_test::transport_conformance!(|_ids| Channels::default(), start_paused = true);
//! # fn main() {}
//! ```
//!
//! The answers to clients have duties of their own, see [`replies`].

mod any;
mod group;
mod lives;
mod lossy;
mod messages;
mod pressure;
pub mod replies;
mod stage;
mod wire;

pub use lossy::{Lossy, Odds};
pub use messages::{every_kind, largest};

use std::{fmt, future::Future, sync::Arc};
use vsr_actor::{Message, ReplicaId, Transport};

/// What is tested: the ends of the replicas of one group, and how they come and go.
///
/// If a transport needs to know all addresses from the start, the function that makes the network is told all ids and can choose them.
pub trait Network: Send {
    /// What sends.
    type Transport: Transport;

    /// Starts the end of replica `id`: the way from it to the others, and everything that is needed to give `inbox` what they send to
    /// it. Called once for each life of the replica; a second life begins after [`disconnect`](Self::disconnect) ended the first.
    fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> impl Future<Output = Self::Transport> + Send;

    /// The process of replica `id` is gone. Its transport was dropped before; when this returns, its tasks and sockets are gone, too.
    fn disconnect(&mut self, id: ReplicaId) -> impl Future<Output = ()> + Send;

    /// Until [`resume`](Self::resume) replica `id` is there and takes nothing in: its process hangs, a firewall swallows everything.
    /// Only needed where messages come from something that does not stand still with the runtime of the test: sockets can be accepted
    /// and read by nobody, requests over HTTP can be left without a response. By default nothing happens, and the checks make do
    /// with replicas that are gone.
    fn stall(&mut self, id: ReplicaId) {
        let _ = id;
    }

    /// Ends what [`stall`](Self::stall) began.
    fn resume(&mut self, id: ReplicaId) {
        let _ = id;
    }
}

/// Takes what arrived for one replica. In a program this is [`Handle::deliver`](vsr_actor::Handle::deliver), and like it it never
/// waits. Clones are the same inbox.
#[derive(Clone)]
pub struct Inbox(Arc<dyn Fn(Message) + Send + Sync>);

impl Inbox {
    pub(crate) fn new(take: impl Fn(Message) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Hands in a message.
    pub fn deliver(&self, message: Message) {
        (self.0)(message);
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox")
    }
}

/// Calls a macro with all checks: the variant, its name, and the duty that it checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_transport_check {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! {
            ($($arguments)*)
            EveryKindArrivesIntact every_kind_arrives_intact
            "What arrives is what was sent, to the last bit, whatever kind of message it is. `Message::encode` and `decode` see to that, and so does serde.",
            TheLargestArrives the_largest_arrives
            "A message may have `Limits::frame_bytes_max` bytes as `Message::encode` writes it, 32 MiB by default, and more in another form. One that never arrives stops a view change or a transfer for good: lift the limits of what is in between.",
            OnlyTheAddresseeGetsIt only_the_addressee_gets_it
            "A message goes to the replica it is addressed to, and to no other.",
            SendingNeverWaits sending_never_waits
            "`send_vsr` is called on the replica's task and returns at once, whoever reads or does not: what cannot be taken now is dropped.",
            QueuesAreBounded queues_are_bounded
            "What waits to be sent is bounded, and so are tasks: when a queue is full, messages are dropped. The protocol sends again what matters.",
            ADeadPeerDisturbsNobody a_dead_peer_disturbs_nobody
            "Each peer has a queue of its own: one that is gone or hangs does not hold up what goes to the others.",
            ARestartedPeerIsReachedAgain a_restarted_peer_is_reached_again
            "A connection that broke is made again, as often as needed, and what arrives goes to the replica's present life.",
            NoTaskIsLeft no_task_is_left
            "What is spawned for a replica ends with it: keep tasks in a `JoinSet`, or abort them when their owner is dropped.",
            AGroupServes a_group_serves
            "Requests at any replica are executed: messages get through in all directions.",
            AGroupFailsOver a_group_fails_over
            "A group goes on when its primary is gone, and takes it back when it has been restarted.",
            ABadNetworkLosesNothing a_bad_network_loses_nothing
            "Whatever is lost, doubled, held back and overtaken, and whoever restarts: what clients see is linearizable. A transport that changes messages, or hands them to a wrong replica, can break this.",
        }
    };
}

/// Makes an enum of all checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_checks {
    (($(#[$about:meta])* $check:ident) $($variant:ident $name:ident $duty:literal,)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $check {
            $(#[doc = $duty] $variant,)*
        }

        impl $check {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, as that of a test.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name),)* }
            }

            /// What is asked of the code.
            #[must_use]
            pub fn duty(self) -> &'static str {
                match self { $(Self::$variant => $duty,)* }
            }
        }
    };
}

/// Makes a test of each check.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (($run:path, $check:path, $make:expr, $settings:tt) $($variant:ident $name:ident $duty:literal,)*) => {
        $(
            #[::tokio::test $settings]
            async fn $name() {
                use $check as Check;
                if let Err(failure) = $run(Check::$variant, $make).await {
                    panic!("{failure}");
                }
            }
        )*
    };
}

/// Makes a `#[tokio::test]` of each [`Check`](crate::transport_conformance::Check) of a transport. The first argument makes the
/// [`Network`](crate::transport_conformance::Network) of some replica ids: `Fn(&[ReplicaId]) -> impl Network`. What follows it is
/// given to `#[tokio::test]`: `start_paused = true` for a transport that has nothing to do with the outside world saves seconds, for
/// one with sockets it would let every time-out pass before an answer has a chance to come.
#[macro_export]
macro_rules! transport_conformance {
    ($make:expr $(, $($settings:tt)*)?) => {
        $crate::__each_transport_check! { __conformance_tests!(
            $crate::transport_conformance::run, $crate::transport_conformance::Check, $make, ($($($settings)*)?)
        ) }
    };
}

crate::__each_transport_check! { __conformance_checks!(
    /// What a transport is checked for.
    Check
) }

/// Which check is not passed, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {what}.\nThe duty: {duty}")]
pub struct Failure {
    /// The name of the check.
    pub check: &'static str,
    /// What was seen.
    pub what: String,
    /// What is asked of what was checked.
    pub duty: &'static str,
}

/// Runs one check of the network that `make` makes for some replica ids. For a runtime with one thread, which stands still while this
/// sends: what the transport spawns on it does so, too.
///
/// # Errors
/// What is wrong with the transport.
pub async fn run<N: Network>(check: Check, make: impl Fn(&[ReplicaId]) -> N) -> Result<(), Failure> {
    let make = |ids: &[ReplicaId]| -> Box<dyn any::AnyNetwork + '_> { Box::new(make(ids)) };
    every_network(check, &make).await
}

async fn every_network(check: Check, make: any::Make<'_>) -> Result<(), Failure> {
    let result = match check {
        Check::EveryKindArrivesIntact => wire::every_kind_arrives_intact(make).await,
        Check::TheLargestArrives => wire::the_largest_arrives(make).await,
        Check::OnlyTheAddresseeGetsIt => wire::only_the_addressee_gets_it(make).await,
        Check::SendingNeverWaits => pressure::sending_never_waits(make).await,
        Check::QueuesAreBounded => pressure::queues_are_bounded(make).await,
        Check::ADeadPeerDisturbsNobody => pressure::a_dead_peer_disturbs_nobody(make).await,
        Check::ARestartedPeerIsReachedAgain => lives::a_restarted_peer_is_reached_again(make).await,
        Check::NoTaskIsLeft => lives::no_task_is_left(make).await,
        Check::AGroupServes => group::a_group_serves(make).await,
        Check::AGroupFailsOver => group::a_group_fails_over(make).await,
        Check::ABadNetworkLosesNothing => group::a_bad_network_loses_nothing(make).await,
    };
    result.map_err(|what| Failure { check: check.name(), what, duty: check.duty() })
}
