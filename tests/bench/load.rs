//! A load generator: keep-alive connections that post one after the other.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long one run lasts.
const RUN: Duration = Duration::from_secs(3);
/// Length of one event. Unit: bytes.
const EVENT_BYTES: usize = 405;

/// What one run measured.
pub struct Run {
    pub events: u64,
    pub events_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Posts `size` events a request over so many connections for [`RUN`].
pub async fn run(base: &str, key: &str, connections: usize, size: usize) -> anyhow::Result<Run> {
    let addr = base.split_once("://").context("a URL")?.1.to_owned();
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..connections {
        workers.spawn(connection(
            addr.clone(),
            key.to_owned(),
            format!("{size}-{connections}-{worker}"),
            size,
            started,
        ));
    }
    let mut waits: Vec<f64> = Vec::new();
    while let Some(done) = workers.join_next().await {
        waits.extend(done??);
    }
    let seconds = started.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| {
        waits
            .get(((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    let events = (waits.len() * size) as u64;
    Ok(Run {
        events,
        events_per_s: events as f64 / seconds,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    })
}

async fn connection(
    addr: String,
    key: String,
    name: String,
    size: usize,
    started: Instant,
) -> anyhow::Result<Vec<f64>> {
    let stream = TcpStream::connect(&addr).await?;
    stream.set_nodelay(true)?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    let mut waits = Vec::new();
    let mut number = 0u64;
    let nonce = std::process::id();
    while started.elapsed() < RUN {
        let events: Vec<String> = (0..size)
            .map(|_| {
                number += 1;
                let head = format!(r#"{{"type":"track","event":"Bench","messageId":"{nonce}-{name}-{number}","anonymousId":"v-{}","timestamp":"2026-03-14T10:00:00.000Z","properties":{{"text":""#, number % 1_000);
                let fill = EVENT_BYTES.saturating_sub(head.len() + 3);
                format!("{head}{}\"}}}}", "x".repeat(fill))
            })
            .collect();
        let body = if size == 1 {
            events.concat()
        } else {
            format!(r#"{{"batch":[{}]}}"#, events.join(","))
        };
        let path = if size == 1 { "/v1/track" } else { "/v1/batch" };
        let request = Request::post(path)
            .header(header::HOST, addr.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-write-key", key.as_str())
            .body(Full::new(Bytes::from(body)))?;
        let before = Instant::now();
        let answer = sender.send_request(request).await?;
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        answer.into_body().collect().await?;
        waits.push(before.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(waits)
}
