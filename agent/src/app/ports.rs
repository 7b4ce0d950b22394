//! The ports of the agent: bound once, whether the store is open yet or not.

use std::{path::Path, sync::Arc};

use trenza_shared::{
    clock::Clock,
    net::{
        serve::{Limits, Listener},
        tls::web_server_config,
    },
};

use super::{DRAIN_MAX, Ready, StartError};
use crate::{config::Config, sync::listener::ListenerCert};

/// What is bound and does not answer yet.
pub(super) struct Ports {
    /// Capture and kiosk.
    pub http: Listener,
    /// The same for tablets, where it is on.
    pub https: Option<Listener>,
    /// What keeps its certificate.
    pub listener_cert: Option<ListenerCert>,
    /// Probes and metrics.
    pub ops: Listener,
}

/// The limits of every listener.
pub(super) fn limits() -> Limits {
    Limits {
        drain: DRAIN_MAX,
        ..Limits::default()
    }
}

impl Ports {
    /// Binds them.
    ///
    /// # Errors
    /// One is taken; none stays bound then.
    pub async fn bind(
        config: &Config,
        dir: &Path,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let http = Listener::bind(config.listen.http, None, limits()).await?;
        let (https, listener_cert) = tablets(config, dir, clock).await?;
        let ops = Listener::bind(config.listen.ops, None, limits()).await?;
        Ok(Self {
            http,
            https,
            listener_cert,
            ops,
        })
    }

    /// The addresses at which it really listens.
    pub fn line(&self, ready: bool, lan: Option<String>) -> Ready {
        Ready {
            ready,
            http: self.http.url(),
            https: self.https.as_ref().map(Listener::url),
            ops: self.ops.url(),
            lan,
        }
    }
}

/// The listener for tablets, where it is on, and what keeps its certificate.
async fn tablets(
    config: &Config,
    dir: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<(Option<Listener>, Option<ListenerCert>), StartError> {
    let Some(addr) = config.listen.https() else {
        return Ok((None, None));
    };
    let cert = ListenerCert::open(dir, config.listen.https_names.iter().cloned());
    let tls = web_server_config(cert.cell(), clock.clone())?;
    let listener = Listener::bind(addr, Some(tls), limits()).await?;
    Ok((Some(listener), Some(cert)))
}
