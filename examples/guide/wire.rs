//! Chapter 7: a transport and replies of one's own.
use crate::bank::{Bank, Operation, Receipt, deposit, transfer};
use std::{error::Error, io};
use tokio::sync::mpsc;
use vsr_actor::{Builder, Frozen, Message, ReplicaId, Replies, ReplyTo, RequestError, Transport, prelude::*};

type Letters = mpsc::Sender<Vec<u8>>;

pub struct Branch {
    bank: Bank,
    /// One wire to each replica, in the order of their ids.
    peers: Vec<Letters>,
    /// Where receipts are printed.
    printer: mpsc::UnboundedSender<String>,
}

impl VsrServer for Branch {
    fn send_vsr(&mut self, to: ReplicaId, message: Message, _: &mut dyn Transport) {
        let letter = message.encode().to_vec();
        let _ = self.peers[to.0 as usize].try_send(letter); // no room: lost
    }

    fn send_reply(
        &mut self,
        to: ReplyTo<Receipt>,
        reply: Result<Receipt, RequestError>,
        default: &mut dyn Replies<Receipt>,
    ) {
        match to {
            ReplyTo::Custom(number) => {
                let line = format!("{}: {reply:?}", String::from_utf8_lossy(&number));
                let _ = self.printer.send(line);
            }
            others => default.send_reply(others, reply),
        }
    }
}

impl StateMachine for Branch {
    type Operation = Operation;
    type Reply = Receipt;

    fn handle_commit(&mut self, _commit: &Commit, operation: Operation) -> Receipt {
        self.bank.apply(operation)
    }
}

impl Snapshot for Branch {
    fn snapshot(&self) -> Frozen {
        self.bank.snapshot()
    }

    fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> {
        self.bank.restore(from)
    }
}

pub async fn run() -> Result<(), Box<dyn Error>> {
    let ids = [0, 1, 2].map(ReplicaId);
    let (peers, ends): (Vec<Letters>, Vec<_>) = ids.iter().map(|_| mpsc::channel(1024)).unzip();
    let (printer, mut printed) = mpsc::unbounded_channel();

    let (mut replicas, mut postmen) = (Vec::new(), tokio::task::JoinSet::new());
    for (id, mut end) in ids.into_iter().zip(ends) {
        let branch = Branch { bank: Bank::default(), peers: peers.clone(), printer: printer.clone() };
        let replica = Builder::server(id, ids, branch).start().await?;
        replicas.push(replica.clone());
        postmen.spawn(async move {
            while let Some(letter) = end.recv().await {
                if let Ok(message) = Message::decode(letter.into()) {
                    replica.deliver(message);
                }
            }
        });
    }

    let customer = replicas[1].client();
    customer.request(deposit("Ada", 500)).await?;

    replicas[2].submit(transfer("Ada", "Bob", 200), ReplyTo::Custom("receipt 17".into()))?;
    println!("chapter 7: {}", printed.recv().await.expect("the printer is on"));

    for replica in replicas {
        replica.shutdown().await?;
    }
    Ok(())
}
