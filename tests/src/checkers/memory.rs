//! J12: a replica whose log is lost votes for nothing and vouches for nothing until another log is durable in its place; and it
//! gives up only when too many are in the same state for good (rule F11).

use super::Violation;
use crate::{disk::Disk, host::Host};
use std::collections::BTreeSet;
use vsr_core::{Body, Event, Message, ReplicaId, Standing, StopReason};

#[derive(Debug)]
pub(super) struct Memory {
    lost: Vec<bool>,
    /// Of which it was said that they can never recover.
    given_up: BTreeSet<ReplicaId>,
}

impl Memory {
    pub(super) fn new(replicas: usize) -> Self {
        Self { lost: vec![false; replicas], given_up: BTreeSet::new() }
    }

    pub(super) fn on_loss(&mut self, replica: usize, disk: &Disk) {
        self.lost[replica] = disk.is_lost();
    }

    pub(super) fn on_durable(&mut self, hosts: &[Host]) {
        for (lost, host) in self.lost.iter_mut().zip(hosts) {
            *lost = host.disk.is_lost();
        }
    }

    pub(super) fn on_send(replica: usize, message: &Message, disk: &Disk) -> Result<(), Violation> {
        let vouches = match &message.body {
            Body::Prepare { .. }
            | Body::PrepareOk { .. }
            | Body::Commit { .. }
            | Body::StartViewChange
            | Body::DoViewChange(_)
            | Body::StartView(_) => true,
            Body::NewState(body) => body.normal,
            Body::RecoveryResponse(body) => !matches!(body.standing, Standing::Recovering { .. }),
            // Questions, and what follows from committed operations alone.
            _ => false,
        };
        if !(disk.is_lost() && vouches) {
            return Ok(());
        }
        let what = format!("replica {replica} has no log and sends {:?}", message.body.name());
        Err(Violation::new("J12 recovering", what))
    }

    pub(super) fn on_event(&self, replica: usize, event: &Event) -> Result<(), Violation> {
        let recovered = matches!(event, Event::Recovered { .. });
        if !(recovered && self.given_up.contains(&ReplicaId(replica as u32))) {
            return Ok(());
        }
        Err(Violation::new("F11 stop", format!("replica {replica} was given up, and recovers")))
    }

    pub(super) fn on_stop(&mut self, reason: &StopReason) -> Result<(), Violation> {
        let StopReason::MemoryLost { recovering, needed, replicas } = reason else { return Ok(()) };
        let lost = self.lost.iter().filter(|lost| **lost).count();
        self.given_up.extend(recovering);
        if replicas - lost < *needed && recovering.len() <= lost {
            return Ok(());
        }
        Err(Violation::new("F11 stop", format!("{reason}, but {lost} are")))
    }
}
