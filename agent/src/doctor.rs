//! Checks what a person would look at first when an agent does not send. Changes nothing.

mod clock; // the clock, and the certificate that is judged by it
mod https; // the certificate for tablets

use std::{path::Path, sync::Arc, time::Duration};

use serde::Serialize;
use trenza_shared::{
    clock::{BUILT_MS, Clock, parse_time_ms},
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
};

/// Ranges of dropped events written out.
const DROPPED_SHOWN_MAX: usize = 5;
/// Longest wait for the server.
const REACH_MAX: Duration = Duration::from_secs(10);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// agent, settings, disk, store, room, dropped, clock, certificate, server, https or neighbour.
    pub name: &'static str,
    /// Nothing to do.
    pub ok: bool,
    /// Neither well nor wrong: only worth knowing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub note: bool,
    /// What was found, and what to do.
    pub message: String,
}

impl Check {
    fn new(name: &'static str, ok: bool, message: impl Into<String>) -> Self {
        Self {
            name,
            ok,
            note: false,
            message: message.into(),
        }
    }

    /// What a person reads before its name.
    pub fn word(&self) -> &'static str {
        match (self.ok, self.note) {
            (_, true) => "note",
            (true, _) => "ok",
            (false, _) => "BAD",
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
            Self::Stopped(_) => (
                true,
                "does not run now: visits are taken in once it is started".into(),
            ),
        };
        Check {
            note: matches!(self, Self::Stopped(_)),
            ..Check::new("agent", ok, message)
        }
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
    let (folder, wall_ms) = (dir.join(&config.store.dir), clock.wall_ms());
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
        settings(config, status),
        disk(&room.0, &room.1, Reserve::in_folder(dir).bytes()),
        store(
            &folder,
            status,
            clock.wall_ms(),
            config.sync.retention_hours,
        ),
        room_check(&room.0, &room.1, Reserve::in_folder(dir).bytes()),
        dropped(status, excess(&room.0, &room.1).is_some()),
        clock::check(
            clock.wall_ms(),
            server_ms,
            offset_ms,
            clock::validity(dir).is_ok_and(|validity| validity.is_too_old(clock.wall_ms())),
        ),
        clock::certificate(dir, clock.wall_ms(), server_ms),
        server(config, dir, clock.clone(), server_ms.unwrap_or(0)).await,
    ];
    if let Some(addr) = config.listen.https() {
        let said = match agent {
            Asked::Runs(status) => Some(status.https_problem.as_str()),
            Asked::Silent(_) => Some(""),
            Asked::Stopped(_) => None,
        };
        let (names, now_ms) = (&config.listen.https_names, server_ms.unwrap_or(wall_ms));
        checks.push(https::check(addr, names, dir, now_ms, said));
    }
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

/// Whether file and running agent are of one mind.
fn settings(config: &Config, status: Option<&Status>) -> Check {
    let running = status.map_or("", |status| &status.settings_problem);
    match (config.problem.as_str(), running) {
        ("", "") => Check::new("settings", true, "read from the file"),
        ("", _) => Check::new(
            "settings",
            false,
            "the file can be read again, and the agent still runs with those of its last good start: restart it",
        ),
        (problem, _) => Check::new("settings", false, problem),
    }
}

/// The disk alone, by the rule that decides what is taken in; the quota is told with the room.
fn disk(facts: &Facts, limits: &Limits, reserve_bytes: u64) -> Check {
    let mib = |bytes: u64| bytes >> 20;
    let stands = format!(
        "{} MiB free and {} MiB in reserve, {} must be in all (store.free_bytes_min)",
        mib(facts.free_bytes.saturating_sub(reserve_bytes)),
        mib(reserve_bytes),
        mib(limits.free_bytes_min),
    );
    let alone = Facts {
        used_bytes: 0,
        free_bytes: facts.free_bytes,
        failure: None,
    };
    match excess(&alone, limits) {
        None => Check::new("disk", true, stands),
        Some(_) => Check::new(
            "disk",
            false,
            format!("{stands}; free some space, visits need it"),
        ),
    }
}

/// The quota, the floor of free space, and the reserve.
fn room_check(facts: &Facts, limits: &Limits, reserve_bytes: u64) -> Check {
    let mib = |bytes: u64| bytes >> 20;
    let stands = format!(
        "the store has {} of {} MiB ({}); {} MiB are free with the reserve of {} MiB, {} must be (store.free_bytes_min)",
        mib(facts.used_bytes),
        mib(limits.quota_bytes),
        limits.told(),
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

/// What became of stores that were damaged or are gone. That one is gone is a warning for as long as archived events stay.
fn store(store_dir: &Path, status: Option<&Status>, now_ms: i64, keep_hours: u64) -> Check {
    match salvage::summary(store_dir) {
        Ok((mut ok, mut message)) => {
            if let Some(began) = status.and_then(|status| status.began.as_ref()) {
                let hours =
                    parse_time_ms(&began.at).map(|at| now_ms.saturating_sub(at) / 3_600_000);
                let lately =
                    hours.is_none_or(|hours| hours < i64::try_from(keep_hours).unwrap_or(i64::MAX));
                ok &= began.aside || !lately;
                message = format!("{}; {message}", began.sentence());
            }
            for one in status.map_or(&[][..], |status| &status.aside) {
                message.push_str(&format!("; {} stands beside it, {}", one.name, one.what()));
            }
            Check::new("store", ok, message)
        }
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
    fn what_room_there_is_is_told_with_what_to_do() {
        let limits = Limits {
            quota_bytes: 1_000 << 20,
            work_bytes: 24 << 20,
            free_bytes_min: 40 << 20,
        };
        let told = |used: u64, free: u64| {
            let facts = Facts {
                used_bytes: used << 20,
                free_bytes: free << 20,
                failure: None,
            };
            // The disk is judged by the same rule, the quota apart.
            let on_disk = disk(&facts, &limits, 32 << 20);
            assert_eq!(on_disk.ok, free >= 60, "{on_disk:?}");
            let check = room_check(&facts, &limits, 32 << 20);
            assert!(on_disk.ok || !check.ok);
            (check.ok, check.message)
        };
        assert!(told(10, 100).0, "no limit but that of the settings");
        let (ok, message) = told(10, 500);
        assert!(ok && message.contains("10 of 1000 MiB"), "{message}");
        assert!(
            message.contains("store.quota_bytes is 1024 MiB"),
            "{message}"
        );
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
    fn an_agent_that_does_not_run_is_a_note() {
        let check = Asked::Stopped(None).check();
        assert_eq!((check.word(), check.ok), ("note", true));
        assert_eq!(Check::new("disk", true, "").word(), "ok");
        assert_eq!(Check::new("disk", false, "").word(), "BAD");
    }
}
