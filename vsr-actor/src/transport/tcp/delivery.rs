//! Where messages go that arrive.

use crate::{Handle, Node, StateMachine};
use std::{fmt, sync::Arc};
use vsr_core::Message;

/// Takes messages that arrived at a [`Tcp`](crate::Tcp): a replica's [`Handle`], a [`Node`], or a function of your own as a [`Delivery`].
///
/// ```
/// use vsr_actor::{Deliver, Delivery, Handle, Node, StateMachine, Tcp};
///
/// fn into_replica<M: StateMachine>(tcp: &Tcp, replica: &Handle<M>) {
///     tcp.deliver_to(replica);
/// }
///
/// fn into_node(tcp: &Tcp, node: &Node) {
///     tcp.deliver_to(node);
/// }
///
/// /// Says what passes, whatever is behind.
/// fn told(inner: &impl Deliver) -> Delivery {
///     let inner = inner.delivery();
///     Delivery::new(move |message| {
///         println!("from {}", message.from);
///         inner.deliver(message);
///     })
/// }
/// ```
pub trait Deliver {
    /// The way in. It does not keep alive what is behind it.
    fn delivery(&self) -> Delivery;
}

/// A way in for messages. Clones are the same.
#[derive(Clone)]
pub struct Delivery(Arc<dyn Fn(Message) + Send + Sync>);

impl Delivery {
    /// A function of your own: called on the task of a connection, it must not block. A panic in it ends the connection.
    pub fn new(deliver: impl Fn(Message) + Send + Sync + 'static) -> Self {
        Self(Arc::new(deliver))
    }

    /// Hands a message in.
    pub fn deliver(&self, message: Message) {
        (self.0)(message);
    }
}

impl Deliver for Delivery {
    fn delivery(&self) -> Delivery {
        self.clone()
    }
}

impl<M: StateMachine> Deliver for Handle<M> {
    fn delivery(&self) -> Delivery {
        let mailbox = self.mailbox();
        // A full mailbox loses messages, like any network.
        Delivery::new(move |message| drop(mailbox.try_send(message)))
    }
}

impl Deliver for Node {
    fn delivery(&self) -> Delivery {
        Delivery::new(self.way_in())
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delivery")
    }
}
