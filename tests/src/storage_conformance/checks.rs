//! What is done to a storage, and what must come of it.

use super::{
    any::{AnyPlace, Make},
    bench::{Bench, Wrong},
    writes::{Alone, beginning, nothing, record_of, replacement, story},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Arc, Mutex},
};
use tokio::task::yield_now;
use vsr_actor::vsr_core::{LogState, OpNumber, Snapshot, State, ViewNumber, Write};

pub(super) async fn what_was_written_is_there(place: Box<dyn AnyPlace + '_>) -> Result<(), Wrong> {
    let mut bench = Bench::new(place).await?;
    for write in story() {
        bench.write([write]).await?;
        bench.close_and_open().await?;
    }
    Ok(())
}

pub(super) async fn all_at_once(place: Box<dyn AnyPlace + '_>) -> Result<(), Wrong> {
    let mut bench = Bench::new(place).await?;
    bench.write(story()).await?;
    bench.crash_and_open().await?;
    Ok(())
}

pub(super) async fn every_write_is_reported(place: Box<dyn AnyPlace + '_>) -> Result<(), Wrong> {
    let mut bench = Bench::new(place).await?;
    bench.write(beginning(2)).await?;
    for _ in 0..3 {
        bench.write([nothing()]).await?;
        bench.write([nothing(), nothing()]).await?;
        bench.crash_and_open().await?;
    }
    Ok(())
}

pub(super) async fn dropped_at_any_point(make: Make<'_>) -> Result<(), Wrong> {
    let story = story();
    for count in 0..=story.len() {
        let mut bench = Bench::new(make()).await?;
        for write in &story[..count] {
            bench.hand(write.clone()).await?;
        }
        // It is somewhere in the middle of them.
        for _ in 0..count % 5 {
            yield_now().await;
        }
        let dropped = bench.crash_and_open().await;
        dropped.map_err(|wrong| format!("dropped with {count} writes under way: {wrong}"))?;
    }
    // And again and again on the same place.
    let mut bench = Bench::new(make()).await?;
    bench.write(beginning(0)).await?;
    let mut record = record_of(&story);
    for round in 0..20 {
        record.view.0 += 1;
        let promise = Write { record: Some(record.clone()), ..nothing() };
        bench.hand(promise.clone()).await?;
        if round % 2 == 0 {
            bench.settle().await?;
        }
        bench.hand(nothing()).await?;
        bench.crash_and_open().await.map_err(|wrong| format!("dropped for the {round}th time: {wrong}"))?;
    }
    Ok(())
}

pub(super) async fn a_reset_takes_the_place_of_all(place: Box<dyn AnyPlace + '_>) -> Result<(), Wrong> {
    let mut bench = Bench::new(place).await?;
    bench.write(beginning(7)).await?;
    let mut other = Alone::new();
    (0..12).for_each(|number| other.ask(vec![100 + number; 40]));
    let (reset, _) = replacement(&other.writes(), None);
    bench.write([reset]).await?;
    bench.crash_and_open().await?;
    Ok(())
}

pub(super) async fn a_lost_log_is_lost_until_it_is_replaced(
    place: Box<dyn AnyPlace + '_>,
) -> Result<(), Wrong> {
    let mut bench = Bench::new(place).await?;
    let writes = beginning(7);
    let mut record = record_of(&writes);
    bench.write(writes).await?;
    if !bench.lose_log().await? {
        return Ok(());
    }
    bench.look().await?;
    for view in [5, 6] {
        // A replica without a log makes promises all the same.
        record.view = ViewNumber(view);
        bench.write([Write { record: Some(record.clone()), ..nothing() }]).await?;
        bench.crash_and_open().await?;
    }
    let mut other = Alone::new();
    (0..12).for_each(|number| other.ask(vec![100 + number; 40]));
    let (reset, _) = replacement(&other.writes(), Some(record));
    bench.write([reset]).await?;
    let restored = bench.crash_and_open().await?;
    if restored.log != LogState::Intact {
        return Err("the log is lost still, after another one took its place".into());
    }
    Ok(())
}

/// As long as that a piece is not all of it.
fn state_at(op: OpNumber) -> Vec<u8> {
    (0..3 << 20).map(|at: u64| ((at >> 8) ^ (at * op.0)) as u8).collect()
}

pub(super) async fn snapshots_are_staged_and_kept(place: Box<dyn AnyPlace + '_>) -> Result<(), Wrong> {
    let mut bench = Bench::new(place).await?;
    // What was staged, by its op: the replica is driven at once, and stages come from the storage.
    let staged: Arc<Mutex<BTreeMap<OpNumber, State>>> = Arc::default();
    let mut plan = Alone::with_states(|op| state_at(op).into());
    (0..12).for_each(|number| plan.ask(vec![number; 10]));
    for snapshot in plan.writes().into_iter().filter_map(|write| write.snapshot) {
        // One that nothing comes of, …
        let mut dropped = bench.storage().stage();
        let state = state_at(snapshot.op());
        let (mut stage, mut other) = (bench.storage().stage(), bench.storage().stage());
        let writing = tokio::task::spawn_blocking(move || -> std::io::Result<(State, State)> {
            dropped.write_all(b"never finished")?;
            drop(dropped);
            for piece in state.chunks(100_001) {
                stage.write_all(piece)?;
                other.write_all(b"another")?;
            }
            // … and two at a time.
            Ok((stage.finish()?, other.finish()?))
        });
        let (state, other) = writing
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("a state cannot be staged: {error}"))?;
        if state != State::from(state_at(snapshot.op())) || other.len() != 7 * 32 {
            return Err("a staged state is not what was written to the stage".into());
        }
        staged.lock().expect("nobody panics with it").insert(snapshot.op(), state);
    }
    let of = staged.clone();
    let mut alone = Alone::with_states(move |op| of.lock().expect("nobody panics with it")[&op].clone());
    (0..12).for_each(|number| alone.ask(vec![number; 10]));
    for write in alone.writes() {
        let newest = write.snapshot.clone();
        bench.write([write]).await?;
        if newest.is_some() {
            let restored = bench.crash_and_open().await?;
            let snapshot = restored.snapshot.ok_or("there is no snapshot")?;
            read_all(&snapshot).await?;
        }
    }
    Ok(())
}

/// Reads a state where it may block.
async fn read_all(snapshot: &Arc<Snapshot>) -> Result<(), Wrong> {
    let snapshot = snapshot.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        while (found.len() as u64) < snapshot.state().len() {
            let piece: Bytes =
                snapshot.state().read(found.len() as u64, 700_001).map_err(|error| error.to_string())?;
            found.extend_from_slice(&piece);
        }
        if found == state_at(snapshot.op()) {
            Ok(())
        } else {
            Err("a state is not read as it was written".to_owned())
        }
    });
    reading.await.map_err(|error| error.to_string())?
}

pub(super) async fn large_and_many(place: Box<dyn AnyPlace + '_>) -> Result<(), Wrong> {
    let mut bench = Bench::new(place).await?;
    let mut alone = Alone::with_states(|op| vec![op.0 as u8; 100].into());
    alone.ask(vec![1; 4 << 20]);
    (0..300).for_each(|number: u32| alone.ask(vec![number as u8; 300]));
    alone.ask(vec![2; 3 << 20]);
    bench.write(alone.writes()).await?;
    bench.crash_and_open().await?;
    Ok(())
}
