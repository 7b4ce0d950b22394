//! Poisonous events among good ones: each is kept with its reason, and no neighbour waits for it.

use anyhow::{Context as _, ensure};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use trenza_tests::{
    http::{Http, json_headers},
    process::Server,
};

/// One event of the batch: its messageId, its bytes, and why it is refused, if it is.
fn events() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let with = |id: &str, properties: &str| {
        format!(r#"{{"type":"track","event":"Visit","userId":"u-poison","messageId":"{id}","properties":{properties}}}"#).into_bytes()
    };
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(200 * 1024));
    let mut latin = with("poison-latin", r#"{"name":"Jos?"}"#);
    if let Some(at) = latin.iter().position(|byte| *byte == b'?') {
        latin[at] = 0xe9;
    }
    vec![
        ("good-first", with("good-first", "{}"), None),
        (
            "poison-long",
            with("poison-long", &long),
            Some("bytes, the limit is"),
        ),
        (
            "good-number",
            with(
                "good-number",
                &format!(r#"{{"n":1{}.5,"e":1e99999}}"#, "0".repeat(500)),
            ),
            None,
        ),
        (
            "poison-deep",
            with("poison-deep", &deep),
            Some("nested deeper"),
        ),
        ("poison-latin", latin, Some("not UTF-8")),
        ("good-twice", with("good-twice", r#"{"a":1,"a":2}"#), None),
        (
            "poison-surrogate",
            with("poison-surrogate", r#"{"text":"\ud800 alone"}"#),
            Some("not valid JSON"),
        ),
        (
            "poison-nul",
            with("poison-nul", "{\"text\":\"\u{1}\"}"),
            Some("not valid JSON"),
        ),
        (
            "good-pair",
            with("good-pair", r#"{"text":"\ud83d\ude00 \u0000"}"#),
            None,
        ),
        (
            "poison-nobody",
            br#"{"type":"track","event":"Visit","messageId":"poison-nobody"}"#.to_vec(),
            Some("names nobody"),
        ),
        ("good-last", with("good-last", "{}"), None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn poisonous_events_are_kept_with_their_reason_and_their_neighbours_arrive()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent = server.enrol("Feria", &home.path().join("agent"))?;
    agent.start()?;
    let events = events();
    let texts: Vec<&[u8]> = events.iter().map(|(_, text, _)| text.as_slice()).collect();
    let body = [b"{\"batch\":[".as_slice(), &texts.join(&b","[..]), b"]}"].concat();
    let mut headers = json_headers();
    headers.insert("x-write-key", HeaderValue::from_str(&agent.write_key()?)?);
    let url = format!("{}/v1/batch", agent.up().url("http"));
    let http = Http::new(None)?;
    let (status, answer) = http.send(Method::POST, &url, headers, body).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    ensure!(status == StatusCode::OK, "{status} {answer}");
    let told = answer["rejected"].as_array().context("rejected")?;
    let bad = events
        .iter()
        .enumerate()
        .filter(|(_, (.., why))| why.is_some());
    for ((index, (id, _, why)), told) in bad.clone().zip(told) {
        ensure!(
            told["index"] == index
                && told["messageId"] == *id
                && told["reason"]
                    .as_str()
                    .is_some_and(|reason| reason.contains(why.unwrap_or_default())),
            "{id}: {told}"
        );
    }
    ensure!(told.len() == bad.count(), "{answer}");

    agent.drained().await?;
    let base = server.up().url("http");
    let http = server.http()?;
    for (id, _, why) in &events {
        match why {
            None => {
                let known = server.resolved(id).await?;
                ensure!(known["customer"].is_string(), "{known}");
            }
            Some(why) => {
                let known = http.get(&format!("{base}/v1/events/{id}")).await?;
                ensure!(
                    known["state"] == "rejected"
                        && known["reason"]
                            .as_str()
                            .is_some_and(|reason| reason.contains(why)),
                    "{id}: {known}"
                );
            }
        }
    }
    // Of two members with one name the last one counts.
    let twice = http.get(&format!("{base}/v1/events/good-twice")).await?;
    ensure!(
        twice.to_string().contains(r#""a":2"#) && !twice.to_string().contains(r#""a":1"#),
        "{twice}"
    );
    let found = http
        .get(&format!("{base}/v1/customers?identifier=userId:u-poison"))
        .await?;
    ensure!(
        found["customers"][0]["counters"] != json!(null)
            && found["customers"][0]["counters"]["events"] == 5,
        "{found}"
    );
    agent.stop()?;
    server.stop()
}
