//! Every URL of the server, in reading order.

pub mod api; // the JSON API
pub mod auth; // who asks
mod buckets; // what slows guessing down
mod carried; // what one agent brings for another
mod collector; // capture on the server's own listeners
mod copy; // a copy of an agent becomes an agent of its own
mod enrol; // an agent's first call
mod listener; // the certificate of an agent's own listener
mod pulse; // an agent that has nothing new
mod readmit; // agents that a restored server has forgotten
mod sync; // an agent's talk
#[cfg(test)]
mod tests;

pub use buckets::Buckets;
pub use collector::{Rates, ServerCollector};
pub use enrol::{Guesses, code_hash};

use axum::{
    Router, middleware,
    routing::{get, post},
};
use trenza_shared::{
    capture::{self, snippet::Snippet},
    metrics::{Metrics, ops_router},
    net::error::{HttpError, with_error_form},
    probe::WriteProbe,
};

use crate::{
    admin,
    app::App,
    metrics::{METRICS, measure},
    views,
};

/// The built snippet.
const SNIPPET: &[u8] = include_bytes!("../../../js-snippet/dist/t.js");

/// Seconds after which readiness may be asked for again.
const READY_AGAIN_S: u32 = 5;

/// Capture, API and pages: the `https` and `http` listeners.
pub fn routes(app: App, protocol: &'static str) -> Router {
    let pages = views::routes().with_state(app.clone());
    with_error_form(public_routes(app.clone(), protocol).merge(pages))
        .layer(middleware::from_fn_with_state(app, views::as_pages))
}

fn options(protocol: &'static str) -> capture::Options {
    capture::Options {
        snippet: SNIPPET,
        protocol,
        ..capture::Options::default()
    }
}

/// The script for websites, as it is served here.
pub fn snippet() -> Snippet {
    Snippet::new(options("https"))
}

/// Of them, what programs may rely on: what `GET /openapi.json` describes.
pub fn public_routes(app: App, protocol: &'static str) -> Router {
    let capture = capture::router(ServerCollector::new(app.clone()), options(protocol));
    let rest = Router::new()
        .route("/v1/enrol", post(enrol::enrol))
        .merge(api::routes())
        .with_state(app);
    capture.merge(rest)
}

/// The `agents` listener.
pub fn agent_routes(app: App) -> Router {
    let routes = Router::new()
        .route("/sync/v1/hello", post(sync::hello))
        .route("/sync/v1/pulse", post(pulse::pulse))
        .route("/sync/v1/frame", post(sync::frame))
        .route("/sync/v1/carried/have", post(carried::have))
        .route("/sync/v1/carried/frame", post(carried::frame))
        .route("/sync/v1/copy", post(copy::become_own))
        .route("/sync/v1/renew", post(enrol::renew))
        .route("/sync/v1/listener", post(listener::sign))
        .with_state(app);
    with_error_form(routes)
}

/// The `ops` listener.
pub fn ops_routes(app: App) -> Router {
    let (measured, probe) = (app.clone(), WriteProbe::default());
    let measured = move || measure(measured.clone());
    ops_router(Metrics::install(&METRICS), measured, move || {
        let (app, probe) = (app.clone(), probe.clone());
        async move { crate::disk::is_ready(&app, &probe).await }
    })
}

/// The local socket of the commands.
pub fn admin_routes(app: App) -> Router {
    let (asked, probe) = (app.clone(), WriteProbe::default());
    let ready = move || {
        let (app, probe) = (asked.clone(), probe.clone());
        async move {
            let ready = crate::disk::is_ready(&app, &probe).await;
            ready.map_err(|why| HttpError::unavailable("not_ready", why, READY_AGAIN_S))
        }
    };
    with_error_form(
        Router::new()
            .route("/admin", post(admin::serve))
            .route("/admin/ping", get(|| async { "trenza" }))
            .route("/admin/ready", get(ready))
            .with_state(app),
    )
}
