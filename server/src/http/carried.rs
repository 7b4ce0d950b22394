//! What one agent brings for another: frames that their origin signed, so that the carrier need not be believed.

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use trenza_shared::{
    id::AgentId,
    net::{
        body::{self, Pace},
        error::HttpError,
        pki::CERT_BYTES_MAX,
        serve::Peer,
    },
    wire::{
        Shape,
        carried::{
            BAD_SIGNED, CARRIED_LANES_MAX, CarriedAsk, CarriedHave, CarriedLane, LaneName,
            ORIGIN_REVOKED, Signed,
        },
    },
};

use super::sync::{FRAME_BODY_BYTES_MAX, HELLO_BYTES_MAX, agent_of, msgpack, take};
use crate::{
    app::App,
    sync::{place, segments},
    tables::{AgentState, CONTACTS},
};

/// Longest signed frame: a frame, a certificate and a signature. Unit: bytes.
const SIGNED_BYTES_MAX: usize = FRAME_BODY_BYTES_MAX + 2 * CERT_BYTES_MAX;

fn may_speak(app: &App, agent: &AgentId) -> bool {
    app.registry
        .agent(agent)
        .is_some_and(|row| row.state == AgentState::Active)
}

/// `POST /sync/v1/carried/have`: what is here of lanes that the asking agent carries.
pub async fn have(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    agent_of(&app, &peer)?;
    let bytes = body::read(&headers, body, HELLO_BYTES_MAX, Pace::default()).await?;
    let ask = CarriedAsk::from_bytes(&bytes)
        .map_err(|error| HttpError::bad_request("bad_question", error.to_string()))?;
    if ask.lanes.len() > CARRIED_LANES_MAX {
        return Err(HttpError::bad_request(
            "too_many_lanes",
            format!("a question names at most {CARRIED_LANES_MAX} lanes"),
        ));
    }
    let reading = tokio::task::spawn_blocking(move || {
        let lanes = ask.lanes.iter().map(|name| lane(&app, name));
        lanes.collect::<Result<Vec<_>, _>>()
    });
    let lanes = reading
        .await
        .map_err(HttpError::internal)?
        .map_err(HttpError::internal)?;
    Ok(msgpack(&CarriedHave { lanes }))
}

fn lane(app: &App, name: &LaneName) -> Result<CarriedLane, trenza_shared::store::StoreError> {
    let row = segments::lane(&*app.store, &(name.agent, name.epoch, name.lane))?;
    let contact = CONTACTS.get(&*app.store, &name.agent)?;
    let oldest = contact
        .iter()
        .flat_map(|contact| &contact.hello.lanes)
        .find(|head| head.epoch == name.epoch && head.lane == name.lane)
        .map_or(0, |head| head.oldest);
    Ok(CarriedLane {
        agent: name.agent,
        have: place::have(name.epoch, name.lane, &row.segments, oldest),
        refused: !may_speak(app, &name.agent),
    })
}

/// `POST /sync/v1/carried/frame`
pub async fn frame(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let received_ms = app.clock.wall_ms();
    let carrier = agent_of(&app, &peer)?;
    let bytes = body::read(&headers, body, SIGNED_BYTES_MAX, Pace::default()).await?;
    let ca = app.ca.clone();
    let checked = tokio::task::spawn_blocking(move || {
        let bad = |error: &dyn ToString| HttpError::bad_request(BAD_SIGNED, error.to_string());
        let signed = Signed::from_bytes(&bytes).map_err(|error| bad(&error))?;
        signed.open(ca.cert_der()).map_err(|error| bad(&error))?;
        Ok::<_, HttpError>(signed.frame)
    });
    let frame = checked.await.map_err(HttpError::internal)?.inspect_err(|error| {
        tracing::warn!(agent.id = %carrier, error = %error.message, "an agent brought a frame that is not what it says");
    })?;
    if !may_speak(&app, &frame.agent) {
        return Err(HttpError::new(
            StatusCode::FORBIDDEN,
            ORIGIN_REVOKED,
            "the agent that captured this frame was revoked, or is not known here",
        )
        .hint("its visits stay on its own device; ask the admin"));
    }
    metrics::counter!("trenza_server_carried_entries_total").increment(u64::from(frame.count));
    Ok(msgpack(&take(&app, received_ms, frame).await?))
}
