//! A network as bad as it may be, over any transport.

use crate::prng::Prng;
use vsr_actor::{Message, ReplicaId, Transport};

/// How bad a [`Lossy`] transport is, in messages of a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odds {
    /// Lost.
    pub lost: u64,
    /// Sent now, and once more later.
    pub doubled: u64,
    /// Held back, and overtaken by others.
    pub held: u64,
    /// For how many other messages of the same replica one is held back at most. Not in thousands.
    pub held_for: u64,
}

impl Default for Odds {
    fn default() -> Self {
        Self { lost: 50, doubled: 50, held: 100, held_for: 20 }
    }
}

/// Loses, doubles, delays and reorders what a replica sends, as the seed says, and gives the rest to another transport.
///
/// Delays are counted in messages, not in time: what is held back leaves when enough other messages have followed it. So it needs no
/// timer and no task, the same calls lead to the same calls, and a replica that says nothing more keeps what it held back.
///
/// ```
/// use vsr_actor::{Cluster, prelude::*};
/// use vsr_test::transport_conformance::Lossy;
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter(i64);
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.0 += add; self.0 }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lossy = Cluster::builder(3, Counter::default)
///     .transport(|id, network| Box::new(Lossy::new(network, 7 + u64::from(id.0))));
/// let cluster = lossy.start().await?;
/// assert_eq!(cluster.client().request(5).await?, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Lossy<T> {
    inner: T,
    prng: Prng,
    odds: Odds,
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    /// So many messages must follow it.
    behind: u64,
    to: ReplicaId,
    message: Message,
}

/// At most so many are held back; those on top are lost.
const HELD_MAX: usize = 256;

impl<T: Transport> Lossy<T> {
    /// A bad network on top of `inner`, with default [`Odds`].
    pub fn new(inner: T, seed: u64) -> Self {
        Self { inner, prng: Prng::new(seed), odds: Odds::default(), held: Vec::new() }
    }

    /// The same with other odds.
    #[must_use]
    pub fn odds(mut self, odds: Odds) -> Self {
        self.odds = odds;
        self
    }

    fn hold(&mut self, to: ReplicaId, message: Message) {
        if self.held.len() < HELD_MAX {
            let behind = self.prng.range(1, self.odds.held_for.max(1));
            self.held.push(Held { behind, to, message });
        }
    }

    fn release(&mut self) {
        for held in &mut self.held {
            held.behind -= 1;
        }
        for held in self.held.extract_if(.., |held| held.behind == 0) {
            self.inner.send_vsr(held.to, held.message);
        }
    }
}

impl<T: Transport> Transport for Lossy<T> {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        let Odds { lost, doubled, held, .. } = self.odds;
        let luck = self.prng.below(1000);
        // Those of before are counted down first: what is held back now waits for messages that are still to come.
        self.release();
        if luck < lost {
            return;
        }
        if luck < lost + doubled {
            self.hold(to, message.clone());
        } else if luck < lost + doubled + held {
            return self.hold(to, message);
        }
        self.inner.send_vsr(to, message);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::messages::numbered, *};
    use std::sync::{Arc, Mutex};
    use vsr_actor::vsr_core::Body;

    #[derive(Clone, Default)]
    struct Book(Arc<Mutex<Vec<u64>>>);

    impl Transport for Book {
        fn send_vsr(&mut self, _to: ReplicaId, message: Message) {
            let Body::Commit { beat, .. } = message.body else { return };
            self.0.lock().expect("nobody panicked").push(beat);
        }
    }

    fn sent(seed: u64, odds: Odds) -> Vec<u64> {
        let book = Book::default();
        let mut lossy = Lossy::new(book.clone(), seed).odds(odds);
        (0..1000).for_each(|number| lossy.send_vsr(ReplicaId(1), numbered(number)));
        let sent = book.0.lock().expect("nobody panicked");
        sent.clone()
    }

    #[test]
    fn a_seed_is_always_the_same_network() {
        assert_eq!(sent(1, Odds::default()), sent(1, Odds::default()));
        assert_ne!(sent(1, Odds::default()), sent(2, Odds::default()));
    }

    #[test]
    fn each_fault_happens_as_often_as_asked() {
        let none = Odds { lost: 0, doubled: 0, held: 0, held_for: 9 };
        assert_eq!(sent(1, none), (0..1000).collect::<Vec<_>>());
        assert_eq!(sent(1, Odds { lost: 1000, ..none }), [0_u64; 0]);
        let lost = 1000 - sent(1, Odds { lost: 100, ..none }).len();
        assert!((50..150).contains(&lost), "{lost}");
        let doubled = sent(1, Odds { doubled: 100, ..none }).len() - 1000;
        assert!((50..150).contains(&doubled), "{doubled}");
        let held = sent(1, Odds { held: 100, ..none });
        assert!(held.len() >= 990 && !held.is_sorted(), "{}", held.len());
        let late = |pair: &[u64]| pair[0].saturating_sub(pair[1]);
        assert!(held.windows(2).all(|pair| late(pair) <= 9), "no message is overtaken by more than nine");
    }
}
