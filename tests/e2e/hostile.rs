//! Bad input on every listener gets a clear error and never a panic; the programs go on.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use trenza_tests::{
    http::{Http, json_headers},
    process::{Agent, Server, until},
};

fn keyed(key: &str) -> HeaderMap {
    let mut headers = json_headers();
    headers.insert(
        "x-write-key",
        HeaderValue::from_str(key).expect("a write key is plain text"),
    );
    headers
}

/// What one listener must answer to.
async fn abuse(base: &str, key: &str) -> anyhow::Result<()> {
    let http = Http::new(None)?;
    let deep = format!(
        r#"{{"type":"track","userId":"u","x":{}{}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let bad: [(&str, Vec<u8>); 7] = [
        ("/v1/track", b"{".to_vec()),
        ("/v1/track", b"\xff\xfe\x00".to_vec()),
        ("/v1/track", b"[]".to_vec()),
        ("/v1/track", br#"{"userId":"u","type":"page"}"#.to_vec()),
        ("/v1/track", br#"{"event":"nobody"}"#.to_vec()),
        ("/v1/track", deep.into_bytes()),
        ("/v1/batch", br#"{"batch":7}"#.to_vec()),
    ];
    for (path, body) in bad {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let (status, answer) = http
            .send(Method::POST, &format!("{base}{path}"), keyed(key), body)
            .await?;
        ensure!(
            status == StatusCode::BAD_REQUEST,
            "{path} {shown}: {status}"
        );
        let answer: Value = serde_json::from_slice(&answer).with_context(|| shown.clone())?;
        ensure!(
            answer["code"].is_string() && answer["message"].is_string(),
            "{shown}: {answer}"
        );
    }
    let huge = http
        .send(
            Method::POST,
            &format!("{base}/v1/batch"),
            keyed(key),
            vec![b' '; 100 << 20],
        )
        .await;
    // Either the answer is read, or the connection is closed under a sender that goes on sending.
    ensure!(
        huge.as_ref()
            .map_or(true, |(status, _)| *status == StatusCode::PAYLOAD_TOO_LARGE),
        "{huge:?}"
    );
    let (status, _) = http
        .send(
            Method::GET,
            &format!("{base}/no/such/thing"),
            HeaderMap::new(),
            Vec::new(),
        )
        .await?;
    ensure!(status == StatusCode::NOT_FOUND, "{status}");
    let good_and_bad = json!({"batch": [{"type": "track", "event": "good", "userId": "u", "messageId": format!("good-{key}")}, {"type": "dance", "userId": "u", "messageId": format!("bad-{key}")}]});
    let (status, answer) = http
        .send(
            Method::POST,
            &format!("{base}/v1/batch"),
            keyed(key),
            good_and_bad.to_string().into_bytes(),
        )
        .await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    ensure!(
        status == StatusCode::OK && answer["rejected"][0]["messageId"] == format!("bad-{key}"),
        "{status} {answer}"
    );
    Ok(())
}

/// A client that never finishes its request does not keep others waiting.
fn dawdle(base: &str) -> anyhow::Result<Vec<TcpStream>> {
    let addr = base.split_once("://").context("a URL")?.1;
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(addr)?;
        stream.write_all(b"POST /v1/batch HTTP/1.1\r\nhost: localhost\r\ncontent-le")?;
        held.push(stream);
    }
    Ok(held)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_clients_get_clear_errors_and_others_are_served() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent: Agent = server.enrol("Tienda", &home.path().join("agent"))?;
    agent.start()?;
    let bases = [
        (server.up().url("http"), server.write_key()),
        (agent.up().url("http"), agent.write_key()?),
    ];
    for (base, key) in &bases {
        let held = dawdle(base)?;
        abuse(base, key).await.with_context(|| base.clone())?;
        drop(held);
    }
    // The agents' listener: no certificate, and no TLS at all.
    let sync = server.up().url("agents");
    let refused = Http::new(None)?
        .send(
            Method::POST,
            &format!("{sync}/sync/v1/hello"),
            HeaderMap::new(),
            vec![1, 2, 3],
        )
        .await;
    ensure!(
        refused.is_err(),
        "a client without certificate is not answered"
    );
    let mut plain = TcpStream::connect(sync.split_once("://").context("a URL")?.1)?;
    plain.set_read_timeout(Some(Duration::from_secs(15)))?;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer);
    ensure!(!answer.starts_with(b"HTTP"), "no HTTP without TLS");

    // Refused events are kept apart with their reason, from server and agent alike.
    agent.drained().await?;
    let http = server.http()?;
    for (_, key) in &bases {
        server.resolved(&format!("good-{key}")).await?;
        let bad = http
            .get(&format!("{}/v1/events/bad-{key}", server.up().url("http")))
            .await?;
        ensure!(
            bad["state"] == "rejected"
                && bad["reason"]
                    .as_str()
                    .is_some_and(|reason| reason.contains("dance")),
            "{bad}"
        );
    }
    let none = Http::new(None)?;
    let (status, _) = none
        .send(
            Method::GET,
            &format!("{}/v1/agents", server.up().url("http")),
            HeaderMap::new(),
            Vec::new(),
        )
        .await?;
    ensure!(
        status == StatusCode::UNAUTHORIZED,
        "the API needs a token: {status}"
    );
    let mut wrong = HeaderMap::new();
    wrong.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static("Bearer tk_wrong"),
    );
    let (status, _) = none
        .send(
            Method::GET,
            &format!("{}/v1/agents", server.up().url("http")),
            wrong,
            Vec::new(),
        )
        .await?;
    ensure!(
        status == StatusCode::UNAUTHORIZED,
        "a wrong token is refused: {status}"
    );

    for log in [server.dir.join("server.log"), agent.dir.join("agent.log")] {
        let text = std::fs::read_to_string(&log)?;
        ensure!(
            !text.contains("panicked"),
            "{} tells of a panic",
            log.display()
        );
        for secret in [
            server.init["api_token"].as_str(),
            server.init["admin_password"].as_str(),
        ]
        .into_iter()
        .flatten()
        {
            ensure!(!text.contains(secret), "{} holds a secret", log.display());
        }
    }
    agent.stop()?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_may_not_use_a_key_may_not_on_an_agent_either() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent: Agent = server.enrol("Tienda", &home.path().join("agent"))?;
    agent.start()?;
    let made = server.must([
        "source",
        "create",
        "--name",
        "Shop",
        "--origin",
        "https://shop.example",
        "--json",
    ])?;
    let made: Value = serde_json::from_slice(&made)?;
    let key = made["write_key"]
        .as_str()
        .context("a write key")?
        .to_owned();
    let http = Http::new(None)?;
    let from = async |agent: &Agent, origin: Option<&'static str>| {
        let mut headers = keyed(&key);
        headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
        let url = format!("{}/v1/track", agent.up().url("http"));
        let body = br#"{"userId":"u","event":"e"}"#.to_vec();
        let (status, answer) = http.send(Method::POST, &url, headers, body).await?;
        let code = serde_json::from_slice::<Value>(&answer)?["code"].clone();
        anyhow::Ok((
            status.as_u16(),
            code.as_str().unwrap_or_default().to_owned(),
        ))
    };
    until("the agent knows the source", || async {
        let found = from(&agent, Some("https://evil.example")).await?;
        ensure!(found == (403, "origin_refused".into()), "{found:?}");
        Ok(())
    })
    .await?;
    for origin in [Some("https://shop.example"), None] {
        let found = from(&agent, origin).await?;
        ensure!(found.0 == 200, "{origin:?}: {found:?}");
    }
    // It remembers without the server.
    agent.drained().await?;
    server.stop()?;
    agent.stop()?;
    agent.start()?;
    let found = from(&agent, Some("https://evil.example")).await?;
    ensure!(found.0 == 403, "{found:?}");
    agent.stop()
}
