//! How replicas reach each other.

pub(crate) mod in_process;
pub(crate) mod tcp;

use vsr_core::{Message, ReplicaId};

/// Carries messages from this replica to the others.
///
/// A transport may lose, double, delay and reorder messages: the protocol repairs that. What arrives is handed to the replica it is
/// for with [`Handle::deliver`](crate::Handle::deliver). A transport over bytes uses [`Message::encode`] and [`Message::decode`].
///
/// ```
/// use vsr_actor::{Message, ReplicaId, Transport};
///
/// /// Counts what passes.
/// struct Counting<T> { inner: T, bytes: usize }
///
/// impl<T: Transport> Transport for Counting<T> {
///     fn send_vsr(&mut self, to: ReplicaId, message: Message) {
///         self.bytes += message.encode().len();
///         self.inner.send_vsr(to, message);
///     }
/// }
/// ```
pub trait Transport: Send + 'static {
    /// Sends `message` to `to`. Called on the replica's task: it must not block. A message that cannot be taken at once is dropped.
    /// A panic stops the replica.
    fn send_vsr(&mut self, to: ReplicaId, message: Message);
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        (**self).send_vsr(to, message);
    }
}
