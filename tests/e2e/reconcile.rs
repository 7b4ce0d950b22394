//! The figures of both programs agree to the event: produced = stored + duplicates + dropped, stored = acknowledged + waiting.

use anyhow::{Context as _, ensure};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use trenza_tests::{
    disk::Disk,
    http::{Http, json_headers},
    pour::event,
    process::{Server, until},
};

/// Sum of a metric over its labels.
async fn metric(http: &Http, ops: &str, name: &str) -> anyhow::Result<u64> {
    let url = format!("{ops}/metrics");
    let (status, body) = http
        .send(Method::GET, &url, HeaderMap::new(), Vec::new())
        .await?;
    ensure!(status == StatusCode::OK, "{status}");
    let text = String::from_utf8(body)?;
    let mut sum = 0.0;
    for line in text.lines() {
        let Some((key, value)) = line.rsplit_once(' ') else {
            continue;
        };
        if key == name || key.starts_with(&format!("{name}{{")) {
            sum += value.parse::<f64>().with_context(|| line.to_owned())?;
        }
    }
    ensure!(sum >= 0.0 && sum.fract() == 0.0, "{name} is {sum}");
    Ok(sum as u64)
}

/// Events that the server holds.
fn exported(server: &Server) -> anyhow::Result<usize> {
    let events = server.must(["export", "events"])?;
    Ok(String::from_utf8(events)?.lines().count())
}

async fn post(http: &Http, url: &str, key: &str, batch: &[Value]) -> anyhow::Result<StatusCode> {
    let body = json!({"writeKey": key, "batch": batch});
    let (status, _) = http
        .send(
            Method::POST,
            &format!("{url}/v1/batch"),
            json_headers(),
            body.to_string().into_bytes(),
        )
        .await?;
    Ok(status)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_agent_and_server_agree_to_the_event() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent = server.enrol("Tienda", &disk.path().join("agent"))?;
    agent.log = home.path().join("agent.log");
    agent.start()?;
    let (http, key) = (Http::new(None)?, agent.write_key()?);
    let (url, ops) = (agent.up().url("http"), agent.up().url("ops"));
    let events = |from: u64, count: u64| (from..from + count).map(event).collect::<Vec<_>>();
    let refused = json!({"type": "track", "event": "nobody"});
    let (ok, busy) = (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE);

    // 20 taken in, the same again, and one that is no event among two that are.
    ensure!(post(&http, &url, &key, &events(0, 20)).await? == ok);
    ensure!(post(&http, &url, &key, &events(0, 20)).await? == ok);
    let mixed = [events(20, 2), vec![refused]].concat();
    ensure!(post(&http, &url, &key, &mixed).await? == ok);
    agent.drained().await?;
    // The refused text is an entry of the log and no event.
    ensure!(exported(&server)? == 22, "{} events", exported(&server)?);
    // 15 wait, 6 find no room.
    server.stop()?;
    ensure!(post(&http, &url, &key, &events(100, 15)).await? == ok);
    disk.free(Some(0));
    until("the agent refuses", || async {
        let status = agent.status()?;
        ensure!(status["room"] == "full", "{status}");
        Ok(())
    })
    .await?;
    ensure!(post(&http, &url, &key, &events(200, 6)).await? == busy);

    until("the gauges follow", || async {
        let mut figures = Vec::new();
        for name in [
            "produced_total",
            "stored_total",
            "duplicates_total",
            "dropped_total",
            "acknowledged_events",
            "waiting_events",
            "log_events",
        ] {
            figures.push(metric(&http, &ops, &format!("trenza_agent_{name}")).await?);
        }
        ensure!(figures == [64, 38, 20, 6, 23, 15, 38], "{figures:?}");
        Ok(())
    })
    .await?;
    let status = agent.status()?;
    for (name, figure) in [("head_seq", 38), ("acked_seq", 23), ("waiting", 15)] {
        ensure!(status[name] == figure, "{name} in {status}");
    }
    disk.free(None);
    server.start()?;
    agent.drained().await?;
    agent.stop()?;
    ensure!(exported(&server)? == 37, "{} events", exported(&server)?);
    server.stop()
}
