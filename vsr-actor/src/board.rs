//! A value that changes all the time and is seldom looked at: changing it wakes nobody who does not wait.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

/// What is shown, and who waits for it to change.
#[derive(Debug)]
pub(crate) struct Board<T> {
    shown: Mutex<Shown<T>>,
    /// Somebody may wait for the next change.
    awaited: AtomicBool,
    changed: Notify,
    ended: Notify,
}

#[derive(Debug)]
struct Shown<T> {
    value: T,
    /// Counts changes.
    version: u64,
    /// The last change was made.
    ended: bool,
}

/// Looks at a board, and knows what it has seen.
#[derive(Debug)]
pub(crate) struct Viewer<T> {
    board: Arc<Board<T>>,
    seen: u64,
}

impl<T: Clone> Board<T> {
    pub(crate) fn new(value: T) -> Arc<Self> {
        Arc::new(Self {
            shown: Mutex::new(Shown { value, version: 0, ended: false }),
            awaited: AtomicBool::new(false),
            changed: Notify::new(),
            ended: Notify::new(),
        })
    }

    /// Changes the value; `change` says whether it did.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let changed = {
            let mut shown = self.shown();
            let changed = change(&mut shown.value);
            shown.version += u64::from(changed);
            changed
        };
        // Whoever has looked before the change has said before that it waits.
        if changed && self.awaited.load(Ordering::Acquire) && self.awaited.swap(false, Ordering::AcqRel) {
            self.changed.notify_waiters();
        }
        changed
    }

    /// Nothing changes any more.
    pub(crate) fn end(&self) {
        self.shown().ended = true;
        self.changed.notify_waiters();
        self.ended.notify_waiters();
    }

    /// Looks at the value. No code of the user runs in `see`.
    pub(crate) fn see<U>(&self, see: impl FnOnce(&T) -> U) -> U {
        see(&self.shown().value)
    }

    /// Waits until nothing changes any more. Cancel-safe.
    pub(crate) async fn wait_for_end(&self) {
        let mut ended = pin!(self.ended.notified());
        ended.as_mut().enable();
        if !self.shown().ended {
            ended.await;
        }
    }

    /// One who has seen nothing but the first value.
    pub(crate) fn viewer(self: &Arc<Self>) -> Viewer<T> {
        Viewer { board: self.clone(), seen: 0 }
    }

    fn shown(&self) -> MutexGuard<'_, Shown<T>> {
        // Every change under it is a single assignment.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Viewer<T> {
    pub(crate) fn latest(&mut self) -> T {
        let shown = self.board.shown();
        self.seen = shown.version;
        shown.value.clone()
    }

    /// Waits for a value that was not seen yet; nothing, if there will be none. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<T> {
        loop {
            let mut changed = pin!(self.board.changed.notified());
            changed.as_mut().enable();
            self.board.awaited.store(true, Ordering::Release);
            {
                let shown = self.board.shown();
                if shown.version != self.seen {
                    self.seen = shown.version;
                    return Some(shown.value.clone());
                }
                if shown.ended {
                    return None;
                }
            }
            changed.await;
        }
    }
}

impl<T> Clone for Viewer<T> {
    fn clone(&self) -> Self {
        Self { board: self.board.clone(), seen: self.seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::AtomicUsize,
        task::{Context, Poll, Wake, Waker},
    };

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn set(board: &Board<u32>, to: u32) -> bool {
        board.change(|value| std::mem::replace(value, to) != to)
    }

    #[test]
    fn who_waits_is_woken_once_by_a_change_and_by_the_end() {
        let board = Board::new(0);
        let (mut one, mut other) = (board.viewer(), board.viewer());
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        let wakes = || woken.0.swap(0, Ordering::Relaxed);
        {
            let (mut first, mut second) = (pin!(one.next()), pin!(other.next()));
            assert!(first.as_mut().poll(&mut context).is_pending());
            assert!(second.as_mut().poll(&mut context).is_pending());
            assert!(!set(&board, 0) && wakes() == 0, "it is the same");
            assert!(first.as_mut().poll(&mut context).is_pending());
            assert!(set(&board, 1) && wakes() == 2);
            assert!(set(&board, 2) && wakes() == 0, "they know already");
            assert_eq!(first.poll(&mut context), Poll::Ready(Some(2)));
            assert_eq!(second.poll(&mut context), Poll::Ready(Some(2)));
        }
        assert!(set(&board, 3) && wakes() == 0, "nobody waits");
        {
            let mut end = pin!(board.wait_for_end());
            assert!(end.as_mut().poll(&mut context).is_pending());
            assert!(set(&board, 4) && wakes() == 0, "it waits for the end alone");
            let mut seen_all = board.viewer();
            seen_all.latest();
            let mut more = pin!(seen_all.next());
            assert!(more.as_mut().poll(&mut context).is_pending());
            board.end();
            assert_eq!((wakes(), end.poll(&mut context)), (2, Poll::Ready(())));
            assert_eq!(more.poll(&mut context), Poll::Ready(None));
        }
        assert_eq!(pin!(one.next()).poll(&mut context), Poll::Ready(Some(4)), "the last one is seen");
        assert_eq!(pin!(one.next()).poll(&mut context), Poll::Ready(None));
        assert_eq!(other.latest(), 4);
        assert_eq!(pin!(other.next()).poll(&mut context), Poll::Ready(None));
        assert_eq!(pin!(board.wait_for_end()).poll(&mut context), Poll::Ready(()));
    }

    #[test]
    fn a_clone_has_seen_the_same() {
        let board = Board::new(0);
        let mut viewer = board.viewer();
        set(&board, 1);
        let mut before = viewer.clone();
        assert_eq!(viewer.latest(), 1);
        let (mut after, mut context) = (viewer.clone(), Context::from_waker(Waker::noop()));
        assert_eq!(pin!(before.next()).poll(&mut context), Poll::Ready(Some(1)));
        assert!(pin!(after.next()).poll(&mut context).is_pending());
    }
}
