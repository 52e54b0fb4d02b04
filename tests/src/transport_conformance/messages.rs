//! Messages of all kinds and sizes.

use crate::simulation::{self, Options};
use bytes::Bytes;
use std::collections::BTreeMap;
use vsr_actor::vsr_core::{
    Body, ClientId, ClusterId, Config, DoViewChange, Effect, Entry, EpochNumber, GroupId, Incarnation, Input,
    Limits, Message, Now, OpNumber, Origin, Replica, ReplicaId, Request, RequestNumber, Restored, SessionId,
    Suffix, ViewNumber, checksum,
};

/// Of each kind the smallest and the largest message that some simulated replicas sent, and some with the largest numbers there are:
/// the same ones each time. A kind has several forms; the smallest has its lists empty.
#[must_use]
pub fn every_kind() -> Vec<Message> {
    let mut kinds: BTreeMap<_, Vec<Message>> = BTreeMap::new();
    for seed in 1..4 {
        let options = Options { view_durable: seed == 3, ..Options::default() };
        for message in simulation::messages(seed, options, 3000) {
            kinds.entry(message.body.name()).or_default().push(message);
        }
    }
    let mut chosen = Vec::new();
    for mut kind in kinds.into_values() {
        kind.sort_by_cached_key(|message| message.encode().len());
        let last = kind.len() - 1;
        for index in [0, last / 2, last] {
            let mut message = kind[index].clone();
            if index == last {
                // No form may lose the low bits of large numbers.
                message.cluster = ClusterId(u64::MAX);
                message.group = GroupId(u64::MAX - 1);
                message.epoch = EpochNumber(u64::MAX - 2);
                message.view = ViewNumber(ViewNumber::MAX.0 - 1);
                message.incarnation = Incarnation(u64::MAX - 3);
            }
            if !chosen.contains(&message) {
                chosen.push(message);
            }
        }
    }
    chosen
}

/// A short message that no other number makes.
pub(super) fn numbered(number: u64) -> Message {
    Message {
        cluster: ClusterId(1),
        group: GroupId(2),
        epoch: EpochNumber(0),
        view: ViewNumber(3),
        from: ReplicaId(0),
        incarnation: Incarnation(4),
        body: Body::Commit { commit: OpNumber(number), beat: number, pace: 1, heard: 6 },
    }
}

/// What is sent to nobody who listens has numbers from here on.
const NOISE: u64 = 1 << 40;

/// So many messages that are not worth recognising.
pub(super) fn noise(to: ReplicaId, count: u64) -> Vec<(ReplicaId, Message)> {
    (0..count).map(|number| (to, numbered(NOISE + number))).collect()
}

pub(super) fn is_noise(message: &Message) -> bool {
    matches!(message.body, Body::Commit { beat: NOISE.., .. })
}

/// The largest message of default [`Limits`]: a log of many small operations and some of the largest, all uncommitted, sent
/// to a new primary.
#[must_use]
pub fn largest() -> Message {
    let limits = Limits::default();
    let large = limits.operation_bytes_max;
    let small = limits.entry_bytes_max / limits.entry_ops_max;
    let turns = limits.pipeline_ops_max as usize / limits.entry_ops_max - 1;
    let many = (0..turns).map(|_| vec![small; limits.entry_ops_max]);
    let few = (limits.pipeline_bytes_max - turns * limits.entry_bytes_max) / large;
    let entries = entries(many.chain((0..few).map(|_| vec![large])));
    let suffix = Suffix { base: OpNumber(1), base_hash: entries[0].parent(), entries };
    let timestamp = suffix.entries.last().map_or(0, Entry::last_timestamp);
    let log = DoViewChange { log_view: ViewNumber(2), timestamp, suffix };
    Message { body: Body::DoViewChange(Box::new(log)), ..numbered(0) }
}

/// A message that carries an operation of so many bytes.
pub(super) fn sized(bytes: usize) -> Message {
    let entry = entries(std::iter::once(vec![bytes])).remove(0);
    Message { body: Body::Prepare { entry, commit: OpNumber(1), beat: 1 }, ..numbered(0) }
}

/// A log that a replica alone makes of turns with operations of these lengths.
fn entries(turns: impl Iterator<Item = Vec<usize>>) -> Vec<Entry> {
    let (now, only) = (Now::default(), ReplicaId(0));
    let mut effects = Vec::new();
    let mut replica = Replica::start(now, Config::new(only, vec![only]), Restored::default(), &mut effects)
        .expect("the default configuration is valid");
    let mut log = Vec::new();
    settle(&mut replica, &mut effects, &mut log);
    let register = Request::new(Origin::Register { client: ClientId(7) }, Bytes::new());
    replica.step(now, Input::Request(register), &mut effects);
    settle(&mut replica, &mut effects, &mut log);
    let session = SessionId { slot: 0, number: log.last().expect("the session is open").last() };
    log.clear();
    let mut number = 0;
    for lengths in turns {
        for length in lengths {
            number += 1;
            let operation = Bytes::from(vec![number as u8; length]);
            let origin = Origin::Request {
                session,
                request: RequestNumber(number),
                acked_below: RequestNumber(number),
                checksum: checksum(&operation),
            };
            replica.step(now, Input::Request(Request::new(origin, operation)), &mut effects);
        }
        settle(&mut replica, &mut effects, &mut log);
    }
    log
}

/// Ends turns until nothing happens any more; what is written goes to the log.
fn settle(replica: &mut Replica, effects: &mut Vec<Effect>, log: &mut Vec<Entry>) {
    loop {
        replica.end_turn(Now::default(), effects);
        if effects.is_empty() {
            return;
        }
        for effect in std::mem::take(effects) {
            match effect {
                Effect::Append(write) => {
                    log.extend(write.entries);
                    replica.step(Now::default(), Input::Persisted(write.id), effects);
                }
                Effect::Commit { entry, range } => {
                    let first = entry.first().0;
                    range.for_each(|index| replica.applied(OpNumber(first + index as u64), &[]));
                }
                Effect::TakeDigest { op } => replica.digested(op, None),
                _ => {}
            }
        }
    }
}

/// What a person is told of a message.
pub(super) fn describe(message: &Message) -> String {
    format!("{:?} of {} bytes", message.body.name(), message.encode().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vsr_actor::vsr_core::Hash;

    #[test]
    fn every_kind_is_there_and_valid() {
        let all = every_kind();
        let names: std::collections::BTreeSet<_> = all.iter().map(|message| message.body.name()).collect();
        assert_eq!(names.len(), 18, "{names:?}");
        assert!(all.iter().all(|message| Message::decode(message.encode()).as_ref() == Ok(message)));
    }

    #[test]
    fn the_largest_is_legal_and_fills_the_pipeline() {
        let message = largest();
        let Body::DoViewChange(log) = &message.body else { panic!("{:?}", message.body.name()) };
        let limits = Limits::default();
        let ops: usize = log.suffix.entries.iter().map(Entry::len).sum();
        let bytes: usize = log.suffix.entries.iter().map(Entry::bytes).sum();
        assert!(log.suffix.is_intact());
        assert!(ops as u64 <= limits.pipeline_ops_max && bytes <= limits.pipeline_bytes_max);
        assert!(bytes > limits.pipeline_bytes_max * 9 / 10, "{bytes} bytes in {ops} operations");
        assert!(message.encode().len() <= limits.frame_bytes_max);
        assert_eq!(log.suffix.base_hash, log.suffix.entries[0].parent());
        assert_ne!(log.suffix.base_hash, Hash(0));
    }
}
