//! One replica in this process, the others elsewhere: of them is known what this one hears.

use super::{Group, line};
use crate::server::{Control, ReplicaLine};
use crate::store::Store;
use vsr_actor::{Handle, ReplicaId};

/// A group of which one replica runs in this process.
#[derive(Clone, Debug)]
pub struct Member {
    replica: Handle<Store>,
    members: Vec<ReplicaId>,
}

impl Member {
    /// `members` are those of the group, in its order.
    #[must_use]
    pub fn new(replica: Handle<Store>, members: Vec<ReplicaId>) -> Self {
        Self { replica, members }
    }
}

impl Group for Member {
    fn replicas(&self) -> Vec<ReplicaLine> {
        let status = self.replica.status();
        let (own, protocol) = (line(&status), status.protocol);
        let of_member = |(place, id): (usize, &ReplicaId)| {
            if *id == protocol.replica {
                return own.clone();
            }
            let is_heard = status.health.is_running() && protocol.peers >> place & 1 == 1;
            ReplicaLine {
                id: id.0.into(),
                state: if is_heard { "heard" } else { "not heard" }.to_owned(),
                view: protocol.view.0,
                is_primary: is_heard && *id == protocol.primary,
                progress: None,
            }
        };
        self.members.iter().enumerate().map(of_member).collect()
    }

    fn is_dev(&self) -> bool {
        false
    }

    async fn control(&self, _order: Control) -> Result<(), String> {
        Err("replicas can be crashed and cut off in dev mode only".to_owned())
    }
}
