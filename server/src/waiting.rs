//! A store that cannot be opened yet, since its disk is full, fails or is read-only: the server waits for it instead of ending.
//!
//! Owns the waiting. The ops listener answers meanwhile and says why; the others are closed, so that agents and websites try again.

use std::{
    future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::{error, warn};
use trenza_shared::{
    metrics::{Metrics, ops_router},
    net::serve::{Limits, Listener, serve},
    probe::{disk_free_bytes, may_open_now},
    store::StoreError,
};

use crate::{
    app::{App, Running},
    config::Config,
    metrics::METRICS,
};

/// How often it is seen whether the store may open now. Space that comes back is used within 5 s.
const EVERY: Duration = Duration::from_secs(1);

/// Tries until the store opens; none where `stop` was done first.
///
/// # Errors
/// What waiting does not change, or the port of the ops listener.
pub async fn open(
    config: &Config,
    why: StoreError,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> anyhow::Result<Option<Running>> {
    error!(error = %why, "the store cannot be opened yet: nothing is taken in, and it is tried again until it opens");
    let ops = Listener::bind(config.listen.ops, None, Limits::default()).await?;
    let why = Arc::new(watch::Sender::new(why));
    let told = why.clone();
    let routes = ops_router(
        Metrics::install(&METRICS),
        || future::ready(()),
        move || {
            let problem = format!("the store cannot be opened yet: {}", told.borrow().clone());
            async move { Err(problem) }
        },
    );
    println!(
        "{}",
        serde_json::json!({ "ready": false, "ops": ops.url() })
    );
    let (done, mut ended) = watch::channel(false);
    let answering = tokio::spawn(serve(ops, routes, async move {
        let _gone = ended.wait_for(|ended| *ended).await;
    }));
    let opened = try_until_open(config, &why, stop).await;
    let _heard = done.send(true);
    if let Err(error) = answering.await {
        warn!(%error, "the ops listener ended badly");
    }
    opened
}

async fn try_until_open(
    config: &Config,
    why: &watch::Sender<StoreError>,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> anyhow::Result<Option<Running>> {
    let (mut free_then, mut tried) = (disk_free_bytes(&config.dir), Instant::now());
    loop {
        tokio::select! {
            () = &mut *stop => return Ok(None),
            () = tokio::time::sleep(EVERY) => {}
        }
        let (free, last) = (disk_free_bytes(&config.dir), why.borrow().clone());
        if !may_open_now(&last, free_then, free, tried.elapsed()) {
            continue;
        }
        match App::open(config.clone()) {
            Ok(running) => {
                warn!("the store is open");
                return Ok(Some(running));
            }
            Err(error) => {
                let error = waits_for(error)?;
                // Told once and not at every try: the log may be on the disk that is full.
                if error.plainly() != last.plainly() {
                    error!(%error, "the store still cannot be opened");
                }
                why.send_replace(error);
            }
        }
        (free_then, tried) = (disk_free_bytes(&config.dir), Instant::now());
    }
}

/// What keeps the store from opening and may pass.
///
/// # Errors
/// The same error, where waiting does not help.
pub fn waits_for(error: anyhow::Error) -> anyhow::Result<StoreError> {
    match error.downcast::<StoreError>() {
        Ok(store) if store.may_open_later() => Ok(store),
        Ok(store) => Err(store.into()),
        Err(other) => Err(other),
    }
}
