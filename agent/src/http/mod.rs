//! Every URL of the agent, in reading order.
//!
//! Owns which hosts and origins may call: a page elsewhere cannot reach the kiosk through a name of its own (DNS rebinding).

mod guard;

use axum::{
    Json, Router,
    extract::State,
    middleware,
    routing::{get, post},
};
use trenza_shared::{
    capture,
    net::error::{HttpError, with_error_form},
};

use crate::{
    app::waiting::Waiting,
    kiosk::{closed, home, outbox, quick, saved, scan, statics},
    state::App,
    status::{self, Status},
};

/// The built browser snippet, served to pages that this agent's touchpoint shows.
const SNIPPET: &[u8] = include_bytes!("../../../js-snippet/dist/t.js");

/// The `http` and `https` listeners: capture for everybody, the kiosk for its own pages.
pub fn routes(app: &App, protocol: &'static str) -> Router {
    let options = capture::Options {
        snippet: SNIPPET,
        protocol,
        ..capture::Options::default()
    };
    let kiosk = Router::new()
        .route("/", get(home::choose_language))
        .route("/{lang}", get(home::add_slash))
        .route("/{lang}/", get(home::show))
        .route("/{lang}/scan", get(scan::show).post(scan::save))
        .route("/{lang}/quick", get(quick::show).post(quick::save))
        .route("/{lang}/saved/{what}", get(saved::show))
        .route("/{lang}/outbox", get(outbox::show).post(outbox::send_now))
        .route("/static/{file}", get(statics::show))
        .route("/v1/status", get(show_status))
        .layer(middleware::from_fn(guard::same_origin))
        .with_state(app.clone());
    let allowed = guard::Names::of(&app.config.listen);
    with_error_form(capture::router(app.clone(), options).merge(kiosk))
        .layer(middleware::from_fn_with_state(allowed, guard::known_host))
}

/// The `http` and `https` listeners as long as the store cannot be opened: every URL, and nothing is taken in.
pub(crate) fn waiting_routes(waiting: &Waiting, protocol: &'static str) -> Router {
    let options = capture::Options {
        snippet: SNIPPET,
        protocol,
        ..capture::Options::default()
    };
    let kiosk = Router::new()
        .route("/", get(home::choose_language))
        .route("/{lang}", get(home::add_slash))
        .route("/{lang}/", get(closed::show))
        .route("/{lang}/scan", get(closed::show).post(closed::not_saved))
        .route("/{lang}/quick", get(closed::show).post(closed::not_saved))
        .route("/{lang}/saved/{what}", get(closed::show))
        .route("/{lang}/outbox", get(closed::show).post(closed::not_saved))
        .route("/static/{file}", get(statics::show))
        .route("/v1/status", get(show_waiting))
        .with_state(waiting.clone());
    let allowed = guard::Names::of(&waiting.config().listen);
    with_error_form(capture::router(waiting.clone(), options).merge(kiosk))
        .layer(middleware::from_fn_with_state(allowed, guard::known_host))
}

/// The local socket as long as the store cannot be opened.
pub(crate) fn waiting_local_routes(waiting: &Waiting) -> Router {
    with_error_form(
        Router::new()
            .route("/v1/status", get(show_waiting))
            .with_state(waiting.clone()),
    )
}

async fn show_waiting(State(waiting): State<Waiting>) -> Json<Status> {
    Json(waiting.status())
}

/// The local socket: the same answers for the commands of this device's user.
pub fn local_routes(app: &App) -> Router {
    with_error_form(
        Router::new()
            .route("/v1/status", get(show_status))
            .route("/v1/send-now", post(send_now))
            .with_state(app.clone()),
    )
}

async fn show_status(State(app): State<App>) -> Result<Json<Status>, HttpError> {
    let status = tokio::task::spawn_blocking(move || status::of(&app))
        .await
        .map_err(HttpError::internal)?;
    status.map(Json).map_err(HttpError::internal)
}

async fn send_now(State(app): State<App>) -> &'static str {
    app.send_now.notify_one();
    "ok\n"
}
