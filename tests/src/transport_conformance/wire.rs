//! What is sent is what arrives, where it should.

use super::{
    any::Make,
    messages::{every_kind, largest, numbered},
    stage::{Letter, Stage, Wrong},
};
use vsr_actor::{Message, ReplicaId};

/// So many are sent at once: a transport may drop what comes too fast.
const BATCH: usize = 8;

pub(super) async fn every_kind_arrives_intact(make: Make<'_>) -> Result<(), Wrong> {
    let mut stage = Stage::new(2, make).await;
    let (from, to) = (ReplicaId(0), ReplicaId(1));
    let letters: Vec<_> = every_kind().into_iter().map(|message| signed(from, to, message)).collect();
    for batch in letters.chunks(BATCH) {
        stage.exchange(batch.to_vec()).await?;
    }
    Ok(())
}

pub(super) async fn the_largest_arrives(make: Make<'_>) -> Result<(), Wrong> {
    let mut stage = Stage::new(2, make).await;
    stage.exchange(vec![signed(ReplicaId(0), ReplicaId(1), largest())]).await
}

pub(super) async fn only_the_addressee_gets_it(make: Make<'_>) -> Result<(), Wrong> {
    let n = 4;
    let mut stage = Stage::new(n, make).await;
    for round in 0..10 {
        let pairs = (0..n).flat_map(|from| (0..n).map(move |to| (from, to))).filter(|(from, to)| from != to);
        let letter = |(from, to): (u32, u32)| {
            let number = u64::from(round * 100 + from * 10 + to);
            signed(ReplicaId(from), ReplicaId(to), numbered(number))
        };
        stage.exchange(pairs.map(letter).collect()).await?;
    }
    Ok(())
}

/// A message is signed by who sends it.
pub(super) fn signed(from: ReplicaId, to: ReplicaId, message: Message) -> Letter {
    Letter { from, to, message: Message { from, ..message } }
}
