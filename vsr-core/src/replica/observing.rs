//! What is told to those who watch: changes always, the steps of single messages and operations only while somebody asks for them.

use super::Replica;
use crate::{effect::Effect, event::Event};

impl Replica {
    /// Whether somebody hears of every step. From the start it is so; without a listener a host spares itself the events that come
    /// with every message, turn and operation. Nothing else depends on it, and rare events are told in any case: those are left out
    /// whose documentation says that they are steps.
    pub fn set_observed(&mut self, observed: bool) {
        self.observed = observed;
    }

    /// Tells of a change.
    pub(super) fn observe(&mut self, event: Event) {
        self.out.push(Effect::Observe(event));
    }

    /// Tells of a step: it comes so often that it is left out when nobody hears it.
    pub(super) fn observe_step(&mut self, event: Event) {
        if self.observed {
            self.observe(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, Config, Input, Now, Origin, ReplicaId, Request, Restored};
    use alloc::{format, string::String, vec, vec::Vec};

    /// What a group of one does from its start to the registration of a client.
    fn effects(observed: bool) -> Vec<Effect> {
        let (now, mut effects, mut all) = (Now::default(), Vec::new(), Vec::new());
        let config = Config::new(ReplicaId(0), vec![ReplicaId(0)]);
        let mut replica = Replica::start(now, config, Restored::default(), &mut effects).expect("it is new");
        replica.set_observed(observed);
        let origin = Origin::Register { client: ClientId(1) };
        for input in [Input::Timer, Input::Request(Request::new(origin, bytes::Bytes::new()))] {
            replica.step(now, input, &mut effects);
            loop {
                replica.end_turn(now, &mut effects);
                let done = core::mem::take(&mut effects);
                if done.is_empty() {
                    break;
                }
                for effect in &done {
                    if let Effect::Append(write) = effect {
                        replica.step(now, Input::Persisted(write.id), &mut effects);
                    }
                }
                all.extend(done);
            }
        }
        all
    }

    #[test]
    fn who_hears_nothing_misses_steps_and_nothing_else() {
        let is_step = |effect: &Effect| {
            matches!(
                effect,
                Effect::Observe(
                    Event::Appended { .. }
                        | Event::PrepareSent { .. }
                        | Event::QuorumReached { .. }
                        | Event::CommitAdvanced { .. }
                )
            )
        };
        let lines = |effects: Vec<Effect>| -> Vec<String> {
            effects.iter().map(|effect| format!("{effect:?}")).collect()
        };
        let mut heard = effects(true);
        assert_eq!(heard.iter().filter(|effect| is_step(effect)).count(), 4);
        heard.retain(|effect| !is_step(effect));
        assert_eq!(lines(heard), lines(effects(false)));
    }
}
