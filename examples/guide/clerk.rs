//! Chapter 4: timers, spawned work, and replicated time.
use crate::bank::{Bank, Operation, deposit, transfer};
use std::{collections::BTreeMap, error::Error, io, time::Duration};
use vsr_actor::{Frozen, prelude::*};

#[derive(Default, Serialize, Deserialize)]
pub struct Plan {
    bank: Bank,
    /// By the replicated time at which they are due, in nanoseconds since 1970.
    orders: BTreeMap<u64, Vec<Operation>>,
}

#[derive(Serialize, Deserialize)]
pub enum Order {
    Now(Operation),
    In { millis: u32, operation: Operation },
}

#[derive(Default)]
pub struct Clerk {
    plan: Plan,
    /// Beside the replicated state.
    rate: Option<u32>,
    looks: u32,
    waiting: Vec<(Until, ReplyToken<u64>)>,
}

impl StateMachine for Clerk {
    type Operation = Order;
    type Reply = ();

    fn handle_commit(&mut self, commit: &Commit, order: Order) {
        match order {
            Order::Now(operation) => {
                self.plan.bank.apply(operation);
            }
            Order::In { millis, operation } => {
                let due = commit.timestamp + u64::from(millis) * 1_000_000;
                self.plan.orders.entry(due).or_default().push(operation);
            }
        }
        self.answer_who_waits();
    }

    fn next_tick(&self) -> Option<u64> {
        self.plan.orders.keys().next().copied()
    }

    fn handle_tick(&mut self, commit: &Commit) {
        while let Some(due) = self.plan.orders.first_entry().filter(|due| *due.key() <= commit.timestamp) {
            for operation in due.remove() {
                self.plan.bank.apply(operation);
            }
        }
        self.answer_who_waits();
    }
}

impl Snapshot for Clerk {
    fn snapshot(&self) -> Frozen {
        self.plan.snapshot()
    }

    fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> {
        self.plan.restore(from)?;
        self.answer_who_waits();
        Ok(())
    }
}

#[derive(Clone)]
pub struct Look;

pub struct Rate(u32);

impl VsrServer for Clerk {
    async fn init(&mut self, ctx: &mut Context<Self>) -> Result<(), Stop> {
        ctx.send_interval(Duration::from_millis(5), Look);
        ctx.spawn(ask_the_central_bank());
        Ok(())
    }
}

async fn ask_the_central_bank() -> Rate {
    // In life: a request to another service.
    Rate(2)
}

impl HandleInfo<Rate> for Clerk {
    fn handle_info(&mut self, Rate(percent): Rate, _: &mut Context<Self>) -> Next {
        self.rate = Some(percent);
        Next::Wait
    }
}

impl HandleInfo<Look> for Clerk {
    fn handle_info(&mut self, _: Look, _: &mut Context<Self>) -> Next {
        self.looks += 1;
        Next::Wait
    }
}

/// Answered when Bob has so much.
pub struct Until(u64);

impl HandleCall<Until> for Clerk {
    type Answer = u64;

    fn handle_call(&mut self, until: Until, from: ReplyToken<u64>, _: &mut Context<Self>) -> Next {
        self.waiting.push((until, from));
        self.answer_who_waits();
        Next::Wait
    }
}

impl Clerk {
    fn answer_who_waits(&mut self) {
        let has = self.plan.bank.balance("Bob");
        for (_, from) in self.waiting.extract_if(.., |(until, _)| until.0 <= has) {
            from.reply(has);
        }
    }
}

/// Answered with what this replica's clerk has seen.
pub struct Report;

impl HandleCall<Report> for Clerk {
    type Answer = String;

    fn handle_call(&mut self, _: Report, from: ReplyToken<String>, _: &mut Context<Self>) -> Next {
        from.reply(format!("rate {:?} percent, looked {} times", self.rate, self.looks));
        Next::Wait
    }
}

pub async fn run() -> Result<(), Box<dyn Error>> {
    let office = Cluster::servers(3, Clerk::default).await?;
    let orders = office.client();
    orders.request(Order::Now(deposit("Ada", 500))).await?;
    orders.request(Order::In { millis: 200, operation: transfer("Ada", "Bob", 100) }).await?;

    let primary = office.primary().await?;
    let backup = office.ids().iter().find(|id| **id != primary).expect("there are three");
    let clerk = office.handle(*backup)?.server();
    office.crash(primary).await?;
    let has = clerk.call(Until(100)).await?;
    println!("chapter 4: paid although the primary is gone: Bob has {has} cents");
    println!("chapter 4: {}", clerk.call(Report).await?);
    Ok(office.shutdown().await?)
}
