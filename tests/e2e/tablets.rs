//! The agent's own TLS listener, as a tablet on the local network uses it.

use anyhow::ensure;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;
use trenza_tests::{
    http::Http,
    process::{Server, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_tablet_reaches_the_agent_over_tls_under_the_names_that_were_allowed()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    // An address of this machine that is not the server's.
    let names = r#"["127.0.0.2"]"#;
    server
        .env
        .insert("TRENZA_TLS__LISTENER_NAMES".into(), names.into());
    server.start()?;
    let mut agent = server.enrol("Feria", &home.path().join("agent"))?;
    for (key, value) in [("HTTPS", "127.0.0.2:0"), ("HTTPS_NAMES", names)] {
        agent
            .env
            .insert(format!("TRENZA_LISTEN__{key}"), value.into());
    }
    agent.start()?;
    let url = agent.up().url("https");
    ensure!(
        url.starts_with("https://127.0.0.2:"),
        "{:?}",
        agent.up().ready
    );
    let tablet = Http::trusting(&std::fs::read_to_string(agent.dir.join("ca.pem"))?)?;
    // The certificate comes with the first contact.
    until("the listener has a certificate", || async {
        tablet.get(&format!("{url}/v1/status")).await
    })
    .await?;
    let visit =
        json!({"type": "track", "event": "Visit", "messageId": "tablet-1", "anonymousId": "visit"});
    tablet
        .capture(&url, &agent.write_key()?, &[visit], "")
        .await?;
    server.resolved("tablet-1").await?;
    let headers: HeaderMap = [(header::HOST, "evil.example".parse()?)]
        .into_iter()
        .collect();
    let port = url.rsplit(':').next().unwrap_or_default().to_owned();
    let other = Http::new(None)?;
    ensure!(
        other.get(&format!("{url}/v1/status")).await.is_err(),
        "who does not trust the server's authority does not trust the listener"
    );
    let plain = agent.up().url("http");
    let (status, _) = other
        .send(
            Method::GET,
            &format!("{plain}/v1/status"),
            headers,
            Vec::new(),
        )
        .await?;
    ensure!(status == StatusCode::FORBIDDEN, "{status}");
    // The certificate is there at once after a restart, without the server.
    server.stop()?;
    agent.stop()?;
    agent
        .env
        .insert("TRENZA_LISTEN__HTTPS".into(), format!("127.0.0.2:{port}"));
    agent.start()?;
    tablet.get(&format!("{url}/v1/status")).await?;
    agent.stop()
}
