//! Where callbacks run: their mailbox, their timers, the work they started, and what they asked for.

use super::{Context, Hooks, Next, PeerState, Stop, context::Joining};
use crate::{ReplicaError, StateMachine, dump::Callbacks, machine, observe::Telemetry};
use std::{
    any::type_name,
    future::pending,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::timeout,
};
use vsr_core::{ReplicaId, Status, Time};

/// Most callbacks in one turn of the replica: this bounds the time until the protocol has its next one.
const TURNS_MAX: usize = 256;

type Callback<M> = dyn FnOnce(&mut M, &mut Context<M>) -> Next + Send;

/// One callback about to run.
pub(crate) struct Turn<M: StateMachine> {
    callback: &'static str,
    message: &'static str,
    run: Box<Callback<M>>,
}

impl<M: StateMachine> Turn<M> {
    /// A callback for a message of type `C`.
    pub(super) fn new<C>(
        callback: &'static str,
        run: impl FnOnce(&mut M, &mut Context<M>) -> Next + Send + 'static,
    ) -> Self {
        Self { callback, message: type_name::<C>(), run: Box::new(run) }
    }
}

pub(crate) struct Host<M: StateMachine> {
    hooks: &'static dyn Hooks<M>,
    mailbox: mpsc::Receiver<Turn<M>>,
    /// What was taken from the mailbox, and what came back from spawned work.
    taken: Vec<Turn<M>>,
    context: Context<M>,
    /// A callback asked for `handle_continue`.
    continuing: bool,
    idle_at: Option<Time>,
    /// A callback asked for the end.
    stop: Option<Stop>,
    failed: Option<ReplicaError>,
    slow: Duration,
    terminate_timeout: Duration,
}

/// What a host is made of.
pub(crate) struct Parts<M: StateMachine> {
    pub(crate) hooks: &'static dyn Hooks<M>,
    pub(crate) mailbox: mpsc::Receiver<Turn<M>>,
    pub(crate) context: Context<M>,
    pub(crate) slow: Duration,
    pub(crate) terminate_timeout: Duration,
}

/// Runs `init` to its end, on a task of its own, so that its panic is an error and its time is bounded.
pub(crate) async fn init<M: StateMachine>(
    mut server: M,
    parts: Parts<M>,
    bound: Duration,
) -> Result<(M, Host<M>, Joining), ReplicaError> {
    let Parts { hooks, mailbox, mut context, slow, terminate_timeout } = parts;
    // A set, since a task in it does not outlive this future.
    let mut task = JoinSet::new();
    task.spawn(async move {
        let result = hooks.init(&mut server, &mut context).await;
        (server, context, result)
    });
    let (server, mut context, result) = match timeout(bound, task.join_next()).await {
        Err(_elapsed) => return Err(ReplicaError::InitTimedOut { after: bound }),
        Ok(None) => return Err(ReplicaError::Aborted),
        Ok(Some(ended)) => ended.map_err(|error| ended_badly("init", error))?,
    };
    result.map_err(|stop| ReplicaError::Init { stop })?;
    let joining = context.joining();
    let host = Host {
        hooks,
        mailbox,
        taken: Vec::new(),
        continuing: std::mem::take(&mut context.go_on),
        context,
        idle_at: None,
        stop: None,
        failed: None,
        slow,
        terminate_timeout,
    };
    Ok((server, host, joining))
}

fn ended_badly(callback: &'static str, error: JoinError) -> ReplicaError {
    match error.try_into_panic() {
        Ok(panic) => ReplicaError::Callback { callback, reason: machine::message(panic) },
        Err(_cancelled) => ReplicaError::Aborted,
    }
}

impl<M: StateMachine> Host<M> {
    pub(crate) fn hooks(&self) -> &'static dyn Hooks<M> {
        self.hooks
    }

    /// Another replica went up or down.
    pub(crate) fn monitor(&mut self, peer: ReplicaId, state: PeerState) {
        let hooks = self.hooks;
        self.taken.push(Turn::new::<PeerState>("monitor_node", move |server, ctx| {
            hooks.monitor_node(server, peer, state, ctx)
        }));
    }

    /// Messages in the mailbox.
    pub(crate) fn waiting(&self) -> usize {
        self.mailbox.len() + self.taken.len()
    }

    pub(crate) fn dump(&self) -> Callbacks {
        Callbacks { timers: self.context.timers.len(), spawned: self.context.spawned.len() }
    }

    /// Waits for a message or for the result of spawned work. Cancel-safe: both stay here.
    pub(crate) async fn next(&mut self) {
        if self.stop.is_some() {
            return pending().await;
        }
        let Self { mailbox, taken, context, .. } = self;
        let done = tokio::select! {
            biased;
            Some(done) = context.spawned.join_next(), if !context.spawned.is_empty() => done,
            _ = mailbox.recv_many(taken, TURNS_MAX / 2) => return,
        };
        self.take_result(done);
    }

    /// When there is something to do that no message brings.
    pub(crate) fn deadline(&self) -> Option<Time> {
        if self.stop.is_some() {
            // Nothing is handled any more.
            return None;
        }
        if self.continuing || !self.taken.is_empty() {
            return Some(Time(0));
        }
        [self.context.timers.next(), self.idle_at].into_iter().flatten().min()
    }

    /// Runs the callbacks that are due.
    ///
    /// # Errors
    /// A callback panicked, or said that it failed: the replica ends.
    pub(crate) fn run(
        &mut self,
        server: &mut M,
        now: Time,
        status: Status,
        telemetry: &mut Telemetry,
    ) -> Result<(), ReplicaError> {
        if self.stop.is_some() {
            return Ok(());
        }
        self.context.set_status(status);
        self.collect(now);
        if self.continuing {
            self.continuing = false;
            let hooks = self.hooks;
            let turn = Turn::new::<()>("handle_continue", |server, ctx| hooks.handle_continue(server, ctx));
            self.call(turn, server, now, telemetry)?;
        }
        let mut due = std::mem::take(&mut self.taken).into_iter();
        // One that asks to go on goes on before any other.
        while self.stop.is_none() && !self.continuing {
            let Some(turn) = due.next() else { break };
            self.call(turn, server, now, telemetry)?;
        }
        self.taken = due.collect();
        if self.stop.is_none() && self.idle_at.is_some_and(|at| at <= now) {
            self.idle_at = None;
            let hooks = self.hooks;
            let turn = Turn::new::<()>("handle_idle", |server, ctx| hooks.handle_idle(server, ctx));
            self.call(turn, server, now, telemetry)?;
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// What has come until now, from each source up to a share of the turn: none of them can shut the others out.
    fn collect(&mut self, now: Time) {
        for _ in 0..TURNS_MAX / 4 {
            let Some(done) = self.context.spawned.try_join_next() else { break };
            self.take_result(done);
        }
        for _ in 0..TURNS_MAX / 4 {
            // One that repeats clones its info: that is the user's code.
            match machine::called("send_interval", || self.context.timers.take_due(now)) {
                Ok(Some(turn)) => self.taken.push(turn),
                Ok(None) => break,
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        for _ in 0..TURNS_MAX / 2 {
            let Ok(turn) = self.mailbox.try_recv() else { break };
            self.taken.push(turn);
        }
    }

    fn take_result(&mut self, done: Result<Option<Turn<M>>, JoinError>) {
        match done {
            Ok(turn) => self.taken.extend(turn),
            Err(error) => self.failed = Some(ended_badly("spawn", error)),
        }
    }

    fn call(
        &mut self,
        turn: Turn<M>,
        server: &mut M,
        now: Time,
        telemetry: &mut Telemetry,
    ) -> Result<(), ReplicaError> {
        let Turn { callback, message, run } = turn;
        let began = Instant::now();
        let next = machine::called(callback, || run(server, &mut self.context))?;
        let took = began.elapsed();
        if took > self.slow {
            telemetry.callback_slow(callback, message, took);
        }
        self.idle_at = None;
        match next {
            Next::Wait => {}
            Next::Continue => self.continuing = true,
            Next::Idle(time) => self.idle_at = Some(now.after(time)),
            Next::Stop(Stop::Failed(reason)) => return Err(ReplicaError::Stopped { reason }),
            Next::Stop(stop) => self.stop = Some(stop),
        }
        self.continuing |= std::mem::take(&mut self.context.go_on);
        Ok(())
    }

    /// Whether a callback asked for the end.
    pub(crate) fn wants_to_stop(&self) -> bool {
        self.stop.is_some()
    }

    /// The end: messages that wait are dropped, so that their callers hear of it; work under way is aborted and waited for; then
    /// `terminate` has the last word.
    pub(crate) async fn terminate(
        &mut self,
        server: &mut M,
        error: Option<&ReplicaError>,
        telemetry: &mut Telemetry,
    ) {
        let why = match (error, self.stop.take()) {
            (Some(error), _) => Stop::because(error),
            (None, Some(stop)) => stop,
            (None, None) => Stop::Shutdown,
        };
        // These hold values of the user, whose `Drop` may panic: that must not hide why the replica ends, either.
        let let_go = || {
            self.mailbox.close();
            self.taken.clear();
            while self.mailbox.try_recv().is_ok() {}
        };
        drop(machine::caught(let_go));
        let last = async {
            self.context.spawned.shutdown().await;
            // A panic of it must not hide why the replica ends.
            drop(machine::caught_future(self.hooks.terminate(server, &why)).await);
        };
        if timeout(self.terminate_timeout, last).await.is_err() {
            telemetry.callback_slow("terminate", type_name::<M>(), self.terminate_timeout);
        }
    }
}
