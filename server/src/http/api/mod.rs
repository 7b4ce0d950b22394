//! The JSON API.

use axum::Router;

use crate::app::App;

/// Every call.
pub fn routes() -> Router<App> {
    Router::new()
}
