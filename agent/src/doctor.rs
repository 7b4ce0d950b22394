//! Checks what a person would look at first when an agent does not send. Changes nothing.

use std::{path::Path, sync::Arc, time::Duration};

use serde::Serialize;
use trenza_shared::{
    clock::{BUILT_MS, Clock, format_ms},
    id::AgentId,
    net::{
        client::{Client, ClientError, ClientLimits},
        pki::{self, DeviceKey},
        tls::{self, TlsTime, Trust},
    },
    probe::disk_free_bytes,
    wire::dropped::Reason,
};

use crate::{
    config::{Config, files},
    lan::credentials::Credentials,
    reserve::{Reserve, fitting},
    room::{Facts, Limits, Room, excess, folder_bytes, judge},
    salvage,
    status::Status,
    sync::uplink::Validity,
};

/// Ranges of dropped events written out.
const DROPPED_SHOWN_MAX: usize = 5;
/// Below this a disk is short. Unit: bytes.
const DISK_FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// A clock that differs by more is worth a word. Unit: ms.
const CLOCK_OFF_MS_MAX: i64 = 120_000;
/// Longest wait for the server.
const REACH_MAX: Duration = Duration::from_secs(10);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// agent, disk, store, room, dropped, clock, certificate, server or neighbour.
    pub name: &'static str,
    /// Nothing to do.
    pub ok: bool,
    /// What was found, and what to do.
    pub message: String,
}

impl Check {
    fn new(name: &'static str, ok: bool, message: impl Into<String>) -> Self {
        Self {
            name,
            ok,
            message: message.into(),
        }
    }
}

/// What the agent of this device said.
#[derive(Debug)]
pub enum Asked {
    /// It runs.
    Runs(Status),
    /// It runs, and does not say how it stands: why.
    Silent(String),
    /// It does not run: how its store stands, where that can be read.
    Stopped(Option<Status>),
}

impl Asked {
    fn status(&self) -> Option<&Status> {
        match self {
            Self::Runs(status) => Some(status),
            Self::Silent(_) => None,
            Self::Stopped(status) => status.as_ref(),
        }
    }

    /// Whether visits are taken in, by its own word.
    fn check(&self) -> Check {
        let (ok, message) = match self {
            Self::Runs(status) if status.room_problem.is_empty() => {
                (true, "runs and takes visits in".into())
            }
            Self::Runs(status) => (
                false,
                format!("runs and refuses every new visit: {}", status.room_problem),
            ),
            Self::Silent(why) => (false, format!("{why}; restart it if that stays")),
            Self::Stopped(_) => (true, "does not run now".into()),
        };
        Check::new("agent", ok, message)
    }
}

/// Looks at everything; `agent` is what the agent said, whose word on its disk goes before what is seen from here.
pub async fn examine(
    config: &Config,
    dir: &Path,
    clock: Arc<dyn Clock>,
    agent: &Asked,
) -> Vec<Check> {
    let status = agent.status();
    let folder = dir.join(&config.store.dir);
    let offset_ms = status.and_then(|status| status.clock_offset_ms);
    let server_ms = offset_ms.map(|offset| clock.wall_ms() + offset);
    let facts = Facts {
        used_bytes: folder_bytes(&folder).unwrap_or(0),
        free_bytes: disk_free_bytes(dir) + Reserve::in_folder(dir).bytes(),
        failure: None,
    };
    let room = (facts, config.store.room());
    let mut checks = vec![
        agent.check(),
        disk(dir),
        store(&folder),
        room_check(&room.0, &room.1, Reserve::in_folder(dir).bytes()),
        dropped(status, excess(&room.0, &room.1).is_some()),
        clock_check(clock.wall_ms(), server_ms, offset_ms),
        certificate(dir, server_ms.unwrap_or_else(|| clock.wall_ms())),
        server(config, dir, clock.clone(), server_ms.unwrap_or(0)).await,
    ];
    if config.lan.address().is_some() {
        let time = TlsTime::new(clock, server_ms.unwrap_or(0));
        let near = status.map_or(&[][..], |status| &status.neighbours);
        let revoked = near.iter().filter(|one| one.revoked).map(|one| one.agent);
        let revoked: Vec<AgentId> = revoked.collect();
        checks.extend(neighbours(config, dir, &revoked, time).await);
    }
    checks
}

/// Calls every configured neighbour once.
async fn neighbours(
    config: &Config,
    dir: &Path,
    revoked: &[AgentId],
    time: Arc<TlsTime>,
) -> Vec<Check> {
    let bad = |problem: String| vec![Check::new("neighbour", false, problem)];
    let credentials = match Credentials::open(dir, time) {
        Ok(credentials) => credentials,
        Err(error) => return bad(error.to_string()),
    };
    if credentials.venue().is_empty() {
        return bad("this agent belongs to no venue, so it has no neighbours; invite it again with --venue NAME".into());
    }
    let client = match credentials.client(REACH_MAX, revoked) {
        Ok(client) => client,
        Err(error) => return bad(error.to_string()),
    };
    let mut checks = Vec::new();
    for url in &config.lan.peers {
        // An empty meeting is refused, but only by who would have listened.
        let place = format!("{}/lan/v1/meet", url.trim_end_matches('/'));
        let answer = client.post(&place, http::HeaderMap::new(), Vec::new());
        checks.push(match answer.await {
            Ok(answer) if matches!(answer.status.as_u16(), 401 | 403) => {
                let why = answer.error().map(|error| error.message);
                let why = why.unwrap_or_default();
                Check::new(
                    "neighbour",
                    false,
                    format!("{url} refuses this agent: {why}"),
                )
            }
            Ok(_) => Check::new("neighbour", true, format!("{url} answers")),
            Err(error) => Check::new("neighbour", false, format!("{url}: {error}")),
        });
    }
    checks
}

fn disk(dir: &Path) -> Check {
    let free = disk_free_bytes(dir);
    let megabytes = free / (1024 * 1024);
    if free >= DISK_FREE_BYTES_MIN {
        Check::new("disk", true, format!("{megabytes} MiB free"))
    } else {
        Check::new(
            "disk",
            false,
            format!("only {megabytes} MiB free; free some space, visits need it"),
        )
    }
}

/// The quota, the floor of free space, and the reserve.
fn room_check(facts: &Facts, limits: &Limits, reserve_bytes: u64) -> Check {
    let mib = |bytes: u64| bytes >> 20;
    let stands = format!(
        "the store has {} of {} MiB (store.quota_bytes); {} MiB are free with the reserve of {} MiB, {} must be (store.free_bytes_min)",
        mib(facts.used_bytes),
        mib(limits.quota_bytes),
        mib(facts.free_bytes),
        mib(reserve_bytes),
        mib(limits.free_bytes_min),
    );
    let given_back = match (reserve_bytes, fitting(facts.free_bytes)) {
        (0, 0) => "; with less than 20 MiB free no reserve is made",
        (0, _) => "; the reserve was given back, and is made again by itself where there is room",
        _ => "",
    };
    let (ok, what) = match (judge(facts, limits), excess(facts, limits)) {
        (Room::Full | Room::Failed, _) => (
            false,
            "; no visit can be taken in: free some space or raise the quota",
        ),
        (_, Some(_)) => (
            false,
            "; what is left is for visits, and low-priority events give way: free some space, raise the quota, or give it a network",
        ),
        (Room::Short, None) => (
            true,
            "; short: what the server has archived goes before its time",
        ),
        (Room::Plenty, None) => (true, ""),
    };
    Check::new("room", ok, format!("{stands}{given_back}{what}"))
}

/// What was given up for want of room; `now` says that it still goes on.
fn dropped(status: Option<&Status>, now: bool) -> Check {
    let Some(status) = status else {
        return Check::new(
            "dropped",
            true,
            "not known: the agent does not run, and its store cannot be read",
        );
    };
    if status.dropped == 0 {
        return Check::new("dropped", true, "nothing was ever dropped");
    }
    let last = status.dropped_ranges.iter().rev().take(DROPPED_SHOWN_MAX);
    let ranges: Vec<String> = last
        .map(|one| {
            let what = match one.reason {
                Reason::Quota => "quota",
                Reason::Disk => "disk",
            };
            format!(
                "{} until {} (epoch {}, no. {} to {}, {what})",
                one.count, one.at, one.epoch, one.first, one.last
            )
        })
        .collect();
    let advice = if now {
        "it goes on: see room"
    } else {
        "there is room now; if it happens often, raise store.quota_bytes or take fewer names into capture.low_priority"
    };
    Check::new(
        "dropped",
        !now,
        format!(
            "{} low-priority events, no visit, and the server is told: {}; {advice}",
            status.dropped,
            ranges.join(", ")
        ),
    )
}

fn store(store_dir: &Path) -> Check {
    match salvage::summary(store_dir) {
        Ok((ok, message)) => Check::new("store", ok, message),
        Err(error) => Check::new(
            "store",
            false,
            format!(
                "cannot read the folder of {}: {error}; check its owner and permissions",
                store_dir.display()
            ),
        ),
    }
}

fn clock_check(now_ms: i64, server_ms: Option<i64>, offset_ms: Option<i64>) -> Check {
    let now = format_ms(now_ms);
    match (server_ms, offset_ms) {
        (Some(server), _) if now_ms < server - CLOCK_OFF_MS_MAX => Check::new(
            "clock",
            false,
            format!(
                "it says {now}, but the server's clock was past {} already; set it",
                format_ms(server)
            ),
        ),
        (_, Some(offset)) if offset.abs() > CLOCK_OFF_MS_MAX => Check::new(
            "clock",
            false,
            format!(
                "it says {now} and differs from the server's by {} s; set it (visits are kept and corrected all the same)",
                offset / 1000
            ),
        ),
        (None, _) => Check::new(
            "clock",
            true,
            format!("it says {now}; the server has not been asked yet"),
        ),
        _ => Check::new(
            "clock",
            true,
            format!("it says {now}, in step with the server"),
        ),
    }
}

fn certificate(dir: &Path, now_ms: i64) -> Check {
    let bad = |message: String| Check::new("certificate", false, message);
    let path = dir.join(files::CERT);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            return bad(format!(
                "cannot read {}: {error}; enrol the device",
                path.display()
            ));
        }
    };
    let validity = pki::read_chain(&text)
        .ok()
        .and_then(|chain| Validity::of(chain.first()?));
    let Some(validity) = validity else {
        return bad(format!(
            "{} holds no certificate; enrol the device again",
            path.display()
        ));
    };
    let until = format_ms(validity.expires_ms);
    if validity.is_too_old(now_ms) {
        return bad(format!(
            "it expired at {until}, more than a year ago, and cannot be renewed any more; enrol the device again; capture goes on"
        ));
    }
    if now_ms > validity.expires_ms {
        return bad(format!(
            "it expired at {until}; it is renewed at the next contact with the server, for a year; capture goes on"
        ));
    }
    Check::new("certificate", true, format!("valid until {until}"))
}

async fn server(config: &Config, dir: &Path, clock: Arc<dyn Clock>, server_ms: i64) -> Check {
    let url = format!(
        "{}/sync/v1/hello",
        config.server.agents_url.trim_end_matches('/')
    );
    let client = match client(dir, TlsTime::new(clock, server_ms.max(BUILT_MS))) {
        Ok(client) => client,
        Err(problem) => return Check::new("server", false, problem),
    };
    // An empty hello is refused, but only by who would have listened: it proves the way, the certificate and that the agent may
    // speak, and changes nothing there.
    match client.post(&url, http::HeaderMap::new(), Vec::new()).await {
        Ok(answer) if matches!(answer.status.as_u16(), 401 | 403) => {
            let why = answer
                .error()
                .map(|error| error.message)
                .unwrap_or_default();
            Check::new(
                "server",
                false,
                format!("it refuses this agent: {why}; visits stay here; ask the administrator"),
            )
        }
        Ok(_) => Check::new(
            "server",
            true,
            format!("{} answers", config.server.agents_url),
        ),
        Err(error @ ClientError::Untrusted { .. }) => {
            Check::new("server", false, error.to_string())
        }
        Err(error) => Check::new(
            "server",
            false,
            format!("{error} (visits are kept meanwhile)"),
        ),
    }
}

fn client(dir: &Path, time: Arc<TlsTime>) -> Result<Client, String> {
    let read = |name: &str| {
        std::fs::read_to_string(dir.join(name))
            .map_err(|error| format!("cannot read {name}: {error}; enrol the device"))
    };
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let key = DeviceKey::from_pem(&read(files::KEY)?).map_err(|error| said(&error))?;
    let chain = pki::read_chain(&read(files::CERT)?).map_err(|error| said(&error))?;
    let mut ca = pki::read_chain(&read(files::CA)?).map_err(|error| said(&error))?;
    let (config, _) = tls::client_config(
        Trust::ca(ca.swap_remove(0)),
        Some((chain, key.to_der())),
        time,
    )
    .map_err(|error| said(&error))?;
    Ok(Client::new(
        config,
        ClientLimits {
            connect: REACH_MAX,
            request: REACH_MAX,
            ..ClientLimits::default()
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_the_servers_last_time_is_wrong() {
        assert!(!clock_check(0, Some(1_773_480_000_000), None).ok);
        assert!(clock_check(1_773_480_000_000, Some(1_773_479_000_000), Some(40)).ok);
        assert!(!clock_check(1_773_480_000_000, Some(1_773_479_000_000), Some(-3_600_000)).ok);
        assert!(clock_check(5, None, None).ok);
    }

    #[test]
    fn what_room_there_is_is_told_with_what_to_do() {
        let limits = Limits {
            quota_bytes: 1_000 << 20,
            free_bytes_min: 40 << 20,
        };
        let told = |used: u64, free: u64| {
            let facts = Facts {
                used_bytes: used << 20,
                free_bytes: free << 20,
                failure: None,
            };
            let check = room_check(&facts, &limits, 32 << 20);
            (check.ok, check.message)
        };
        let (ok, message) = told(10, 500);
        assert!(ok && message.contains("10 of 1000 MiB"), "{message}");
        for (used, free, ok, text) in [
            (920, 500, true, "goes before its time"),
            (960, 500, false, "low-priority events give way"),
            (10, 50, false, "low-priority events give way"),
            (1_000, 500, false, "no visit can be taken in"),
            (10, 39, false, "no visit can be taken in"),
        ] {
            let found = told(used, free);
            assert!(found.0 == ok && found.1.contains(text), "{found:?}");
        }
    }

    #[test]
    fn a_folder_without_an_enrolment_has_no_certificate() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!certificate(dir.path(), 0).ok);
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    }
}
