//! The listener that neighbours call.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::task::spawn_blocking;
use trenza_shared::{
    id::AgentId,
    net::{
        body::{self, Pace},
        error::{HttpError, with_error_form},
        pki::CERT_BYTES_MAX,
        serve::Peer,
    },
    wire::{
        Shape,
        carried::{
            Ask, BAD_SIGNED, CARRY_FULL, Meet, NO_VENUE, ORIGIN_REVOKED, OTHER_VENUE, Signed,
        },
        frame::FRAME_BYTES_MAX,
        sync::Ack,
    },
};

use super::{
    Lan, LanError,
    carried::{CarryError, Taken},
};

/// Longest meeting: what a full venue holds, by name. Unit: bytes.
const MEET_BYTES_MAX: usize = 512 * 1024;
/// Longest signed frame. Unit: bytes.
const SIGNED_BYTES_MAX: usize =
    FRAME_BYTES_MAX * 2 + trenza_shared::event::EVENT_BYTES_MAX + 2 * CERT_BYTES_MAX;
/// When a neighbour may come back after there was no room. Unit: seconds.
const FULL_RETRY_S: u32 = 60;

/// Every URL of the listener.
pub fn routes(lan: Arc<Lan>) -> Router {
    let routes = Router::new()
        .route("/lan/v1/meet", post(meet))
        .route("/lan/v1/frame", post(take))
        .route("/lan/v1/next", post(next))
        .with_state(lan);
    with_error_form(routes)
}

/// Which agent calls, if it is a neighbour.
fn neighbour(lan: &Lan, peer: &Peer) -> Result<AgentId, HttpError> {
    let forbidden = |code, message: String| HttpError::new(StatusCode::FORBIDDEN, code, message);
    let owner = peer
        .client_owner
        .as_ref()
        .ok_or_else(|| HttpError::unauthorized("an agent's certificate is required"))?;
    let venue = lan.credentials.venue();
    if venue.is_empty() {
        return Err(forbidden(NO_VENUE, "this agent belongs to no venue".into())
            .hint("invite it again with --venue NAME"));
    }
    if owner.venue != venue {
        let message = format!(
            "this is an agent of the venue {venue:?}, you are of {:?}",
            owner.venue
        );
        return Err(forbidden(OTHER_VENUE, message)
            .hint("only agents that were invited with the same --venue exchange"));
    }
    if lan.is_revoked(&owner.agent) {
        let message = "this agent was revoked by an admin".into();
        return Err(forbidden(ORIGIN_REVOKED, message));
    }
    if lan.own_right_is_gone() {
        let message = "the agent that you call was revoked by an admin".into();
        return Err(forbidden(ORIGIN_REVOKED, message));
    }
    Ok(owner.agent)
}

fn bad(error: impl ToString) -> HttpError {
    HttpError::bad_request("bad_message", error.to_string())
}

async fn meet(
    State(lan): State<Arc<Lan>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let caller = neighbour(&lan, &peer)?;
    let bytes = body::read(&headers, body, MEET_BYTES_MAX, Pace::default()).await?;
    if bytes.is_empty() {
        return Err(bad("an empty meeting"));
    }
    let said = Meet::from_bytes(&bytes).map_err(bad)?;
    if said.members.first().map(|member| member.agent) != Some(caller) {
        return Err(HttpError::forbidden(
            "the meeting begins with another agent than the certificate's",
        ));
    }
    let answer = spawn_blocking(move || {
        lan.hear(&said)?;
        lan.meet()
    });
    let answer = answer.await.map_err(HttpError::internal)?;
    Ok(msgpack(&answer.map_err(HttpError::internal)?))
}

async fn take(
    State(lan): State<Arc<Lan>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let caller = neighbour(&lan, &peer)?;
    let bytes = body::read(&headers, body, SIGNED_BYTES_MAX, Pace::default()).await?;
    let taking = spawn_blocking(move || {
        let signed = Signed::from_bytes(&bytes)
            .map_err(|error| HttpError::bad_request(BAD_SIGNED, error.to_string()))?;
        lan.take(&signed).map_err(|error| refusal(&caller, error))
    });
    let taken = taking.await.map_err(HttpError::internal)??;
    Ok(msgpack(&match taken {
        Taken::Kept(have) | Taken::Known(have) => Ack::Stored(have),
        Taken::Fork(have) => Ack::Fork(have),
    }))
}

fn refusal(caller: &AgentId, error: LanError) -> HttpError {
    let text = error.to_string();
    match error {
        LanError::Bad(_) => {
            tracing::warn!(lan.peer = %caller, error = %text, "a neighbour brought a frame that is not what it says");
            HttpError::bad_request(BAD_SIGNED, text)
        }
        LanError::OtherVenue(_) => HttpError::new(StatusCode::FORBIDDEN, OTHER_VENUE, text),
        LanError::Revoked(_) => HttpError::new(StatusCode::FORBIDDEN, ORIGIN_REVOKED, text),
        LanError::Carry(CarryError::Full { .. }) => {
            HttpError::unavailable(CARRY_FULL, text, FULL_RETRY_S)
        }
        error => HttpError::internal(error),
    }
}

async fn next(
    State(lan): State<Arc<Lan>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    neighbour(&lan, &peer)?;
    let bytes = body::read(&headers, body, MEET_BYTES_MAX, Pace::default()).await?;
    let ask = Ask::from_bytes(&bytes).map_err(bad)?;
    let found = spawn_blocking(move || lan.next(&ask.name, ask.after));
    let found = found.await.map_err(HttpError::internal)?;
    Ok(match found.map_err(HttpError::internal)? {
        Some(signed) => msgpack(&signed),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

fn msgpack(shape: &impl Shape) -> Response {
    (
        [(header::CONTENT_TYPE, "application/msgpack")],
        shape.to_bytes(),
    )
        .into_response()
}
