//! How the agent starts and stops.
//!
//! Owns the order: settings, store, ports, ready line; then sending; SIGTERM drains. Always starts: a damaged store is moved
//! aside, an absent server is waited for, an expired certificate or a wrong clock stops nothing.

mod make_room;
mod mend;
mod ports;
mod start;
pub(crate) mod waiting;

use std::{future::ready, path::Path, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use trenza_shared::{
    clock::{Clock, boot_id},
    id::{AgentId, BootId, InstanceId},
    metrics::{Metrics, ops_router},
    net::{
        serve::{ListenError, Listener, serve, serve_apart},
        tls::{TlsError, TlsTime},
    },
    probe::{WriteProbe, disk_free_bytes},
    store::{Batch, RocksStore, Space, Store, StoreError, rocks::RocksOptions},
    wire::sync::Introduction,
};

use crate::{
    config::{Config, ConfigError, files},
    http, lan,
    link::LinkCell,
    marker::{self, Marker, Reached},
    merge::Today,
    metrics::{METRICS, measure},
    room::RoomCell,
    salvage::Salvager,
    settle,
    state::{App, Parts, random, random_unit},
    sync::{Around, Sender, copies, listener::ListenerCert, network, uplink::Uplink},
    tables::{KNOWN, LOG, STATE},
};
use ports::{Ports, limits};

/// How long requests in flight may take at the stop; the log's thread has the rest of the 10 s.
const DRAIN_MAX: Duration = Duration::from_secs(7);
/// Longest wait for the log's thread at the stop.
const FLUSH_MAX: Duration = Duration::from_secs(2);
/// The readiness probe's row.
const PROBE: Space = Space("probe");

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store: it is open elsewhere, the disk is full, or permissions lack.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The `https` listener.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The addresses at which it really listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// False as long as the store cannot be opened: it listens, and takes nothing in yet.
    pub ready: bool,
    /// Capture and kiosk.
    pub http: String,
    /// The same for tablets on the local network, where it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
    /// Probes and metrics.
    pub ops: String,
    /// For the venue's other agents, when it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lan: Option<String>,
}

/// An agent that listens and is not yet served.
pub struct Started {
    /// What every part shares.
    pub app: App,
    /// Its addresses.
    pub ready: Ready,
    http: Listener,
    https: Option<Listener>,
    ops: Listener,
    local: Option<Listener>,
    lan: Option<lan::start::Starting>,
    sender: Sender,
    rocks: Arc<RocksStore>,
    marker: Arc<Marker>,
    log_thread: std::thread::JoinHandle<()>,
}

/// The options of the store. The write-ahead log is what a start reads again, and what the disk holds twice.
pub fn store_options(config: &Config) -> RocksOptions {
    let sizes = config.store.sizes();
    let write_buffer_bytes = usize::try_from(sizes.write_buffer).unwrap_or(usize::MAX);
    RocksOptions {
        cache_bytes: config.store.cache_bytes,
        write_buffer_bytes,
        write_buffers_bytes_max: 2 * write_buffer_bytes,
        wal_bytes_max: sizes.wal,
        file_bytes: sizes.file,
        level_bytes: sizes.level,
        point_lookups: vec![KNOWN.space()],
        plain: vec![LOG.space()],
        ..RocksOptions::default()
    }
}

impl Started {
    /// Opens the store and the ports. `clock` is given so that tests pass theirs.
    ///
    /// # Errors
    /// [`StartError`]; no port stays open then.
    pub async fn new(
        config: Config,
        dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let (id, marker) = before(&config, dir)?;
        let opened = start::open(&config, dir, id, &marker, clock.wall_ms())?;
        let ports = Ports::bind(&config, dir, &clock).await?;
        Self::over(config, dir, clock, opened, marker, ports).await
    }

    /// The same, however long the disk keeps the store from opening: meanwhile it listens, says why, and `told` is given its addresses.
    /// None where `stop` was done first.
    ///
    /// # Errors
    /// What waiting does not change: the settings, a port, a store that another program has open.
    pub async fn when_it_can(
        config: Config,
        dir: &Path,
        clock: Arc<dyn Clock>,
        told: impl FnOnce(&Ready),
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Option<Self>, StartError> {
        let (id, marker) = before(&config, dir)?;
        let open = {
            let (config, dir, marker) = (config.clone(), dir.to_owned(), marker.clone());
            let clock = clock.clone();
            move || start::open(&config, &dir, id, &marker, clock.wall_ms())
        };
        let (opened, ports) = match open() {
            Err(StartError::Store(why)) if why.may_open_later() => {
                let ports = Ports::bind(&config, dir, &clock).await?;
                told(&ports.line(false, None));
                match waiting::wait(&config, dir, &clock, why, &ports, open, stop).await? {
                    Some(opened) => (opened, ports),
                    None => return Ok(None),
                }
            }
            opened => (opened?, Ports::bind(&config, dir, &clock).await?),
        };
        Self::over(config, dir, clock, opened, marker, ports)
            .await
            .map(Some)
    }

    async fn over(
        config: Config,
        dir: &Path,
        clock: Arc<dyn Clock>,
        (rocks, log, log_thread): start::Opened,
        marker: Arc<Marker>,
        ports: Ports,
    ) -> Result<Self, StartError> {
        let store: Arc<dyn Store> = rocks.clone();
        let link = Arc::new(LinkCell::open(store.clone(), clock.wall_ms())?);
        let time = TlsTime::new(clock.clone(), link.passed_ms());
        let request = Duration::from_millis(config.sync.request_ms_max);
        let uplink = Uplink::open(dir, &config.server.agents_url, time, request);
        let local = start::local_socket(&dir.join(files::SOCKET), limits()).await;
        let boot = boot_id().unwrap_or_else(|| BootId(random()));
        let room = Arc::new(RoomCell::new(config.store.room()));
        let around_lan = lan::start::Around {
            log: &log,
            link: &link,
            clock: &clock,
            boot,
            room: &room,
        };
        let lan = lan::start::start(&config, dir, around_lan, limits()).await;
        let ready = ports.line(true, lan.as_ref().map(|lan| lan.url.clone()));
        let app = App::new(Parts {
            today: Today::new(config.zone(), config.capture.write_key.clone()),
            form_key: form_key(&*store)?,
            saved_visits: tokio::sync::Mutex::default(),
            dir: dir.to_owned(),
            clock: clock.clone(),
            boot,
            store,
            log: log.clone(),
            link: link.clone(),
            lan: lan.as_ref().map(|starting| starting.lan.clone()),
            room,
            send_now: Arc::default(),
            mend: Arc::new(Notify::new()),
            salvage: Arc::default(),
            config,
        });
        let sender = Sender::new(
            log,
            link,
            app.config.sync.clone(),
            uplink,
            around(&app, marker.clone(), ports.listener_cert),
        );
        Ok(Self {
            app,
            ready,
            http: ports.http,
            https: ports.https,
            ops: ports.ops,
            local,
            lan,
            sender,
            rocks,
            marker,
            log_thread,
        })
    }

    /// Serves until `shutdown` is done, then lets requests in flight finish and the log reach the disk.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self {
            app,
            http,
            https,
            ops,
            local,
            lan,
            sender,
            rocks,
            marker,
            log_thread,
            ..
        } = self;
        let (stop, stopping) = watch::channel(false);
        let clock = app.clock.clone();
        // First of all: what is counted before the recorder is there is counted nowhere.
        let measured = ops_routes(&app);
        let stopped = |mut stopping: watch::Receiver<bool>| async move {
            let _gone = stopping.wait_for(|stop| *stop).await;
        };
        let mut tasks: Vec<JoinHandle<()>> = vec![
            tokio::spawn(serve(
                http,
                http::routes(&app, "http"),
                stopped(stopping.clone()),
            )),
            serve_apart(ops, measured, stopped(stopping.clone())),
            tokio::spawn(network::run(
                sender.network(),
                random_unit,
                stopping.clone(),
            )),
            tokio::spawn(sender.run(stopping.clone())),
            tokio::spawn(mend::run(
                app.clone(),
                rocks.clone(),
                marker.clone(),
                stopping.clone(),
            )),
            tokio::spawn(marker::run(
                marker.clone(),
                app.log.heads(),
                stopping.clone(),
            )),
            tokio::spawn(salvager(&app, &rocks).run(move || clock.wall_ms(), stopping.clone())),
            tokio::spawn(settle::run(app.clone(), rocks.clone(), stopping.clone())),
        ];
        if let Some(lan) = lan {
            tasks.extend(lan.run(&app.config, &app.dir, &app.clock, &stopping));
        }
        if let Some(https) = https {
            let routes = http::routes(&app, "https");
            tasks.push(tokio::spawn(serve(
                https,
                routes,
                stopped(stopping.clone()),
            )));
        }
        if let Some(local) = local {
            tasks.push(tokio::spawn(serve(
                local,
                http::local_routes(&app),
                stopped(stopping),
            )));
        }
        shutdown.await;
        tracing::info!("stopping: requests in flight finish first");
        let _heard = stop.send(true);
        for task in tasks {
            if task.await.is_err() {
                tracing::warn!("a part of the agent ended with a panic");
            }
        }
        let ends = app.log.heads();
        drop(app);
        // The last handle to the log is gone: its thread ends once everything handed in is on the disk.
        let flushed = spawn_blocking(move || log_thread.join().is_ok());
        if !matches!(timeout(FLUSH_MAX, flushed).await, Ok(Ok(true))) {
            tracing::warn!(
                "the log's thread did not end in time; what was answered is on the disk all the same"
            );
        }
        let closed = spawn_blocking(move || {
            marker.note(&Reached::of(&ends.borrow()));
            rocks.close()
        })
        .await;
        if let Ok(Err(error)) = closed {
            tracing::warn!(error = %error, "the store did not close cleanly");
        }
    }
}

/// What stands before the store: the settings are sound, and it is known who this is.
fn before(config: &Config, dir: &Path) -> Result<(AgentId, Arc<Marker>), StartError> {
    config.check()?;
    if let Err(error) = copies::finish(dir) {
        tracing::warn!(error = %error, "a change of identity is not finished yet; trying again before the next talk");
    }
    let id = copies::own_id(dir).map_or_else(|| config.id(), Ok)?;
    Ok((id, Arc::new(Marker::new(dir.join(files::EPOCH)))))
}

/// Derived from the store's secret, so that it outlives a restart.
fn form_key(store: &dyn Store) -> Result<[u8; 32], StoreError> {
    let root = STATE
        .get(store, &())?
        .map(|state| state.salt_root)
        .unwrap_or_default();
    Ok(blake3::derive_key("trenza-agent 2026 kiosk forms", &root))
}

fn around(app: &App, marker: Arc<Marker>, listener: Option<ListenerCert>) -> Around {
    let dir = app.dir.clone();
    Around {
        clock: app.clock.clone(),
        boot: app.boot,
        instance: InstanceId(random()),
        random: random_unit,
        disk_free: Arc::new(move || disk_free_bytes(&dir)),
        room: app.room.clone(),
        next_epoch: Arc::new(move |used| Ok((marker.next(used), random()))),
        introduction: Arc::new(Introduction {
            touchpoint: app.config.agent.touchpoint.clone(),
            country: app.config.agent.country.clone(),
            zone: app.config.agent.zone.clone(),
            write_key: app.config.capture.write_key.clone(),
        }),
        listener,
        wake: app.send_now.clone(),
        network: Arc::default(),
    }
}

fn ops_routes(app: &App) -> axum::Router {
    let (measured, app, probe) = (app.clone(), app.clone(), WriteProbe::default());
    let measured = move || {
        measure(&measured);
        ready(())
    };
    ops_router(Metrics::install(&METRICS), measured, move || {
        let (app, probe) = (app.clone(), probe.clone());
        async move {
            if let Some(problem) = app.room.now().problem() {
                app.mend.notify_one();
                return Err(problem);
            }
            let mut batch = Batch::new();
            batch.put(PROBE, *b"probe", app.clock.wall_ms().to_be_bytes());
            let written = probe.ask(app.store.clone(), batch).await;
            if written.is_err() {
                app.mend.notify_one();
            }
            written
        }
    })
}

/// Who brings back what was in damaged stores.
fn salvager(app: &App, rocks: &RocksStore) -> Salvager {
    Salvager {
        store_dir: rocks.path().to_owned(),
        log: app.log.clone(),
        link: app.link.clone(),
        salvage: app.salvage.clone(),
        keep_hours: app.config.sync.retention_hours,
        stopping: Arc::default(),
    }
}

#[cfg(test)]
mod tests;
