//! The actor that the tests start: a replicated sum, and beside it everything an actor may have.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;
use vsr_actor::{Cluster, Config, Frozen, PeerState, ReplicaId, RequestError, prelude::*};

/// What the callbacks of all starts of one replica, or of a whole cluster, did: in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary {
    lines: Arc<Mutex<Vec<String>>>,
    changed: Arc<Notify>,
}

impl Diary {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.lines.lock().expect("no writer panics").push(line.into());
        self.changed.notify_waiters();
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no writer panics").clone()
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|written| *written == line).count()
    }

    /// Waits until the line was written `times` times.
    pub(crate) async fn until(&self, line: &str, times: usize) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.count(line) >= times {
                return;
            }
            changed.await;
        }
    }
}

/// What is replicated.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) total: u64,
    pub(crate) filler: Vec<u8>,
}

/// How `init` behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Begin {
    #[default]
    Well,
    Fail,
    Nothing,
    Panic,
    Hang,
    Continue,
}

#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) sum: Sum,
    /// Beside the replicated state.
    pub(crate) kept: Vec<ReplyToken<u64>>,
    pub(crate) diary: Diary,
    pub(crate) begin: Begin,
    pub(crate) steps: u32,
}

impl Desk {
    pub(crate) fn new(diary: &Diary) -> Self {
        Self { diary: diary.clone(), ..Self::default() }
    }

    pub(crate) fn beginning(diary: &Diary, begin: Begin) -> Self {
        Self { begin, ..Self::new(diary) }
    }
}

impl Snapshot for Desk {
    fn snapshot(&self) -> Frozen {
        self.sum.snapshot()
    }

    fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> {
        self.diary.write("restore");
        self.sum.restore(from)
    }
}

impl StateMachine for Desk {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _commit: &Commit, add: u64) -> u64 {
        self.sum.total += add;
        self.sum.total
    }
}

impl VsrServer for Desk {
    async fn init(&mut self, ctx: &mut Context<Self>) -> Result<(), Stop> {
        self.diary.write("init");
        match self.begin {
            Begin::Well => Ok(()),
            Begin::Fail => Err("no".parse::<u64>().expect_err("not a number"))?,
            Begin::Nothing => Err(Stop::Normal),
            Begin::Panic => panic!("init was asked to"),
            Begin::Hang => std::future::pending().await,
            Begin::Continue => {
                self.steps = 2;
                ctx.continue_after();
                Ok(())
            }
        }
    }

    fn handle_continue(&mut self, _: &mut Context<Self>) -> Next {
        self.diary.write("continue");
        self.steps = self.steps.saturating_sub(1);
        if self.steps > 0 { Next::Continue } else { Next::Wait }
    }

    fn handle_idle(&mut self, _: &mut Context<Self>) -> Next {
        self.diary.write("idle");
        Next::Wait
    }

    fn monitor_node(&mut self, peer: ReplicaId, state: PeerState, ctx: &mut Context<Self>) -> Next {
        self.diary.write(format!("{} sees {peer} {state:?}", ctx.node_id()));
        Next::Wait
    }

    async fn terminate(&mut self, why: &Stop) {
        tokio::task::yield_now().await;
        self.diary.write(format!("terminate: {why}"));
        for caller in self.kept.drain(..) {
            caller.reply(0);
        }
    }
}

/// Answered at once, with what is here.
pub(crate) struct Peek;
/// Replicated; answered with the total after it, and the caller's own tag.
pub(crate) struct Add(pub(crate) u64, pub(crate) u64);
/// Kept; answered by [`Wake`].
pub(crate) struct Sleep;
/// Never answered.
pub(crate) struct Forget;
/// Panics.
pub(crate) struct Break;
/// Replicated; the outcome is an info.
pub(crate) struct AddAndTell(pub(crate) u64);
/// Asks for an idle time-out.
pub(crate) struct Rest(pub(crate) Duration);
/// Asks for `handle_continue` that often.
pub(crate) struct Steps(pub(crate) u32);
/// Ends the actor.
pub(crate) struct End(pub(crate) Stop);
/// Starts work that brings a line.
pub(crate) struct Work(pub(crate) Duration);
/// Starts work that panics.
pub(crate) struct BadWork;
/// Answers who sleeps.
#[derive(Clone)]
pub(crate) struct Wake;
/// Starts timers.
pub(crate) struct Alarm(pub(crate) Duration);
pub(crate) struct Metronome(pub(crate) Duration);
pub(crate) struct Silence(pub(crate) vsr_actor::Timer);
/// A timer that is always due: it starts itself again.
pub(crate) struct Restless;
/// A line for the diary.
#[derive(Clone)]
pub(crate) struct Line(pub(crate) &'static str);
pub(crate) struct Told(pub(crate) Result<u64, RequestError>);

impl HandleCall<Peek> for Desk {
    type Answer = u64;
    fn handle_call(&mut self, _: Peek, from: ReplyToken<u64>, _: &mut Context<Self>) -> Next {
        from.reply(self.sum.total);
        Next::Wait
    }
}

impl HandleCall<Add> for Desk {
    type Answer = (u64, u64);
    fn handle_call(
        &mut self,
        Add(add, tag): Add,
        from: ReplyToken<(u64, u64)>,
        ctx: &mut Context<Self>,
    ) -> Next {
        ctx.request(add, from, move |total| (total, tag))
    }
}

impl HandleCall<Sleep> for Desk {
    type Answer = u64;
    fn handle_call(&mut self, _: Sleep, from: ReplyToken<u64>, _: &mut Context<Self>) -> Next {
        self.kept.push(from);
        self.diary.write("kept");
        Next::Wait
    }
}

impl HandleCall<Forget> for Desk {
    type Answer = u64;
    fn handle_call(&mut self, _: Forget, _from: ReplyToken<u64>, _: &mut Context<Self>) -> Next {
        Next::Wait
    }
}

impl HandleCall<Break> for Desk {
    type Answer = u64;
    fn handle_call(&mut self, _: Break, _from: ReplyToken<u64>, _: &mut Context<Self>) -> Next {
        panic!("the call was asked to")
    }
}

impl HandleCall<Metronome> for Desk {
    type Answer = vsr_actor::Timer;
    fn handle_call(
        &mut self,
        Metronome(period): Metronome,
        from: ReplyToken<vsr_actor::Timer>,
        ctx: &mut Context<Self>,
    ) -> Next {
        from.reply(ctx.send_interval(period, Line("tick")));
        Next::Wait
    }
}

impl HandleCall<Silence> for Desk {
    type Answer = bool;
    fn handle_call(
        &mut self,
        Silence(timer): Silence,
        from: ReplyToken<bool>,
        ctx: &mut Context<Self>,
    ) -> Next {
        from.reply(ctx.cancel(timer));
        Next::Wait
    }
}

impl HandleCast<Add> for Desk {
    fn handle_cast(&mut self, Add(add, _): Add, ctx: &mut Context<Self>) -> Next {
        ctx.request_detached(add)
    }
}

impl HandleCast<AddAndTell> for Desk {
    fn handle_cast(&mut self, AddAndTell(add): AddAndTell, ctx: &mut Context<Self>) -> Next {
        ctx.request_info(add, Told)
    }
}

impl HandleCast<Rest> for Desk {
    fn handle_cast(&mut self, Rest(time): Rest, _: &mut Context<Self>) -> Next {
        Next::Idle(time)
    }
}

impl HandleCast<Steps> for Desk {
    fn handle_cast(&mut self, Steps(steps): Steps, _: &mut Context<Self>) -> Next {
        self.steps = steps;
        Next::Continue
    }
}

impl HandleCast<End> for Desk {
    fn handle_cast(&mut self, End(stop): End, _: &mut Context<Self>) -> Next {
        Next::Stop(stop)
    }
}

impl HandleCast<Work> for Desk {
    fn handle_cast(&mut self, Work(time): Work, ctx: &mut Context<Self>) -> Next {
        let guard = Noted(self.diary.clone());
        ctx.spawn(async move {
            tokio::time::sleep(time).await;
            drop(guard);
            Line("worked")
        });
        Next::Wait
    }
}

/// Notes when the work that holds it is gone.
struct Noted(Diary);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.write("work is gone");
    }
}

impl HandleCast<BadWork> for Desk {
    fn handle_cast(&mut self, _: BadWork, ctx: &mut Context<Self>) -> Next {
        ctx.spawn::<Line>(async { panic!("the work was asked to") });
        Next::Wait
    }
}

impl HandleCast<Alarm> for Desk {
    fn handle_cast(&mut self, Alarm(delay): Alarm, ctx: &mut Context<Self>) -> Next {
        ctx.send_after(delay, Line("alarm"));
        Next::Wait
    }
}

impl HandleInfo<Restless> for Desk {
    fn handle_info(&mut self, _: Restless, ctx: &mut Context<Self>) -> Next {
        ctx.send_after(Duration::ZERO, Restless);
        Next::Wait
    }
}

impl HandleInfo<Line> for Desk {
    fn handle_info(&mut self, Line(line): Line, _: &mut Context<Self>) -> Next {
        self.diary.write(line);
        Next::Wait
    }
}

impl HandleInfo<Told> for Desk {
    fn handle_info(&mut self, Told(outcome): Told, _: &mut Context<Self>) -> Next {
        self.diary.write(match outcome {
            Ok(total) => format!("told {total}"),
            Err(error) => format!("told: {error}"),
        });
        Next::Wait
    }
}

impl HandleInfo<Wake> for Desk {
    fn handle_info(&mut self, _: Wake, _: &mut Context<Self>) -> Next {
        for caller in self.kept.drain(..) {
            caller.reply(self.sum.total);
        }
        Next::Wait
    }
}

pub(crate) async fn desks(n: usize) -> (Cluster<Desk>, Diary) {
    desks_with(n, Config::default()).await
}

pub(crate) async fn desks_with(n: usize, config: Config) -> (Cluster<Desk>, Diary) {
    let diary = Diary::default();
    let shared = diary.clone();
    let cluster = Cluster::server_builder(n, move || Desk::new(&shared)).config(config).seed(7).start().await;
    (cluster.expect("the configuration is valid"), diary)
}

pub(crate) async fn primary(cluster: &Cluster<Desk>) -> vsr_actor::Handle<Desk> {
    let id = cluster.primary().await.expect("there is one");
    cluster.handle(id).expect("it runs")
}
