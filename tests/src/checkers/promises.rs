//! J8: no message says what a crash could make untrue (rule F1).

use super::Violation;
use crate::disk::Disk;
use vsr_core::{Body, Message, Standing};

pub(super) fn check(replica: usize, message: &Message, disk: &Disk) -> Result<(), Violation> {
    let broken = |what: &str| {
        let text = format!(
            "replica {replica} sends {} in {}, and {what} is not durable",
            name(message),
            message.view
        );
        Err(Violation::new("J8 promises", text))
    };
    if message.view > disk.view() {
        return broken("the view");
    }
    let own_log = |op| disk.log_view() == message.view && disk.op() >= op;
    match &message.body {
        Body::PrepareOk { op, hash } => {
            // Views begin at 0 without a log to install.
            if !own_log(*op) || (disk.snapshot_op() <= *op && disk.hash_at(*op) != Some(*hash)) {
                return broken("what it acknowledges");
            }
        }
        Body::DoViewChange(body) => {
            let end = body.suffix.op();
            let whole = disk.op() == end && disk.hash_at(end) == Some(body.suffix.hash());
            if disk.log_view() != body.log_view || !whole {
                return broken("the log it describes");
            }
        }
        Body::ProbeOk { .. } => {
            if disk.log_view() != message.view {
                return broken("that it is normal there");
            }
        }
        Body::StartView(body) => {
            if !own_log(body.start_op) {
                return broken("the log of the view");
            }
        }
        Body::RecoveryResponse(body) => {
            let vouched = match &body.standing {
                Standing::Primary { .. } | Standing::Backup => {
                    !disk.is_lost() && disk.log_view() == message.view
                }
                Standing::Recovering { .. } => true,
            };
            if !vouched {
                return broken("the log it vouches for");
            }
        }
        Body::Bootstrap(body) => {
            let bound = disk.record().is_some_and(|record| record.membership.is_some());
            if body.membership.is_some() && !bound {
                return broken("the membership");
            }
        }
        Body::Request(_)
        | Body::Prepare { .. }
        | Body::Commit { .. }
        | Body::StartViewChange
        | Body::GetState { .. }
        | Body::Recovery { .. }
        | Body::NewState(_)
        | Body::Digests(_)
        | Body::Probe { .. }
        | Body::ReadIndex { .. }
        | Body::ReadIndexOk { .. }
        | Body::Wake => {}
    }
    Ok(())
}

fn name(message: &Message) -> String {
    format!("{:?}", message.body.name())
}
