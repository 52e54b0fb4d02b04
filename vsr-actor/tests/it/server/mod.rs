//! The GenServer-style face.

mod calls;
mod desk;
mod ends;
mod joining;
mod overrides;
mod panics;
mod peers;
mod slow;
mod time;
