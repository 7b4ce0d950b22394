//! The server's settings: what the process needs; everything else lives in the store and changes while it runs.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::from_hex,
    settings::{self, ENV_PREFIX, SettingsError},
};

/// `server.toml`. Every key, its unit and its default stand in `config/server.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the server listens.
    pub listen: Listen,
    /// How others reach it.
    pub public: Public,
    /// Where it keeps things.
    pub store: StoreConfig,
    /// Certificates.
    pub tls: Tls,
    /// Identity.
    pub identity: IdentityConfig,
    /// Defaults of the place.
    pub place: PlaceConfig,
    /// Capture on the server's own listeners.
    pub capture: CaptureConfig,
    /// Backups.
    pub backup: BackupConfig,
    /// Logs.
    pub log: LogConfig,
    /// The folder of the file, against which relative paths are read.
    #[serde(skip)]
    pub dir: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            public: Public::default(),
            store: StoreConfig::default(),
            tls: Tls::default(),
            identity: IdentityConfig::default(),
            place: PlaceConfig::default(),
            capture: CaptureConfig::default(),
            backup: BackupConfig::default(),
            log: LogConfig::default(),
            dir: PathBuf::from("."),
        }
    }
}

/// Section `[listen]`: `ADDR:PORT`, port 0 = any free one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Capture, API and pages over TLS.
    pub https: SocketAddr,
    /// The same in clear, for a proxy or development; loopback unless told.
    pub http: SocketAddr,
    /// Sync with agents: TLS 1.3, client certificate required.
    pub agents: SocketAddr,
    /// `/livez`, `/readyz`, `/metrics`.
    pub ops: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            https: SocketAddr::from(([0, 0, 0, 0], 8443)),
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            agents: SocketAddr::from(([0, 0, 0, 0], 8444)),
            ops: SocketAddr::from(([127, 0, 0, 1], 9464)),
        }
    }
}

/// Section `[public]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Public {
    /// Address of the `https` listener as others see it; empty = from `[listen]`.
    pub url: String,
    /// Address of the `agents` listener as agents see it; empty = from `[listen]`.
    pub agents_url: String,
}

/// Section `[store]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Folder of the RocksDB store.
    pub dir: PathBuf,
    /// Block cache. Unit: MiB.
    pub cache_mib: usize,
    /// Memory of each table's write buffer. Unit: MiB.
    pub write_buffer_mib: usize,
    /// Free space of the disk below which nothing more is taken in; reading goes on. Unit: MiB.
    pub free_mib_min: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            dir: "store".into(),
            cache_mib: 64,
            write_buffer_mib: 16,
            free_mib_min: 256,
        }
    }
}

/// Section `[tls]`: PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The agents' certificate authority.
    pub ca_cert: PathBuf,
    /// Its key.
    pub ca_key: PathBuf,
    /// Chain of the `https` listener; may be replaced by a public one.
    pub web_cert: PathBuf,
    /// Its key.
    pub web_key: PathBuf,
    /// Validity of an agent's certificate. Unit: days.
    pub agent_cert_days: u32,
    /// Names and addresses that agents' own https listeners may have beside local ones: exact, or `*.` and an ending.
    pub listener_names: Vec<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            ca_cert: "ca.pem".into(),
            ca_key: "ca.key.pem".into(),
            web_cert: "web.pem".into(),
            web_key: "web.key.pem".into(),
            agent_cert_days: 30,
            listener_names: Vec::new(),
        }
    }
}

/// Section `[identity]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// Key of the public ids: 32 bytes in hexadecimal. Two servers with the same key and the same events show the same ids.
    pub id_key: String,
}

/// Section `[place]`: defaults for telephone numbers, ids and times.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlaceConfig {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// IANA name.
    pub zone: String,
}

impl Default for PlaceConfig {
    fn default() -> Self {
        Self {
            country: "ES".into(),
            zone: "Europe/Madrid".into(),
        }
    }
}

/// Section `[capture]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureConfig {
    /// Requests that one source may make. Unit: requests a second; 0 = without limit.
    pub requests_per_s_max: u32,
}

/// Section `[backup]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupConfig {
    /// Agents keep what they captured until it is in a finished backup, not only until it is stored here.
    pub required: bool,
}

/// Section `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// error, warn, info, debug, trace, or directives of them by module.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".into(),
        }
    }
}

/// A setting that no program can work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// No usable id key.
    #[error(
        "identity.id_key must be 64 hexadecimal digits; `trenza-server init` makes one, and it must never change afterwards"
    )]
    IdKey,
}

impl Config {
    /// Reads `server.toml`, overridden by the environment.
    ///
    /// # Errors
    /// Names file and line, or the variable.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = settings::load(path, ENV_PREFIX)?;
        let dir = path
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        config.dir = dir.to_path_buf();
        config.id_key()?;
        Ok(config)
    }

    /// A path of the settings, against the folder of the file.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }

    /// The key of the public ids.
    ///
    /// # Errors
    /// [`ConfigError::IdKey`].
    pub fn id_key(&self) -> Result<[u8; 32], ConfigError> {
        from_hex(&self.identity.id_key).ok_or(ConfigError::IdKey)
    }

    /// The local socket of the commands.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("server.sock")
    }
}
