//! Enrolment, revocation and what the fleet shows.

use anyhow::ensure;
use serde_json::json;
use trenza_tests::{
    http::Http,
    process::{Server, bin, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_and_a_revoked_agent_keeps_its_visits() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let invite: serde_json::Value = serde_json::from_slice(&server.must([
        "agent",
        "invite",
        "--touchpoint",
        "Tienda",
        "--json",
    ])?)?;
    let enrol = |dir: &str, code: &str, fingerprint: &str| {
        std::process::Command::new(bin("trenza-agent")?)
            .args([
                "enrol",
                "--server",
                invite["server"].as_str().unwrap_or_default(),
                "--code",
                code,
                "--ca-fingerprint",
                fingerprint,
                "--dir",
            ])
            .arg(home.path().join(dir))
            .output()
            .map_err(anyhow::Error::from)
    };
    let (code, fingerprint) = (
        invite["code"].as_str().unwrap_or_default(),
        invite["ca_fingerprint"].as_str().unwrap_or_default(),
    );
    let wrong_ca = enrol("wrong-ca", code, &"ab".repeat(32))?;
    ensure!(
        wrong_ca.status.code() == Some(1),
        "a server with another CA is refused: {wrong_ca:?}"
    );
    ensure!(
        !home.path().join("wrong-ca/agent.toml").exists(),
        "nothing half-made"
    );
    ensure!(
        enrol("wrong-code", "AAAA-AAAA", fingerprint)?.status.code() == Some(1),
        "an unknown code is refused"
    );
    ensure!(
        enrol("first", code, fingerprint)?.status.success(),
        "the code works"
    );
    ensure!(
        enrol("second", code, fingerprint)?.status.code() == Some(1),
        "the code works once"
    );

    let mut agent = server.enrol("Feria", &home.path().join("agent"))?;
    agent.start()?;
    let key = agent.write_key()?;
    let plain = Http::new(None)?;
    let one = |number: u32| json!({"type": "track", "event": "Visit", "messageId": format!("fleet-{number}"), "anonymousId": "visit"});
    plain
        .capture(&agent.up().url("http"), &key, &[one(1)], "")
        .await?;
    agent.drained().await?;
    until(
        "the visit's time is corrected by the agent's measured clock",
        || async {
            let time = server.resolved("fleet-1").await?["event"]["time"].clone();
            let sure = time["confidence_ms"].as_u64().is_some_and(|ms| ms < 1_000);
            ensure!(time["source"] == "corrected" && sure, "{time}");
            Ok(())
        },
    )
    .await?;

    let list: serde_json::Value =
        serde_json::from_slice(&server.must(["agent", "list", "--json"])?)?;
    let rows = list
        .as_array()
        .or_else(|| list["agents"].as_array())
        .cloned()
        .unwrap_or_default();
    let id = rows
        .iter()
        .find(|row| row["touchpoint"] == "Feria")
        .and_then(|row| row["agent"].as_str().or(row["id"].as_str()))
        .unwrap_or_default()
        .to_owned();
    ensure!(id.starts_with("ag_"), "{list}");
    server.must(["agent", "revoke", &id])?;
    plain
        .capture(&agent.up().url("http"), &key, &[one(2)], "")
        .await?;
    let http = server.http()?;
    let fleet = format!("{}/v1/agents", server.up().url("http"));
    until("the fleet shows the revocation", || async {
        let fleet = http.get(&fleet).await?;
        ensure!(fleet.to_string().contains("revoked"), "{fleet}");
        Ok(())
    })
    .await?;
    until("the agent says that it is refused", || async {
        let status = agent.status()?;
        ensure!(
            status["refused"] == true && status["waiting"] == 1,
            "{status}"
        );
        Ok(())
    })
    .await?;
    let doctor = std::process::Command::new(bin("trenza-agent")?)
        .args(["doctor", "--config"])
        .arg(agent.config())
        .output()?;
    ensure!(
        doctor.status.code() == Some(1)
            && String::from_utf8_lossy(&doctor.stdout).contains("revoked"),
        "the doctor says that the agent was revoked: {doctor:?}"
    );
    agent.stop()?;
    agent.start()?;
    let status = agent.status()?;
    ensure!(
        status["waiting"] == 1,
        "the visit stays on the device: {status}"
    );
    let export = String::from_utf8(server.must(["export", "events"])?)?;
    ensure!(
        export.contains("fleet-1") && !export.contains("fleet-2"),
        "{export}"
    );
    agent.stop()?;
    server.stop()
}
