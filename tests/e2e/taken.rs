//! A start whose port somebody else has: it says so and ends, with its store closed before the process goes.

use std::{collections::BTreeMap, net::TcpListener, path::Path, process::Command};

use anyhow::ensure;
use trenza_tests::process::{Server, bin};

/// A thread that closed the store while the process ended made one start in five abort.
const STARTS: usize = 25;

fn refused(
    program: &str,
    config: &Path,
    env: &BTreeMap<String, String>,
    key: &str,
) -> anyhow::Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for start in 0..STARTS {
        let output = Command::new(bin(program)?)
            .arg("run")
            .arg("--config")
            .arg(config)
            .envs(env)
            .env(key, &address)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(1)
                && said.contains(&format!("cannot listen on {address}")),
            "start {start}: {}: {said}",
            output.status
        );
    }
    Ok(())
}

#[test]
fn a_port_that_somebody_else_has_is_told_and_the_program_ends_whole() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let agent = server.enrol("Tienda", &home.path().join("agent"))?;
    refused(
        "trenza-agent",
        &agent.config(),
        &agent.env,
        "TRENZA_LISTEN__HTTP",
    )?;
    server.stop()?;
    refused(
        "trenza-server",
        &server.config(),
        &server.env,
        "TRENZA_LISTEN__AGENTS",
    )
}
