//! Getting back a log that was lost (VRR §4.3, rules F8–F11): in memory when the replica crashed, or in a damaged storage.
//!
//! What the replica promised about views is durable, so the log is all it needs. It must hold whatever this replica acknowledged
//! before the loss. The primary of a view has all that was acknowledged in it, and the log of a view has all that was committed
//! before it. So: the log of a view not below the durable one, at least up to where its primary was *after* the loss, which is
//! what the nonce proves. Until all of it is installed, in one write, this replica has no vote and answers nobody.

use super::{
    Mode, Replica,
    memory_loss::{Fellows, Report},
};
use crate::{
    event::{Event, Ignored},
    id::{Nonce, OpNumber, ReplicaId, ViewNumber},
    message::{Body, RecoveryResponse, Standing},
    mutation::Mutation,
    stop::StopReason,
};
use alloc::{boxed::Box, vec, vec::Vec};

/// A replica without a log, and what it has heard.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Recovering {
    /// Drawn for this round: answers to an earlier one say nothing about now.
    nonce: Nonce,
    /// The answers of this round, by sender.
    answers: Vec<Option<Answer>>,
    fellows: Fellows,
}

/// What a replica that can answer says.
#[derive(Clone, Copy, Debug, Hash)]
struct Answer {
    view: ViewNumber,
    /// From the primary of the view: how far its log reaches.
    op: Option<OpNumber>,
}

/// What a replica without a log listens to.
pub(super) fn concerns(body: &Body) -> bool {
    matches!(body, Body::Bootstrap(_) | Body::Recovery { .. } | Body::RecoveryResponse(_) | Body::NewState(_))
}

impl Replica {
    /// The group is formed, and the log is lost.
    pub(super) fn recover(&mut self) {
        if self.mutated(Mutation::RejoinWithoutLog) {
            self.durability.reset();
            self.durability.record_changed();
            return self.rejoin();
        }
        self.mode = Mode::Recovering(Box::new(Recovering {
            nonce: Nonce(0),
            answers: Vec::new(),
            fellows: Fellows::new(self.replicas()),
        }));
        if self.recovery_needs() > self.replicas() - 1 {
            return self.stop_for_memory_loss(&[self.me]);
        }
        self.begin_round();
    }

    /// How many others must answer: so many that each quorum of a view change has one of them.
    fn recovery_needs(&self) -> usize {
        self.replicas() - self.quorum() + 1
    }

    /// Asks everybody anew. What was staged so far may be of a view that is over.
    pub(super) fn begin_round(&mut self) {
        let (nonce, replicas) = (self.rng.next(), self.replicas());
        let nonce = if self.mutated(Mutation::ReuseNonce) { 1 } else { nonce };
        self.transfer = None;
        let Mode::Recovering(recovering) = &mut self.mode else { return };
        recovering.nonce = Nonce(nonce);
        recovering.answers = vec![None; replicas];
        if let Some(lost) = recovering.fellows.next_round() {
            return self.stop_for_memory_loss(&lost);
        }
        self.observe(Event::RecoveryStarted { view: self.view });
        self.restart_failure_timer();
        self.timers.repeat_at = self.now.monotonic.after(self.config.heartbeat_interval);
        self.send_recovery();
    }

    /// At every heartbeat interval, until the round ends.
    pub(super) fn ask_again(&mut self) {
        if self.transfer.is_some() {
            self.fetch_again();
        } else {
            self.send_recovery();
        }
    }

    fn send_recovery(&mut self) {
        let Mode::Recovering(recovering) = &self.mode else { return };
        let nonce = recovering.nonce;
        self.broadcast(&Body::Recovery { nonce, boot: self.durability.boot() });
    }

    /// A replica has lost its log: it gets an answer from those who are normal, whose word on their view's log counts.
    pub(super) fn on_recovery(
        &mut self,
        from: usize,
        view: ViewNumber,
        nonce: Nonce,
        boot: u64,
    ) -> Result<(), Ignored> {
        self.observe(Event::RecoveryReceived { from: self.id_of(from), view });
        if matches!(self.mode, Mode::Recovering(_)) {
            self.note_fellow(from, boot);
            // It knows which log it needs, and may get it without another answer: nobody must take it for lost.
            if self.transfer.is_some() && !self.mutated(Mutation::CountFetching) {
                return Err(Ignored::Recovering);
            }
            return self.answer_fellow(from, nonce);
        }
        self.votes.remove(from);
        let ignore_view =
            self.mutated(Mutation::IgnoreRecoveryView) || self.mutated(Mutation::RecoverFromAnyPrimary);
        if view > self.view && !ignore_view {
            self.enter_view(view);
        }
        if view == self.view && from == self.primary_of(view) {
            self.leave_lost_primary();
        }
        if !self.serves_its_view() && !self.mutated(Mutation::AnswerBetweenViews) {
            return Err(Ignored::NotNormal);
        }
        let standing = match &self.mode {
            Mode::Primary(_) => Standing::Primary { op: self.log.op() },
            _ => Standing::Backup,
        };
        self.send(from, Body::RecoveryResponse(Box::new(RecoveryResponse { nonce, standing })));
        Ok(())
    }

    /// The primary of this view has promised the view and has no log: it can neither start it nor go on in it (rule C13).
    fn leave_lost_primary(&mut self) {
        if !self.votes.has(self.me) && !self.mutated(Mutation::WaitForLostPrimary) {
            self.cast_vote();
        }
    }

    pub(super) fn on_recovery_response(
        &mut self,
        from: usize,
        view: ViewNumber,
        body: RecoveryResponse,
    ) -> Result<(), Ignored> {
        let sender = self.id_of(from);
        let Mode::Recovering(recovering) = &mut self.mode else { return Err(Ignored::StaleNonce) };
        if body.nonce != recovering.nonce {
            return Err(Ignored::StaleNonce);
        }
        let op = match body.standing {
            Standing::Recovering { boot, heard } => return self.on_fellow(from, view, boot, &heard),
            Standing::Primary { op } => Some(op),
            Standing::Backup => None,
        };
        // It may have been sent before its sender lost its log as well.
        if recovering.fellows.heard_in_round(from) {
            return Err(Ignored::Recovering);
        }
        if self.transfer.is_some() {
            return Err(Ignored::NothingNew);
        }
        recovering.answers[from] = Some(Answer { view, op });
        self.observe(Event::RecoveryResponseReceived { from: sender, view, op });
        self.begin_recovery();
        Ok(())
    }

    /// With enough answers, that of the primary of their highest view among them, it is known which log is needed, and how much.
    fn begin_recovery(&mut self) {
        let Mode::Recovering(recovering) = &self.mode else { return };
        let answers = || recovering.answers.iter().flatten();
        let Some(highest) = answers().map(|answer| answer.view).max() else { return };
        if answers().count() < self.recovery_needs() || highest < self.view {
            return;
        }
        let any = self.mutated(Mutation::RecoverFromAnyPrimary);
        let best = answers()
            .filter(|answer| answer.view == highest || any)
            .filter_map(|answer| answer.op.map(|op| (answer.view, op)))
            .max();
        let Some((view, op)) = best else { return };
        self.observe(Event::RecoveryTargetKnown { view, op });
        self.restart_failure_timer();
        if self.begin_transfer(view, self.primary_of(view))
            && let Some(transfer) = &mut self.transfer
        {
            transfer.target = op;
            self.fetch();
        }
    }

    /// Another replica recovers as well. Two that wait for each other may be too many.
    fn on_fellow(
        &mut self,
        from: usize,
        view: ViewNumber,
        boot: u64,
        heard: &[(ReplicaId, u64)],
    ) -> Result<(), Ignored> {
        self.note_fellow(from, boot);
        let position = |id: &ReplicaId| self.config.members.iter().position(|member| member == id);
        let heard = heard.iter().filter_map(|(id, boot)| Some((position(id)?, *boot))).collect();
        let (me, needs) = (self.me, self.recovery_needs());
        let one_round = self.mutated(Mutation::StopAfterOneRound);
        let count = self.mutated(Mutation::CountRecovering);
        let Mode::Recovering(recovering) = &mut self.mode else { return Err(Ignored::StaleNonce) };
        recovering.fellows.report(from, Report { boot, heard });
        if let Some(replicas) = recovering.fellows.judge(me, needs, one_round) {
            self.observe(Event::MemoryLossProven { replicas });
        } else if count {
            recovering.answers[from] = Some(Answer { view, op: None });
            self.begin_recovery();
        }
        Ok(())
    }

    fn stop_for_memory_loss(&mut self, lost: &[usize]) {
        let recovering = lost.iter().map(|index| self.id_of(*index)).collect();
        let (needed, replicas) = (self.recovery_needs(), self.replicas());
        self.stop(StopReason::MemoryLost { recovering, needed, replicas });
    }

    fn note_fellow(&mut self, from: usize, boot: u64) {
        let Mode::Recovering(recovering) = &mut self.mode else { return };
        recovering.answers[from] = None;
        recovering.fellows.note(from, boot);
    }

    fn answer_fellow(&mut self, to: usize, nonce: Nonce) -> Result<(), Ignored> {
        let Mode::Recovering(recovering) = &self.mode else { return Err(Ignored::NotNormal) };
        let heard = recovering.fellows.heard().map(|(fellow, boot)| (self.id_of(fellow), boot)).collect();
        let standing = Standing::Recovering { boot: self.durability.boot(), heard };
        self.send(to, Body::RecoveryResponse(Box::new(RecoveryResponse { nonce, standing })));
        Ok(())
    }
}
