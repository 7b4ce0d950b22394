//! What tests, the demo and the benchmarks share: a realistic day, and the real programs.

pub mod day; // a seeded day with its truth kept aside
pub mod disk; // a disk that loses its power, is full, fails or hangs
pub mod figures; // what the system says of a process and a folder
pub mod http; // a plain client
pub mod net; // several machines on one
pub mod pour; // a stream of events, each counted at the end
pub mod process; // the real programs as child processes
pub mod relay; // a network cable that can be pulled
