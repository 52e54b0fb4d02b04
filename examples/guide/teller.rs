//! Chapter 3: an actor around the bank, with callbacks.
use crate::bank::{Bank, Operation, Receipt, deposit};
use std::{error::Error, io};
use vsr_actor::{CallError, Frozen, prelude::*};

#[derive(Default)]
pub struct Teller {
    /// Replicated: equal on all replicas.
    bank: Bank,
    /// Beside it: this replica's own.
    waiting: Vec<Waiting>,
    visitors: u64,
}

struct Waiting {
    wanted: Savings,
    from: ReplyToken<u64>,
}

impl Snapshot for Teller {
    fn snapshot(&self) -> Frozen {
        self.bank.snapshot()
    }

    fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> {
        self.bank.restore(from)?;
        self.answer_who_waits();
        Ok(())
    }
}

impl StateMachine for Teller {
    type Operation = Operation;
    type Reply = Receipt;

    fn handle_commit(&mut self, _commit: &Commit, operation: Operation) -> Receipt {
        let receipt = self.bank.apply(operation);
        self.answer_who_waits();
        receipt
    }
}

impl VsrServer for Teller {}

/// A call that is answered when its operation is committed.
impl HandleCall<Operation> for Teller {
    type Answer = Receipt;

    fn handle_call(&mut self, op: Operation, from: ReplyToken<Receipt>, ctx: &mut Context<Self>) -> Next {
        ctx.request(op, from, |receipt| receipt)
    }
}

/// A call that is answered at once.
pub struct Visitors;

impl HandleCall<Visitors> for Teller {
    type Answer = u64;

    fn handle_call(&mut self, _: Visitors, from: ReplyToken<u64>, _: &mut Context<Self>) -> Next {
        from.reply(self.visitors);
        Next::Wait
    }
}

/// A call that is answered later: when somebody has saved so much.
pub struct Savings {
    name: String,
    cents: u64,
}

impl HandleCall<Savings> for Teller {
    type Answer = u64;

    fn handle_call(&mut self, wanted: Savings, from: ReplyToken<u64>, _: &mut Context<Self>) -> Next {
        self.waiting.push(Waiting { wanted, from });
        self.answer_who_waits();
        Next::Wait
    }
}

impl Teller {
    fn answer_who_waits(&mut self) {
        let bank = &self.bank;
        let rich = |waiting: &mut Waiting| bank.balance(&waiting.wanted.name) >= waiting.wanted.cents;
        for Waiting { wanted, from } in self.waiting.extract_if(.., rich) {
            from.reply(bank.balance(&wanted.name));
        }
    }
}

/// A cast: nobody waits for it.
pub struct Visit;

impl HandleCast<Visit> for Teller {
    fn handle_cast(&mut self, _: Visit, _: &mut Context<Self>) -> Next {
        self.visitors += 1;
        Next::Wait
    }
}

/// An info: something that happened.
pub struct ClosingTime;

impl HandleInfo<ClosingTime> for Teller {
    fn handle_info(&mut self, _: ClosingTime, _: &mut Context<Self>) -> Next {
        Next::Stop(Stop::Normal)
    }
}

pub async fn run() -> Result<(), Box<dyn Error>> {
    let branch = Cluster::servers(3, Teller::default).await?;
    let [here, there] = [0, 1].map(|index| branch.handle(branch.ids()[index]));
    let (here, there) = (here?, there?);
    let teller = here.server();

    let savings = Savings { name: "Ada".into(), cents: 700 };
    let (saved, first, second) = tokio::join!(
        teller.call(savings),
        teller.call(deposit("Ada", 500)),
        teller.call(deposit("Ada", 300))
    );
    assert_eq!((first?, second?), (Receipt::Balance(500), Receipt::Balance(800)));
    println!("chapter 3: Ada has saved {} cents", saved?);

    teller.cast(Visit).await?;
    assert_eq!(teller.call(Visitors).await?, 1);
    assert_eq!(there.server().call(Visitors).await?, 0); // not replicated

    teller.info(ClosingTime).await?;
    here.join().await?; // it has handed over and ended
    assert_eq!(teller.call(Visitors).await, Err(CallError::Stopped));
    assert_eq!(there.server().call(deposit("Ada", 1)).await?, Receipt::Balance(801));
    Ok(branch.shutdown().await?)
}
