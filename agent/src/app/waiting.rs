//! A store that cannot be opened yet, since its disk is full, fails or is read-only: the agent listens all the same, refuses visits
//! with the reason, says so to whoever asks, and opens the store by itself as soon as it can.

use std::{
    future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, timeout},
};
use trenza_shared::{
    capture::{CannotStore, Collector, Stored, Taken, Verdict},
    clock::Clock,
    metrics::{Metrics, ops_router},
    net::serve::{Listener, serve},
    probe::{disk_free_bytes, may_open_now},
    store::StoreError,
};

use super::{
    StartError,
    ports::{Ports, limits},
    start,
};
use crate::{
    capture::refusal_of,
    config::{Config, files},
    http,
    metrics::METRICS,
    reserve::Reserve,
    room::{self, Room, Short},
    state::random_uuid,
    status::{Status, stopped},
};

/// How often it is seen whether the store may open now. Space that comes back is used within 5 s.
const EVERY: Duration = Duration::from_secs(1);
/// Longest wait for what still answers on the local socket once the store is open.
const HANDOVER_MAX: Duration = Duration::from_secs(1);

/// An agent that has no store yet. Clones share it.
#[derive(Clone)]
pub(crate) struct Waiting(Arc<Parts>);

struct Parts {
    config: Config,
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    /// As far as it could be read without opening the store.
    status: Status,
    why: watch::Sender<StoreError>,
}

impl Waiting {
    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// What keeps the store from opening.
    pub fn short(&self) -> Short {
        match *self.0.why.borrow() {
            StoreError::Full { .. } => Short::Disk,
            _ => Short::Failed,
        }
    }

    /// Why there is no store, for people and programs.
    pub fn problem(&self) -> String {
        format!(
            "the store cannot be opened yet, so no visit can be taken in: {}",
            self.0.why.borrow().clone()
        )
    }

    /// How it stands, in the form of a running agent.
    pub fn status(&self) -> Status {
        Status {
            room: match self.short() {
                Short::Disk | Short::Quota => Room::Full,
                Short::Failed => Room::Failed,
            },
            room_problem: self.problem(),
            disk_free_bytes: disk_free_bytes(&self.0.dir),
            reserve_bytes: Reserve::in_folder(&self.0.dir).bytes(),
            problem: "the server is not asked while the store is closed".into(),
            ..self.0.status.clone()
        }
    }
}

impl Collector for Waiting {
    fn judge(&self, _key: &str, _origin: Option<&str>) -> Verdict {
        Verdict::Unverified
    }

    async fn store(&self, _taken: Taken) -> Result<Stored, CannotStore> {
        Err(refusal_of(&self.0.why.borrow()))
    }

    fn now_ms(&self) -> i64 {
        self.0.clock.wall_ms()
    }

    fn fresh_message_id(&self) -> String {
        random_uuid()
    }
}

/// Answers on `ports` until the store opens; none where `stop` was done first.
///
/// # Errors
/// The store cannot be opened for a reason that waiting does not change.
pub(super) async fn wait(
    config: &Config,
    dir: &Path,
    clock: &Arc<dyn Clock>,
    why: StoreError,
    ports: &Ports,
    open: impl Fn() -> Result<start::Opened, StartError> + Clone + Send + 'static,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Option<start::Opened>, StartError> {
    tracing::error!(error = %why, "the store cannot be opened yet: no visit is taken in, and it is tried again until it opens");
    let waiting = waiting(config, dir, clock, why).await?;
    let (done, ended) = watch::channel(false);
    let local = answer(&waiting, ports, &ended).await;
    let opened = try_until_open(&waiting, open, stop).await;
    let _heard = done.send(true);
    if let Some(local) = local
        && timeout(HANDOVER_MAX, local).await.is_err()
    {
        tracing::debug!("somebody still asks for the status of the closed store");
    }
    opened
}

async fn waiting(
    config: &Config,
    dir: &Path,
    clock: &Arc<dyn Clock>,
    why: StoreError,
) -> Result<Waiting, StartError> {
    let mut status = Status::without_store(config, dir)?;
    let (reading, folder) = (config.clone(), dir.to_owned());
    match spawn_blocking(move || stopped(&reading, &folder)).await {
        Ok(Ok(read)) => status = read,
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "what waits in the closed store is not known");
        }
        Err(error) => {
            tracing::debug!(error = %error, "reading the closed store ended with a panic");
        }
    }
    status.store_bytes = room::folder_bytes(&dir.join(&config.store.dir)).unwrap_or(0);
    Ok(Waiting(Arc::new(Parts {
        config: config.clone(),
        dir: dir.to_owned(),
        clock: clock.clone(),
        status,
        why: watch::channel(why).0,
    })))
}

/// Starts answering; gives what answers on the local socket, which is bound once alone.
async fn answer(
    waiting: &Waiting,
    ports: &Ports,
    ended: &watch::Receiver<bool>,
) -> Option<JoinHandle<()>> {
    let stopped = || {
        let mut ended = ended.clone();
        async move {
            let _gone = ended.wait_for(|ended| *ended).await;
        }
    };
    let told = waiting.clone();
    let ready = move || {
        let problem = told.problem();
        async move { Err(problem) }
    };
    let routes = [
        (Some(&ports.http), http::waiting_routes(waiting, "http")),
        (ports.https.as_ref(), http::waiting_routes(waiting, "https")),
        (
            Some(&ports.ops),
            ops_router(Metrics::install(&METRICS), || future::ready(()), ready),
        ),
    ];
    for (listener, routes) in routes {
        match listener.map(Listener::again) {
            Some(Ok(listener)) => {
                tokio::spawn(serve(listener, routes, stopped()));
            }
            Some(Err(error)) => {
                tracing::warn!(error = %error, "nobody answers on a port until the store is open");
            }
            None => {}
        }
    }
    let local = start::local_socket(&waiting.0.dir.join(files::SOCKET), limits()).await?;
    Some(tokio::spawn(serve(
        local,
        http::waiting_local_routes(waiting),
        stopped(),
    )))
}

async fn try_until_open(
    waiting: &Waiting,
    open: impl Fn() -> Result<start::Opened, StartError> + Clone + Send + 'static,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Option<start::Opened>, StartError> {
    let mut free_then = disk_free_bytes(&waiting.0.dir);
    let mut tried = Instant::now();
    loop {
        tokio::select! {
            () = &mut *stop => return Ok(None),
            () = sleep(EVERY) => {}
        }
        let free = disk_free_bytes(&waiting.0.dir);
        let why = waiting.0.why.borrow().clone();
        if !may_open_now(&why, free_then, free, tried.elapsed()) {
            continue;
        }
        match spawn_blocking(open.clone()).await {
            Ok(Err(StartError::Store(error))) if error.may_open_later() => {
                // Told once and not at every try: the log may be on the disk that is full.
                if error.plainly() != why.plainly() {
                    tracing::error!(error = %error, "the store still cannot be opened");
                }
                waiting.0.why.send_replace(error);
            }
            Ok(opened) => {
                if opened.is_ok() {
                    tracing::warn!("the store is open: visits are taken in");
                }
                return opened.map(Some);
            }
            Err(error) => tracing::error!(error = %error, "opening the store ended with a panic"),
        }
        (free_then, tried) = (disk_free_bytes(&waiting.0.dir), Instant::now());
    }
}
