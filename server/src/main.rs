//! `trenza-server`: takes in what agents and websites capture, and shows one record per customer.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    trenza_server::cli::main(trenza_server::cli::Cli::parse())
}
