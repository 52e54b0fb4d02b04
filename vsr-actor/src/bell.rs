//! Wakes a task, and remembers who woke it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use tokio::sync::mpsc;

/// A waker that knows whether it was used. As long as it does not ring the source that has it keeps it, and need not be asked again:
/// asking a source that has nothing costs as much as receiving a message.
pub(crate) struct Bell {
    ring: Arc<Ring>,
    waker: Waker,
}

struct Ring {
    rang: AtomicBool,
    task: Waker,
}

/// The bells of a replica's task: one for each lane that is used with every operation, and one for all that seldom has something.
pub(crate) struct Bells {
    pub(crate) peers: Bell,
    pub(crate) clients: Bell,
    pub(crate) seldom: Bell,
}

impl Bells {
    pub(crate) fn new(task: &Waker) -> Self {
        Self { peers: Bell::new(task), clients: Bell::new(task), seldom: Bell::new(task) }
    }

    /// From now on they wake the task that polls now.
    pub(crate) fn belong_to(&mut self, context: &Context<'_>) {
        if !self.seldom.ring.task.will_wake(context.waker()) {
            *self = Self::new(context.waker());
        }
    }
}

impl Bell {
    /// A new one has rung: nobody was asked yet.
    fn new(task: &Waker) -> Self {
        let ring = Arc::new(Ring { rang: AtomicBool::new(true), task: task.clone() });
        Self { waker: Waker::from(ring.clone()), ring }
    }

    /// To be given to a source.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Whether it has rung since this was asked last.
    pub(crate) fn has_rung(&self) -> bool {
        self.may_have_rung() && self.ring.rang.swap(false, Ordering::AcqRel)
    }

    /// The same, without forgetting it.
    pub(crate) fn may_have_rung(&self) -> bool {
        self.ring.rang.load(Ordering::Acquire)
    }

    /// Ask the next time.
    pub(crate) fn ring_later(&self) {
        self.ring.ring_later();
    }

    /// Takes up to `max` messages from a lane, if this bell has rung for it.
    pub(crate) fn answer<T>(&self, lane: &mut mpsc::Receiver<T>, taken: &mut Vec<T>, max: usize) -> Poll<()> {
        if !self.has_rung() {
            return Poll::Pending;
        }
        let asked = lane.poll_recv_many(&mut Context::from_waker(&self.waker), taken, max).map(|_| ());
        if asked.is_ready() {
            // A lane that had something has not taken the waker, and perhaps it has more.
            self.ring_later();
        }
        asked
    }
}

impl Ring {
    fn ring_later(&self) {
        self.rang.store(true, Ordering::Release);
    }
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring_later();
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    #[test]
    fn they_wake_their_task_and_are_new_for_another_one() {
        let (one, other) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let (first, second) = (Waker::from(one.clone()), Waker::from(other));
        let mut bells = Bells::new(&first);
        let Bells { peers, clients, seldom } = &bells;
        for bell in [peers, clients, seldom] {
            assert!(bell.has_rung() && !bell.has_rung(), "at first everybody is to be asked");
        }
        peers.waker().wake_by_ref();
        assert_eq!(one.times(), 1);
        assert!(!clients.may_have_rung() && !seldom.may_have_rung(), "each rings for itself");
        bells.belong_to(&Context::from_waker(&first));
        assert!(bells.peers.has_rung() && !bells.clients.has_rung(), "they are the same");
        bells.belong_to(&Context::from_waker(&second));
        let Bells { peers, clients, seldom } = &bells;
        assert!([peers, clients, seldom].into_iter().all(Bell::has_rung));
    }

    #[test]
    fn a_lane_is_asked_until_it_has_nothing_and_again_when_it_rang() {
        let woken = Arc::new(Woken::default());
        let bell = Bell::new(&Waker::from(woken.clone()));
        let (lane, mut taken) = (mpsc::channel(8), Vec::new());
        let (sender, mut lane) = lane;
        let send = |number| sender.try_send(number).expect("there is room");
        let mut ask = |max| {
            let ready = bell.answer(&mut lane, &mut taken, max).is_ready();
            (ready, taken.len())
        };
        (1..=3).for_each(send);
        assert_eq!(ask(2), (true, 2));
        assert_eq!(ask(2), (true, 3), "there was more");
        send(4);
        assert_eq!((woken.times(), ask(2)), (0, (true, 4)), "nobody has to ring for what is asked anyway");
        assert_eq!(ask(2), (false, 4));
        send(5);
        send(6);
        assert_eq!((woken.times(), ask(8)), (1, (true, 6)));
    }
}
