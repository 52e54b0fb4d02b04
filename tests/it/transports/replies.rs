//! The way of the answers: a good one, and one for each fault.

use tokio::{sync::mpsc, task::JoinSet};
use vsr_actor::{ReplicaId, Replies, ReplyTo, RequestError};
use vsr_test::transport_conformance::replies::{Answers, Callers, ReplyCheck, run};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    AnswersTwice,
    LosesReplies,
    /// Thinks that only replies are answers.
    LosesErrors,
    /// Gives an answer to whoever asked before.
    MixesUp,
    /// Forgets who asked when the view changes: here, after half of the answers.
    ForgetsAfterAWhile,
}

struct Mail {
    fault: Fault,
    wire: mpsc::UnboundedSender<(Vec<u8>, Result<u64, String>)>,
    count: u64,
    last: Vec<u8>,
}

impl Replies<u64> for Mail {
    fn send_reply(&mut self, to: ReplyTo<u64>, reply: Result<u64, RequestError>) {
        let ReplyTo::Custom(name) = to else { return to.send(reply) };
        self.count += 1;
        let before = std::mem::replace(&mut self.last, name.to_vec());
        let (name, reply) = (name.to_vec(), reply.map_err(|error| error.to_string()));
        let unlucky = self.count.is_multiple_of(50);
        match self.fault {
            Fault::AnswersTwice if unlucky => {
                let _ = self.wire.send((name.clone(), reply.clone()));
                let _ = self.wire.send((name, reply));
            }
            Fault::LosesReplies if unlucky => {}
            Fault::LosesErrors if reply.is_err() => {}
            Fault::ForgetsAfterAWhile if self.count > 100 => {}
            Fault::MixesUp if unlucky => drop(self.wire.send((before, reply))),
            _ => drop(self.wire.send((name, reply))),
        }
    }
}

struct Office {
    fault: Fault,
    tasks: JoinSet<()>,
}

fn office(fault: Fault) -> impl Fn() -> Office {
    move || Office { fault, tasks: JoinSet::new() }
}

impl Callers for Office {
    type Replies = Mail;

    async fn connect(&mut self, _id: ReplicaId, answers: Answers) -> Mail {
        let (wire, mut delivered) = mpsc::unbounded_channel::<(Vec<u8>, Result<u64, String>)>();
        self.tasks.spawn(async move {
            while let Some((name, reply)) = delivered.recv().await {
                answers.answered(&String::from_utf8_lossy(&name), reply);
            }
        });
        Mail { fault: self.fault, wire, count: 0, last: Vec::new() }
    }
}

vsr_test::replies_conformance!(office(Fault::None), start_paused = true);

async fn catches(check: ReplyCheck, fault: Fault, told: &str) {
    let failure = run(check, office(fault)).await.expect_err("it is broken");
    let text = failure.to_string();
    assert!(text.starts_with(check.name()) && text.contains(told) && text.contains(check.duty()), "{text}");
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_twice() {
    catches(ReplyCheck::EachIsAnsweredOnce, Fault::AnswersTwice, "was answered 2 times").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_loses_replies() {
    catches(ReplyCheck::EachIsAnsweredOnce, Fault::LosesReplies, "never answered, nor were 11 more").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_mixes_callers_up() {
    catches(ReplyCheck::EachIsAnsweredOnce, Fault::MixesUp, "never answered").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_loses_errors() {
    catches(ReplyCheck::ErrorsAreAnswersToo, Fault::LosesErrors, "never answered, nor were 19 more").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_forgets_who_asked() {
    catches(ReplyCheck::AFailoverLosesNoAnswer, Fault::ForgetsAfterAWhile, "never answered").await;
}
