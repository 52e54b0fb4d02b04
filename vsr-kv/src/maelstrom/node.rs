//! The node: takes lines, answers, and is a replica from its `init` on.

use super::{
    envelope::{Envelope, VSR, peer_message},
    fault::{Code, Fault},
    lines::{Line, Lines},
    output::{self, Peers, ToPeer},
    registers::{Json, Operation, Registers},
    request::{Init, Request},
    waiting::{Asked, Waiting},
};
use serde_json::{Map, Value, json};
use std::{future::pending, io, path::PathBuf, pin::pin, sync::Arc};
use tokio::{
    io::{AsyncBufRead, AsyncWrite},
    sync::mpsc::{self, OwnedPermit},
    task::JoinSet,
};
use tracing::{debug, warn};
use vsr_actor::{Builder, Client, Config, Handle, ReplicaError, ReplicaId, ReplyTo};

/// Answers that are not out yet, those to requests under way included.
const ANSWERS_MAX: usize = 2048;
/// So many of them are for requests that need no replica. They are answered at once: who waits for their room waits for nothing but
/// the output, while peers' messages wait in the input behind it.
const ANSWERS_AT_ONCE: usize = 64;
/// Messages to peers that are not out yet.
pub(super) const PEERS_MAX: usize = 1024;
/// Bytes of a line. The largest message of a replica has 32 MiB, and a third more in base64.
pub(super) const LINE_BYTES_MAX: usize = 64 << 20;

/// Why a node ended before its input did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The input cannot be read.
    #[error("the input cannot be read: {0}")]
    Input(#[source] io::Error),
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[source] io::Error),
    /// Its replica stopped by itself.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
}

/// Runs a node until its input ends and everything it took is answered. Nothing but messages is written to `output`; what cannot be
/// answered is told by tracing. The replica lives in memory: a node that is started anew is not the node it was, and its group keeps it out.
/// Not so with a directory for the `data` of all nodes: there each has one of its own, and goes on where it was.
///
/// Cancel-safe: dropped, the node ends as in a crash.
///
/// # Errors
/// See [`NodeError`].
pub async fn run(
    input: impl AsyncBufRead + Unpin,
    output: impl AsyncWrite + Unpin,
    config: Config,
    data: Option<PathBuf>,
) -> Result<(), NodeError> {
    config.validate().map_err(ReplicaError::from)?;
    let (answers, answers_lane) = mpsc::channel(ANSWERS_MAX);
    let (peers, peers_lane) = mpsc::channel(PEERS_MAX);
    let mut writing = pin!(output::write(output, answers_lane, peers_lane));
    let mut node = Node { config, data, answers, peers, member: None };
    let served = tokio::select! {
        written = &mut writing => return written.map_err(NodeError::Output),
        served = node.serve(Lines::new(input, LINE_BYTES_MAX)) => served,
    };
    let Node { answers, member, .. } = node;
    // A request under way has its place: the writer ends with the last of them.
    drop(answers);
    let ended = tokio::select! {
        error = ended(member.as_ref()) => Err(error),
        written = &mut writing => return served.and(written.map_err(NodeError::Output)),
    };
    member.inspect(|member| member.waiting.fail_all());
    writing.await.map_err(NodeError::Output)?;
    served.and(ended.map_err(NodeError::Replica))
}

struct Node {
    config: Config,
    data: Option<PathBuf>,
    answers: mpsc::Sender<String>,
    peers: mpsc::Sender<ToPeer>,
    member: Option<Member>,
}

/// What a node is from its `init` on.
struct Member {
    init: Init,
    handle: Handle<Registers>,
    /// For reads, which go beside the log: a read that fails has not happened, and the client is told so; and it leaves nothing behind.
    reader: Client<Registers>,
    reads: JoinSet<()>,
    waiting: Waiting,
}

/// Waits until the replica has ended, which it does by mistake only.
async fn ended(member: Option<&Member>) -> ReplicaError {
    match member {
        Some(member) => member.handle.join().await.err().unwrap_or(ReplicaError::Aborted),
        None => pending().await,
    }
}

impl Node {
    /// Takes lines until there are no more, or the replica has ended.
    async fn serve(&mut self, mut lines: Lines<impl AsyncBufRead + Unpin>) -> Result<(), NodeError> {
        loop {
            let line = tokio::select! {
                biased;
                error = ended(self.member.as_ref()) => return Err(error.into()),
                line = lines.next() => line.map_err(NodeError::Input)?,
            };
            match line {
                None => return Ok(()),
                Some(Line::TooLong) => warn!("a line of more than {LINE_BYTES_MAX} bytes is ignored"),
                Some(Line::Whole(line)) => match Envelope::parse(&line) {
                    Ok(envelope) => self.hear(envelope).await,
                    Err(error) => warn!(%error, "a line is ignored"),
                },
            }
        }
    }

    async fn hear(&mut self, envelope: Envelope) {
        let Envelope { src, dest, body } = &envelope;
        if self.member.as_ref().is_some_and(|member| member.init.node_id != *dest) {
            return warn!(src, dest, "a message for another node is ignored");
        }
        if envelope.kind() == Some(VSR) {
            return self.hear_peer(src, body);
        }
        if envelope.is_answer() {
            return warn!(src, ?body, "an answer to nothing is ignored");
        }
        let asker = envelope.asker();
        let place = place(&self.answers).ok_or_else(Fault::overloaded);
        let answered = match (Request::parse(envelope.body), &mut self.member) {
            (Err(fault), _) => Err(fault),
            (Ok(Request::Init(init)), _) => self.init(init).await.map(|()| json!({ "type": "init_ok" })),
            (Ok(_), None) => Err(Fault::not_yet()),
            (Ok(Request::Echo(echo)), Some(_)) => Ok(json!({ "type": "echo_ok", "echo": echo })),
            (Ok(Request::Read(key)), Some(member)) => match place {
                Ok(place) => return member.read(Asked { asker, place }, key),
                Err(fault) => Err(fault),
            },
            (Ok(Request::Change(operation)), Some(member)) => match place {
                Ok(place) => return member.change(Asked { asker, place }, operation),
                Err(fault) => Err(fault),
            },
        };
        let line = match answered {
            Ok(body) => asker.answer(body),
            Err(fault) => asker.error(&fault),
        };
        // Closed is the lane only when the output is, and then the node ends.
        let _ = self.answers.send(line).await;
    }

    /// Hands a message of another replica in. Nobody is told what is wrong with it: replicas say everything again that matters.
    fn hear_peer(&self, src: &str, body: &Map<String, Value>) {
        let Some(member) = &self.member else {
            return debug!(src, "a message of a replica came before \"init\"");
        };
        let from = member.init.node_ids.iter().position(|id| id == src);
        match (from, peer_message(body)) {
            (_, Err(error)) => warn!(src, %error, "a message of a replica is ignored"),
            (Some(from), Ok(message)) if message.from.0 as usize == from => member.handle.deliver(message),
            (_, Ok(message)) => {
                warn!(src, from = %message.from, "a message of a replica comes from another node")
            }
        }
    }

    /// Becomes a member of the group. Once more with the same names changes nothing.
    async fn init(&mut self, init: Init) -> Result<(), Fault> {
        if let Some(member) = &self.member {
            let text = format!("this node is {:?} of {:?}", member.init.node_id, member.init.node_ids);
            return if member.init == init { Ok(()) } else { Err(Fault::new(Code::Abort, text)) };
        }
        let names: Arc<[Arc<str>]> = init.node_ids.iter().map(|id| id.as_str().into()).collect();
        let ids = (0..).map(ReplicaId).take(names.len());
        let waiting = Waiting::default();
        let mut builder = Builder::new(ReplicaId(init.index as u32), ids, Registers::default())
            .config(self.config.clone())
            .transport(Peers { names, me: init.index, lane: self.peers.clone() })
            .replies(waiting.clone());
        if let Some(data) = &self.data {
            builder = builder.data_dir(data.join(format!("replica-{}", init.index)));
        }
        let handle = builder.start().await.map_err(|error| match error {
            ReplicaError::Config(_) | ReplicaError::Start(_) => Fault::malformed(error.to_string()),
            error => Fault::new(Code::Crash, error.to_string()),
        })?;
        self.member = Some(Member { init, reader: handle.client(), handle, reads: JoinSet::new(), waiting });
        Ok(())
    }
}

impl Member {
    fn change(&self, asked: Asked, operation: Operation) {
        let ok = match operation {
            Operation::Write { .. } => "write_ok",
            Operation::Cas { .. } => "cas_ok",
        };
        let number = self.waiting.insert(asked, ok);
        if let Err(error) = self.handle.submit(operation, ReplyTo::Custom(number.clone())) {
            self.waiting.answer(&number, Err(error));
        }
    }

    fn read(&mut self, asked: Asked, key: Json) {
        while self.reads.try_join_next().is_some() {}
        let reader = self.reader.clone();
        self.reads.spawn(async move {
            match reader.read_linearizable(move |registers| registers.get(&key).cloned()).await {
                Ok(Some(value)) => asked.answer(|asker| asker.value(&value)),
                Ok(None) => asked.fail(&Fault::missing()),
                Err(error) => asked.fail(&error.into()),
            }
        });
    }
}

/// A place for the answer to a request that takes its time; nothing, if too many are under way.
fn place(answers: &mpsc::Sender<String>) -> Option<OwnedPermit<String>> {
    if answers.capacity() <= ANSWERS_AT_ONCE {
        return None;
    }
    answers.clone().try_reserve_owned().ok()
}
