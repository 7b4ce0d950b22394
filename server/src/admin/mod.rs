//! What the commands do, whether the server runs or not.

use axum::extract::State;
use trenza_shared::net::error::HttpError;

use crate::app::App;

/// Rank of a source whose rank nobody set.
pub const PRIORITY_DEFAULT: u8 = 100;

/// `POST /admin` on the local socket.
pub async fn serve(State(_app): State<App>) -> Result<(), HttpError> {
    Err(HttpError::not_found("no such command"))
}
