//! Messages as bytes: the format does not change by accident, every message survives the way, and no bytes do harm.

use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use vsr_core::{
    Body, Bootstrap, ClusterId, DecodeError, Digest, Entry, EpochNumber, FORMAT_VERSION, GroupId, Hash,
    Incarnation, Membership, Message, Nonce, OpNumber, Record, RecoveryResponse, ReplicaId, ReplicatedLimits,
    Standing, ViewNumber, checksum,
};
use vsr_test::{
    prng::Prng,
    simulation::{Options, messages},
};

fn message(body: Body) -> Message {
    Message {
        cluster: ClusterId(1),
        group: GroupId(2),
        epoch: EpochNumber(0),
        view: ViewNumber(3),
        from: ReplicaId(4),
        incarnation: Incarnation(5),
        body,
    }
}

fn recovery_response(standing: Standing) -> Body {
    Body::RecoveryResponse(Box::new(RecoveryResponse { nonce: Nonce(10), standing }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Version, length of the encoded message, checksum of what follows.
const HEADER_BYTES: usize = 13;

/// Makes the checksum fit whatever was done to the rest: damage that no checksum finds.
fn seal(frame: &mut [u8]) {
    if frame.len() >= HEADER_BYTES {
        let sum = checksum(&frame[HEADER_BYTES..]);
        frame[5..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    }
}

/// If this fails the format has changed: then `FORMAT_VERSION` must change too.
#[test]
fn bytes_of_messages_are_golden() {
    assert_eq!(FORMAT_VERSION, 3);
    let head = "0100000000000000020000000000000000000000000000000300000000000000040000000500000000000000";
    let cases = [
        (
            Body::Commit { commit: OpNumber(6), beat: 7, pace: 8, heard: 9 },
            "0400000006000000000000000700000000000000080900000000000000",
            "03490000003b6da791c4e67754",
        ),
        (
            Body::PrepareOk { op: OpNumber(6), hash: Hash(8) },
            "03000000060000000000000008000000000000000000000000000000",
            "",
        ),
        (Body::StartViewChange, "05000000", ""),
        (Body::Wake, "11000000", ""),
        (Body::Recovery { nonce: Nonce(10), boot: 11 }, "0b0000000a000000000000000b00000000000000", ""),
        (recovery_response(Standing::Backup), "0c0000000a0000000000000001000000", ""),
        (
            recovery_response(Standing::Primary { op: OpNumber(6) }),
            "0c0000000a00000000000000000000000600000000000000",
            "",
        ),
        (
            recovery_response(Standing::Recovering { boot: 11, heard: vec![(ReplicaId(12), 13)] }),
            "0c0000000a00000000000000020000000b0000000000000001000000000000000c0000000d00000000000000",
            "",
        ),
        (
            Body::GetState {
                view: ViewNumber(9),
                after: OpNumber(6),
                hash: Hash(8),
                nonce: Nonce(10),
                held: None,
            },
            "080000000900000000000000060000000000000008000000000000000000000000000000\
             0a0000000000000000",
            "",
        ),
        (
            Body::Digests(vec![Digest { op: OpNumber(6), replies: 7, state: Some(8) }]),
            "0a0000000100000000000000060000000000000007000000000000000108000000000000000000000000000000",
            "",
        ),
        (Body::Probe { id: 6 }, "0d0000000600000000000000", ""),
        (Body::ProbeOk { id: 6 }, "0e0000000600000000000000", ""),
        (Body::ReadIndex { nonce: Nonce(10), id: 6 }, "0f0000000a000000000000000600000000000000", ""),
        (
            Body::ReadIndexOk { nonce: Nonce(10), id: 6, index: OpNumber(9) },
            "100000000a0000000000000006000000000000000900000000000000",
            "",
        ),
        (Body::Bootstrap(Box::new(Bootstrap { membership: None, formed: false })), "000000000000", ""),
    ];
    for (body, wanted, header) in cases {
        let name = body.name();
        let frame = hex(&message(body).encode());
        let (start, rest) = frame.split_at(2 * HEADER_BYTES);
        assert_eq!(rest, format!("{head}{wanted}"), "{name:?}");
        assert!(start.starts_with(header), "{name:?}: {start}");
    }
}

/// One of each kind as JSON, and its bytes: read by the code of today, and written by it.
#[test]
fn bytes_of_every_kind_are_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/messages_v{FORMAT_VERSION}.txt"));
    if std::env::var_os("UPDATE_EXPECT").is_some() && !path.exists() {
        fs::write(&path, fixtures()).expect("the file can be written");
    }
    let text =
        fs::read_to_string(&path).expect("a new format has fixtures of its own: UPDATE_EXPECT=1 writes them");
    let lines: Vec<_> = text.lines().collect();
    let mut names = BTreeSet::new();
    for pair in lines.chunks(2) {
        let message: Message = serde_json::from_str(pair[0]).expect("it is a message");
        assert_eq!(hex(&message.encode()), pair[1], "{:?} is written in another way", message.body.name());
        let byte = |at| u8::from_str_radix(&pair[1][at..at + 2], 16).expect("two digits");
        let bytes: Vec<_> = (0..pair[1].len()).step_by(2).map(byte).collect();
        assert_eq!(Message::decode(bytes.into()).as_ref(), Ok(&message));
        names.insert(message.body.name());
    }
    assert_eq!(names.len(), 18, "all kinds are there: {names:?}");
}

/// Of each kind the largest message of a simulation that is short enough to be looked at.
fn fixtures() -> String {
    let mut kinds = BTreeMap::new();
    for seed in 1..6 {
        let options = Options { view_durable: seed == 3, ..Options::default() };
        for message in messages(seed, options, 3000) {
            let bytes = message.encode();
            let longest =
                kinds.entry(message.body.name()).or_insert_with(|| (bytes.clone(), message.clone()));
            if bytes.len() > longest.0.len() && bytes.len() < 600 {
                *longest = (bytes, message);
            }
        }
    }
    let line = |(bytes, message): &(Bytes, Message)| {
        format!("{}\n{}\n", serde_json::to_string(message).expect("it has a JSON form"), hex(bytes))
    };
    kinds.values().map(line).collect()
}

#[test]
fn messages_of_a_simulation_survive_the_way() {
    let mut names = std::collections::BTreeSet::new();
    for seed in 1..6 {
        let options = Options { view_durable: seed == 3, ..Options::default() };
        for message in messages(seed, options, 3000) {
            names.insert(message.body.name());
            let encoded = message.encode();
            assert_eq!(Message::decode(encoded.clone()), Ok(message.clone()));
            assert_eq!(Message::decode(encoded).expect("it was decoded before").encode(), message.encode());
        }
    }
    assert_eq!(names.len(), 18, "all kinds of messages were tried: {names:?}");
}

#[test]
fn damaged_bytes_are_an_error_or_another_message() {
    let mut prng = Prng::new(1);
    for message in messages(7, Options::default(), 1500) {
        let whole = message.encode();
        for _ in 0..20 {
            let mut bytes = whole.to_vec();
            for _ in 0..prng.range(1, 4) {
                let at = prng.index(bytes.len());
                match prng.below(4) {
                    0 => bytes[at] = prng.bits() as u8,
                    1 => bytes[at] ^= 1 << prng.below(8),
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, prng.bits() as u8),
                }
            }
            if prng.chance(700) {
                seal(&mut bytes);
            }
            // Whatever this is: no panic, no allocation without bound.
            let _ = Message::decode(Bytes::from(bytes));
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    for message in messages(3, Options::default(), 200) {
        let whole = message.encode();
        for len in 0..whole.len() {
            assert!(Message::decode(whole.slice(..len)).is_err(), "{len} of {} bytes", whole.len());
        }
    }
}

#[test]
fn another_version_is_told() {
    let mut bytes = message(Body::StartViewChange).encode().to_vec();
    bytes[0] = 9;
    assert_eq!(Message::decode(bytes.into()), Err(DecodeError::Version { found: 9 }));
}

#[test]
fn what_follows_a_message_is_an_error() {
    let mut bytes = message(Body::StartViewChange).encode().to_vec();
    bytes.push(0);
    seal(&mut bytes);
    assert_eq!(Message::decode(bytes.into()), Err(DecodeError::Long { extra: 1 }));
}

/// What a storage keeps survives the way, and no bytes do harm: an entry in the middle of others, a record with nothing behind it.
#[test]
fn what_is_kept_survives_the_way_and_any_bytes_are_taken() {
    let mut prng = Prng::new(3);
    let sent = messages(1, Options::default(), 2000).into_iter();
    let prepared = sent.filter_map(|message| match message.body {
        Body::Prepare { entry, .. } => Some(entry),
        _ => None,
    });
    let mut decoded = 0;
    for entry in prepared.take(20) {
        let mut kept = Vec::new();
        entry.encode(&mut kept);
        let length = kept.len();
        kept.extend_from_slice(b"what follows");
        let mut bytes = Bytes::from(kept.clone());
        assert_eq!(Entry::decode(&mut bytes).as_ref(), Ok(&entry));
        assert_eq!(bytes, "what follows");
        for end in 0..length {
            assert!(Entry::decode(&mut Bytes::copy_from_slice(&kept[..end])).is_err(), "cut at {end}");
        }
        for _ in 0..200 {
            let mut damaged = kept.clone();
            damaged[prng.below(length as u64) as usize] ^= 1 << prng.below(8);
            decoded += usize::from(Entry::decode(&mut damaged.into()).is_ok());
        }
    }
    assert!(decoded > 0, "some damage only a checksum finds");
    let membership =
        Membership { epoch: EpochNumber(0), members: Vec::new(), limits: ReplicatedLimits::default() };
    let record = Record {
        cluster: ClusterId(1),
        group: GroupId(2),
        replica: ReplicaId(3),
        incarnation: Incarnation(4),
        membership: Some(membership),
        formed: true,
        view: ViewNumber(6),
        log_view: ViewNumber(5),
        start_op: OpNumber(7),
    };
    let kept = record.encode();
    assert_eq!(Record::decode(&kept).as_ref(), Ok(&record));
    assert!((0..kept.len()).all(|end| Record::decode(&kept[..end]).is_err()));
    assert!(matches!(Record::decode(&[&kept[..], b"more"].concat()), Err(DecodeError::Long { extra: 4 })));
    // If this fails the form has changed: then the version of every storage's files must change, too.
    let golden = "0100000000000000020000000000000003000000040000000000000001";
    assert_eq!(hex(&kept[..29]), golden);
}
