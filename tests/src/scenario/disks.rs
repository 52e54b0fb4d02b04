//! Commands for disks: what a crash leaves of what was not flushed, bits that turn, flushes that fail, no room.

use super::{select::replica, stage::Stage};
use crate::disk::{Fate, Rot};
use vsr_core::Input;

pub(super) fn execute(stage: &mut Stage, words: &[&str]) -> Result<(), String> {
    match *words {
        ["crash", at, ref fate @ ..] => stage.crash(replica(at)?, fate_named(fate)?),
        ["rot", at, "copy", copy @ ("0" | "1")] => {
            rot(stage, replica(at)?, Rot::Slot(usize::from(copy == "1")))
        }
        ["rot", at, "snapshot"] => rot(stage, replica(at)?, Rot::Snapshot),
        [how @ ("rot" | "zero"), at, "frame-at", index] => {
            let index = index.parse().map_err(|_| format!("{index} is no position"))?;
            rot(stage, replica(at)?, Rot::Frame { index, zeroed: how == "zero" })
        }
        [how @ ("rot" | "zero"), at, "frame", ref operation @ ..] => {
            let at = replica(at)?;
            let index = stage.world.hosts[at].disk().frame_of(&operation.join(" ")).ok_or("no such frame")?;
            rot(stage, at, Rot::Frame { index, zeroed: how == "zero" })
        }
        ["full", at] => {
            stage.world.fill(replica(at)?, true);
            Ok(())
        }
        ["room", at] => {
            stage.world.fill(replica(at)?, false);
            Ok(())
        }
        ["flush-error", at] => {
            let at = replica(at)?;
            let id = stage.world.hosts[at].disk().last_pending().ok_or("nothing waits for a flush")?;
            stage.world.fail_flush(at);
            if stage.world.hosts[at].is_up() {
                return stage.put(at, Input::Persisted(id));
            }
            stage.fall(at);
            Ok(())
        }
        _ => Err("what is that?".into()),
    }
}

fn rot(stage: &mut Stage, at: usize, rot: Rot) -> Result<(), String> {
    if stage.world.rot(at, rot) { Ok(()) } else { Err("there is nothing that could rot".into()) }
}

fn fate_named(words: &[&str]) -> Result<Fate, String> {
    let drawn = |seed: &str, may_mangle| {
        let seed = seed.parse().map_err(|_| format!("{seed} is no seed"))?;
        Ok(Fate::Drawn { seed, may_mangle })
    };
    match *words {
        ["kept"] => Ok(Fate::Kept),
        ["torn"] => Ok(Fate::Torn),
        ["mangled"] => Ok(Fate::Mangled),
        ["reordered"] => Ok(Fate::Reordered),
        ["drawn", seed] => drawn(seed, false),
        ["mangling", seed] => drawn(seed, true),
        _ => Err("kept, torn, mangled or reordered?".into()),
    }
}
