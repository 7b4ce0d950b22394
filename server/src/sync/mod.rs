//! Taking in: the server's log.
//!
//! Owns durability and the place of every agent's frame. Never looks into an event: that is `evidence`.

pub mod fleet; // what every agent said last, against what is stored
pub mod log; // the log as received
