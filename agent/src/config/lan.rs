//! `[lan]`: the venue's other agents.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Most addresses of other agents.
pub const LAN_PEERS_MAX: usize = 64;

/// `[lan]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanSection {
    /// Where the venue's other agents reach this one; empty = off.
    pub listen: String,
    /// Addresses of other agents of the venue.
    pub peers: Vec<String>,
    /// Announces this agent on the network, and looks for others of its venue.
    pub discover: bool,
    /// How often neighbours meet while nothing happens. Unit: ms.
    pub hello_every_ms: u64,
    /// Most that is kept of other agents. Unit: bytes.
    pub carry_bytes_max: u64,
    /// How long what the server has is kept of other agents, for the day's counts. Unit: hours.
    pub retention_hours: u64,
}

impl Default for LanSection {
    fn default() -> Self {
        Self {
            listen: String::new(),
            peers: Vec::new(),
            discover: true,
            hello_every_ms: 2_000,
            carry_bytes_max: 256 * 1024 * 1024,
            retention_hours: 24,
        }
    }
}

impl LanSection {
    /// Where it listens; none when it is off. [`super::Config::check`] has refused what is no address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first key that is impossible.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, problem: String| Err(ConfigError::Bad { key, problem });
        if !self.listen.is_empty() && self.address().is_none() {
            return bad(
                "lan.listen",
                format!("{:?} is not ADDRESS:PORT, as 0.0.0.0:8323", self.listen),
            );
        }
        if self.hello_every_ms == 0 {
            return bad("lan.hello_every_ms", "must be greater than 0".into());
        }
        if self.peers.len() > LAN_PEERS_MAX {
            return bad(
                "lan.peers",
                format!(
                    "has {} addresses, {LAN_PEERS_MAX} are called",
                    self.peers.len()
                ),
            );
        }
        match self.peers.iter().find(|url| !url.starts_with("https://")) {
            Some(url) => bad(
                "lan.peers",
                format!("{url:?} must begin with https://: visits never travel in clear"),
            ),
            None => Ok(()),
        }
    }
}
