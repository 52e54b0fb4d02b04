//! A message that carries operations, to bytes and back.

use super::core::Group;
use vsr_core::Message;

pub(super) fn run(batch: u64, operations: u64) -> Result<(), String> {
    let mut group = Group::form()?;
    group.keeps_prepare = true;
    group.execute(batch)?;
    let message = group.prepare.ok_or("no Prepare was sent")?;
    for _ in 0..operations / batch {
        let decoded = Message::decode(message.encode()).map_err(|error| error.to_string())?;
        std::hint::black_box(decoded);
    }
    Ok(())
}
