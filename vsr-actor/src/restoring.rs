//! A state that was written out is taken over. A large one is read on a thread that may wait for a disk, so that whoever shares the
//! runtime goes on: other groups, a front-end, a probe. This replica has nothing to do before it has its state.

use crate::{ReplicaError, StateMachine, background::Job, machine::restore, replica_task::ReplicaTask};
use std::{any::type_name, future::pending, sync::Arc, time::Instant};
use vsr_core::Snapshot;

/// A smaller state is restored at once: it is read sooner than a thread is woken.
const SMALL_BYTES: u64 = 64 << 10;

impl<M: StateMachine> ReplicaTask<M> {
    /// Takes over a state. One that is large becomes due for [`restore`](Self::restore): what follows has to wait for it.
    pub(crate) fn install(&mut self, snapshot: Arc<Snapshot>) -> Result<(), ReplicaError> {
        if snapshot.state().len() > SMALL_BYTES {
            // Lent from here on: whoever looked at the old state now would take it for the new one.
            self.restoring = Some((self.machine.lend(), snapshot));
            return Ok(());
        }
        self.timed("restore", type_name::<M>(), |task| restore(task.machine.state_mut(), snapshot.state()))?;
        self.installed()
    }

    /// Takes over a large state. If this is dropped the thread reads on to its end, and drops the state machine there.
    pub(crate) async fn restore(
        &mut self,
        (mut machine, snapshot): (M, Arc<Snapshot>),
    ) -> Result<(), ReplicaError> {
        let mut job = Job::start(move || {
            let began = Instant::now();
            let restored = restore(&mut machine, snapshot.state());
            (machine, restored, began.elapsed())
        });
        job.done().await;
        let Some(Some((machine, restored, took))) = job.take() else {
            // The runtime is shut down, and this task with it.
            return pending().await;
        };
        self.machine.give_back(machine);
        self.tell_if_slow("restore", type_name::<M>(), took);
        restored?;
        self.guarded(Self::installed)
    }

    /// Carries out the effects that are there, and ends the turn they belong to: at the start, and behind a state that was restored. False:
    /// the replica has ended.
    pub(crate) fn carry_on(&mut self) -> Result<bool, ReplicaError> {
        let now = self.clock.now();
        self.carry_out()?;
        if self.restoring.is_some() {
            return Ok(true);
        }
        self.end_turn(now)
    }
}
