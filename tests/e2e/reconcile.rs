//! The figures of both programs agree to the event: produced = stored + duplicates + refused, stored = acknowledged + waiting + dropped.

use anyhow::{Context as _, ensure};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use trenza_tests::{
    disk::Disk,
    http::Http,
    pour::event,
    process::{Server, on_disk, until},
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

/// The event with this number, of low priority.
fn low(number: u64) -> Value {
    let mut event = event(number);
    event["event"] = json!("Measured");
    event["context"] = json!({"trenza": {"priority": "low"}});
    event
}

/// The only agent in `GET /v1/agents`.
async fn in_fleet(server: &Server) -> anyhow::Result<Value> {
    let url = format!("{}/v1/agents", server.up().url("http"));
    let http = Http::new(server.init["api_token"].as_str())?;
    let fleet = http.get(&url).await?;
    Ok(fleet["agents"][0].clone())
}

/// Events that the server holds.
fn exported(server: &Server) -> anyhow::Result<usize> {
    let events = server.must(["export", "events"])?;
    Ok(String::from_utf8(events)?.lines().count())
}

async fn post(http: &Http, url: &str, key: &str, batch: &[Value]) -> anyhow::Result<StatusCode> {
    let body = json!({"writeKey": key, "batch": batch});
    let (status, _) = http.post_any(&format!("{url}/v1/batch"), &body).await?;
    Ok(status)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_agent_and_server_agree_to_the_event() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let (mut server, mut agent) = on_disk(&disk, home.path())?;
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

    let (batch, broken) = (format!("{url}/v1/batch"), b"{not JSON".to_vec());
    let (status, _) = http
        .send(Method::POST, &batch, HeaderMap::new(), broken)
        .await?;
    ensure!(status == StatusCode::BAD_REQUEST, "{status}");

    until("the gauges follow", || async {
        let mut figures = Vec::new();
        for name in [
            "produced_total",
            "stored_total",
            "duplicates_total",
            "refused_total",
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
    ensure!(
        metric(&http, &ops, "trenza_rejected_total").await? == 1,
        "the one that is no event"
    );
    ensure!(
        metric(&http, &ops, "trenza_requests_refused_total").await? == 2,
        "without room, and no JSON"
    );
    let status = agent.status()?;
    for (name, figure) in [("head_seq", 38), ("acked_seq", 23), ("waiting", 15)] {
        ensure!(status[name] == figure, "{name} in {status}");
    }
    disk.free(None);
    server.start()?;
    agent.drained().await?;
    agent.stop()?;
    ensure!(exported(&server)? == 37, "{} events", exported(&server)?);
    let (url, ops) = (server.up().url("http"), server.up().url("ops"));
    // The same of the server: of what it takes in itself, and of what its agents hold.
    let web = server.init["write_key"].as_str().context("write_key")?;
    ensure!(post(&http, &url, web, &events(300, 4)).await? == ok);
    for (name, figure) in [
        ("produced_total", 4),
        ("stored_total", 4),
        ("refused_total", 0),
        ("agents_given_out", 38),
        ("agents_stored", 38),
        ("agents_missing", 0),
        ("agents_waiting_events", 0),
        ("agents_dropped", 0),
    ] {
        let found = metric(&http, &ops, &format!("trenza_server_{name}")).await?;
        ensure!(found == figure, "{name} is {found}");
    }
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_for_want_of_room_is_counted_and_told_and_no_visit_is()
-> anyhow::Result<()> {
    const MIB: u64 = 1024 * 1024;
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let (mut server, mut agent) = on_disk(&disk, home.path())?;
    let (http, key) = (Http::new(None)?, agent.write_key()?);
    let (url, ops) = (agent.up().url("http"), agent.up().url("ops"));
    let ok = StatusCode::OK;
    // Three that the server has; then it is away, and of each request a visit and three of low priority wait.
    ensure!(post(&http, &url, &key, &[low(0), event(1), low(2)]).await? == ok);
    agent.drained().await?;
    server.stop()?;
    for request in 1..=5 {
        let from = request * 10;
        let batch = [low(from), event(from + 1), low(from + 2), low(from + 3)];
        ensure!(post(&http, &url, &key, &batch).await? == ok);
    }
    // Less than the floor and a half is free, the reserve counted in: low-priority events have to give way.
    let reserve = std::fs::metadata(agent.dir.join("reserve")).map_or(0, |file| file.len());
    disk.free(Some((50 * MIB).saturating_sub(reserve)));
    until("the oldest gave way", || async {
        let status = agent.status()?;
        // What the server had is none of them, and the last request's stay: the head of the lane is kept there.
        ensure!(status["dropped"] == 12, "{status}");
        Ok(())
    })
    .await?;
    let status = agent.status()?;
    for (name, figure) in [("head_seq", 23), ("acked_seq", 3), ("waiting", 8)] {
        ensure!(status[name] == figure, "{name} in {status}");
    }
    ensure!(status["dropped_ranges"][0]["reason"] == "disk", "{status}");
    // Nothing of low priority can give way any more: it is refused, a visit is not, and neither are those that come with it.
    until("low-priority events are refused", || async {
        let status = post(&http, &url, &key, &[low(100)]).await?;
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status}");
        Ok(())
    })
    .await?;
    ensure!(post(&http, &url, &key, &[event(101)]).await? == ok);
    for (lang, text) in [("es", "Descartados"), ("en", "Dropped")] {
        let page = format!("{url}/{lang}/outbox");
        let (_, body) = http
            .send(Method::GET, &page, HeaderMap::new(), Vec::new())
            .await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        ensure!(body.contains(text), "{lang}: {body}");
    }
    let (batch, broken) = (format!("{url}/v1/batch"), b"{not JSON".to_vec());
    let (status, _) = http
        .send(Method::POST, &batch, HeaderMap::new(), broken)
        .await?;
    ensure!(status == StatusCode::BAD_REQUEST, "{status}");

    until("the gauges follow", || async {
        let mut figures = Vec::new();
        for name in ["acknowledged", "waiting", "dropped", "log"] {
            figures.push(metric(&http, &ops, &format!("trenza_agent_{name}_events")).await?);
        }
        ensure!(figures == [3, 9, 12, 24], "{figures:?}");
        Ok(())
    })
    .await?;
    disk.free(None);
    server.start()?;
    agent.drained().await?;
    ensure!(exported(&server)? == 12, "{} events", exported(&server)?);
    let told = until("the server is told", || async {
        let told = in_fleet(&server).await?;
        ensure!(told["dropped"] == 12 && told["missing"] == 0, "{told}");
        Ok(told)
    })
    .await?;
    let range = json!({"epoch": 1, "lane": 3, "from": 3, "to": 14, "reason": "disk"});
    ensure!(told["dropped_ranges"] == json!([range]), "{told}");
    ensure!(told["head_seq"] == 24 && told["acked_seq"] == 12, "{told}");
    let audit: Value = serde_json::from_slice(&server.must(["verify", "--json"])?)?;
    ensure!(audit["ok"] == true && audit["events"] == 12, "{audit}");
    // A mistyped id proves nothing.
    let nobody = server.must(["verify", "--agent", "ag_11111111111111111111111111111111"]);
    let refused = nobody.unwrap_err().to_string();
    ensure!(refused.contains("there is no agent"), "{refused}");
    let lanes = audit["lanes"].as_array().context("lanes")?;
    let lane = lanes
        .iter()
        .find(|lane| lane["lane"] == 3)
        .context("lane 3")?;
    ensure!(
        lane["dropped"] == json!([range]) && lane["gaps"] == json!([]),
        "{audit}"
    );
    agent.stop()?;
    server.must(["replay", "--verify"])?;
    server.stop()
}
