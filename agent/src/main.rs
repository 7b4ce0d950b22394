//! `trenza-agent`: captures visits at a touchpoint and sends them to the server.

use std::process::ExitCode;

fn main() -> ExitCode {
    trenza_agent::cli::main()
}
