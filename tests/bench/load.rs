//! A load generator: keep-alive connections that post one after the other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use trenza_shared::{
    clock::SystemClock,
    net::{
        pki,
        tls::{TlsTime, Trust, client_config},
    },
};
use trenza_tests::pour::Days;

/// How long one run lasts.
const RUN: Duration = Duration::from_secs(3);
/// Single events a second at a kiosk, and for how long.
pub const PACE_PER_S: u32 = 200;
/// Connections at that pace.
pub const PACE_CONNECTIONS: u32 = 16;
const PACE_RUN: Duration = Duration::from_secs(20);
/// Length of one event. Unit: bytes.
const EVENT_BYTES: usize = 405;

/// What one run measured.
pub struct Run {
    pub events: u64,
    pub events_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Whom to call, and how.
#[derive(Clone)]
pub struct Target {
    addr: String,
    tls: Option<TlsConnector>,
}

impl Target {
    /// A listener in clear.
    pub fn plain(base: &str) -> anyhow::Result<Self> {
        let addr = base.split_once("://").context("a URL")?.1.to_owned();
        Ok(Self { addr, tls: None })
    }

    /// One over TLS, whose certificate is of this authority (PEM).
    pub fn tls(base: &str, ca_pem: &str) -> anyhow::Result<Self> {
        let ca = pki::read_chain(ca_pem)?.swap_remove(0);
        let time = TlsTime::new(Arc::new(SystemClock), 0);
        let (config, _) = client_config(Trust::ca(ca), None, time)?;
        Ok(Self {
            tls: Some(Arc::new(config).into()),
            ..Self::plain(base)?
        })
    }
}

/// Posts `size` events a request over so many connections for [`RUN`].
pub async fn run(
    target: &Target,
    key: &str,
    connections: usize,
    size: usize,
) -> anyhow::Result<Run> {
    // Handshakes are no part of it: connections stay open.
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(target).await?);
    }
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for (worker, sender) in senders.into_iter().enumerate() {
        workers.spawn(connection(
            sender,
            target.addr.clone(),
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
    Ok(Run::of(waits, size, started.elapsed()))
}

/// The waits of a run in order, and that of which so large a share is not longer. Unit: ms.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(at.min(last)).copied().unwrap_or(0.0)
}

impl Run {
    fn of(mut waits: Vec<f64>, size: usize, took: Duration) -> Self {
        waits.sort_by(f64::total_cmp);
        let events = (waits.len() * size) as u64;
        Self {
            events,
            events_per_s: events as f64 / took.as_secs_f64(),
            p50_ms: quantile(&waits, 0.5),
            p99_ms: quantile(&waits, 0.99),
        }
    }
}

/// Posts single events at a pace, in turn over so many connections that none has to wait for its last answer; a wait counts from
/// when the event was due.
pub async fn pace(target: &Target, key: &str, per_s: u32, connections: u32) -> anyhow::Result<Run> {
    let started = Instant::now();
    let every = Duration::from_secs(1) / per_s.max(1);
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..connections {
        let (target, key) = (target.clone(), key.to_owned());
        workers.spawn(async move {
            let mut sender = connect(&target).await?;
            let mut waits = Vec::new();
            let mut number = worker;
            while every * number < PACE_RUN {
                let due = started + every * number;
                tokio::time::sleep_until(due.into()).await;
                let event = event(&format!("pace-{per_s}-{worker}"), u64::from(number));
                post(&mut sender, &target.addr, &key, "/v1/track", event).await?;
                waits.push(due.elapsed().as_secs_f64() * 1_000.0);
                number += connections;
            }
            anyhow::Ok(waits)
        });
    }
    let mut waits = Vec::new();
    while let Some(done) = workers.join_next().await {
        waits.extend(done??);
    }
    Ok(Run::of(waits, 1, started.elapsed()))
}

type Sender = http1::SendRequest<Full<Bytes>>;

async fn connect(Target { addr, tls }: &Target) -> anyhow::Result<Sender> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        return Ok(sender);
    };
    let host = addr.rsplit_once(':').context("a port")?.0.to_owned();
    let stream = tls.connect(host.try_into()?, stream).await?;
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(sender)
}

fn event(name: &str, number: u64) -> String {
    let head = format!(
        r#"{{"type":"track","event":"Bench","messageId":"{}","anonymousId":"v-{}","timestamp":"2026-03-14T10:00:00.000Z","properties":{{"text":""#,
        live_id(name, number),
        number % 1_000
    );
    let fill = EVENT_BYTES.saturating_sub(head.len() + 3);
    format!("{head}{}\"}}}}", "x".repeat(fill))
}

async fn post(
    sender: &mut Sender,
    addr: &str,
    key: &str,
    path: &str,
    body: String,
) -> anyhow::Result<()> {
    let request = Request::post(path)
        .header(header::HOST, addr)
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-write-key", key)
        .body(Full::new(Bytes::from(body)))?;
    let answer = sender.send_request(request).await?;
    ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
    answer.into_body().collect().await?;
    Ok(())
}

/// Posts of a hundred of the day's events until so many are stored, over 16 connections.
pub async fn fill(base: &str, key: &str, days: &Arc<Days>, events: u64) -> anyhow::Result<()> {
    const CONNECTIONS: u64 = 16;
    const SIZE: u64 = 100;
    let target = Target::plain(base)?;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..CONNECTIONS {
        let (target, key, days) = (target.clone(), key.to_owned(), days.clone());
        workers.spawn(async move {
            let mut sender = connect(&target).await?;
            for from in (worker * SIZE..events).step_by((CONNECTIONS * SIZE) as usize) {
                let numbers = from..(from + SIZE).min(events);
                let batch: Vec<String> = numbers.map(|number| days.event(number)).collect();
                let body = format!(r#"{{"batch":[{}]}}"#, batch.join(","));
                post(&mut sender, &target.addr, &key, "/v1/batch", body).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(())
}

/// One event that somebody waits for.
pub async fn live(base: &str, key: &str, name: &str, number: u64) -> anyhow::Result<()> {
    let target = Target::plain(base)?;
    let mut sender = connect(&target).await?;
    post(
        &mut sender,
        &target.addr,
        key,
        "/v1/track",
        event(name, number),
    )
    .await
}

/// The messageId of an event of [`live`].
pub fn live_id(name: &str, number: u64) -> String {
    format!("{}-{name}-{number}", std::process::id())
}

async fn connection(
    mut sender: Sender,
    addr: String,
    key: String,
    name: String,
    size: usize,
    started: Instant,
) -> anyhow::Result<Vec<f64>> {
    let mut waits = Vec::new();
    let mut number = 0u64;
    while started.elapsed() < RUN {
        let events: Vec<String> = (0..size)
            .map(|_| {
                number += 1;
                event(&name, number)
            })
            .collect();
        let (path, body) = if size == 1 {
            ("/v1/track", events.concat())
        } else {
            (
                "/v1/batch",
                format!(r#"{{"batch":[{}]}}"#, events.join(",")),
            )
        };
        let before = Instant::now();
        post(&mut sender, &addr, &key, path, body).await?;
        waits.push(before.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(waits)
}
