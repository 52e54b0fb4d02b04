//! The GenServer-style face.

mod calls;
mod desk;
mod ends;
mod joining;
mod overrides;
mod slow;
mod time;
