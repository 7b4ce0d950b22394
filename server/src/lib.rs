//! Trenza's server: takes in what agents and websites capture, and shows one record per customer.
//!
//! Modules are declared in reading order: the steps of the flow, then what serves them. A library only so that tests can run its
//! parts: the program is `main.rs`.

pub mod config;
pub mod registry; // sources and agents, in memory
pub mod rules; // the rules of identity
pub mod tables; // every stored table

pub mod customer; // 4 the record
pub mod evidence; // 2 keep each event once, read what it says, fold and group it
pub mod homes; // where the derived tables are kept
mod identity; // 3 the identity graph's tables
pub mod sync; // 1 take in: the log, and the frames of agents
mod views; // 5 show it

mod admin; // what the commands do
pub mod app; // the one state; start and stop
pub mod certs; // the listeners' certificates
pub mod cli;
pub mod disk; // how the disk stands, and what is done about it
pub mod http; // every URL
mod marker; // a log that lost records
mod metrics; // what is counted, and what it means
#[cfg(test)]
mod testing; // a server for tests
mod waiting; // a disk that keeps the store from opening
