//! A place whose type is forgotten, so that the checks are compiled once: with this crate, and not again for each storage and each test.

use super::Place;
use vsr_actor::LogStorage;

/// A [`Place`] that can be behind a pointer.
pub(super) trait AnyPlace: Send {
    fn storage(&mut self) -> Box<dyn LogStorage>;
    fn lose_log(&mut self) -> bool;
}

impl<P: Place> AnyPlace for P {
    fn storage(&mut self) -> Box<dyn LogStorage> {
        Box::new(Place::storage(self))
    }

    fn lose_log(&mut self) -> bool {
        Place::lose_log(self)
    }
}

/// Makes a new place.
pub(super) type Make<'a> = &'a dyn Fn() -> Box<dyn AnyPlace + 'a>;
