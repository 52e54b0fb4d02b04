//! Writers that lose their server: each goes on at the next member, as soon as it can.

use crate::{
    load::Keys,
    servers::{Doors, Failed},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Between an attempt that failed and the next one, which goes to the next member.
const PAUSE: Duration = Duration::from_millis(5);
/// What answers no request for so long is given up: between the least and the most, by the number of the writer. A request that a
/// follower of etcd has passed on to a leader that died is answered after seconds only, and whoever waits for that finds no new leader.
const ATTEMPT_MIN: Duration = Duration::from_millis(50);
const ATTEMPT_STEP: Duration = Duration::from_millis(10);

/// Until something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writers at work; dropped, they end.
#[derive(Debug)]
pub(super) struct Writers {
    _tasks: JoinSet<()>,
    seen: Arc<Seen>,
    progress: watch::Receiver<Progress>,
}

/// What was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    acknowledged: u64,
    /// The first write that began after the kill, at another member than the one that was killed: when it was acknowledged.
    first: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    killed: Mutex<Option<(usize, Instant)>>,
    progress: watch::Sender<Progress>,
}

impl Writers {
    /// So many writers, all of them at the leader.
    pub(super) fn start(doors: &Doors, leader: usize, count: usize) -> Self {
        let (sender, progress) = watch::channel(Progress::default());
        let seen = Arc::new(Seen { killed: Mutex::new(None), progress: sender });
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let attempt = ATTEMPT_MIN + ATTEMPT_STEP * number as u32;
            tasks.spawn(write(doors.clone(), leader, Keys::new(number), attempt, seen.clone()));
        }
        Self { _tasks: tasks, seen, progress }
    }

    /// Waits until so many writes are acknowledged.
    pub(super) async fn acknowledged(&mut self, count: u64) -> Result<(), String> {
        let done = self.progress.wait_for(|progress| progress.acknowledged >= count);
        match timeout(PATIENCE, done).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(format!("no {count} writes were acknowledged within {PATIENCE:?}")),
        }
    }

    /// To be called just before the kill; when that was.
    pub(super) fn killing(&self, member: usize) -> Instant {
        let now = Instant::now();
        *self.seen.killed.lock().unwrap_or_else(PoisonError::into_inner) = Some((member, now));
        now
    }

    /// Waits for the first acknowledged write after the kill: when it came.
    pub(super) async fn first_after(&mut self) -> Result<Instant, String> {
        let first = self.progress.wait_for(|progress| progress.first.is_some());
        let first = timeout(PATIENCE, first).await;
        match first.map(|first| first.map(|progress| progress.first)) {
            Ok(Ok(Some(first))) => Ok(first),
            _ => Err(format!("no write was acknowledged within {PATIENCE:?} of the kill")),
        }
    }
}

/// After an error, the next member is tried; or the one that this one names as leader, unless that one was gone a moment ago: whoever has
/// not noticed yet still names it.
async fn write(doors: Doors, leader: usize, mut keys: Keys, attempt: Duration, seen: Arc<Seen>) {
    let (mut member, mut gone) = (leader, None);
    loop {
        let mut named = None;
        match doors.connect(member).await {
            Ok(mut client) => loop {
                let begun = Instant::now();
                match timeout(attempt, client.put(keys.next())).await {
                    Ok(Ok(())) => seen.acknowledged(member, begun),
                    Ok(Err(Failed { leader: Some(leader), .. })) => {
                        named = Some(leader);
                        break;
                    }
                    _ => break,
                }
            },
            Err(_) => gone = Some(member),
        }
        sleep(PAUSE).await;
        member = named.filter(|named| gone != Some(*named)).unwrap_or((member + 1) % doors.count());
    }
}

impl Seen {
    fn acknowledged(&self, member: usize, begun: Instant) {
        let now = Instant::now();
        let killed = *self.killed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_after = killed.is_some_and(|(killed, at)| member != killed && begun >= at);
        self.progress.send_modify(|progress| {
            progress.acknowledged += 1;
            if is_after {
                progress.first.get_or_insert(now);
            }
        });
    }
}
