//! Lines that go out: one writer, so that no two get mixed up.

use super::envelope::peer_line;
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tracing::debug;
use vsr_actor::{Message, ReplicaId, Transport};

/// A message for a peer that is not out yet. The writer makes a line of it: the replica's task has better things to do.
#[derive(Debug)]
pub(super) struct ToPeer {
    src: Arc<str>,
    dest: Arc<str>,
    message: Message,
}

/// `send_vsr` of this transport: a line for a peer.
pub(super) struct Peers {
    /// The names of all nodes, by the number of their replica.
    pub(super) names: Arc<[Arc<str>]>,
    pub(super) me: usize,
    pub(super) lane: mpsc::Sender<ToPeer>,
}

impl Transport for Peers {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        let Some(dest) = self.names.get(to.0 as usize) else { return };
        let message = ToPeer { src: self.names[self.me].clone(), dest: dest.clone(), message };
        // A message for which there is no room is lost, and the protocol repairs it.
        if self.lane.try_send(message).is_err() {
            debug!(%to, "no room for a message to a peer");
        }
    }
}

/// Writes answers, and whenever there are none, messages to peers. Each line is on its way before the next is begun. Ends well when
/// nobody can have an answer any more.
pub(super) async fn write(
    mut output: impl AsyncWrite + Unpin,
    mut answers: mpsc::Receiver<String>,
    mut peers: mpsc::Receiver<ToPeer>,
) -> io::Result<()> {
    loop {
        let mut line = tokio::select! {
            biased;
            answer = answers.recv() => match answer {
                Some(answer) => answer,
                None => return Ok(()),
            },
            Some(ToPeer { src, dest, message }) = peers.recv() => peer_line(&src, &dest, &message),
        };
        line.push('\n');
        output.write_all(line.as_bytes()).await?;
        output.flush().await?;
    }
}
