//! The customer record, read out of the derived tables.
//!
//! Owns finding a customer and joining its fragments, timeline and export. Writes nothing.

pub mod export; // `export customers`, `export events`
pub mod record; // one customer
pub mod search; // by words
pub mod timeline; // events in time order
