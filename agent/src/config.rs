//! `agent.toml`: every setting, its unit and its default.
//!
//! Owns the defaults: the shipped file is tested to be equal to them. Never reads the network or the store.

mod lan; // the venue's other agents
mod last; // a file that was damaged
mod store; // what may be used of the disk

use std::{net::SocketAddr, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::AgentId,
    settings::{self, ENV_PREFIX, SettingsError},
};

pub use lan::{LAN_PEERS_MAX, LanSection};
pub use store::{QUOTA_BYTES_MIN, Sizes, StoreSection};

/// Names of the files of an enrolment, beside `agent.toml`.
pub mod files {
    /// The device's private key (PEM, mode 0600).
    pub const KEY: &str = "device.key.pem";
    /// The agent's certificate (PEM).
    pub const CERT: &str = "device.cert.pem";
    /// The server's certificate authority (PEM).
    pub const CA: &str = "ca.pem";
    /// The key of an identity that this device asks for, since another copy of it runs.
    pub const COPY_KEY: &str = "copy.key.pem";
    /// The certificate of that identity, until it takes the place of the old one.
    pub const COPY_CERT: &str = "copy.cert.pem";
    /// The key of the `https` listener.
    pub const LISTENER_KEY: &str = "listener.key.pem";
    /// Its certificate.
    pub const LISTENER_CERT: &str = "listener.cert.pem";
    /// The settings: written last, so that its presence means that the rest is whole.
    pub const CONFIG: &str = "agent.toml";
    /// Added to the name of the settings: as they were at the last good start.
    pub const LAST: &str = ".last";
    /// Highest epoch that this device used; outside the store, so that it outlives a damaged one.
    pub const EPOCH: &str = "epoch";
    /// Space kept free for bad times; given back when the disk is full.
    pub const RESERVE: &str = "reserve";
    /// The local socket for `status` while the agent runs.
    pub const SOCKET: &str = "agent.sock";
}

/// Most topics and reasons on the kiosk: more do not fit a screen.
pub const CHIPS_MAX: usize = 12;

/// Most names of events with a low priority.
pub const LOW_PRIORITY_MAX: usize = 64;

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who it is.
    pub agent: AgentSection,
    /// What it takes in.
    pub capture: CaptureSection,
    /// To whom it sends.
    pub server: ServerSection,
    /// Where it listens.
    pub listen: ListenSection,
    /// Where it keeps.
    pub store: StoreSection,
    /// How it sends.
    pub sync: SyncSection,
    /// The venue's other agents.
    pub lan: LanSection,
    /// The staff's pages.
    pub kiosk: KioskSection,
    /// What it writes of itself.
    pub log: LogSection,
    /// Why the file is not what these settings are from: it is damaged, and these are those of the last good start; empty otherwise.
    #[serde(skip)]
    pub problem: String,
}

/// `[agent]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSection {
    /// Given at enrolment. Holds until the device has a certificate, which says who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<AgentId>,
    /// The place where it stands.
    pub touchpoint: String,
    /// ISO 3166-1 alpha-2; how telephone numbers and ids without a country are read.
    pub country: String,
    /// IANA time zone of the place.
    pub zone: String,
}

impl Default for AgentSection {
    fn default() -> Self {
        Self {
            id: None,
            touchpoint: String::new(),
            country: "ES".into(),
            zone: "Europe/Madrid".into(),
        }
    }
}

/// `[capture]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureSection {
    /// The kiosk's own write key.
    pub write_key: String,
    /// Names of events that have a low priority, as those that say so themselves (`context.trenza.priority`).
    pub low_priority: Vec<String>,
}

/// `[server]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSection {
    /// The server's pages and API.
    pub url: String,
    /// The server's listener for agents.
    pub agents_url: String,
}

/// `[listen]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenSection {
    /// Capture and kiosk pages.
    pub http: SocketAddr,
    /// The same for tablets on the local network; empty = off.
    pub https: String,
    /// Names and addresses under which tablets call `https`: its certificate is good for these.
    pub https_names: Vec<String>,
    /// `/livez`, `/readyz`, `/metrics`.
    pub ops: SocketAddr,
    /// Further host names under which `http` may be called.
    pub names: Vec<String>,
}

impl ListenSection {
    /// Where `https` listens; none when it is off.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https.parse().ok()
    }
}

impl Default for ListenSection {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 8321)),
            https: String::new(),
            https_names: Vec::new(),
            ops: SocketAddr::from(([127, 0, 0, 1], 9465)),
            names: Vec::new(),
        }
    }
}

/// `[sync]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncSection {
    /// How often the agent says hello while nothing happens. Unit: ms.
    pub hello_every_ms: u64,
    /// Longest wait before the first retry. Unit: ms.
    pub retry_wait_ms_min: u64,
    /// Longest wait between tries while the server is away. Unit: ms.
    pub retry_wait_ms_max: u64,
    /// Longest wait between tries once the server refused this agent. Unit: ms.
    pub refused_wait_ms_max: u64,
    /// Longest wait for one answer, connecting included. Unit: ms.
    pub request_ms_max: u64,
    /// How long archived events stay on the device. Unit: hours.
    pub retention_hours: u64,
}

impl Default for SyncSection {
    fn default() -> Self {
        Self {
            hello_every_ms: 20_000,
            retry_wait_ms_min: 1_000,
            retry_wait_ms_max: 30_000,
            refused_wait_ms_max: 600_000,
            request_ms_max: 30_000,
            retention_hours: 168,
        }
    }
}

impl SyncSection {
    /// [`SyncSection::hello_every_ms`] as a duration.
    pub fn hello_every(&self) -> Duration {
        Duration::from_millis(self.hello_every_ms)
    }
}

/// `[kiosk]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KioskSection {
    /// Channel of what is captured on the pages: `event` at a fair, `store` in a shop.
    pub channel: String,
    /// Reasons of a visit to choose from.
    pub reasons: Vec<String>,
    /// Topics of interest to choose from.
    pub topics: Vec<String>,
    /// Whether a DNI or NIE may be typed as the contact.
    pub ask_national_id: bool,
}

impl Default for KioskSection {
    fn default() -> Self {
        let list = |texts: [&str; 4]| texts.map(str::to_owned).to_vec();
        Self {
            channel: "event".into(),
            reasons: list(["demo", "consulta", "compra", "charla"]),
            topics: list(["renta fija", "fondos", "planes de pensiones", "hipotecas"]),
            ask_national_id: true,
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// error, warn, info, debug or trace.
    pub level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            level: "info".into(),
        }
    }
}

/// Settings that parse and still cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file or the environment.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A key that must be set.
    #[error("{key} is not set in agent.toml; make the file with trenza-agent enrol")]
    Missing {
        /// Section and key.
        key: &'static str,
    },
    /// A key with a value that cannot be.
    #[error("{key} in agent.toml: {problem}")]
    Bad {
        /// Section and key.
        key: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl Config {
    /// Reads a file and the environment over it, and checks them.
    ///
    /// # Errors
    /// [`ConfigError`] names the key or the line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config: Self = settings::load(path, ENV_PREFIX)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first key that is missing or impossible.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, problem: String| Err(ConfigError::Bad { key, problem });
        self.id()?;
        if self.capture.write_key.is_empty() {
            return Err(ConfigError::Missing {
                key: "capture.write_key",
            });
        }
        if self.server.agents_url.is_empty() {
            return Err(ConfigError::Missing {
                key: "server.agents_url",
            });
        }
        if !self.server.agents_url.starts_with("https://") {
            return bad(
                "server.agents_url",
                "must begin with https://: events never travel in clear".into(),
            );
        }
        if !self.listen.https.is_empty() {
            if let Err(problem) = self.listen.https.parse::<SocketAddr>() {
                return bad(
                    "listen.https",
                    format!("{problem}; it must be ADDRESS:PORT, such as 0.0.0.0:8322, or empty"),
                );
            }
            if self.listen.https_names.is_empty() {
                return bad(
                    "listen.https_names",
                    "must name what tablets type, such as \"kiosko.local\" or \"192.168.1.20\": the certificate is made for it".into(),
                );
            }
        }
        if jiff::tz::TimeZone::get(&self.agent.zone).is_err() {
            return bad(
                "agent.zone",
                format!(
                    "{:?} is no IANA time zone, such as Europe/Madrid",
                    self.agent.zone
                ),
            );
        }
        if self.agent.country.len() != 2
            || !self.agent.country.bytes().all(|b| b.is_ascii_alphabetic())
        {
            return bad(
                "agent.country",
                "must be two letters (ISO 3166-1), such as ES".into(),
            );
        }
        if self.capture.low_priority.len() > LOW_PRIORITY_MAX {
            return bad(
                "capture.low_priority",
                format!(
                    "has {} names, at most {LOW_PRIORITY_MAX} are looked for in every event",
                    self.capture.low_priority.len()
                ),
            );
        }
        if self.store.quota_bytes < QUOTA_BYTES_MIN {
            return bad(
                "store.quota_bytes",
                format!("must be at least {QUOTA_BYTES_MIN}: the store's own files need that much"),
            );
        }
        for (key, waits) in [
            ("sync.hello_every_ms", self.sync.hello_every_ms),
            ("sync.retry_wait_ms_min", self.sync.retry_wait_ms_min),
            ("sync.request_ms_max", self.sync.request_ms_max),
        ] {
            if waits == 0 {
                return bad(key, "must be greater than 0".into());
            }
        }
        self.lan.check()?;
        if self.sync.retry_wait_ms_max < self.sync.retry_wait_ms_min {
            return bad(
                "sync.retry_wait_ms_max",
                "must not be less than sync.retry_wait_ms_min".into(),
            );
        }
        for (key, chips) in [
            ("kiosk.reasons", &self.kiosk.reasons),
            ("kiosk.topics", &self.kiosk.topics),
        ] {
            if chips.len() > CHIPS_MAX {
                return bad(
                    key,
                    format!("has {} entries, {CHIPS_MAX} fit a screen", chips.len()),
                );
            }
        }
        Ok(())
    }

    /// The agent's id.
    ///
    /// # Errors
    /// It is not set.
    pub fn id(&self) -> Result<AgentId, ConfigError> {
        self.agent
            .id
            .ok_or(ConfigError::Missing { key: "agent.id" })
    }

    /// The place's time zone; UTC where [`Config::check`] would have refused it.
    pub fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get(&self.agent.zone).unwrap_or(jiff::tz::TimeZone::UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../config/agent.toml");

    fn enrolled() -> Config {
        let mut config = Config::default();
        config.agent.id = Some(AgentId([7; 16]));
        config.capture.write_key = "wk".into();
        config.server.agents_url = "https://localhost:8444".into();
        config
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        let shipped: Config = toml::from_str(SHIPPED).unwrap();
        assert_eq!(shipped, Config::default());
    }

    #[test]
    fn the_shipped_file_names_every_key() {
        let keys: toml::Table = toml::from_str(&toml::to_string(&enrolled()).unwrap()).unwrap();
        for (section, keys) in &keys {
            assert!(SHIPPED.contains(&format!("[{section}]")), "{section}");
            for key in keys.as_table().unwrap().keys() {
                assert!(
                    SHIPPED.lines().any(|line| line
                        .trim_start_matches("# ")
                        .starts_with(&format!("{key} ="))),
                    "{section}.{key}"
                );
            }
        }
    }

    #[test]
    fn a_typo_fails() {
        assert!(toml::from_str::<Config>("[sync]\nhelo_every_ms = 3\n").is_err());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        enrolled().check().unwrap();
        type Change = fn(&mut Config);
        let cases: [(&str, Change); 8] = [
            ("lan.listen", |c| c.lan.listen = "8323".into()),
            ("lan.peers", |c| c.lan.peers = vec!["http://x".into()]),
            ("agent.id", |c| c.agent.id = None),
            ("capture.write_key", |c| c.capture.write_key.clear()),
            ("agent.zone", |c| c.agent.zone = "Madrid".into()),
            ("listen.https", |c| c.listen.https = "kiosko:8322".into()),
            ("listen.https_names", |c| {
                c.listen.https = "0.0.0.0:8322".into()
            }),
            ("server.agents_url", |c| {
                c.server.agents_url = "http://x".into()
            }),
        ];
        for (key, change) in cases {
            let mut config = enrolled();
            change(&mut config);
            assert!(
                config.check().unwrap_err().to_string().contains(key),
                "{key}"
            );
        }
    }
}
