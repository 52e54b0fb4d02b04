//! Tests the way of the answers: a [`Replies`] of your own, or a [`send_reply`](vsr_actor::VsrServer::send_reply), and what is behind it.
//!
//! What is submitted with [`ReplyTo::Custom`] is answered by your code. It must bring each answer to the one it is for: once, in
//! whatever order, errors like replies. [`replies_conformance!`](crate::replies_conformance!) makes a test of each [`ReplyCheck`]:
//!
//! ```
//! # // The macro makes tests; they are run in tests/it/transports/replies.rs.
//! use tokio::sync::mpsc;
//! use vsr_actor::{ReplicaId, Replies, ReplyTo, RequestError};
//! use vsr_test::transport_conformance::replies::{Answers, Callers};
//!
//! /// Answers travel over a channel, as they would over a connection.
//! struct Mail(mpsc::UnboundedSender<(String, Result<u64, String>)>);
//!
//! impl Replies<u64> for Mail {
//!     fn send_reply(&mut self, to: ReplyTo<u64>, reply: Result<u64, RequestError>) {
//!         match to {
//!             ReplyTo::Custom(name) => {
//!                 let name = String::from_utf8_lossy(&name).into_owned();
//!                 let _ = self.0.send((name, reply.map_err(|error| error.to_string())));
//!             }
//!             other => other.send(reply),
//!         }
//!     }
//! }
//!
//! struct Office;
//!
//! impl Callers for Office {
//!     type Replies = Mail;
//!     async fn connect(&mut self, _id: ReplicaId, answers: Answers) -> Mail {
//!         let (mail, mut delivered) = mpsc::unbounded_channel::<(String, _)>();
//!         tokio::spawn(async move {
//!             while let Some((name, reply)) = delivered.recv().await {
//!                 answers.answered(&name, reply);
//!             }
//!         });
//!         Mail(mail)
//!     }
//! }
//!
//! vsr_test::replies_conformance!(|| Office, start_paused = true);
//! # fn main() {}
//! ```

use super::{Failure, stage::Wrong, stage::ids};
use crate::prng::mix;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::sleep};
use vsr_actor::{
    Builder, Commit, Config, Handle, InProcessNetwork, ReplicaId, Replies, ReplyTo, RequestError,
    StateMachine, StatusName,
};

/// What is tested: how answers get from a replica to those who asked.
pub trait Callers: Send {
    /// What the replica is given. A [`VsrServer`](vsr_actor::VsrServer) whose `send_reply` does the same has the same duties.
    type Replies: Replies<u64>;

    /// Starts the way back from replica `id`. What was submitted there with [`ReplyTo::Custom`] must come to `answers`, with the name
    /// that it was submitted with, at the far end of the way.
    fn connect(&mut self, id: ReplicaId, answers: Answers) -> impl Future<Output = Self::Replies> + Send;

    /// The process of replica `id` is gone; its [`Replies`](Self::Replies) was dropped before.
    fn disconnect(&mut self, id: ReplicaId) -> impl Future<Output = ()> + Send {
        let _ = id;
        async {}
    }
}

/// Takes the answers at the end of their way. Clones are the same.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<ByName>>);

/// What each name was told, in order.
type ByName = BTreeMap<String, Vec<Result<u64, String>>>;

impl Answers {
    /// Whoever has this name was answered: with a reply, or with an error as the caller is told of it.
    pub fn answered(&self, name: &str, reply: Result<u64, String>) {
        self.all().entry(name.to_owned()).or_default().push(reply);
    }

    fn all(&self) -> MutexGuard<'_, ByName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answers").field(&self.all().len()).finish()
    }
}

/// Calls a macro with all checks of answers.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_reply_check {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! {
            ($($arguments)*)
            EachIsAnsweredOnce each_is_answered_once
            "`send_reply` brings the reply to the name that the request was submitted with: once, and to nobody else.",
            ErrorsAreAnswersToo errors_are_answers_too
            "A request that fails is answered with its error: whoever asked must not wait for ever.",
            AFailoverLosesNoAnswer a_failover_loses_no_answer
            "A replica that lives answers what was submitted through it, whichever other replica dies meanwhile.",
        }
    };
}

/// Makes a `#[tokio::test]` of each [`ReplyCheck`](crate::transport_conformance::replies::ReplyCheck). The first argument makes the
/// [`Callers`](crate::transport_conformance::replies::Callers); what follows it is given to `#[tokio::test]`.
#[macro_export]
macro_rules! replies_conformance {
    ($make:expr $(, $($settings:tt)*)?) => {
        $crate::__each_reply_check! { __conformance_tests!(
            $crate::transport_conformance::replies::run,
            $crate::transport_conformance::replies::ReplyCheck,
            $make,
            ($($($settings)*)?)
        ) }
    };
}

crate::__each_reply_check! { __conformance_checks!(
    /// What the way of the answers is checked for.
    ReplyCheck
) }

/// Runs one check of the way back that `make` makes.
///
/// # Errors
/// What is wrong with it.
pub async fn run<C: Callers>(check: ReplyCheck, make: impl Fn() -> C) -> Result<(), Failure> {
    judged(check, make()).await
}

/// Compiled once for each kind of callers, however many tests have a function that makes them.
async fn judged<C: Callers>(check: ReplyCheck, callers: C) -> Result<(), Failure> {
    let result = match check {
        ReplyCheck::EachIsAnsweredOnce => each_is_answered_once(callers).await,
        ReplyCheck::ErrorsAreAnswersToo => errors_are_answers_too(callers).await,
        ReplyCheck::AFailoverLosesNoAnswer => a_failover_loses_no_answer(callers).await,
    };
    result.map_err(|what| Failure { check: check.name(), what, duty: check.duty() })
}

/// Answers each number with another one, always the same.
#[derive(Default, Serialize, Deserialize)]
struct Oracle;

impl StateMachine for Oracle {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _commit: &Commit, number: u64) -> u64 {
        mix(number)
    }
}

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long to wait for answers that must not come.
const TOO_LATE: Duration = Duration::from_millis(200);

struct Group<C> {
    callers: C,
    network: InProcessNetwork,
    replicas: BTreeMap<ReplicaId, Handle<Oracle>>,
    pumps: JoinSet<()>,
    answers: Answers,
    /// Whom each name belongs to, and what it must hear.
    asked: BTreeMap<String, (ReplicaId, u64)>,
}

impl<C: Callers> Group<C> {
    /// Replicas of a group of three, as many as there are ids.
    async fn new(callers: C, running: u32, deadline: Duration) -> Result<Self, Wrong> {
        let mut group = Self {
            callers,
            network: InProcessNetwork::default(),
            replicas: BTreeMap::new(),
            pumps: JoinSet::new(),
            answers: Answers::default(),
            asked: BTreeMap::new(),
        };
        for id in ids(running) {
            let mut config = Config::default();
            config.seed = Some(u64::from(id.0));
            config.heartbeat_interval = Duration::from_millis(50);
            config.heartbeat_timeout = Duration::from_millis(250);
            config.client.deadline = deadline;
            let (transport, mut arrived) = group.network.connect(id, 1024);
            let replies = group.callers.connect(id, group.answers.clone()).await;
            let builder =
                Builder::new(id, ids(3), Oracle).config(config).transport(transport).replies(replies);
            let replica = builder.start().await.map_err(|error| format!("{id} cannot start: {error}"))?;
            let mailbox = replica.clone();
            group.replicas.insert(id, replica);
            group.pumps.spawn(async move {
                while let Some(message) = arrived.recv().await {
                    mailbox.deliver(message);
                }
            });
        }
        Ok(group)
    }

    /// Submits under a name, as soon as there is room.
    async fn submit(&mut self, id: ReplicaId, name: String, number: u64) -> Result<(), Wrong> {
        self.asked.insert(name.clone(), (id, mix(number)));
        loop {
            match self.replicas[&id].submit(number, ReplyTo::Custom(Bytes::from(name.clone()))) {
                Ok(()) => return Ok(()),
                // Not taken, and not to be answered.
                Err(RequestError::Overloaded { .. }) => sleep(Duration::from_millis(1)).await,
                Err(error) => return Err(format!("{id} takes no request: {error}")),
            }
        }
    }

    /// Waits until all who asked at a living replica have an answer, then a while for answers too many, and looks at them.
    async fn judge(&self, right: impl Fn(&Result<u64, String>, u64) -> bool) -> Result<(), Wrong> {
        let mut waited = Duration::ZERO;
        let lives = |id: &ReplicaId| self.replicas.contains_key(id);
        loop {
            let waiting = |(name, (id, _)): &(&String, &(ReplicaId, u64))| {
                lives(id) && !self.answers.all().contains_key(*name)
            };
            let Some((name, (id, _))) = self.asked.iter().find(waiting) else { break };
            if waited > DEADLINE * 2 {
                let missing = self.asked.iter().filter(waiting).count();
                return Err(format!(
                    "{name} was submitted at {id} and never answered, nor were {} more",
                    missing - 1
                ));
            }
            sleep(Duration::from_millis(10)).await;
            waited += Duration::from_millis(10);
        }
        sleep(TOO_LATE).await;
        let answers = self.answers.all();
        let names: BTreeSet<_> = answers.keys().chain(self.asked.keys()).collect();
        for name in names {
            let Some((id, wanted)) = self.asked.get(name) else {
                return Err(format!("{name:?} was answered and did not ask"));
            };
            match answers.get(name).map(Vec::as_slice) {
                None => {}
                Some([reply]) if right(reply, *wanted) => {}
                Some([reply]) => {
                    return Err(format!(
                        "{name}, submitted at {id}, was answered with {reply:?}, not with {wanted}"
                    ));
                }
                Some(several) => {
                    return Err(format!("{name}, submitted at {id}, was answered {} times", several.len()));
                }
            }
        }
        Ok(())
    }

    /// The primary, as soon as there is one.
    async fn primary(&self) -> Result<ReplicaId, Wrong> {
        let normal = |status: &vsr_actor::vsr_core::Status| status.status == StatusName::Normal;
        let mut waited = Duration::ZERO;
        while waited < DEADLINE {
            let statuses = self.replicas.values().map(|replica| replica.status().protocol).filter(normal);
            if let Some(status) = statuses.max_by_key(|status| status.view) {
                return Ok(status.primary);
            }
            sleep(Duration::from_millis(10)).await;
            waited += Duration::from_millis(10);
        }
        Err(format!("no group was formed within {DEADLINE:?}"))
    }

    async fn crash(&mut self, id: ReplicaId) {
        self.network.disconnect(id);
        let Some(replica) = self.replicas.remove(&id) else { return };
        let mut status = replica.watch_status();
        drop(replica);
        // Its pump ended with the network, and held the last handle.
        while status.next().await.is_some() {}
        self.callers.disconnect(id).await;
    }
}

fn replied(reply: &Result<u64, String>, wanted: u64) -> bool {
    *reply == Ok(wanted)
}

async fn each_is_answered_once<C: Callers>(callers: C) -> Result<(), Wrong> {
    let mut group = Group::new(callers, 3, DEADLINE).await?;
    for number in 0..200 {
        for id in ids(3) {
            group.submit(id, format!("request {number} at {id}"), number * 10 + u64::from(id.0)).await?;
        }
    }
    group.judge(replied).await
}

async fn errors_are_answers_too<C: Callers>(callers: C) -> Result<(), Wrong> {
    // One of three: no quorum, and no reply.
    let mut group = Group::new(callers, 1, Duration::from_millis(300)).await?;
    for number in 0..20 {
        group.submit(ReplicaId(0), format!("request {number}"), number).await?;
    }
    group.judge(|reply, _| reply.is_err()).await
}

async fn a_failover_loses_no_answer<C: Callers>(callers: C) -> Result<(), Wrong> {
    let mut group = Group::new(callers, 3, DEADLINE).await?;
    let mut primary = ReplicaId(0);
    for number in 0..200 {
        for id in ids(3) {
            if group.replicas.contains_key(&id) {
                group.submit(id, format!("request {number} at {id}"), number * 10 + u64::from(id.0)).await?;
            }
        }
        // What was asked since then is under way when the primary dies.
        match number {
            100 => primary = group.primary().await?,
            150 => group.crash(primary).await,
            _ => {}
        }
    }
    group.judge(replied).await
}
