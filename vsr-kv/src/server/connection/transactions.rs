//! `MULTI`, `EXEC`, `DISCARD`, `WATCH`, `UNWATCH`.

use super::{Backend, Connection, Form, Queue, error, local};
use crate::resp::Writer;
use crate::server::{
    Freshness,
    transaction::{Queued, Step, Transaction, WATCHED_BYTES_MAX, WATCHED_MAX},
};
use crate::store::{Operation, Store};
use bytes::{Bytes, BytesMut};
use std::io;
use tokio::{io::AsyncWriteExt, net::tcp::WriteHalf};

impl<B: Backend> Connection<B> {
    pub(super) async fn transaction(
        &mut self,
        step: Step,
        request: &[Bytes],
        write: &mut WriteHalf<'_>,
    ) -> io::Result<()> {
        let begun = self.session.transaction.is_some();
        match step {
            Step::Multi if begun => self.refuse("ERR MULTI calls can not be nested"),
            Step::Multi => {
                self.session.transaction = Some(Transaction::default());
                self.agree();
            }
            Step::Discard if !begun => self.refuse("ERR DISCARD without MULTI"),
            Step::Discard => {
                self.session.transaction = None;
                self.session.unwatch();
                self.agree();
            }
            Step::Watch if begun => self.refuse("ERR WATCH inside MULTI is not allowed"),
            Step::Watch => self.watch(&request[1..], write).await?,
            Step::Unwatch => {
                self.session.unwatch();
                self.agree();
            }
            Step::Exec => match self.session.transaction.take() {
                None => self.refuse("ERR EXEC without MULTI"),
                Some(transaction) => self.exec(transaction, write).await?,
            },
        }
        Ok(())
    }

    fn agree(&mut self) {
        self.answer(|session, _, out| Writer::new(out, session.protocol()).simple("OK"));
    }

    /// Reads what the keys are now, after everything this connection did before.
    async fn watch(&mut self, keys: &[Bytes], write: &mut WriteHalf<'_>) -> io::Result<()> {
        let watched = &self.session.watched;
        let fresh: Vec<Bytes> =
            keys.iter().filter(|key| watched.iter().all(|(known, _)| known != *key)).cloned().collect();
        let bytes: usize = watched.iter().map(|(key, _)| key.len()).sum();
        let more: usize = fresh.iter().map(Bytes::len).sum();
        if watched.len() + fresh.len() > WATCHED_MAX || bytes + more > WATCHED_BYTES_MAX {
            self.session.watch_failed = true;
            self.refuse(&format!(
                "ERR a connection watches at most {WATCHED_MAX} keys of {WATCHED_BYTES_MAX} bytes together"
            ));
            return Ok(());
        }
        self.settle(write, Queue::is_empty).await?;
        write.write_all_buf(&mut self.out).await?;
        let look = self.shared.backend.look(Freshness::Linearizable, move |store: &Store| {
            let with_version = |key: &Bytes| (key.clone(), store.version(key));
            fresh.iter().map(with_version).collect::<Vec<_>>()
        });
        match look.await {
            Ok(versions) => {
                self.session.watched.extend(versions);
                self.agree();
            }
            Err(error) => {
                self.session.watch_failed = true;
                self.refuse(&error::text(&error, self.shared.is_loading()));
            }
        }
        Ok(())
    }

    async fn exec(&mut self, transaction: Transaction, write: &mut WriteHalf<'_>) -> io::Result<()> {
        let (watched, failed) = (std::mem::take(&mut self.session.watched), self.session.watch_failed);
        self.session.unwatch();
        let Some(queued) = transaction.into_commands().filter(|_| !failed) else {
            self.refuse("EXECABORT Transaction discarded because of previous errors.");
            return Ok(());
        };
        let form = Form::new(self.session.protocol(), self.session.muted);
        let (mut commands, mut places) = (Vec::new(), Vec::with_capacity(queued.len()));
        for command in queued {
            places.push(match command {
                Queued::Store(operation) => {
                    commands.push(operation);
                    None
                }
                Queued::Local(which, words) => {
                    let mut out = BytesMut::new();
                    local::answer(which, &words, &mut self.session, &self.shared, &mut out);
                    Some(out.freeze())
                }
            });
        }
        self.settle(write, |pending| !pending.has_reads()).await?;
        let operation = Operation::Transaction { watched, commands };
        self.submit(operation, form.with_places(places), write).await
    }
}
