//! Taking in: the server's log, and the frames of agents.
//!
//! Owns durability and the check of every agent's chain. Never looks into an event: that is `evidence`.

pub mod accept; // what agents say
pub mod log; // the log as received
