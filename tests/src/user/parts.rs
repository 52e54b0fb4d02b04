//! What a user gives to a simulation: machines, work, and what must hold.

use super::{
    actor::{Actor, called},
    shadow::Shadow,
};
use crate::{
    prng::Prng,
    subject::{Hosted, Subject},
};
use bytes::Bytes;
use std::{fmt, rc::Rc};
use vsr_actor::{Payload, StateMachine};
use vsr_core::{Entry, Origin};

/// Compares a reply with that of the sequential model; the error is what the model replies.
pub(super) type Specification<M> =
    dyn FnMut(&<M as StateMachine>::Operation, &<M as StateMachine>::Reply) -> Result<(), Bytes>;
pub(super) type Invariant<M> = dyn Fn(&M) -> Result<(), String>;
type Workload<M> = dyn Fn(&mut Prng, usize) -> <M as StateMachine>::Operation;
type Describe = dyn Fn(Bytes) -> Option<String>;

pub(super) struct Parts<M: StateMachine> {
    pub(super) factory: Box<dyn Fn() -> M>,
    pub(super) workload: Option<Box<Workload<M>>>,
    pub(super) invariants: Vec<Box<Invariant<M>>>,
    /// Begins a new model.
    pub(super) specification: Option<Box<dyn Fn() -> Box<Specification<M>>>>,
    /// Operations and replies as text, if their types can be.
    pub(super) text: Option<(Box<Describe>, Box<Describe>)>,
}

impl<M: StateMachine> Parts<M> {
    pub(super) fn describe_operation(&self, operation: &Bytes) -> String {
        let text = self.text.as_ref().and_then(|(text, _)| text(operation.clone()));
        text.unwrap_or_else(|| format!("{operation:?}"))
    }

    pub(super) fn describe_reply(&self, reply: &Bytes) -> String {
        let text = self.text.as_ref().and_then(|(_, text)| text(reply.clone()));
        text.unwrap_or_else(|| format!("{reply:?}"))
    }

    pub(super) fn describe(&self, entry: &Entry, index: usize) -> String {
        match entry.origin(index) {
            Origin::Request { .. } => self.describe_operation(&entry.operation(index)),
            Origin::Tick => "tick".into(),
            Origin::Register { client } => format!("register {client}"),
        }
    }
}

/// Bytes as `Debug` shows their value.
pub(super) fn debug<P: Payload + fmt::Debug>(bytes: Bytes) -> Option<String> {
    called(|| P::decode(bytes).ok().map(|value| format!("{value:?}")), String::new).ok().flatten()
}

/// What the simulator runs.
pub(super) struct Own<M: StateMachine>(pub(super) Rc<Parts<M>>);

impl<M: StateMachine> Subject for Own<M> {
    fn machine(&self) -> Box<dyn Hosted> {
        Box::new(Actor::new(&self.0))
    }

    fn model(&self) -> Box<dyn Hosted> {
        Box::new(Shadow::new(&self.0))
    }

    fn operation(&self, prng: &mut Prng, client: usize) -> Bytes {
        let workload = self.0.workload.as_ref().expect("a simulation does not run without a workload");
        let mut bytes = Vec::new();
        workload(prng, client).encode(&mut bytes);
        bytes.into()
    }
}

impl<M: StateMachine> fmt::Debug for Own<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<M>())
    }
}
