//! Handshakes over memory: their bytes, each refusal, and whatever else may come.

use crate::{
    config::mix,
    transport::tcp::{
        HandshakeError, PeerRefusal, Side,
        handshake::{Heard, Hello, Identity, answer, confirm, dial},
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use vsr_core::{ClusterId, FORMAT_VERSION, GroupId, Incarnation, ReplicaId};

const A: ReplicaId = ReplicaId(4);
const B: ReplicaId = ReplicaId(5);

fn identity(id: ReplicaId) -> Identity {
    let peers = [A, B, ReplicaId(6)].into_iter().filter(|other| *other != id).collect();
    Identity { cluster: ClusterId(1), group: Some(GroupId(2)), id, peers, boot: 0xb007 + u64::from(id.0) }
}

fn hello(identity: &Identity, to: ReplicaId, dial: u64) -> Hello {
    identity.hello(to, Some(Incarnation(9)), dial)
}

/// What both sides come to: the dialler, who wanted `to`, and who was dialled.
async fn meet(
    dialler: &Identity,
    to: ReplicaId,
    dialled: &Identity,
) -> (Result<Hello, HandshakeError>, Result<Heard, HandshakeError>, Option<ReplicaId>) {
    let (mut near, mut far) = duplex(1024);
    let mut caller = None;
    let calling = async {
        let greeted = dial(&mut near, dialler, hello(dialler, to, 7)).await;
        if greeted.is_ok() {
            confirm(&mut near, 3).await.expect("it is open");
        }
        greeted
    };
    let own = |heard: &Hello| hello(dialled, heard.from, 0);
    let (called, answered) = tokio::join!(calling, answer(&mut far, dialled, own, &mut caller));
    (called, answered, caller)
}

#[tokio::test]
async fn both_sides_hear_who_the_other_is() {
    let (a, b) = (identity(A), identity(B));
    let (called, answered, caller) = meet(&a, B, &b).await;
    assert_eq!(called, Ok(hello(&b, A, 0)));
    let Heard { hello: heard, seen } = answered.expect("they belong together");
    assert_eq!((heard, seen, caller), (hello(&a, B, 7), 3, Some(A)));
    assert_eq!(heard.incarnation, Some(Incarnation(9)));
}

#[tokio::test]
async fn nodes_of_many_groups_meet_and_claim_no_incarnation() {
    let [a, b] = [A, B].map(|id| Identity { group: None, ..identity(id) });
    let (called, answered, _) = meet(&a, B, &b).await;
    assert_eq!(called.expect("they belong together").incarnation, None);
    assert!(answered.is_ok());
}

/// The dialled side refuses, and both know why.
async fn refused(dialler: Identity, to: ReplicaId, dialled: Identity, refusal: PeerRefusal) {
    let (called, answered, _) = meet(&dialler, to, &dialled).await;
    let wanted = |by| HandshakeError::Refused { by, refusal: refusal.clone() };
    assert_eq!(called, Err(wanted(Side::There)));
    assert_eq!(answered.expect_err("it does not belong here"), wanted(Side::Here));
}

#[tokio::test]
async fn another_cluster_is_refused() {
    let other = Identity { cluster: ClusterId(8), ..identity(A) };
    let refusal = PeerRefusal::Cluster { wanted: ClusterId(1), offered: ClusterId(8) };
    refused(other, B, identity(B), refusal).await;
}

#[tokio::test]
async fn another_group_is_refused() {
    let other = Identity { group: Some(GroupId(8)), ..identity(A) };
    let refusal = PeerRefusal::Group { wanted: Some(GroupId(2)), offered: Some(GroupId(8)) };
    refused(other, B, identity(B), refusal).await;
    let many = Identity { group: None, ..identity(A) };
    let refusal = PeerRefusal::Group { wanted: Some(GroupId(2)), offered: None };
    refused(many, B, identity(B), refusal).await;
}

#[tokio::test]
async fn who_wants_somebody_else_is_refused() {
    let refusal = PeerRefusal::Receiver { wanted: B, offered: ReplicaId(6) };
    refused(identity(A), ReplicaId(6), identity(B), refusal).await;
}

#[tokio::test]
async fn who_is_no_member_is_refused() {
    let stranger = ReplicaId(17);
    refused(identity(stranger), B, identity(B), PeerRefusal::NotAMember { id: stranger }).await;
}

#[tokio::test]
async fn who_has_the_own_id_is_refused() {
    refused(identity(B), B, identity(B), PeerRefusal::OwnId { id: B }).await;
}

#[tokio::test]
async fn another_format_of_messages_is_refused() {
    let (mut near, mut far) = duplex(1024);
    let (a, b) = (identity(A), identity(B));
    let newer = Hello { format: FORMAT_VERSION + 1, ..hello(&a, B, 7) };
    let mut caller = None;
    let own = |heard: &Hello| hello(&b, heard.from, 0);
    let (called, answered) = tokio::join!(dial(&mut near, &a, newer), answer(&mut far, &b, own, &mut caller));
    let refusal = PeerRefusal::Format { wanted: FORMAT_VERSION, offered: FORMAT_VERSION + 1 };
    assert_eq!(called, Err(HandshakeError::Refused { by: Side::There, refusal: refusal.clone() }));
    assert_eq!(answered.expect_err("differs"), HandshakeError::Refused { by: Side::Here, refusal });
}

/// What the dialled side comes to when it is sent these bytes, and what it answers.
async fn answered(bytes: &[u8]) -> (Result<Heard, HandshakeError>, Vec<u8>) {
    let (mut near, mut far) = duplex(1024);
    near.write_all(bytes).await.expect("there is room");
    near.shutdown().await.expect("it is open");
    let b = identity(B);
    let result = answer(&mut far, &b, |heard: &Hello| hello(&b, heard.from, 0), &mut None).await;
    drop(far);
    let mut told = Vec::new();
    near.read_to_end(&mut told).await.expect("it ends");
    (result, told)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("two digits");
    digits.chunks(2).map(byte).collect()
}

/// Magic, version 1, length; tag; format; cluster, group, from, to; incarnation; boot, dial.
const HELLO: &str = "56535274 0100 3700 00000000 03 0100000000000000 01 0200000000000000 04000000 05000000 \
                     01 0900000000000000 0bb0000000000000 0700000000000000";
/// Of the other side.
const WELCOME: &str = "56535274 0100 3700 00000000 03 0100000000000000 01 0200000000000000 05000000 04000000 \
                       01 0900000000000000 0cb0000000000000 0000000000000000";
/// Tag, seen.
const READY: &str = "56535274 0100 0c00 01000000 0300000000000000";
/// Tags, wanted and offered.
const REFUSED: [(&str, &str); 7] = [
    ("version", "56535274 0100 0c00 02000000 00000000 0100 0200"),
    ("format", "56535274 0100 0a00 02000000 01000000 03 04"),
    ("cluster", "56535274 0100 1800 02000000 02000000 0100000000000000 0800000000000000"),
    ("group", "56535274 0100 1200 02000000 03000000 01 0200000000000000 00"),
    ("receiver", "56535274 0100 1000 02000000 04000000 05000000 06000000"),
    ("own_id", "56535274 0100 0c00 02000000 05000000 05000000"),
    ("not_a_member", "56535274 0100 0c00 02000000 06000000 11000000"),
];

/// If this fails the handshake has changed: then its version must change, too.
#[tokio::test]
async fn bytes_of_the_handshake_are_golden() {
    assert_eq!(FORMAT_VERSION, 3, "the hello names it");
    let (result, told) = answered(&[bytes(HELLO), bytes(READY)].concat()).await;
    let heard = result.expect("it is well-formed");
    assert_eq!((heard.hello, heard.seen), (hello(&identity(A), B, 7), 3));
    assert_eq!(told, bytes(WELCOME));
    let (mut near, mut far) = duplex(1024);
    far.write_all(&bytes(WELCOME)).await.expect("there is room");
    let a = identity(A);
    assert_eq!(dial(&mut near, &a, hello(&a, B, 7)).await, Ok(hello(&identity(B), A, 0)));
    confirm(&mut near, 3).await.expect("it is open");
    drop(near);
    let mut said = Vec::new();
    far.read_to_end(&mut said).await.expect("it ends");
    assert_eq!(said, [bytes(HELLO), bytes(READY)].concat());
}

#[tokio::test]
async fn bytes_of_refusals_are_golden() {
    for (name, packet) in REFUSED {
        let (mut near, mut far) = duplex(1024);
        far.write_all(&bytes(packet)).await.expect("there is room");
        let a = identity(A);
        let told = dial(&mut near, &a, hello(&a, B, 7)).await;
        let Err(HandshakeError::Refused { by: Side::There, refusal }) = told else {
            panic!("{name}: {told:?}")
        };
        assert_eq!(refusal.name(), name);
    }
    // And as they are written: to somebody who gives the reason.
    for (name, said) in [
        ("cluster", HELLO.replacen("0100000000000000", "0800000000000000", 1)),
        ("format", HELLO.replacen(" 03 ", " 04 ", 1)),
        ("receiver", HELLO.replacen(" 05000000 ", " 06000000 ", 1)),
        ("own_id", HELLO.replacen(" 04000000 ", " 05000000 ", 1)),
        ("not_a_member", HELLO.replacen(" 04000000 ", " 11000000 ", 1)),
        ("version", HELLO.replacen(" 0100 ", " 0200 ", 1)),
    ] {
        let (result, told) = answered(&bytes(&said)).await;
        assert!(matches!(result, Err(HandshakeError::Refused { by: Side::Here, .. })), "{name}: {result:?}");
        let wanted = REFUSED.iter().find(|(other, _)| *other == name).expect("it is in the table").1;
        assert_eq!(told, bytes(wanted), "{name}");
    }
}

/// A later version may say anything after the first eight bytes: it hears which version is spoken here, and so does its owner.
#[tokio::test]
async fn another_version_is_told_which_one_is_spoken_here() {
    let (result, told) = answered(&bytes("56535274 0900 0300 aabbcc")).await;
    let refusal = PeerRefusal::Version { wanted: 1, offered: 9 };
    assert_eq!(result.expect_err("it is another"), HandshakeError::Refused { by: Side::Here, refusal });
    assert_eq!(told[..6], bytes("56535274 0100"), "the answer names the own version");
    // The dialler of an old version hears it as well.
    let (mut near, mut far) = duplex(1024);
    far.write_all(&bytes("56535274 0900 0300 aabbcc")).await.expect("there is room");
    let a = identity(A);
    let told = dial(&mut near, &a, hello(&a, B, 7)).await;
    let refusal = PeerRefusal::Version { wanted: 1, offered: 9 };
    assert_eq!(told, Err(HandshakeError::Refused { by: Side::Here, refusal }));
}

#[tokio::test]
async fn whatever_comes_instead_of_a_handshake_is_told_and_does_no_harm() {
    let (result, told) = answered(b"GET / HTTP/1.1\r\n\r\n").await;
    let error = result.expect_err("it is no handshake").to_string();
    assert!(error.contains("GET / HT") && told.is_empty(), "{error}");
    let (result, told) = answered(&bytes("56535274 0100 ffff")).await;
    assert!(result.expect_err("it is too long").to_string().contains("65535 bytes"));
    assert!(told.is_empty());
    let (result, _) = answered(&bytes(READY)).await;
    assert!(matches!(result, Err(HandshakeError::Foreign { .. })), "{result:?}");
    let (result, _) = answered(&[bytes(HELLO), bytes(HELLO)].concat()).await;
    assert!(matches!(result, Err(HandshakeError::Foreign { .. })), "{result:?}");
    // Every half of a handshake ends with the connection.
    let whole = [bytes(HELLO), bytes(READY)].concat();
    for end in 0..whole.len() {
        let (result, _) = answered(&whole[..end]).await;
        assert!(matches!(result, Err(HandshakeError::Ended { .. })), "{end}: {result:?}");
    }
    // And whatever chance makes of one ends somehow.
    let mut random = 1;
    for _ in 0..5000 {
        let mut damaged = whole.clone();
        for _ in 0..3 {
            random = mix(random);
            let at = random as usize % damaged.len();
            damaged[at] = (random >> 32) as u8;
        }
        let _ = answered(&damaged).await;
    }
}

#[tokio::test]
async fn who_answers_for_another_is_refused_by_the_dialler() {
    let (mut near, mut far): (DuplexStream, DuplexStream) = duplex(1024);
    let (a, other) = (identity(A), identity(ReplicaId(6)));
    let answering = async {
        // It takes whatever comes, and says that it is somebody else.
        let taken = Identity { id: B, ..identity(B) };
        answer(&mut far, &taken, |heard: &Hello| hello(&other, heard.from, 0), &mut None).await
    };
    let (called, answered) = tokio::join!(dial(&mut near, &a, hello(&a, B, 7)), answering);
    let refusal = PeerRefusal::Receiver { wanted: ReplicaId(6), offered: B };
    assert_eq!(called, Err(HandshakeError::Refused { by: Side::Here, refusal: refusal.clone() }));
    assert_eq!(answered.expect_err("it was refused"), HandshakeError::Refused { by: Side::There, refusal });
}
