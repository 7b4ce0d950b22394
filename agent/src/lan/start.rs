//! How the neighbourhood starts: never in the way of taking visits in.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};
use trenza_shared::{
    clock::Clock,
    id::BootId,
    net::{
        serve::{Limits, Listener, serve},
        tls::TlsTime,
    },
};

use super::{
    Lan, LanParts, credentials::Credentials, deliver, find::Finder, serve as listener, talk,
};
use crate::{config::Config, link::LinkCell, log::Log, status, sync::uplink::Uplink};

/// How often a renewed certificate is looked for.
const REFRESH_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// A neighbourhood that listens and is not yet served.
pub struct Starting {
    /// What the parts share.
    pub lan: Arc<Lan>,
    /// Where it listens.
    pub url: String,
    listener: Listener,
}

/// Opens the listener for neighbours, when the settings ask for one. What goes wrong is told and stops nothing else.
pub async fn start(
    config: &Config,
    dir: &Path,
    log: &Log,
    link: &Arc<LinkCell>,
    (clock, boot): (&Arc<dyn Clock>, BootId),
    limits: Limits,
) -> Option<Starting> {
    let addr = config.lan.address()?;
    match open(config, dir, log, link, (clock, boot), addr, limits).await {
        Ok(starting) => {
            if starting.lan.credentials.venue().is_empty() {
                tracing::warn!(
                    "this agent belongs to no venue, so it has no neighbours; invite it again with --venue NAME"
                );
            }
            Some(starting)
        }
        Err(problem) => {
            tracing::error!(error = %problem, "no exchange with neighbours; capture goes on");
            None
        }
    }
}

async fn open(
    config: &Config,
    dir: &Path,
    log: &Log,
    link: &Arc<LinkCell>,
    (clock, boot): (&Arc<dyn Clock>, BootId),
    addr: SocketAddr,
    limits: Limits,
) -> Result<Starting, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let time = TlsTime::new(clock.clone(), link.passed_ms());
    let credentials = Credentials::open(dir, time).map_err(|error| said(&error))?;
    let tls = credentials.listener().map_err(|error| said(&error))?;
    let free = dir.to_owned();
    let lan = Lan::open(LanParts {
        settings: config.lan.clone(),
        credentials,
        log: log.clone(),
        link: link.clone(),
        clock: clock.clone(),
        boot,
        zone: config.zone(),
        touchpoint: config.agent.touchpoint.clone(),
        key: config.capture.write_key.clone(),
        disk_free: Arc::new(move || status::disk_free_bytes(&free)),
    })
    .map_err(|error| said(&error))?;
    let listener = Listener::bind(addr, Some(tls), limits)
        .await
        .map_err(|error| said(&error))?;
    Ok(Starting {
        lan: Arc::new(lan),
        url: listener.url(),
        listener,
    })
}

impl Starting {
    /// Serves, calls and carries until `stop` says true.
    pub fn run(
        self,
        config: &Config,
        dir: &Path,
        clock: &Arc<dyn Clock>,
        stop: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let Self { lan, listener, .. } = self;
        let mut stopping = stop.clone();
        let stopped = async move {
            let _gone = stopping.wait_for(|stop| *stop).await;
        };
        let peers: BTreeSet<String> = config.lan.peers.iter().cloned().collect();
        let (addresses, wanted) = watch::channel(peers.clone());
        let finder = finder(&lan, listener.local_addr());
        let (dir, clock, sync) = (dir.to_owned(), clock.clone(), config.sync.clone());
        let url = config.server.agents_url.clone();
        let link = lan.link.clone();
        let request = std::time::Duration::from_millis(sync.request_ms_max);
        let open = move || {
            let time = TlsTime::new(clock.clone(), link.passed_ms());
            Uplink::open(&dir, &url, time, request)
        };
        vec![
            tokio::spawn(serve(listener, listener::routes(lan.clone()), stopped)),
            tokio::spawn(talk::run(lan.clone(), sync.clone(), wanted, stop.clone())),
            tokio::spawn(deliver::run(lan.clone(), open, sync, stop.clone())),
            tokio::spawn(look_after(lan, peers, addresses, finder, stop.clone())),
        ]
    }
}

/// The search for neighbours, when the settings ask for it. A network without multicast stops nothing else.
fn finder(lan: &Lan, addr: SocketAddr) -> Option<Finder> {
    if !lan.settings.discover {
        return None;
    }
    match Finder::start(lan.me(), &lan.credentials.venue(), addr) {
        Ok(finder) => finder,
        Err(error) => {
            tracing::warn!(error = %error, "neighbours are not looked for here; name their addresses in lan.peers");
            None
        }
    }
}

/// What the search found next; never, without one.
async fn found(finder: &mut Option<Finder>) -> BTreeSet<String> {
    if let Some(search) = finder {
        if let Some(urls) = search.next().await {
            return urls;
        }
        *finder = None;
    }
    std::future::pending().await
}

/// Takes renewed certificates, and keeps the list of addresses: the configured ones, and those that were found.
async fn look_after(
    lan: Arc<Lan>,
    peers: BTreeSet<String>,
    addresses: watch::Sender<BTreeSet<String>>,
    mut finder: Option<Finder>,
    mut stop: watch::Receiver<bool>,
) {
    let mut refresh = tokio::time::interval(REFRESH_EVERY);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return drop(addresses),
            urls = found(&mut finder) => {
                addresses.send_if_modified(|known| {
                    let all = peers.union(&urls).cloned().collect();
                    let news = *known != all;
                    *known = all;
                    news
                });
                continue;
            }
            _ = refresh.tick() => {}
        }
        let reading = lan.clone();
        match tokio::task::spawn_blocking(move || reading.credentials.refresh()).await {
            Ok(Ok(true)) => tracing::info!("neighbours see the renewed certificate"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(error = %error, "the certificate cannot be read"),
            Err(error) => {
                tracing::error!(error = %error, "reading the certificate ended with a panic")
            }
        }
    }
}
