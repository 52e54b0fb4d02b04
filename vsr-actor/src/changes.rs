//! What a watch channel shows, as a stream.

use futures_core::Stream;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::sync::watch;
use tokio_util::sync::ReusableBoxFuture;

/// First what is seen now, then what is seen after each change; it ends with the channel.
pub(crate) struct Changes<U>(Pin<Box<dyn Stream<Item = U> + Send>>);

impl<U: 'static> Changes<U> {
    /// `see` says what is worth telling in a value of the channel. It runs under the channel's lock.
    pub(crate) fn new<T: Send + Sync + 'static>(
        shown: watch::Receiver<T>,
        see: impl FnMut(&T) -> Option<U> + Send + Unpin + 'static,
    ) -> Self {
        let at_once = async { (shown, true) };
        Self(Box::pin(Watched { next: ReusableBoxFuture::new(at_once), see }))
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<U>> {
        self.0.as_mut().poll_next(context)
    }
}

struct Watched<T, F> {
    /// Ready with the channel, and whether it goes on.
    next: ReusableBoxFuture<'static, (watch::Receiver<T>, bool)>,
    see: F,
}

async fn changed<T>(mut shown: watch::Receiver<T>) -> (watch::Receiver<T>, bool) {
    let goes_on = shown.changed().await.is_ok();
    (shown, goes_on)
}

impl<T, U, F> Stream for Watched<T, F>
where
    T: Send + Sync + 'static,
    F: FnMut(&T) -> Option<U> + Unpin,
{
    type Item = U;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<U>> {
        loop {
            let (mut shown, goes_on) = ready!(self.next.poll(context));
            let seen = if goes_on { (self.see)(&shown.borrow_and_update()) } else { None };
            self.next.set(changed(shown));
            if seen.is_some() || !goes_on {
                return Poll::Ready(seen);
            }
        }
    }
}

impl<U> fmt::Debug for Changes<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes")
    }
}
