//! Taking in: the server's log.
//!
//! Owns durability and the place of every agent's frame. Never looks into an event: that is `evidence`.

pub mod admission; // which request is taken on now: pure
pub mod audit; // the proof that nothing is missing
pub mod began; // agents that lost their store
pub mod chain; // the chain as it is stored, number by number
pub mod copies; // two programs under one id: which of them keeps it
pub mod doors; // where requests wait
pub mod dropped; // what agents gave up, against what is stored
pub mod fleet; // what every agent said last, against what is stored
pub mod gaps; // what is missing of a lane: pure
pub mod log; // the log as received
pub mod place; // where a frame lies in its lane: pure
pub mod refusals; // what was refused at the door
pub mod segments; // what of a lane is there, in how many rows
pub mod turns; // when a backlog's turn comes: pure
