//! Connections that say nothing any more: what is sent on them vanishes, and nobody closes them.

use anyhow::ensure;
use serde_json::json;
use trenza_tests::{
    http::Http,
    process::{Server, until},
    relay::{Relay, Swallow},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_over_half_open_connections_and_nothing_is_doubled() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let agents = server.up().url("agents");
    let target = agents.trim_start_matches("https://").parse()?;
    let relay = Relay::to(target).await?;
    let mut agent = server.enrol("Feria", &home.path().join("agent"))?;
    agent.env.insert(
        "TRENZA_SERVER__AGENTS_URL".into(),
        format!("https://{}", relay.addr),
    );
    for (name, ms) in [
        ("REQUEST_MS_MAX", "1500"),
        ("RETRY_WAIT_MS_MIN", "100"),
        ("RETRY_WAIT_MS_MAX", "500"),
    ] {
        agent.env.insert(format!("TRENZA_SYNC__{name}"), ms.into());
    }
    agent.start()?;
    let (base, key) = (agent.up().url("http"), agent.write_key()?);
    let http = Http::new(None)?;
    let visits = |from: u32, to: u32| -> Vec<_> {
        (from..to)
            .map(|number| json!({"type": "track", "event": "Visit", "messageId": format!("half-{number}"), "userId": "u-half"}))
            .collect()
    };
    http.capture(&base, &key, &visits(0, 5), "").await?;
    agent.drained().await?;

    for (round, only_answers) in [(1, false), (2, true)] {
        // Requests vanish too, or only the answers: then the server has what the agent does not know of.
        relay.swallow(if only_answers {
            Swallow::Answers
        } else {
            Swallow::All
        });
        http.capture(&base, &key, &visits(5 * round, 5 * round + 5), "")
            .await?;
        let status = format!("{base}/v1/status");
        until("the agent says that the server is silent", || async {
            let said = http.get(&status).await?;
            ensure!(said["server"] == "down", "{said}");
            Ok(said)
        })
        .await?;
        relay.swallow(Swallow::Nothing);
        agent.drained().await?;
    }
    for number in 0..15 {
        server.resolved(&format!("half-{number}")).await?;
    }
    let url = server.up().url("http");
    let found = server
        .http()?
        .get(&format!("{url}/v1/customers?identifier=userId:u-half"))
        .await?;
    ensure!(found["customers"][0]["counters"]["events"] == 15, "{found}");
    agent.stop()?;
    server.stop()
}
