//! `trenza-server`: takes in what agents and websites capture, and shows one record per customer.
//!
//! Modules are declared in reading order: the steps of the flow, then what serves them.

mod config;
mod registry;
mod tables; // sources and agents, in memory

mod customer; // 4 the record
mod evidence; // 2 keep each event once, read what it says, fold and group it
mod identity; // 3 the identity graph's tables
mod sync; // 1 take in: the log, and the frames of agents
mod views; // 5 show it

mod admin; // what the commands do
mod app; // the one state; start and stop
mod cli;
mod http; // every URL
#[cfg(test)]
mod testing; // a server for tests

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    cli::main(cli::Cli::parse())
}
