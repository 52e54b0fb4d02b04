//! The Redis protocol, versions 2 and 3: requests in, replies out.

mod inline;
mod parser;
mod writer;

pub use parser::{Limits, Parser, ProtocolError};
pub use writer::{Protocol, Writer};
