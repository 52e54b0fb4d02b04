//! Finding out what became of a request whose outcome is unknown.

use super::{Client, RequestId, Shared, Ticket, kept::Found, queue::after};
use crate::{Outcome, ReplyTo, RequestError, StateMachine, replies::Waiting};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

impl<M: StateMachine> Client<M> {
    /// What became of a request of this client, or of a clone, that ended with [`Deadline`](RequestError::Deadline), or whose
    /// [`Ticket`] was dropped after its [`id`](Ticket::id) was asked for. Such a request is sent until it is answered; this waits for
    /// that, up to the client's deadline, and sends nothing itself: the operation is executed at most once, as ever.
    ///
    /// Replies that nobody has taken are kept for this: those of the newest `window` requests of the client that have one. A reply is
    /// handed out once.
    ///
    /// Cancel-safe: it can be asked for again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use vsr_actor::{RequestError, Verdict, prelude::*};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::in_process(3, Counter::default).await?;
    /// let counter = cluster.client();
    /// counter.request(5).await?;
    /// let cut = cluster.rule(|_from, _to, _message| Verdict::Drop);
    /// let asked = counter.with_deadline(Duration::from_millis(50)).request(7).await;
    /// let Err(RequestError::Deadline { request, .. }) = asked else { panic!("{asked:?}") };
    /// drop(cut); // the network is back
    /// assert_eq!(counter.resolve(request).await?, 12); // executed, once
    /// # Ok(cluster.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// What it would have told the request's caller: among them [`Deadline`](RequestError::Deadline), if the outcome is still unknown
    /// (ask again), [`SessionEvicted`](RequestError::SessionEvicted), if it will never be known, and those with the outcome
    /// [`NotExecuted`](Outcome::NotExecuted). And [`ReplyGone`](RequestError::ReplyGone): executed, but the reply was handed out, or is
    /// too old; [`Awaited`](RequestError::Awaited): somebody else waits for the reply; [`Forgotten`](RequestError::Forgotten), for old
    /// requests; [`Foreign`](RequestError::Foreign): another client's.
    pub async fn resolve(&self, request: RequestId) -> Result<M::Reply, RequestError> {
        let until = after(Instant::now(), self.deadline);
        let mut ticket = self.shared.reclaim(request)?;
        // A ticket that is dropped leaves its reply for the next one who asks.
        let told = timeout_at(until, &mut ticket).await;
        told.unwrap_or(Err(RequestError::Deadline { waited: self.deadline, request }))
    }
}

impl<R> Shared<R> {
    /// A ticket again.
    fn reclaim(self: &Arc<Self>, request: RequestId) -> Result<Ticket<R>, RequestError> {
        let reply = {
            let mut state = self.session.state();
            let serial = request.serial_at(state.queue.client()).ok_or(RequestError::Foreign { request })?;
            match state.queue.kept.find(serial) {
                Found::Reply(reply) => reply,
                Found::Error(error) => return Err(error),
                Found::Forgotten => return Err(RequestError::Forgotten { request }),
                Found::Nothing if state.is_closed() => {
                    return Err(RequestError::Stopped { outcome: Outcome::Unknown });
                }
                Found::Nothing => {
                    let to = state.queue.caller_of(serial).ok_or(RequestError::ReplyGone)?;
                    if to.as_ref().is_some_and(ReplyTo::is_awaited) {
                        return Err(RequestError::Awaited { request });
                    }
                    let (waiting, reply) = Waiting::caller();
                    *to = Some(ReplyTo::Waiter(waiting));
                    reply
                }
            }
        };
        Ok(Ticket::new(reply, request, true, self.clone()))
    }
}
