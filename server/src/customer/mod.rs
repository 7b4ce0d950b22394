//! The customer record, read out of the derived tables.
//!
//! Owns finding a customer and joining its fragments, its timeline and explanation, the change feed and the exports. Writes
//! nothing.

pub mod accounts; // organisations, households and who belongs to them
pub mod beside; // events that are of one of several, and of nobody alone
pub mod compared; // two records side by side
pub mod export; // `export customers`, `export events`
pub mod feed; // what became of customers, in order
pub mod household; // who may live together
pub mod learn; // weights of matching
pub mod live; // what arrived last
pub mod lookup; // from KIND:VALUE to identifiers
pub mod message; // where the event of a messageId stands
pub mod moment; // one event as it is shown
pub mod notes; // what a decision does not do
pub mod record; // one customer
pub mod relate; // the event that says that somebody belongs to an account
pub mod review; // whom to ask about
pub mod search; // by words
pub mod simulate; // what other rules would make of them
pub mod timeline; // events in time order
pub mod why; // why two values are one person's
pub mod written; // words as a record wrote them
