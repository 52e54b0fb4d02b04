//! Who decides which connection stays, and how long is waited between attempts: without a connection.

use super::{FROM, TO, numbered};
use crate::{
    observe::tests::alone,
    transport::tcp::{
        ConnectionError, HandshakeError, PeerRefusal, Side, TcpConfig,
        book::StaticAddresses,
        peer::{Current, Keeper, goes_with},
        shared::Shared,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use vsr_core::ReplicaId;

const BOOT: u64 = 7;

#[test]
fn the_side_that_does_not_decide_goes_with_whatever_the_other_chose() {
    for dialled in [None, Some(1), Some(9)] {
        assert!(goes_with(false, BOOT, 0, Some(Current { boot: BOOT, dialled })));
    }
    assert!(goes_with(false, BOOT, 0, None));
}

#[test]
fn the_arbiter_goes_with_what_is_dialled_to_it_unless_its_own_is_on_its_way() {
    let current = |boot, dialled| Some(Current { boot, dialled });
    assert!(goes_with(true, BOOT, 0, None), "there is no other");
    assert!(goes_with(true, BOOT, 0, current(BOOT, None)), "the peer dialled both: it has lost the first");
    assert!(!goes_with(true, BOOT, 0, current(BOOT, Some(1))), "both dialled at once");
    assert!(!goes_with(true, BOOT, 3, current(BOOT, Some(4))), "again");
    assert!(goes_with(true, BOOT, 4, current(BOOT, Some(4))), "the peer has seen it, and lost it");
    assert!(goes_with(true, BOOT + 1, 0, current(BOOT, Some(4))), "the peer was restarted");
}

fn keeper(seed: u64, peer: ReplicaId) -> (Keeper, Arc<Shared>) {
    let mut config = TcpConfig::new(ReplicaId(0), [FROM, TO]);
    config.seed = Some(seed);
    config.retry_min = Duration::from_millis(100);
    config.retry_max = Duration::from_secs(10);
    let shared = Arc::new(Shared::new(config, StaticAddresses::new([])));
    let (_, accepted) = mpsc::channel(1);
    (Keeper::new(shared.peers[&peer].clone(), shared.clone(), accepted), shared)
}

/// The waits after failures of this kind.
fn waits(keeper: &mut Keeper, count: usize, error: &ConnectionError) -> Vec<Duration> {
    let wait = |_| {
        keeper.failed(error.clone());
        keeper.not_before - Instant::now()
    };
    (0..count).map(wait).collect()
}

fn unreachable() -> ConnectionError {
    ConnectionError::Dial { address: ([127, 0, 0, 1], 1).into(), reason: "connection refused".into() }
}

fn refused() -> ConnectionError {
    let refusal = PeerRefusal::NotAMember { id: FROM };
    let error = HandshakeError::Refused { by: Side::There, refusal };
    ConnectionError::Handshake { address: ([127, 0, 0, 1], 1).into(), error }
}

#[tokio::test(start_paused = true)]
async fn waits_double_up_to_the_bound_and_are_a_function_of_the_seed() {
    let _alone = alone().await;
    let first = waits(&mut keeper(1, FROM).0, 10, &unreachable());
    assert_eq!(first, waits(&mut keeper(1, FROM).0, 10, &unreachable()));
    assert_ne!(first, waits(&mut keeper(2, FROM).0, 10, &unreachable()));
    assert_ne!(first, waits(&mut keeper(1, TO).0, 10, &unreachable()), "peers are not dialled all at once");
    for (index, wait) in first.into_iter().enumerate() {
        let step = (Duration::from_millis(100) * (1 << index)).min(Duration::from_secs(10));
        assert!(wait <= step && wait >= step.mul_f64(0.75), "{index}: {wait:?} of {step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_refused_waits_as_long_as_it_may_at_once() {
    let _alone = alone().await;
    let first = waits(&mut keeper(1, FROM).0, 3, &refused());
    assert!(first.iter().all(|wait| *wait >= Duration::from_millis(7500)), "{first:?}");
    let foreign = HandshakeError::Foreign { reason: "a browser".into() };
    let error = ConnectionError::Handshake { address: ([127, 0, 0, 1], 1).into(), error: foreign };
    let first = waits(&mut keeper(1, FROM).0, 1, &error);
    assert!(first[0] >= Duration::from_millis(7500), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_a_failed_attempt_is_dropped() {
    let _alone = alone().await;
    let (mut keeper, shared) = keeper(1, FROM);
    (0..5).for_each(|number| shared.peers[&FROM].queue.push(numbered(number)));
    keeper.failed(unreachable());
    let status = shared.peers[&FROM].status();
    assert_eq!((status.queued, status.queued_bytes, status.dropped), (0, 0, 5));
    assert_eq!(status.last_error, Some(unreachable()));
}
