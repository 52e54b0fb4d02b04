//! The storage of one process.

use vsr_actor::MemoryStorage;
use vsr_test::storage_conformance::Place;

#[derive(Default)]
struct Memory(MemoryStorage);

impl Place for Memory {
    type Storage = MemoryStorage;

    fn storage(&mut self) -> MemoryStorage {
        self.0.clone()
    }

    fn lose_log(&mut self) -> bool {
        self.0.lose_log();
        true
    }
}

vsr_test::storage_conformance!(Memory::default);
