//! H9: an operation is committed under the trace of the request that asked for it.

use super::Violation;
use crate::client::trace_of;
use vsr_core::{Entry, Origin};

pub(super) fn check(replica: usize, entry: &Entry, index: usize) -> Result<(), Violation> {
    let Origin::Request { session, request, checksum, .. } = entry.origin(index) else { return Ok(()) };
    let (wanted, found) = (trace_of(session, request, checksum), entry.trace(index));
    if found == wanted {
        return Ok(());
    }
    let what =
        format!("replica {replica} commits {session}{request} under {found:?}, asked under {wanted:?}");
    Err(Violation::new("H9 trace", what))
}
