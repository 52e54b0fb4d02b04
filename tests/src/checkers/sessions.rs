//! J11: session tables are equal at the same op, and a client is told of an eviction only if there was one (decision 7).

use super::Violation;
use crate::host::Host;
use std::collections::{HashMap, HashSet};
use vsr_core::{Answer, Asked, Event, OpNumber, Replica, SessionId, Sessions, Snapshot};

#[derive(Debug, Default)]
pub(super) struct SessionTables {
    /// The table at the op of each snapshot; old ones are forgotten.
    at: HashMap<OpNumber, Sessions>,
    newest: OpNumber,
    opened: HashSet<SessionId>,
    evicted: HashSet<SessionId>,
}

/// How many ops behind the newest snapshot a table is still compared.
const KEPT_OPS: u64 = 512;

impl SessionTables {
    pub(super) fn on_snapshot(&mut self, replica: usize, snapshot: &Snapshot) -> Result<(), Violation> {
        let op = snapshot.op();
        if op > self.newest {
            self.newest = op;
            let oldest = OpNumber(op.0.saturating_sub(KEPT_OPS));
            self.at.retain(|op, _| *op >= oldest);
        }
        let Some(sessions) = snapshot.sessions() else {
            let what = format!("replica {replica} at {op}: the table cannot be read");
            return Err(Violation::new("J11 sessions", what));
        };
        let known = self.at.entry(op).or_insert_with(|| sessions.clone());
        if *known == sessions {
            return Ok(());
        }
        let what = format!("replica {replica} at {op}: {sessions:?}, but another had {known:?}");
        Err(Violation::new("J11 sessions", what))
    }

    pub(super) fn on_event(&mut self, event: &Event) {
        match event {
            Event::SessionRegistered { session, .. } => {
                self.opened.insert(*session);
            }
            Event::SessionEvicted { session } => {
                self.evicted.insert(*session);
            }
            _ => {}
        }
    }

    pub(super) fn on_answer(&self, of: &Asked, answer: &Answer) -> Result<(), Violation> {
        let fine = match (of, answer) {
            (Asked::Request(session, _), Answer::Evicted) => self.evicted.contains(session),
            (_, Answer::Registered(session)) => self.opened.contains(session),
            (_, Answer::Conflict) => false,
            _ => true,
        };
        if fine { Ok(()) } else { Err(Violation::new("J11 sessions", format!("{of:?} is told {answer:?}"))) }
    }

    pub(super) fn at_rest(&self, hosts: &[Host]) -> Result<(), Violation> {
        let mut tables = hosts.iter().filter_map(|host| host.core.as_ref()).map(Replica::sessions);
        let Some(first) = tables.next() else { return Ok(()) };
        if tables.all(|table| table == first) {
            return Ok(());
        }
        Err(Violation::new("J11 sessions", "the replicas rest at one op with different tables".into()))
    }
}
