//! Trenza's agent: takes in visits at a touchpoint, keeps them on stable storage, sends them when there is a network.
//!
//! Modules are the steps of the flow, declared in reading order; each imports only from the left. Works with the server absent
//! from the first second on.

pub mod app; // how it starts and stops
pub mod arenas; // few of them: less memory
pub mod capture; // what becomes of a captured request
pub mod cli; // the commands
pub mod config; // agent.toml
pub mod doctor; // checks, changing nothing
pub mod enrol; // key and certificate of a new device
pub mod http; // every URL
pub mod kiosk; // the staff's pages
pub mod lan; // the venue's other agents
pub mod link; // what is known of the server
pub mod log; // append-only, chained: 200 is answered after it
pub mod marker; // how far the log went, told beside the store
pub mod merge; // the local log, folded for the staff's pages
mod metrics; // what is counted, and what it means
pub mod priority; // which events may be given up
pub mod reserve; // space kept for a full disk
pub mod room; // how much room there is for visits
pub mod salvage; // what was in a damaged store comes back
pub mod settle; // the log in the background: full frames, late retries
pub mod state; // the one App
pub mod status; // how it stands, in figures
pub mod sync; // what goes to the server, and when
pub mod tables; // every stored table
pub mod time; // what time it is, as far as is known
