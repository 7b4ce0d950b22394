//! The pages: server-rendered, in every language, usable without a script.
//!
//! Owns what people see. A page reads through `customer/` and `sync/fleet`, and changes things through the resolver and the
//! commands of `admin/`; it decides nothing itself. One file per page, with a template of the same stem.

mod accounts; // organisations and households
mod assets; // style sheet and icon
mod compared; // two records side by side
mod consent_test; // what the snippet stores by what a visitor chose
mod decisions;
mod error; // errors as pages
mod fact; // values of a record as shown
mod find;
mod fleet;
mod graph; // the picture of a record
mod later; // pairs put off
mod live; // what arrives
pub(crate) mod page; // what every page has
mod reached; // the address for lines that a developer copies
mod record;
mod review; // whom to ask about
mod rules; // of identity
mod session; // who reads: sign in, sign out
mod source; // one of them, for the developer of its website
mod sources;
mod steps;
mod strip; // touches over time
#[cfg(test)]
mod tests;
mod text; // phrases
mod time; // instants as people read them
mod why;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};

use crate::app::App;

pub use error::as_pages;
#[cfg(test)]
pub use page::encoded;

/// Longest form of rules, with long lists. Unit: bytes.
const RULES_BYTES_MAX: usize = 1024 * 1024;
/// Longest form. Unit: bytes.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// Every page, each once per language: `/es/...`, `/en/...`.
pub fn routes() -> Router<App> {
    let mut router = Router::new()
        .route("/", get(session::root))
        .route("/assets/{name}", get(assets::serve))
        .route("/consent-test/{pass}/v1/batch", post(consent_test::take));
    for lang in text::Lang::ALL {
        let at = |path: &str| format!("/{}{path}", lang.code());
        router = router
            .route(&at(""), get(session::home))
            .route(&at("/"), get(session::home))
            .route(&at("/sign-in"), get(session::form).post(session::sign_in))
            .route(&at("/sign-out"), post(session::sign_out))
            .route(&at("/find"), get(find::page))
            .route(&at("/customers/{id}"), get(record::page))
            .route(&at("/customers/{id}/why"), get(why::page))
            .route(&at("/accounts"), get(accounts::list).post(accounts::add))
            .route(&at("/accounts/{id}"), get(accounts::page))
            .route(&at("/review"), get(review::page))
            .route(&at("/review/later"), post(later::put_off))
            .route(
                &at("/rules"),
                get(rules::page)
                    .post(rules::publish)
                    .layer(DefaultBodyLimit::max(RULES_BYTES_MAX)),
            )
            .route(
                &at("/rules/simulate"),
                post(rules::simulate).layer(DefaultBodyLimit::max(RULES_BYTES_MAX)),
            )
            .route(
                &at("/decisions"),
                get(decisions::list).post(decisions::decide),
            )
            .route(&at("/decisions/new"), get(decisions::preview))
            .route(
                &at("/decisions/{id}/undo"),
                get(decisions::preview_undo).post(decisions::undo),
            )
            .route(&at("/fleet"), get(fleet::page))
            .route(
                &at("/fleet/invite"),
                get(fleet::invite_form).post(fleet::invite),
            )
            .route(
                &at("/fleet/{id}/revoke"),
                get(fleet::revoke_form).post(fleet::revoke),
            )
            .route(&at("/live"), get(live::page))
            .route(&at("/live/rows"), get(live::rows))
            .route(&at("/first-steps"), get(steps::page))
            .route(&at("/sources"), get(sources::page).post(sources::create))
            .route(&at("/sources/{key}"), get(source::page))
            .route(&at("/sources/{key}/origins"), post(source::origins))
            .route(&at("/sources/{key}/revoke"), post(source::revoke))
            .route(&at("/sources/{key}/test"), post(source::test))
            .route(&at("/consent-test"), get(consent_test::page))
            .route(&at("/consent-test/frame"), get(consent_test::frame));
    }
    router
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(Extension(Arc::new(session::Attempts::default())))
}
