//! Sets of replicas. A vote is a member of a set: heard twice, it counts once (rule A3).

/// Replicas by their position in the membership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ReplicaSet(u64);

impl ReplicaSet {
    pub(crate) fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    pub(crate) fn contains(self, index: usize) -> bool {
        self.0 & 1 << index != 0
    }

    pub(crate) fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// How many replicas make a quorum, for replication and for view changes alike. From the configuration, never from who is
/// connected (rule A6).
pub(crate) fn quorum(replicas: usize) -> usize {
    replicas / 2 + 1
}
