//! Where an operation is written before it has a place in a queue.

use std::cell::Cell;

/// The thread's buffer, empty. Taken out of its place as long as this lives, so that an `encode` that sends requests itself finds
/// another one.
pub(super) struct Scratch(pub(super) Vec<u8>);

/// A larger one is not kept.
const KEPT_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Scratch {
    pub(super) fn new() -> Self {
        let mut buffer = BUFFER.take();
        buffer.clear();
        Self(buffer)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT_BYTES_MAX {
            BUFFER.set(std::mem::take(&mut self.0));
        }
    }
}
