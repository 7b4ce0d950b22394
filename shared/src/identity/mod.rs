//! Who is one person: canonical local resolution.
//!
//! Owns the reduction of events to nodes, the rules of evidence, the grouping and its explanation. The grouping is a pure
//! function of the set of nodes, the set of decisions and the rules: no arrival order, no clock, no count of visits. Never
//! stores a merge; never links by a name alone.
//!
//! In reading order: an event's [`Payload`] is a [`Node`]; [`Rules`] say what its values may prove; a [`KeyProfile`] finds the
//! values that are everybody's; [`Decisions`] are what people said; [`resolve()`] groups; [`insert`] and [`decide`] keep the
//! groups up to date over a [`Graph`]; [`why()`] explains.

pub mod change;
mod cluster;
pub mod decision;
pub mod decisions;
pub mod engine;
pub mod graph;
pub mod grouping;
pub mod ids;
pub mod payload;
mod problem;
pub mod profile;
pub mod resolve;
pub mod rules;
pub mod sentence;
pub mod why;

pub use change::{Change, Outcome};
pub use decision::{BadDecision, Decision, DecisionKind};
pub use decisions::{Active, Decisions};
pub use engine::{DecideError, decide, full, insert, preview, remove, retime};
pub use graph::{Graph, MemoryGraph};
pub use grouping::{Cause, Clash, Component, Group, Refusal, SharedKey, SharedWhy};
pub use ids::customer_id;
pub use payload::{Node, Payload, key_hash};
pub use profile::KeyProfile;
pub use resolve::resolve;
pub use rules::{Class, KindRule, Rules};
pub use sentence::{Seen, Sentence, mask, sentence};
pub use why::{Apart, Evidence, Step, Why, why};

#[cfg(test)]
mod tests;
