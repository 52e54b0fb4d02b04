//! Who does not belong together hears why, on both sides.

use super::{Addresses, End, config, end};
use vsr_actor::{
    ConnectionError, HandshakeError, PeerRefusal, ReplicaId, Side, TcpConfig, TcpConnection,
    observe::TransportEvent,
    vsr_core::{ClusterId, GroupId},
};

async fn refused(at: &mut End, wanted: Side) -> (Option<ReplicaId>, PeerRefusal) {
    at.told("a refusal", |event| match event {
        TransportEvent::Refused { peer, by, reason, .. } if *by == wanted => Some((*peer, reason.clone())),
        _ => None,
    })
    .await
}

/// The first dials the second, who refuses: both are told, both show it, and nobody is connected.
async fn refused_with(dialler: TcpConfig, dialled: TcpConfig, reason: PeerRefusal) {
    let addresses = Addresses::default();
    let (mut dialler, mut dialled) = (end(dialler, &addresses).await, end(dialled, &addresses).await);
    refused_by(&mut dialler, &mut dialled, reason).await;
}

async fn refused_by(dialler: &mut End, dialled: &mut End, reason: PeerRefusal) {
    dialler.send(dialled.id.0, 1);
    assert_eq!(refused(dialler, Side::There).await, (Some(dialled.id), reason.clone()));
    assert_eq!(refused(dialled, Side::Here).await, (Some(dialler.id), reason.clone()));
    let shown = |end: &End, peer: &End, by: Side| {
        let peer = end.peer(peer.id.0);
        assert!(!matches!(peer.connection, TcpConnection::Connected { .. }));
        let Some(ConnectionError::Handshake { error, .. }) = peer.last_error else {
            panic!("{:?}", peer.last_error)
        };
        assert_eq!(error, HandshakeError::Refused { by, refusal: reason.clone() });
    };
    shown(dialler, dialled, Side::There);
    if dialled.tcp.peers().iter().any(|peer| peer.id == dialler.id) {
        shown(dialled, dialler, Side::Here);
    }
}

#[tokio::test]
async fn another_cluster() {
    let mut other = config(1);
    other.cluster = ClusterId(9);
    let reason = PeerRefusal::Cluster { wanted: ClusterId(9), offered: ClusterId(0) };
    refused_with(config(0), other, reason).await;
}

#[tokio::test]
async fn another_group() {
    let mut other = config(1);
    other.group = Some(GroupId(9));
    let reason = PeerRefusal::Group { wanted: Some(GroupId(9)), offered: Some(GroupId(0)) };
    refused_with(config(0), other, reason).await;
}

#[tokio::test]
async fn one_group_where_there_are_many() {
    let reason = PeerRefusal::Group { wanted: None, offered: Some(GroupId(0)) };
    refused_with(config(0), config(1).many_groups(), reason).await;
}

#[tokio::test]
async fn an_id_that_is_no_member() {
    let mut stranger = config(0);
    stranger.id = ReplicaId(8);
    refused_with(stranger, config(1), PeerRefusal::NotAMember { id: ReplicaId(8) }).await;
}

#[tokio::test]
async fn an_address_where_somebody_else_is() {
    let addresses = Addresses::default();
    let (mut dialler, mut other) = (end(config(0), &addresses).await, end(config(1), &addresses).await);
    // The book says that 2 is where 1 is.
    addresses.set(ReplicaId(2), other.tcp.local_addr());
    dialler.send(2, 1);
    let reason = PeerRefusal::Receiver { wanted: ReplicaId(1), offered: ReplicaId(2) };
    assert_eq!(refused(&mut dialler, Side::There).await, (Some(ReplicaId(2)), reason.clone()));
    assert_eq!(refused(&mut other, Side::Here).await, (Some(ReplicaId(0)), reason));
}

#[tokio::test]
async fn the_own_id() {
    let addresses = Addresses::default();
    let (mut one, mut twin) = (end(config(0), &addresses).await, end(config(0), &addresses).await);
    // The book says that 1 is where the twin is.
    addresses.set(ReplicaId(1), twin.tcp.local_addr());
    one.send(1, 1);
    let reason = PeerRefusal::OwnId { id: ReplicaId(0) };
    assert_eq!(refused(&mut one, Side::There).await, (Some(ReplicaId(1)), reason.clone()));
    assert_eq!(refused(&mut twin, Side::Here).await, (Some(ReplicaId(0)), reason));
}

#[tokio::test]
async fn once_the_reason_is_gone_they_meet() {
    let addresses = Addresses::default();
    let mut other = config(1);
    other.cluster = ClusterId(9);
    let mut dialler = end(config(0), &addresses).await;
    let mut wrong = end(other, &addresses).await;
    let reason = PeerRefusal::Cluster { wanted: ClusterId(9), offered: ClusterId(0) };
    refused_by(&mut dialler, &mut wrong, reason).await;
    drop(wrong);
    let mut right = end(config(1), &addresses).await;
    dialler.reach(&mut right, 5).await;
}
