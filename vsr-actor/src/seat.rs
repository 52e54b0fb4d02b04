//! A replica before it joins its group: all that it is made of, and the wait for its name and its members.

use crate::{
    Config, Dump, Health, LogStorage, Persisted, ReplicaError, Replies, StateMachine, Transport,
    background::Background,
    client::Knock,
    clock::Clock,
    control::{Control, Done, Pause},
    door::{DoorKeeper, Doors},
    dump::depths,
    lanes::{Lanes, Mailbox},
    machine::{Machine, called},
    observe::{Listeners, Telemetry},
    read::{ReadJob, Readers},
    replica_task::{ReplicaTask, Run, run},
    server::Host,
    status::Publisher,
    waiters::Waiters,
};
use std::{future::pending, sync::Arc};
use tokio::{sync::mpsc, time::sleep_until};
use vsr_core::{Effect, Replica, ReplicaId, Status};

pub(crate) struct Seat<M: StateMachine> {
    pub(crate) config: Config,
    pub(crate) machine: Machine<M>,
    pub(crate) host: Option<Host<M>>,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) replies: Box<dyn Replies<M::Reply>>,
    pub(crate) storage: Box<dyn LogStorage>,
    pub(crate) mailbox: Mailbox<M>,
    pub(crate) doors: Doors<M>,
    pub(crate) index: usize,
    /// The lanes behind the door, once it opens.
    pub(crate) clients: mpsc::Sender<Knock<M::Reply>>,
    pub(crate) reads: mpsc::Sender<ReadJob<M>>,
    pub(crate) listeners: Listeners,
    pub(crate) clock: Clock,
    pub(crate) pause: Arc<Pause>,
    /// Which start of this replica it is.
    pub(crate) start: u64,
}

/// A replica of the protocol on what its storage held.
struct Opened {
    core: Replica,
    persisted: Persisted,
    effects: Vec<Effect>,
}

/// What ends the wait.
enum Called {
    Join(ReplicaId, Vec<ReplicaId>, Done),
    Leave,
}

impl<M: StateMachine> Seat<M> {
    /// Opens the storage and takes its place in the group. If it cannot, the actor has its last word.
    pub(crate) async fn join(
        mut self,
        id: ReplicaId,
        members: Vec<ReplicaId>,
    ) -> Result<ReplicaTask<M>, ReplicaError> {
        match self.open(id, &members).await {
            Ok(opened) => Ok(self.sit(id, members, opened)),
            Err(error) => {
                let mut telemetry = self.telemetry(id);
                self.terminate(Some(&error), &mut telemetry).await;
                Err(error)
            }
        }
    }

    async fn open(&mut self, id: ReplicaId, members: &[ReplicaId]) -> Result<Opened, ReplicaError> {
        let persisted = Persisted::default();
        let restored = self.storage.open(persisted.clone()).await?;
        let mut effects = Vec::new();
        let config = self.config.core(id, members.to_vec(), self.config.seed_of(id, self.start));
        let core = Replica::start(self.clock.now(), config, restored, &mut effects)?;
        Ok(Opened { core, persisted, effects })
    }

    fn sit(self, id: ReplicaId, members: Vec<ReplicaId>, opened: Opened) -> ReplicaTask<M> {
        let Opened { core, persisted, effects } = opened;
        let Self { config, machine, host, transport, replies, storage, mailbox, .. } = self;
        let Self { doors, index, clients, reads, clock, pause, listeners, .. } = self;
        let telemetry = Telemetry::new(config.group, core.status(), clock, listeners);
        ReplicaTask {
            core,
            machine,
            host,
            background: Background::default(),
            transport,
            replies,
            storage,
            lanes: Lanes::new(&persisted),
            persisted,
            mailbox,
            waiters: Waiters::new(config.replicated.sessions_max),
            readers: Readers::default(),
            door: DoorKeeper::open(doors, index, id, clients, reads),
            telemetry,
            clock,
            pause,
            members,
            effects,
            follow_ups: Vec::new(),
            restoring: None,
            config,
        }
    }

    fn telemetry(&self, id: ReplicaId) -> Telemetry {
        Telemetry::new(self.config.group, Status::not_joined(id), self.clock, self.listeners.clone())
    }

    async fn terminate(&mut self, error: Option<&ReplicaError>, telemetry: &mut Telemetry) {
        if let Some(host) = &mut self.host {
            host.terminate(self.machine.state_mut(), error, telemetry).await;
        }
    }

    /// Runs the callbacks until the replica is told its group; then it joins and runs.
    pub(crate) async fn wait_and_run(mut self, id: ReplicaId, publisher: Publisher) {
        let mut telemetry = self.telemetry(id);
        let (id, members, done) = match self.wait(id, &mut telemetry).await {
            Ok(Called::Join(id, members, done)) => (id, members, done),
            ended => {
                let ended = ended.map(|_| ());
                self.terminate(ended.as_ref().err(), &mut telemetry).await;
                let dropped = called("drop", || drop(self));
                publisher.end(ended.and(dropped).map_or_else(Health::Failed, |()| Health::Stopped));
                return;
            }
        };
        match self.join(id, members).await {
            Ok(task) => {
                publisher.joined(task.core.status());
                let _ = done.send(Ok(()));
                run(Run { task, publisher }).await;
            }
            Err(error) => {
                publisher.end(Health::Failed(error.clone()));
                let _ = done.send(Err(error));
            }
        }
    }

    async fn wait(&mut self, id: ReplicaId, telemetry: &mut Telemetry) -> Result<Called, ReplicaError> {
        let status = Status::not_joined(id);
        loop {
            let deadline = self.host.as_ref().and_then(Host::deadline).map(|at| self.clock.instant(at));
            let host = &mut self.host;
            let due = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            let order = tokio::select! {
                biased;
                order = self.mailbox.control.recv() => Some(order),
                () = next(host) => None,
                () = due => None,
            };
            match order {
                None => {}
                // The senders are gone only with the last handle, which aborts this task.
                Some(None) => return Ok(Called::Leave),
                Some(Some(order)) => {
                    if let Some(called) = self.obey(id, order)? {
                        return Ok(called);
                    }
                }
            }
            if let Some(host) = &mut self.host {
                let now = self.clock.now().monotonic;
                host.run(self.machine.state_mut(), now, status, telemetry)?;
                telemetry.check()?;
                if host.wants_to_stop() {
                    return Ok(Called::Leave);
                }
            }
        }
    }

    fn obey(&mut self, id: ReplicaId, order: Control<M::Reply>) -> Result<Option<Called>, ReplicaError> {
        match order {
            Control::Shutdown { .. } => return Ok(Some(Called::Leave)),
            Control::SetCluster(id, members, done) => {
                let core = self.config.core(id, members.clone(), 0);
                match core.validate() {
                    Ok(()) => return Ok(Some(Called::Join(id, members, done))),
                    Err(error) => {
                        let _ = done.send(Err(crate::ConfigError::Protocol(error).into()));
                    }
                }
            }
            Control::SetLog(log, done) => {
                self.storage = log;
                let _ = done.send(Ok(()));
            }
            Control::Dump(tell) => {
                let _ = tell.send(self.dump(id));
            }
            Control::Reply(to, reply) => called("send_reply", || self.replies.send_reply(to, reply))?,
        }
        Ok(None)
    }

    fn dump(&self, id: ReplicaId) -> Dump {
        Dump {
            cluster: self.config.cluster,
            group: self.config.group,
            members: Vec::new(),
            protocol: Status::not_joined(id),
            mailboxes: depths(&self.mailbox, self.host.as_ref()),
            waiting_requests: 0,
            waiting_registrations: 0,
            waiting_reads: 0,
            pending_writes: 0,
            storage_stalled: None,
            writing_snapshot: false,
            callbacks: self.host.as_ref().map(Host::dump),
        }
    }
}

/// Waits for the callbacks' mailbox, if there is one.
pub(crate) async fn next<M: StateMachine>(host: &mut Option<Host<M>>) {
    match host {
        Some(host) => host.next().await,
        None => pending().await,
    }
}
