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
use crate::{config::Config, link::LinkCell, log::Log, room::RoomCell, sync::uplink::Uplink};

/// How often room is made for visits, where it is short.
const YIELD_EVERY: std::time::Duration = std::time::Duration::from_secs(2);
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

/// What the neighbourhood shares with the rest of the agent.
pub struct Around<'a> {
    /// The own log.
    pub log: &'a Log,
    /// What is known of the server.
    pub link: &'a Arc<LinkCell>,
    /// The device's clocks.
    pub clock: &'a Arc<dyn Clock>,
    /// This boot.
    pub boot: BootId,
    /// How much room there is for visits.
    pub room: &'a Arc<RoomCell>,
}

/// Opens the listener for neighbours, when the settings ask for one. What goes wrong is told and stops nothing else.
pub async fn start(
    config: &Config,
    dir: &Path,
    around: Around<'_>,
    limits: Limits,
) -> Option<Starting> {
    let addr = config.lan.address()?;
    match open(config, dir, around, addr, limits).await {
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
    around: Around<'_>,
    addr: SocketAddr,
    limits: Limits,
) -> Result<Starting, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let time = TlsTime::new(around.clock.clone(), around.link.passed_ms());
    let credentials = Credentials::open(dir, time).map_err(|error| said(&error))?;
    let tls = credentials.listener().map_err(|error| said(&error))?;
    let lan = Lan::open(LanParts {
        settings: config.lan.clone(),
        credentials,
        log: around.log.clone(),
        link: around.link.clone(),
        clock: around.clock.clone(),
        boot: around.boot,
        room: around.room.clone(),
        zone: config.zone(),
        touchpoint: config.agent.touchpoint.clone(),
        key: config.capture.write_key.clone(),
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
    let mut yields = tokio::time::interval(YIELD_EVERY);
    loop {
        let yielding = tokio::select! {
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
            _ = yields.tick() => true,
            _ = refresh.tick() => false,
        };
        if yielding {
            let making = lan.clone();
            match tokio::task::spawn_blocking(move || making.make_room()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = %error, "no room could be made of what is carried")
                }
                Err(error) => tracing::error!(error = %error, "making room ended with a panic"),
            }
            continue;
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
