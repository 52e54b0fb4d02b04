//! What comes into a replica's task, and how the task waits for it.

use crate::{
    Persisted, ReplyTo, StateMachine, answers::Due, bell::Bells, client::Knock, clock::Clock,
    control::Control, leaving::Leaving, read::ReadJob, replica_task::ReplicaTask, seat::next, server::Host,
};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    runtime::Handle as Runtime,
    sync::{futures::OwnedNotified, mpsc},
    task::yield_now,
    time::{Instant, Sleep, sleep_until},
};
use vsr_core::{Message, Request, Time, WriteId};

/// The lanes into the task.
pub(crate) struct Mailbox<M: StateMachine> {
    pub(crate) control: mpsc::Receiver<Control<M::Reply>>,
    pub(crate) peers: mpsc::Receiver<Message>,
    pub(crate) clients: mpsc::Receiver<Knock<M::Reply>>,
    pub(crate) reads: mpsc::Receiver<ReadJob<M>>,
}

/// Most that is taken from a lane in one turn. The lanes' capacities bound the memory; this bounds the time until the next look at
/// the lanes above.
const CONTROL_MAX: usize = 16;
const PEERS_MAX: usize = 256;
pub(crate) const CLIENTS_MAX: usize = 1024;
const READS_MAX: usize = 1024;
/// While so many proposals are under way requests wait, to be one more proposal together: of many small ones each would cost as
/// much as a large one. But not for long: acknowledgements may come from far away. A log on a disk gathers by itself what it flushes;
/// it is never kept waiting.
const PROPOSALS_MAX: usize = 2;
const HELD_BACK_MAX: Duration = Duration::from_millis(4);
/// How long others go first, however many they are: they need not have to do with this replica.
const OTHERS_FIRST_MAX: Duration = Duration::from_millis(4);

/// What was taken from the lanes and waits for its step, and how the task waits for more.
pub(crate) struct Lanes<M: StateMachine> {
    pub(crate) control: Vec<Control<M::Reply>>,
    pub(crate) peers: Vec<Message>,
    pub(crate) clients: Vec<Knock<M::Reply>>,
    /// Those of one client, on their way to the protocol.
    pub(crate) requests: Vec<Request>,
    /// Replies of a run of operations, and whom each goes to.
    pub(crate) due: Vec<Due<M::Reply>>,
    pub(crate) callers: Vec<Option<ReplyTo<M::Reply>>>,
    pub(crate) reads: Vec<ReadJob<M>>,
    /// Of this turn: they see the state at its end.
    pub(crate) stale: Vec<ReadJob<M>>,
    timer: Option<(Time, Pin<Box<Sleep>>)>,
    /// When the last turn began.
    pub(crate) now: Time,
    /// Who rings has something.
    bells: Bells,
    /// The storage's next word.
    storage: Pin<Box<OwnedNotified>>,
    /// The storage had made the last write durable by the time it had taken it.
    pub(crate) writes_at_once: bool,
    /// When requests were taken last.
    pub(crate) taken_at: Time,
    /// The last turn that took requests took more than one: others are likely to be on their way.
    pub(crate) crowded: bool,
    /// The last turn of this backup that took messages took more than one: the others did without it, and may again. Where one
    /// worker runs them all that saves it every other turn.
    pub(crate) behind: bool,
    /// The latest write that was handed to the storage, and the latest one the protocol knows to be durable.
    pub(crate) written: WriteId,
    pub(crate) durable: u64,
    pub(crate) leaving: Option<Leaving>,
}

impl<M: StateMachine> Lanes<M> {
    pub(crate) fn new(persisted: &Persisted) -> Self {
        Self {
            control: Vec::new(),
            peers: Vec::new(),
            clients: Vec::new(),
            requests: Vec::new(),
            due: Vec::new(),
            callers: Vec::new(),
            reads: Vec::new(),
            stale: Vec::new(),
            timer: None,
            now: Time(0),
            // Nobody's, until the task waits for the first time.
            bells: Bells::new(Waker::noop()),
            storage: Box::pin(persisted.next_change()),
            writes_at_once: false,
            taken_at: Time(0),
            crowded: false,
            behind: false,
            written: WriteId::default(),
            durable: 0,
            leaving: None,
        }
    }
}

impl<M: StateMachine> ReplicaTask<M> {
    /// Waits until there is something to do. Cancel-safe: what was taken from a lane stays in its buffer.
    pub(crate) async fn wait(&mut self) {
        let held_until = self.held_back_until();
        let deadline = self.next_deadline().min(held_until.unwrap_or(Time(u64::MAX)));
        let room = if held_until.is_some() { 0 } else { self.core.room() };
        let lanes = &mut self.lanes;
        if deadline <= lanes.now || (!lanes.clients.is_empty() && room > 0) {
            // There is work already; everybody else gets a chance in between.
            yield_now().await;
            return self.top_up();
        }
        // Armed again only if it would be late: one that is early costs a turn, each arming costs more.
        if lanes.timer.as_ref().is_none_or(|(armed, sleep)| deadline < *armed || sleep.is_elapsed()) {
            let at: Instant = self.clock.instant(deadline);
            match &mut lanes.timer {
                Some((armed, sleep)) => {
                    *armed = deadline;
                    sleep.as_mut().reset(at);
                }
                None => lanes.timer = Some((deadline, Box::pin(sleep_until(at)))),
            }
            lanes.bells.seldom.ring_later();
        }
        poll_fn(|context| self.poll_lanes(context, room)).await;
        let Lanes { crowded, behind, .. } = self.lanes;
        if crowded || behind {
            to_the_end_of_the_queue().await;
            if crowded {
                let_others_go_first(self.clock).await;
            }
            self.top_up();
        }
    }

    /// Until when requests wait for the proposals under way, if they do.
    pub(crate) fn held_back_until(&self) -> Option<Time> {
        let until = self.lanes.taken_at.after(HELD_BACK_MAX);
        let may_wait = self.lanes.writes_at_once && self.lanes.now < until;
        (may_wait && self.core.proposals_in_flight() >= PROPOSALS_MAX).then_some(until)
    }

    fn next_deadline(&self) -> Time {
        let leaving = self.lanes.leaving.as_ref().map(|leaving| leaving.until);
        let callbacks = self.host.as_ref().and_then(Host::deadline);
        [leaving, callbacks].into_iter().flatten().fold(self.core.deadline(), Time::min)
    }

    /// Adds what has come since the lanes were asked.
    pub(crate) fn top_up(&mut self) {
        let Self { mailbox, lanes, .. } = self;
        if lanes.bells.seldom.may_have_rung() {
            top_up(&mut mailbox.control, &mut lanes.control, CONTROL_MAX);
            top_up(&mut mailbox.reads, &mut lanes.reads, READS_MAX);
        }
        if lanes.bells.peers.may_have_rung() {
            top_up(&mut mailbox.peers, &mut lanes.peers, PEERS_MAX);
        }
        if lanes.bells.clients.may_have_rung() {
            top_up(&mut mailbox.clients, &mut lanes.clients, CLIENTS_MAX);
        }
    }

    /// Asks those whose bell rang.
    fn poll_lanes(&mut self, context: &mut Context<'_>, room: usize) -> Poll<()> {
        self.lanes.bells.belong_to(context);
        let mut ready = self.poll_seldom().is_ready();
        let Self { mailbox, lanes, .. } = self;
        ready |= lanes.bells.peers.answer(&mut mailbox.peers, &mut lanes.peers, PEERS_MAX).is_ready();
        if room > 0 {
            let clients = &mut lanes.clients;
            ready |= lanes.bells.clients.answer(&mut mailbox.clients, clients, CLIENTS_MAX).is_ready();
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_seldom(&mut self) -> Poll<()> {
        let Self { mailbox, lanes, persisted, background, host, .. } = self;
        let bell = &lanes.bells.seldom;
        if !bell.has_rung() && !background.is_busy() && host.is_none() {
            return Poll::Pending;
        }
        let context = &mut Context::from_waker(bell.waker());
        let mut ready = mailbox.control.poll_recv_many(context, &mut lanes.control, CONTROL_MAX).is_ready();
        if lanes.storage.as_mut().poll(context).is_ready() {
            lanes.storage = Box::pin(persisted.next_change());
            ready = true;
        }
        ready |= pin!(background.done()).poll(context).is_ready();
        ready |= lanes.timer.as_mut().is_some_and(|(_, timer)| timer.as_mut().poll(context).is_ready());
        ready |= mailbox.reads.poll_recv_many(context, &mut lanes.reads, READS_MAX).is_ready();
        ready |= pin!(next(host)).poll(context).is_ready();
        if ready {
            // Perhaps it is not the only one.
            bell.ring_later();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// Those whom the last replies woke, most of all: they are about to ask again. A worker's own queue holds 256 tasks. Whoever finds it
/// full waits in the runtime's global queue, where a worker seldom looks as long as its own has something: tasks that keep waking each
/// other would be served again and again, and the others a hundred times later.
async fn let_others_go_first(clock: Clock) {
    let metrics = Runtime::current().metrics();
    if metrics.global_queue_depth() > 0 {
        let until = clock.now().monotonic.after(OTHERS_FIRST_MAX);
        while metrics.global_queue_depth() > 0 && clock.now().monotonic < until {
            yield_now().await;
        }
    }
}

/// Goes to the end of the worker's queue: whoever is in it already may have something for this turn. Tokio's own yield comes back
/// after its next look at timers and sockets, which may be sooner.
async fn to_the_end_of_the_queue() {
    let mut gone = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gone, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Adds to `taken` what is in the lane, up to `max` in all.
fn top_up<T>(lane: &mut mpsc::Receiver<T>, taken: &mut Vec<T>, max: usize) {
    while taken.len() < max {
        match lane.try_recv() {
            Ok(message) => taken.push(message),
            Err(_) => return,
        }
    }
}
