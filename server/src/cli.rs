//! The commands.

use std::process::ExitCode;

/// Takes in what agents and websites capture, and shows one record per customer
#[derive(clap::Parser)]
#[command(version)]
pub struct Cli {}

/// Runs a command.
pub fn main(_cli: Cli) -> ExitCode {
    ExitCode::SUCCESS
}
