//! What a storage held: whether it is this replica's, and fits together (rule F3).

use crate::{
    config::Config,
    configuration::{Membership, Record},
    entry::Entry,
    id::OpNumber,
    log::{Log, Point},
    session::Sessions,
    snapshot::Snapshot,
    stop::StartError,
};
use alloc::vec::Vec;

/// The storage must be this replica's, and formed as configured (decisions 10 and 12).
pub(super) fn check_record(config: &Config, record: Record) -> Result<Record, StartError> {
    if (record.cluster, record.group, record.replica) != (config.cluster, config.group, config.replica) {
        return Err(StartError::OtherReplica {
            found_cluster: record.cluster,
            found_group: record.group,
            found_replica: record.replica,
            cluster: config.cluster,
            group: config.group,
            replica: config.replica,
        });
    }
    if let Some(membership) = &record.membership {
        if !membership.members.iter().map(|member| member.id).eq(config.members.iter().copied()) {
            return Err(StartError::OtherMembers);
        }
        if membership.limits != config.replicated {
            return Err(StartError::OtherLimits { stored: membership.limits, configured: config.replicated });
        }
    }
    if record.log_view > record.view {
        return Err(StartError::Broken { at: record.start_op, what: "the log's view is above the view" });
    }
    Ok(record)
}

/// A snapshot of this group, that the protocol can read (rule E1).
pub(super) fn restore_replicated(
    snapshot: &Snapshot,
    membership: Option<&Membership>,
) -> Result<(Sessions, u64), StartError> {
    let broken = |what| StartError::Broken { at: snapshot.op(), what };
    let replicated = snapshot.replicated().ok_or(broken("the snapshot cannot be read"))?;
    if Some(&replicated.membership) != membership {
        return Err(broken("the snapshot is of another membership"));
    }
    Ok((replicated.sessions, replicated.replies))
}

/// The entries of the storage as a log, from the snapshot's op or the first entry on, whichever is lower.
pub(super) fn restore_log(snapshot: Point, entries: Vec<Entry>) -> Result<Log, StartError> {
    let mut log = match entries.first() {
        Some(first) if first.first() <= snapshot.op => Log::starting_at(Point {
            op: OpNumber(first.first().0.saturating_sub(1)),
            hash: first.parent(),
            timestamp: 0,
        }),
        _ => Log::starting_at(snapshot),
    };
    for entry in entries {
        let end = log.end();
        if !entry.is_intact() || entry.first() != end.op.next() || entry.parent() != end.hash {
            return Err(StartError::Broken {
                at: entry.first(),
                what: "the entry does not follow the one before it",
            });
        }
        log.append(entry);
    }
    match log.hash_at(snapshot.op) {
        Some(hash) if hash == snapshot.hash => Ok(log),
        _ => Err(StartError::Broken { at: snapshot.op, what: "snapshot and log do not meet" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::ReplicatedLimits,
        id::{EpochNumber, Hash},
        snapshot::Replicated,
    };
    use bytes::Bytes;

    #[test]
    fn a_snapshot_of_the_storage_must_be_readable_and_of_the_same_membership() {
        let limits = ReplicatedLimits::default();
        let membership = |epoch| Membership { epoch: EpochNumber(epoch), members: Vec::new(), limits };
        let at = Point { op: OpNumber(3), hash: Hash(1), timestamp: 1 };
        let snapshot = |protocol| Snapshot::new(at, protocol, Bytes::new().into());
        let replicated =
            Replicated { membership: membership(0), sessions: Sessions::new(limits), replies: 4 };
        let good = snapshot(replicated.encode());
        let restored = restore_replicated(&good, Some(&membership(0))).expect("it is this group's");
        assert_eq!(restored, (Sessions::new(limits), 4));
        let broken = |what| Err(StartError::Broken { at: OpNumber(3), what });
        let other = restore_replicated(&good, Some(&membership(1)));
        assert_eq!(other, broken("the snapshot is of another membership"));
        let unreadable = restore_replicated(&snapshot(Bytes::from_static(b"?")), Some(&membership(0)));
        assert_eq!(unreadable, broken("the snapshot cannot be read"));
    }
}
