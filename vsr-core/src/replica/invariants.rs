//! What is true after every step.

use super::{Mode, Replica};
use crate::{entry::Entry, id::OpNumber};

impl Replica {
    /// Checks the invariants of a single replica; each line is one sentence. Tests and simulations call it after every step.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn check_invariants(&self) {
        if matches!(self.mode, Mode::Stopped) {
            return;
        }
        let (applied, emitted, op) = (self.commits.last_applied(), self.commits.emitted(), self.log.op());
        assert!(applied <= emitted, "nothing is applied before it was given to the host");
        assert!(emitted <= self.commit, "nothing is given to the host before it is committed");
        assert!(self.commit <= op, "the commit-number never passes the op-number");
        assert!(self.log.base() <= emitted, "nothing is trimmed before it was applied");
        assert!(self.log.point_at(self.commit).is_some(), "the commit-number is the end of an entry");
        assert!(self.log_view <= self.view, "the log is of no later view than the replica");
        assert!(
            self.start_op <= op || self.log_view < self.view,
            "the log reaches the op at which its view started"
        );
        assert!(self.durability.view() <= self.view, "the durable view is not above the view");
        assert!(self.durability.op() <= op, "no more is durable than there is");
        let durable = self.snapshot.as_ref().map_or(OpNumber(0), |snapshot| snapshot.op());
        let snapshot = durable.max(self.durability.snapshot_on_its_way());
        assert!(self.log.base() <= snapshot, "the log begins at or below a snapshot");
        match &self.mode {
            Mode::Primary(primary) => {
                assert_eq!(self.primary_of(self.view), self.me, "the view decides who is primary");
                assert_eq!(self.log_view, self.view, "normal means: with the log of the view");
                assert!(primary.queue.len() <= self.queue_max(), "the queue is within its bounds");
                let bytes: usize = self.log.entries_after(self.commit).map(Entry::bytes).sum();
                assert_eq!(
                    primary.pipeline_bytes(),
                    bytes,
                    "the pipeline's bytes are those of the uncommitted entries"
                );
                let durable =
                    self.durability.log_view() == Some(self.view) && self.durability.op() >= self.start_op;
                assert!(!primary.announced || durable, "a view is announced when it is durable");
            }
            Mode::Backup(_) => {
                assert_ne!(self.primary_of(self.view), self.me, "the view decides who is primary");
                assert_eq!(self.log_view, self.view, "normal means: with the log of the view");
            }
            Mode::ViewChange(_) => {
                assert!(self.log_view < self.view, "a view change is towards a view not yet started")
            }
            Mode::Recovering(_) => {
                assert_eq!(op.0, 0, "a log that was lost is there again when it is whole");
                assert!(self.durability.is_clean(), "who recovers has nothing to write");
            }
            Mode::Bootstrapping(_) => assert_eq!(op.0, 0, "no log before the group is formed"),
            Mode::Stopped => {}
        }
        if let Some(transfer) = &self.transfer {
            assert!(transfer.view >= self.view, "no transfer of a view that is over");
        }
        if let Some(incoming) = &self.incoming {
            assert!(incoming.held() <= incoming.header().bytes(), "no more arrives than was announced");
            let bytes_max = self.config.limits.snapshot_bytes_max;
            assert!(incoming.header().bytes() <= bytes_max, "what arrives is within its bound");
        }
        let pipeline_max = self.config.limits.pipeline_ops_max;
        assert!(op.0 - self.commit.0 <= pipeline_max, "the uncommitted log is within its bounds");
        self.reads.check(matches!(self.mode, Mode::Primary(_) | Mode::Backup(_)));
        self.sessions.check();
    }

    fn queue_max(&self) -> usize {
        let limits = &self.config.limits;
        let forwarded = self.replicas().saturating_mul(limits.forward_ops_max);
        limits.queue_ops_max.saturating_add(forwarded).saturating_add(1)
    }
}
