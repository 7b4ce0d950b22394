//! Trenza's vocabulary and pure core.
//!
//! Modules are declared in reading order and import only from the left. Everything before `store` is pure: decisions are
//! functions of (state, input, now); nothing in it reads a clock, a file, a socket or a random number.

pub mod account; // organisations and households, and who belongs to them as what
pub mod bot; // whether a program did what a person should have done
pub mod canonical; // equal JSON content, equal bytes
pub mod clock; // instants, and the only place that reads the time
pub mod crdt; // joins: how two values become one
pub mod event; // one interaction and its limits
pub mod evidence; // what one event says about a person
pub mod facet; // the sides of one person
pub mod fragment; // what the events of one fingerprint fold to; a customer is a join of them
#[cfg(feature = "runtime")]
pub mod group_commit;
pub mod id; // names of agents, positions, events, customers
pub mod identifier; // e-mail, phone, national id, ...: parse, validate, normalise
pub mod identity; // who is one person: keys, grouping, decisions, why
pub mod matching; // records without a common identifier: how alike, how sure, in which groups
pub mod person; // names, birth and address of a person, folded for matching
pub mod skew; // a device's clock, corrected by what it measured
pub mod store; // where entries are kept: the trait, the engines, typed tables
pub mod wire; // frozen, versioned shapes on disk and wire // one fsync for the callers that wait

#[cfg(feature = "capture")]
pub mod capture;
#[cfg(feature = "runtime")]
pub mod metrics; // counters and the ops routes
#[cfg(feature = "net")]
pub mod net; // TLS, listeners, errors, client
#[cfg(feature = "runtime")]
pub mod probe; // whether a write reaches the disk
#[cfg(feature = "runtime")]
pub mod settings; // a TOML file, overridden by the environment
#[cfg(feature = "runtime")]
pub mod telemetry; // logs // the HTTP surface that clients capture through
