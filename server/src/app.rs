//! The one state of the program, and how it starts and stops.

mod close;
mod files;

use std::{io, net::IpAddr, path::Path, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};
use trenza_shared::{
    clock::{Clock, SystemClock},
    group_commit::GroupError,
    identifier::Place,
    net::{
        pki::Ca,
        serve::{Limits, Listener, serve, serve_apart, serve_unix},
        tls::{self, CertCell, TlsError},
    },
    store::{Batch, Durable, RocksStore, Store, StoreError, rocks::RocksOptions},
    wire::sync::RENEWABLE_MS,
};

pub(crate) use close::shut;
pub use files::STORE_FILES_MAX;

use crate::{
    admin::check::Advised,
    certs::{self, Certs},
    config::Config,
    customer::simulate::Simulator,
    disk::{self, Room},
    evidence::{self, Applier, Resolver, publish::Publisher},
    homes::Homes,
    http,
    marker::{Marker, Reached},
    registry::Registry,
    rules::{self, InForce},
    sync::{
        admission,
        copies::Copies,
        doors::Doors,
        log::{Arrival, Log, Placed},
        refusals::Refusals,
    },
    tables::{META, MetaRow, plain, point_lookups, prefixes, spaces},
};

/// What an agent may have on the way at a time: 70,000 events a second over a round trip of 700 ms. Unit: bytes.
const AGENT_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// How long `?wait=resolved` waits at most.
pub const RESOLVE_WAIT_MAX: Duration = Duration::from_secs(10);

/// Most agents connected at a time: each keeps its connection as long as it says hello.
pub const AGENT_CONNECTIONS_MAX: usize = 16_384;

/// Most requests that wait for what arrives: each reads what comes.
pub const WATCHING_MAX: usize = 64;

/// Everything a handler may need. Clones share it.
#[derive(Clone)]
pub struct App {
    /// Settings of the process.
    pub config: Arc<Config>,
    /// Tables.
    pub store: Arc<dyn Store>,
    /// Taking in.
    pub log: Log,
    /// Following the log.
    pub resolver: Resolver,
    /// Sources and agents.
    pub registry: Arc<Registry>,
    /// Which of two programs keeps an id.
    pub copies: Arc<Copies>,
    /// Rules and ids.
    pub applier: Applier,
    /// Brings other rules into force.
    pub publisher: Publisher,
    /// Tells what other rules would do.
    pub simulator: Arc<Simulator>,
    /// The agents' certificate authority.
    pub ca: Arc<Ca>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Changes on every restore.
    pub generation: u64,
    /// Where agents' requests wait for their turn.
    pub doors: Arc<Doors>,
    /// Held while an invitation is being used; what is left of the guesses of its code.
    pub enrolling: Arc<tokio::sync::Mutex<http::Guesses>>,
    /// What was refused at the door.
    pub refusals: Arc<Refusals>,
    /// How much each source sends.
    pub rates: Arc<http::Rates>,
    /// How many may follow what arrives.
    pub watching: Arc<Semaphore>,
    /// How much room the disk has.
    pub room: Arc<Room>,
    /// Becomes true when the program begins to stop: what waits for something answers then.
    pub draining: Arc<watch::Sender<bool>>,
    /// Where it really listens, once it does.
    pub addresses: Arc<std::sync::OnceLock<Addresses>>,
}

/// The URLs of the ready line.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Addresses {
    /// Always true.
    pub ready: bool,
    /// Capture, API and pages in clear.
    pub http: String,
    /// The same over TLS.
    pub https: String,
    /// Sync.
    pub agents: String,
    /// Health and metrics.
    pub ops: String,
}

/// The parts of an open program that must be waited for at the end.
pub struct Running {
    /// The state.
    pub app: App,
    follower: tokio::task::JoinHandle<()>,
    /// The store's files, where it is on a disk.
    disk: Option<close::OnDisk>,
    log_thread: std::thread::JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl App {
    /// Opens the store and starts following the log; opens no port.
    ///
    /// # Errors
    /// The store is in use or cannot be opened, or the certificates cannot be read.
    pub fn open(config: Config) -> anyhow::Result<Running> {
        let dir = config.path(&config.store.dir);
        check_there(&dir)?;
        let options = RocksOptions {
            cache_bytes: config.store.cache_mib << 20,
            write_buffer_bytes: config.store.write_buffer_mib << 20,
            write_buffers_bytes_max: config.store.write_buffer_mib << 22,
            open_files_max: files::most(),
            point_lookups: point_lookups(),
            prefixes: prefixes(),
            plain: plain(),
            ..RocksOptions::default()
        };
        let rocks = Arc::new(RocksStore::open(&dir, &spaces(), options)?);
        let mut running = Self::over(config, rocks.clone(), Arc::new(SystemClock))?;
        let (app, marker) = (&running.app, Arc::new(Marker::of(&dir)));
        let (generation, last) = (app.generation, app.log.last());
        let record = *last.borrow();
        marker.compare(&*app.store, Reached { generation, record }, &*app.clock)?;
        let noting = marker
            .clone()
            .follow(generation, last, running.stop.subscribe());
        let looking = disk::look_after(
            running.app.room.clone(),
            rocks.clone(),
            running.stop.subscribe(),
        );
        running.disk = Some(close::OnDisk {
            rocks,
            looking: tokio::spawn(looking),
            marker,
            noting: tokio::spawn(noting),
        });
        Ok(running)
    }

    /// The same over any store and clock.
    ///
    /// # Errors
    /// As [`App::open`].
    pub fn over(
        config: Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Running> {
        let (log, log_thread) = Log::open(store.clone())?;
        let (stop, stopped) = watch::channel(false);
        let (app, follow) = Self::assemble(config, store, clock, log, stopped)?;
        let follower = tokio::spawn(follow);
        Ok(Running {
            app,
            follower,
            disk: None,
            log_thread,
            stop,
        })
    }

    /// The state over any store and clock, without a thread and with nothing that follows the log: for simulations, which drive
    /// every step themselves.
    ///
    /// # Errors
    /// As [`App::open`].
    pub fn still(
        config: Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let log = Log::open_inline(store.clone())?;
        let stopped = watch::channel(true).1;
        Self::assemble(config, store, clock, log, stopped).map(|(app, _follow)| app)
    }

    fn assemble(
        config: Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        log: Log,
        stopped: watch::Receiver<bool>,
    ) -> anyhow::Result<(Self, impl Future<Output = ()> + Send)> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let ca = certs::authority(&config)?;
        let generation = generation(&*store, &*clock)?;
        let homes = Arc::new(Homes::open(store)?);
        let store: Arc<dyn Store> = homes.clone();
        let rules = rules::at_start(&*store)?;
        let registry = Arc::new(Registry::open(store.clone())?);
        let applier = Applier {
            registry: registry.clone(),
            rules: InForce::of(rules.in_force),
            id_key: config.id_key()?,
        };
        let (resolver, follow) = evidence::run(
            homes.clone(),
            applier.clone(),
            clock.clone(),
            log.last(),
            stopped.clone(),
        )?;
        let publisher = Publisher::new(homes, applier.clone(), resolver.clone(), stopped);
        if let Some(wanted) = rules.wanted
            && publisher.take(&wanted)
        {
            publisher.start(wanted);
        }
        let app = Self {
            room: Arc::new(Room::new(config.store.free_mib_min << 20)),
            config: Arc::new(config),
            copies: Arc::new(Copies::new(store.clone())),
            store,
            log,
            resolver,
            registry,
            applier,
            publisher,
            simulator: Arc::default(),
            ca: Arc::new(ca),
            clock,
            generation,
            doors: Doors::new(admission::Limits::of(cores)),
            enrolling: Arc::default(),
            refusals: Arc::default(),
            rates: Arc::default(),
            watching: Arc::new(Semaphore::new(WATCHING_MAX)),
            draining: Arc::new(watch::Sender::new(false)),
            addresses: Arc::default(),
        };
        Ok((app, follow))
    }

    /// How values are read where nothing else says it.
    pub fn place(&self) -> Place<'_> {
        Place {
            country: &self.config.place.country,
            namespace: "",
        }
    }

    /// Appends to the log and returns the record's number, on stable storage.
    ///
    /// # Errors
    /// Nothing was acknowledged; [`StoreError::Full`] already where less than the floor is free.
    pub async fn append(&self, arrival: Arrival) -> Result<Placed, GroupError<StoreError>> {
        self.room.check().map_err(GroupError::Refused)?;
        self.log.append(arrival).await
    }

    /// Waits until a record is in the derived tables; false after [`RESOLVE_WAIT_MAX`].
    pub async fn resolved(&self, record: u64) -> bool {
        let mut applied = self.resolver.applied();
        let reached = applied.wait_for(|applied| *applied >= record);
        matches!(
            tokio::time::timeout(RESOLVE_WAIT_MAX, reached).await,
            Ok(Ok(_))
        )
    }

    /// The address of the `https` listener as others see it.
    pub fn public_url(&self) -> String {
        if self.config.public.url.is_empty() {
            self.addresses.get().map_or_else(
                || format!("https://{}", reachable(self.config.listen.https)),
                |real| real.https.clone(),
            )
        } else {
            self.config.public.url.trim_end_matches('/').to_owned()
        }
    }

    /// The address of the `agents` listener as agents see it.
    pub fn agents_url(&self) -> String {
        if self.config.public.agents_url.is_empty() {
            self.addresses.get().map_or_else(
                || format!("https://{}", reachable(self.config.listen.agents)),
                |real| real.agents.clone(),
            )
        } else {
            self.config
                .public
                .agents_url
                .trim_end_matches('/')
                .to_owned()
        }
    }
}

/// An address that a client on this machine can use: the unspecified address is nobody's.
pub fn reachable(addr: std::net::SocketAddr) -> std::net::SocketAddr {
    let ip = match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    std::net::SocketAddr::new(ip, addr.port())
}

/// `init` and `restore` make the store: where there is none, its disk is not there, or its folder is another one. An empty server in
/// its place would take events in that nobody finds again.
fn check_there(dir: &Path) -> anyhow::Result<()> {
    let mut files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone(dir)),
        // What is wrong with it the store itself says.
        Err(_) => return Ok(()),
    };
    if files.next().is_none() {
        return Err(gone(dir));
    }
    Ok(())
}

fn gone(dir: &Path) -> anyhow::Error {
    Advised::new(
        format!("there is no store in {}", dir.display()),
        "mount its disk, correct store.dir, or put a backup back with `trenza-server restore`; a new server begins with `trenza-server init`",
    )
    .into()
}

/// The store's generation; a new store begins one.
fn generation(store: &dyn Store, clock: &dyn Clock) -> Result<u64, StoreError> {
    if let Some(meta) = META.get(store, &())? {
        return Ok(meta.generation);
    }
    let generation = u64::try_from(clock.wall_ms()).unwrap_or(1);
    let mut batch = Batch::new();
    META.put(&mut batch, &(), &MetaRow { generation })?;
    store.commit(batch, Durable::Yes)?;
    Ok(generation)
}

impl Running {
    /// Opens the ports, prints the ready line, serves until `shutdown`, drains.
    ///
    /// # Errors
    /// A port is taken, or no certificate can be made.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let app = self.app.clone();
        let config = app.config.clone();
        let certs = Certs::open(config.clone(), app.ca.clone(), app.clock.wall_ms())?;
        let web = tls::web_server_config(certs.web.clone(), app.clock.clone())?;
        let agents = agents_tls(&app, certs.agents.clone())?;
        let limits = Limits::default();
        let https = Listener::bind(config.listen.https, Some(web), limits.clone()).await?;
        let http = Listener::bind(config.listen.http, None, limits.clone()).await?;
        let many = Limits {
            connections_max: AGENT_CONNECTIONS_MAX,
            http2_window_bytes: AGENT_WINDOW_BYTES,
            ..limits.clone()
        };
        let sync = Listener::bind(config.listen.agents, Some(agents), many).await?;
        let ops = Listener::bind(config.listen.ops, None, limits.clone()).await?;
        let url = |scheme: &str, listener: &Listener| {
            format!("{scheme}://{}", reachable(listener.local_addr()))
        };
        let addresses = Addresses {
            ready: true,
            http: url("http", &http),
            https: url("https", &https),
            agents: url("https", &sync),
            ops: url("http", &ops),
        };
        let line = serde_json::to_string(&addresses)?;
        let _first = app.addresses.set(addresses);

        let draining = app.draining.clone();
        let stopped = move || {
            let mut stopping = draining.subscribe();
            async move {
                let _sender_gone = stopping.wait_for(|stop| *stop).await;
            }
        };
        let socket = config.socket();
        // First of all: what is counted before the recorder is there is counted nowhere.
        let measured = http::ops_routes(app.clone());
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(certs.keep(app.clock.clone(), stopped()));
        serving.spawn(serve(https, http::routes(app.clone(), "https"), stopped()));
        serving.spawn(serve(http, http::routes(app.clone(), "http"), stopped()));
        serving.spawn(serve(sync, http::agent_routes(app.clone()), stopped()));
        let ops = serve_apart(ops, measured, stopped());
        let admin = http::admin_routes(app.clone());
        let stop_admin = stopped();
        serving.spawn(async move {
            if let Err(error) = serve_unix(&socket, admin, stop_admin).await {
                warn!(%error, "commands cannot reach the running server");
            }
        });
        println!("{line}");
        info!(version = env!("CARGO_PKG_VERSION"), "ready");
        shutdown.await;
        info!("stopping");
        app.draining.send_replace(true);
        while serving.join_next().await.is_some() {}
        let _stopped = ops.await;
        drop(app);
        self.close().await;
        Ok(())
    }
}

/// TLS of the `agents` listener.
///
/// # Errors
/// The authority cannot be used.
pub(crate) fn agents_tls(app: &App, cert: CertCell) -> Result<Arc<tls::ServerConfig>, TlsError> {
    tls::agents_server_config(cert, app.ca.cert_der(), RENEWABLE_MS, app.clock.clone())
}

/// Names and addresses under which the server is reached.
pub fn names_of(app: &App) -> (Vec<String>, Vec<IpAddr>) {
    server_names(&app.config)
}

/// Names and addresses of the settings, for certificates.
pub fn server_names(config: &Config) -> (Vec<String>, Vec<IpAddr>) {
    let mut names = vec!["localhost".to_owned()];
    let mut ips = vec![
        IpAddr::from([127, 0, 0, 1]),
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    ];
    for url in [&config.public.url, &config.public.agents_url] {
        let Some(host) = url
            .parse::<axum::http::Uri>()
            .ok()
            .and_then(|uri| uri.host().map(str::to_owned))
        else {
            continue;
        };
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => ips.push(ip),
            Err(_) => names.push(host),
        }
    }
    for addr in [config.listen.https, config.listen.agents] {
        if !addr.ip().is_unspecified() {
            ips.push(addr.ip());
        }
    }
    names.sort();
    names.dedup();
    ips.sort();
    ips.dedup();
    (names, ips)
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    getrandom::fill(&mut out).expect("the operating system gives random bytes");
    out
}
