//! Wakes a task, and remembers that it did.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

/// A waker for sources that seldom have something. As long as it does not ring they keep it, and need not be asked again: asking a
/// source that has nothing costs as much as receiving a message.
pub(crate) struct Bell {
    rang: AtomicBool,
    task: Waker,
}

impl Bell {
    /// The bell of the task that polls now. A new one has rung: nobody was asked yet.
    pub(crate) fn of<'a>(kept: &'a mut Option<Arc<Self>>, context: &Context<'_>) -> &'a Arc<Self> {
        let task = context.waker();
        if kept.as_ref().is_none_or(|bell| !bell.task.will_wake(task)) {
            *kept = None;
        }
        kept.get_or_insert_with(|| Arc::new(Self { rang: AtomicBool::new(true), task: task.clone() }))
    }

    /// Whether it has rung since this was asked last.
    pub(crate) fn has_rung(&self) -> bool {
        self.rang.load(Ordering::Relaxed) && self.rang.swap(false, Ordering::AcqRel)
    }

    /// The same, without forgetting it.
    pub(crate) fn may_have_rung(&self) -> bool {
        self.rang.load(Ordering::Acquire)
    }

    /// Ask everybody the next time.
    pub(crate) fn ring_later(&self) {
        self.rang.store(true, Ordering::Release);
    }
}

impl Wake for Bell {
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

    #[test]
    fn it_wakes_its_task_and_is_new_for_another_one() {
        let (one, other) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let (first, second) = (Waker::from(one.clone()), Waker::from(other));
        let mut kept = None;
        let bell = Bell::of(&mut kept, &Context::from_waker(&first)).clone();
        assert!(bell.has_rung() && !bell.has_rung(), "at first everybody is to be asked");
        Waker::from(bell.clone()).wake();
        assert_eq!(one.0.load(Ordering::Relaxed), 1);
        let again = Bell::of(&mut kept, &Context::from_waker(&first)).clone();
        assert!(Arc::ptr_eq(&again, &bell) && again.has_rung());
        let moved = Bell::of(&mut kept, &Context::from_waker(&second));
        assert!(!Arc::ptr_eq(moved, &bell) && moved.has_rung());
    }
}
