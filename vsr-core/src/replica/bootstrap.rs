//! Forming the group (decision 12): identity, then membership, then votes; each durable before the next.
//!
//! A replica draws its incarnation once and makes it durable before it speaks. When it knows all incarnations it binds itself to
//! them, for good. When all members are bound to the same membership the group is formed. So a replica that was wiped at any
//! moment finds the others bound to its former incarnation, and cannot take part in a second beginning.

use super::{Mode, Replica, durability::Stage, normal::Backup};
use crate::{
    configuration::{Member, Membership},
    event::{Event, Ignored},
    id::{EpochNumber, Incarnation},
    message::{Body, Bootstrap},
    mutation::Mutation,
    quorum::ReplicaSet,
    stop::StopReason,
};
use alloc::{boxed::Box, vec, vec::Vec};

#[derive(Clone, Debug, Hash)]
pub(crate) struct Bootstrapping {
    /// The incarnations heard of.
    seen: Vec<Option<Incarnation>>,
    /// Who is bound to the same membership as this replica.
    bound: ReplicaSet,
}

impl Replica {
    pub(super) fn start_bootstrap(&mut self) {
        let mut seen = vec![None; self.replicas()];
        seen[self.me] = Some(self.incarnation);
        self.mode = Mode::Bootstrapping(Bootstrapping { seen, bound: ReplicaSet::default() });
        if self.mutated(Mutation::SkipBootstrap) {
            let seen = vec![Incarnation::default(); self.replicas()];
            self.bind(&seen);
            return self.form();
        }
        if self.durability.stage() == Stage::Unknown {
            self.durability.set_stage(Stage::Known);
        } else {
            self.advance_bootstrap();
            self.send_bootstrap();
        }
    }

    /// Says what this replica knows; repeated until the group is formed.
    pub(super) fn send_bootstrap(&mut self) {
        if self.durability.stage() > Stage::Unknown {
            let body = self.bootstrap_body();
            self.broadcast(&body);
        }
    }

    pub(super) fn on_bootstrap(
        &mut self,
        from: usize,
        incarnation: Incarnation,
        body: Bootstrap,
    ) -> Result<(), Ignored> {
        let peer = self.id_of(from);
        let Mode::Bootstrapping(_) = &self.mode else {
            // Formed: whoever still asks is told, if it belongs here.
            if !body.formed {
                let body = self.bootstrap_body();
                if self.durability.view() >= self.view {
                    self.send(from, body);
                }
            }
            return Err(Ignored::AlreadyFormed);
        };
        if let Some(theirs) = &body.membership {
            self.check_membership(from, theirs)?;
        }
        if let Mode::Bootstrapping(bootstrapping) = &mut self.mode {
            bootstrapping.seen[from] = Some(incarnation);
        }
        // Whoever knows less is told at once; nobody answers an answer that says as much as this replica knows.
        let behind = body.membership.is_none();
        match (&self.membership, body.membership) {
            (Some(ours), Some(theirs)) if *ours != theirs => {
                self.stop(StopReason::BootstrapConflict { peer });
                return Ok(());
            }
            (_, Some(theirs)) => {
                let all: Vec<_> = theirs.members.iter().map(|member| member.incarnation).collect();
                self.bind(&all);
                if let Mode::Bootstrapping(bootstrapping) = &mut self.mode {
                    bootstrapping.bound.insert(from);
                }
                if body.formed && self.durability.stage() >= Stage::Bound {
                    self.form();
                }
            }
            (_, None) => {}
        }
        if behind && self.durability.stage() >= Stage::Bound {
            let body = self.bootstrap_body();
            self.send(from, body);
        }
        self.advance_bootstrap();
        Ok(())
    }

    /// A stage may have become durable: that is worth telling everybody.
    pub(super) fn continue_bootstrap(&mut self, before: Stage) {
        if self.durability.stage() > before {
            self.send_bootstrap();
        }
        self.advance_bootstrap();
    }

    /// Takes the next stage when the one before is durable and the others agree. Says nothing: others are told when it is durable.
    fn advance_bootstrap(&mut self) {
        let Mode::Bootstrapping(bootstrapping) = &self.mode else { return };
        let stage = self.durability.stage();
        if stage == Stage::Known {
            if let Some(all) = bootstrapping.seen.iter().copied().collect::<Option<Vec<_>>>() {
                self.bind(&all);
            }
        } else if stage == Stage::Bound && bootstrapping.bound.len() == self.replicas() - 1 {
            self.form();
        } else if stage == Stage::Formed {
            self.begin();
        }
    }

    fn check_membership(&mut self, from: usize, theirs: &Membership) -> Result<(), Ignored> {
        let peer = self.id_of(from);
        if !theirs.members.iter().map(|member| member.id).eq(self.config.members.iter().copied()) {
            self.stop(StopReason::BootstrapConflict { peer });
            return Err(Ignored::Malformed);
        }
        if theirs.limits != self.config.replicated && !self.mutated(Mutation::IgnoreLimits) {
            self.stop(StopReason::LimitsDiffer { peer, theirs: theirs.limits, ours: self.config.replicated });
            return Err(Ignored::Malformed);
        }
        let expected = theirs.members[self.me].incarnation;
        if expected != self.incarnation {
            let (replica, found) = (self.config.replica, self.incarnation);
            self.stop(StopReason::StrangeIncarnation { peer, replica, expected, found });
            return Err(Ignored::Malformed);
        }
        Ok(())
    }

    /// Binds this replica to a membership; it never takes another.
    fn bind(&mut self, incarnations: &[Incarnation]) {
        if self.membership.is_some() {
            return;
        }
        let members = self.config.members.iter().zip(incarnations);
        self.membership = Some(Membership {
            epoch: EpochNumber(0),
            members: members.map(|(id, incarnation)| Member { id: *id, incarnation: *incarnation }).collect(),
            limits: self.config.replicated,
        });
        self.durability.set_stage(Stage::Bound);
        self.observe(Event::Bound);
    }

    fn form(&mut self) {
        if self.durability.wanted_stage() < Stage::Formed {
            self.durability.set_stage(Stage::Formed);
        }
    }

    /// View 0 starts with an empty log everywhere, so nobody has to announce it.
    fn begin(&mut self) {
        self.observe(Event::Formed);
        if self.primary_of(self.view) == self.me {
            self.become_primary(0, self.committed_point());
            self.announce_if_durable();
        } else {
            self.set_mode(Mode::Backup(Backup::default()));
            self.restart_failure_timer();
        }
    }

    fn bootstrap_body(&self) -> Body {
        let membership = self.membership.clone().filter(|_| self.durability.stage() >= Stage::Bound);
        Body::Bootstrap(Box::new(Bootstrap { membership, formed: self.durability.stage() == Stage::Formed }))
    }
}
