//! Who is one person: canonical local resolution.
//!
//! Owns the reduction of events to nodes, the rules of evidence, the grouping and its explanation. The grouping is a pure
//! function of the set of nodes, the set of decisions and the rules: no arrival order, no clock, no count of visits. Never
//! stores a merge; never links by a name alone.
//!
//! In reading order: an event's [`Payload`] is a [`Node`]; [`Rules`] say what its values may prove; a [`KeyProfile`] finds the
//! values that are everybody's; [`Decisions`] are what people said; [`resolve()`] groups by identifiers; [`people()`] joins the
//! groups whose records agree enough ([`Unit`], `matching`); [`insert`] and [`decide`] keep both up to date over a [`Graph`];
//! [`why()`] explains.

pub mod because;
pub mod chain;
pub mod change;
mod cluster;
pub mod competing;
pub mod decision;
pub mod decisions;
pub mod engine;
pub mod graph;
pub mod grouping;
pub mod ids;
pub mod lesson;
pub mod listed;
mod pairs;
pub mod payload;
pub mod people;
mod problem;
pub mod profile;
mod quick;
mod rematch;
pub mod resolve;
pub mod rules;
pub mod sentence;
pub mod unit;
pub mod why;
mod words;

pub use because::{Proves, Rule, against, because, ruled};
pub use chain::{Bridge, Evidence, Step, bridges};
pub use change::{Change, Outcome};
pub use competing::{Competing, Others};
pub use decision::{BadDecision, Decision, DecisionKind};
pub use decisions::{Active, Decisions};
pub use engine::{DecideError, Whole, decide, full, insert, remove, retime};
pub use graph::{Graph, Holder, MemoryGraph, group_of, held_by_record, person_of};
pub use grouping::{Cause, Clash, Component, Group, Refusal, SharedKey, SharedWhy};
pub use ids::customer_id;
pub use lesson::Lesson;
pub use listed::{BadList, Listed};
pub use pairs::Held;
pub use payload::{Node, Payload, key_hash};
pub use people::{People, Question, people, whole_group};
pub use profile::KeyProfile;
pub use resolve::{Resolved, resolve};
pub use rules::{BadRules, Class, KindRule, Matching, Rules};
pub use sentence::{Seen, Sentence, agreement, apart, odds, said_of, sentence};
pub use unit::{Name, Side, Unit};
pub use why::{Apart, End, Explanation, Why, compared, nearest, nobodys, why};
pub use words::joined;

#[cfg(test)]
mod tests;
