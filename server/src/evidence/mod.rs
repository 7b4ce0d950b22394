//! From the log to evidence, customers and the feed: the one writer of the derived tables.
//!
//! Owns the order of work for one record: keep each event once, read what it says, fold it into its fragment, group, tell.
//! Everything written here is a function of the log and of the decisions, so that `replay` gives the same bytes.

mod accounts; // organisations, households and who belongs to them
mod apply; // one record
mod clocks; // when it was really taken in
mod cursor; // how far the log is applied and told
#[cfg(test)]
mod order; // whatever the order
pub mod publish; // other rules
pub mod regroup; // what they make of customers
pub mod replay; // the same again, to compare
mod resolver; // the loop that follows the log
mod stored; // reading back
mod words; // the search index

pub use apply::{Applier, Fed};
pub use clocks::{Clocks, Probably, TimeSource, Timing};
pub use resolver::{DecideError, Preview, Resolver, load_decisions, run};
pub use stored::{
    Opened, Stored, entries_of, entry_at, load_fragment, message_key, next_records, seed_of,
};
pub use words::{Home, homes, words};
