//! Where a state lies that is being written out or received, until it belongs to a snapshot.

use std::{
    fmt,
    io::{self, Write},
};
use vsr_core::State;

/// A place for one state that comes in parts. Used on a thread of its own, where it may block. One that is dropped before it is
/// finished takes along what was written.
///
/// ```
/// use std::io::{self, Write as _};
/// use vsr_actor::{MemoryStage, Stage};
///
/// let mut stage: Box<dyn Stage> = Box::new(MemoryStage::default());
/// stage.write_all(b"the ")?;
/// stage.write_all(b"state")?;
/// let state = stage.finish()?;
/// assert_eq!(state.read(4, 100).expect("it is in memory"), "state");
/// # Ok::<(), io::Error>(())
/// ```
pub trait Stage: Write + Send {
    /// All is written. The state's digest is that of the bytes that were given to [`write`](Write::write), whatever became of them: see
    /// [`StateDigest`](vsr_core::StateDigest). It must be readable until its last reference is gone, and what a crash leaves of it
    /// must be found again only once [`LogStorage::append`](crate::LogStorage::append) has made a snapshot with it durable.
    ///
    /// # Errors
    /// When it could not be kept: no room, above all.
    fn finish(self: Box<Self>) -> io::Result<State>;
}

/// Keeps a state in memory, whole.
#[derive(Default)]
pub struct MemoryStage(Vec<u8>);

impl Write for MemoryStage {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage for MemoryStage {
    fn finish(self: Box<Self>) -> io::Result<State> {
        Ok(self.0.into())
    }
}

impl fmt::Debug for MemoryStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStage({} bytes)", self.0.len())
    }
}
