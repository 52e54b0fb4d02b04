//! The right, and the duty, to answer one call.

use super::CallError;
use std::{any::type_name, fmt};
use tokio::sync::oneshot;

/// Answers one call: at once, or later from wherever it was kept. Dropped, the caller gets [`CallError::Unanswered`].
///
/// It belongs beside the replicated state, never into it: it means something to this replica only. See [`VsrServer`](super::VsrServer).
///
/// ```
/// use vsr_actor::{RequestError, prelude::*};
///
/// /// Callers that are answered together, whatever comes of it.
/// #[derive(Default)]
/// struct Waiting(Vec<ReplyToken<i64>>);
///
/// impl Waiting {
///     fn answer(&mut self, told: &Result<i64, RequestError>) {
///         self.0.retain(|caller| !caller.is_abandoned());
///         for caller in self.0.drain(..) {
///             match told {
///                 Ok(answer) => caller.reply(*answer),
///                 Err(error) => caller.fail(error.clone()),
///             }
///         }
///     }
/// }
/// ```
#[must_use = "the caller waits for an answer"]
pub struct ReplyToken<A> {
    caller: Option<oneshot::Sender<Result<A, CallError>>>,
}

impl<A> ReplyToken<A> {
    pub(super) fn new(caller: oneshot::Sender<Result<A, CallError>>) -> Self {
        Self { caller: Some(caller) }
    }

    /// Answers. A caller that is gone is no error.
    pub fn reply(self, answer: A) {
        self.finish(Ok(answer));
    }

    /// Tells the caller that the replicated request that should have answered it failed.
    pub fn fail(self, error: crate::RequestError) {
        self.finish(Err(error.into()));
    }

    /// Whether nobody waits for the answer any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.caller.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(super) fn finish(mut self, answer: Result<A, CallError>) {
        if let Some(caller) = self.caller.take() {
            let _ = caller.send(answer);
        }
    }
}

impl<A> Drop for ReplyToken<A> {
    fn drop(&mut self) {
        if let Some(caller) = self.caller.take() {
            let _ = caller.send(Err(CallError::Unanswered));
        }
    }
}

impl<A> fmt::Debug for ReplyToken<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyToken<{}>", type_name::<A>())
    }
}
