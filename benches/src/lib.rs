//! What the programs of this package share.

pub mod memory;
pub mod openraft;
pub mod results;
