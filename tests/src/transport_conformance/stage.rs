//! The ends of some replicas without the replicas: what is sent is chosen, and what arrives is written down.

use super::{
    Inbox,
    any::{AnyNetwork, Make},
    messages::{describe, is_noise},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc as threads,
    time::Duration,
};
use tokio::{
    runtime::Handle as Runtime,
    sync::mpsc,
    time::{sleep, timeout},
};
use vsr_actor::{Message, ReplicaId, Transport};

/// What a check found wrong.
pub(super) type Wrong = String;

/// How long anything may take that must happen in the end. Far more than it takes; a test that waits so long fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long `send_vsr` may take for one message before it is taken for lost in thought. On the clock of the wall: nothing else moves.
const HANGS: Duration = Duration::from_secs(10);

/// How long to wait for a message before it is sent again; doubled each time, for a large one may take long.
const RESEND: Duration = Duration::from_millis(50);

/// A message on its way.
#[derive(Clone)]
pub(super) struct Letter {
    pub(super) from: ReplicaId,
    pub(super) to: ReplicaId,
    pub(super) message: Message,
}

pub(super) struct Stage<'a> {
    pub(super) network: Box<dyn AnyNetwork + 'a>,
    ends: Vec<End>,
    /// Everything sent that is recognised when it arrives.
    sent: Vec<Letter>,
}

struct End {
    id: ReplicaId,
    transport: Option<Box<dyn Transport>>,
    arrived: mpsc::UnboundedReceiver<Message>,
}

/// The ids of `n` replicas.
pub(super) fn ids(n: u32) -> Vec<ReplicaId> {
    (0..n).map(ReplicaId).collect()
}

impl<'a> Stage<'a> {
    /// `n` ends, connected.
    pub(super) async fn new(n: u32, make: Make<'a>) -> Self {
        let ids = ids(n);
        let mut stage = Self { network: make(&ids), ends: Vec::new(), sent: Vec::new() };
        for id in ids {
            let end = stage.open(id).await;
            stage.ends.push(end);
        }
        stage
    }

    async fn open(&mut self, id: ReplicaId) -> End {
        let (inbox, arrived) = mpsc::unbounded_channel();
        let inbox = Inbox::new(move |message| drop(inbox.send(message)));
        let transport = self.network.connect(id, inbox).await;
        End { id, transport: Some(transport), arrived }
    }

    /// Ends the life of a replica. What arrives at its inbox from now on arrives too late.
    pub(super) async fn disconnect(&mut self, id: ReplicaId) -> mpsc::UnboundedReceiver<Message> {
        let (_, closed) = mpsc::unbounded_channel();
        let end = self.end(id);
        end.transport = None;
        let arrived = std::mem::replace(&mut end.arrived, closed);
        self.network.disconnect(id).await;
        arrived
    }

    /// Begins another life.
    pub(super) async fn connect(&mut self, id: ReplicaId) {
        *self.end(id) = self.open(id).await;
    }

    fn end(&mut self, id: ReplicaId) -> &mut End {
        self.ends.iter_mut().find(|end| end.id == id).expect("all ends were opened at the start")
    }

    /// Sends from one replica, from a thread of its own: meanwhile this one stands still, and with it all tasks of the runtime, if
    /// the runtime has but one thread. Nobody reads while this sends.
    pub(super) fn send(&mut self, from: ReplicaId, letters: &[(ReplicaId, Message)]) -> Result<(), Wrong> {
        let letters = letters.to_vec();
        let count = letters.len();
        let mut transport = self.end(from).transport.take().expect("it is connected");
        let runtime = Runtime::current();
        let (done, returned) = threads::channel();
        // Not joined if it never returns: then its check fails, and it ends with the test.
        std::thread::spawn(move || {
            let _inside = runtime.enter();
            for (to, message) in letters {
                let sent = catch_unwind(AssertUnwindSafe(|| transport.send_vsr(to, message)));
                let _ = done.send(sent.map(|()| None));
            }
            let _ = done.send(Ok(Some(transport)));
        });
        for number in 1.. {
            match returned.recv_timeout(HANGS) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(transport))) => {
                    self.end(from).transport = Some(transport);
                    break;
                }
                Ok(Err(panic)) => {
                    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                    let text = text.unwrap_or_else(|| "without a message".into());
                    return Err(format!("send_vsr panicked at message {number} of {count}: {text}"));
                }
                Err(_) => {
                    return Err(format!(
                        "send_vsr did not return within {HANGS:?}: {from} sent {count} messages while nobody \
                         read any, and at the one with number {number} it waits for somebody to read"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Sends letters again and again until each has arrived.
    ///
    /// Fails when one never does, and when anything arrives that was not sent like that.
    pub(super) async fn exchange(&mut self, letters: Vec<Letter>) -> Result<(), Wrong> {
        let before = self.sent.len();
        self.sent.extend(letters);
        let mut missing: Vec<usize> = (before..self.sent.len()).collect();
        let (mut rounds, mut waited) = (0, Duration::ZERO);
        while waited < PATIENCE {
            let wait = RESEND * (1 << rounds);
            (rounds, waited) = (rounds + 1, waited + wait);
            let mut senders: Vec<ReplicaId> = missing.iter().map(|index| self.sent[*index].from).collect();
            senders.dedup();
            for from in senders {
                let own = missing.iter().map(|index| &self.sent[*index]).filter(|letter| letter.from == from);
                let own: Vec<_> = own.map(|letter| (letter.to, letter.message.clone())).collect();
                self.send(from, &own)?;
            }
            // Until they are there, or it is time to send again.
            let receiving = async {
                loop {
                    for found in self.read()? {
                        missing.retain(|index| *index != found);
                    }
                    if missing.is_empty() {
                        return Ok(());
                    }
                    sleep(Duration::from_millis(1)).await;
                }
            };
            if let Ok(result) = timeout(wait, receiving).await {
                return result;
            }
        }
        let lost = &self.sent[missing[0]];
        Err(format!(
            "{} from {} to {} was sent {rounds} times in {waited:?} and never arrived",
            describe(&lost.message),
            lost.from,
            lost.to
        ))
    }

    /// Recognises what has arrived by now.
    pub(super) fn read(&mut self) -> Result<Vec<usize>, Wrong> {
        let mut found = Vec::new();
        for end in &mut self.ends {
            while let Ok(message) = end.arrived.try_recv() {
                if !is_noise(&message) {
                    found.push(recognise(&self.sent, end.id, &message)?);
                }
            }
        }
        Ok(found)
    }

    /// What has arrived at one end by now, recognised or not.
    pub(super) fn take(&mut self, id: ReplicaId) -> Vec<Message> {
        let end = self.end(id);
        std::iter::from_fn(|| end.arrived.try_recv().ok()).collect()
    }
}

/// Which letter this is. The latest are looked at first.
fn recognise(sent: &[Letter], at: ReplicaId, message: &Message) -> Result<usize, Wrong> {
    let same = |letter: &&Letter| letter.message == *message;
    if let Some(index) = sent.iter().rposition(|letter| letter.to == at && same(&letter)) {
        return Ok(index);
    }
    if let Some(letter) = sent.iter().rev().find(same) {
        let (from, to) = (letter.from, letter.to);
        return Err(format!("{} from {from} to {to} arrived at {at}", describe(message)));
    }
    let (kind, from) = (message.body.name(), message.from);
    let alike = sent.iter().rev().find(|letter| letter.message.body.name() == kind && letter.to == at);
    let alike = alike.map_or_else(
        || "no message of this kind was sent to it".to_owned(),
        |letter| format!("one that was sent to it is {}", describe(&letter.message)),
    );
    Err(format!("{at} got a message that nobody sent: {} from {from}; {alike}", describe(message)))
}
