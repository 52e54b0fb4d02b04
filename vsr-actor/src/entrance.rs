//! The way into the group through one replica: for the replica's owner, and for its own callbacks.

use crate::{
    Client, Config, ReplyTo, RequestError, StateMachine, client::Preference, control::Control,
    door::DoorsView,
};
use std::sync::OnceLock;
use tokio::{runtime::Handle as Runtime, sync::mpsc};

pub(crate) struct Entrance<M: StateMachine> {
    pub(crate) config: Config,
    pub(crate) doors: DoorsView<M>,
    pub(crate) index: usize,
    pub(crate) runtime: Runtime,
    pub(crate) control: mpsc::Sender<Control<M::Reply>>,
    /// Made when it is needed.
    own: OnceLock<Client<M>>,
}

impl<M: StateMachine> Entrance<M> {
    pub(crate) fn new(
        config: Config,
        doors: DoorsView<M>,
        index: usize,
        control: mpsc::Sender<Control<M::Reply>>,
    ) -> Self {
        Self { config, doors, index, runtime: Runtime::current(), control, own: OnceLock::new() }
    }

    /// A new client whose only way in is this replica.
    pub(crate) fn client(&self) -> Client<M> {
        self.start(None)
    }

    /// Submits to the replica's own session. `to` comes back with an error, without an answer.
    pub(crate) fn submit(
        &self,
        operation: M::Operation,
        to: ReplyTo<M::Reply>,
    ) -> Result<(), (RequestError, ReplyTo<M::Reply>)> {
        let own = self.own.get_or_init(|| self.start(Some(self.control.clone())));
        own.try_submit_to(operation, to).map(drop)
    }

    fn start(&self, custom: Option<mpsc::Sender<Control<M::Reply>>>) -> Client<M> {
        Client::start(&self.config, self.doors.clone(), Preference::Only(self.index), &self.runtime, custom)
    }
}
