//! An agent's talk, over a connection that its certificate opened.

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use trenza_shared::{
    group_commit::GroupError,
    id::AgentId,
    net::{
        body::{self, Pace},
        error::HttpError,
        serve::Peer,
    },
    store::{Batch, Durable},
    wire::{
        Shape,
        frame::{FRAME_BYTES_MAX, Frame},
        sync::{Ack, Hello, LANES_MAX, LaneHave, Welcome},
    },
};

use crate::{
    app::App,
    sync::log::{Arrival, Placed},
    tables::{AgentState, CERTS, CONTACTS, ContactRow, LANES},
};

/// Longest hello. Unit: bytes.
const HELLO_BYTES_MAX: usize = 64 * 1024;
/// Longest frame: its entries, or a single largest event, packed or not. Unit: bytes.
const FRAME_BODY_BYTES_MAX: usize = FRAME_BYTES_MAX * 2 + trenza_shared::event::EVENT_BYTES_MAX;

/// Which agent a certificate belongs to, if it may speak.
pub fn agent_of(app: &App, peer: &Peer) -> Result<AgentId, HttpError> {
    let fingerprint = peer.client_cert.ok_or_else(|| {
        HttpError::unauthorized("a client certificate is required")
            .hint("enrol the agent: trenza-agent enrol")
    })?;
    let row = CERTS
        .get(&*app.store, &fingerprint)
        .map_err(HttpError::internal)?;
    let row = row.ok_or_else(|| {
        HttpError::forbidden("this certificate was not issued to any agent of this server")
            .hint("enrol the agent again")
    })?;
    match app.registry.agent(&row.agent).map(|agent| agent.state) {
        Some(AgentState::Active) => Ok(row.agent),
        Some(AgentState::Revoked) => Err(HttpError::new(
            StatusCode::FORBIDDEN,
            "revoked",
            "this agent was revoked by an admin",
        )
        .hint("its visits stay on the device; ask the admin")),
        None => {
            Err(HttpError::forbidden("this agent is not known here").hint("enrol the agent again"))
        }
    }
}

/// `POST /sync/v1/hello`
pub async fn hello(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let received_ms = app.clock.wall_ms();
    let agent = agent_of(&app, &peer)?;
    let bytes = body::read(&headers, body, HELLO_BYTES_MAX, Pace::default()).await?;
    let hello = Hello::from_bytes(&bytes)
        .map_err(|error| HttpError::bad_request("bad_hello", error.to_string()))?;
    if hello.agent != agent {
        return Err(HttpError::forbidden(
            "the hello names another agent than the certificate",
        ));
    }
    if hello.lanes.len() > LANES_MAX {
        return Err(HttpError::bad_request(
            "too_many_lanes",
            format!("a hello names at most {LANES_MAX} lanes"),
        ));
    }
    let lanes = haves(&app, &agent)?;
    let fork = hello.lanes.iter().find_map(|head| {
        let have = lanes
            .iter()
            .find(|have| have.epoch == head.epoch && have.lane == head.lane)?;
        (have.acked == head.seq && have.hash != head.hash).then(|| {
            format!(
                "epoch {} lane {:?} differs at {}",
                head.epoch, head.lane, head.seq
            )
        })
    });
    let known = CONTACTS
        .get(&*app.store, &agent)
        .map_err(HttpError::internal)?;
    let contact = ContactRow {
        at_ms: received_ms,
        hello,
        fork: fork.or_else(|| known.and_then(|row| row.fork)),
    };
    let mut batch = Batch::new();
    CONTACTS
        .put(&mut batch, &agent, &contact)
        .map_err(HttpError::internal)?;
    app.store
        .commit(batch, Durable::Later)
        .map_err(HttpError::internal)?;
    let welcome = Welcome {
        generation: app.generation,
        received_ms,
        sent_ms: app.clock.wall_ms(),
        lanes,
        write_keys: app.registry.write_keys(),
        copy: None,
    };
    Ok(msgpack(&welcome))
}

fn haves(app: &App, agent: &AgentId) -> Result<Vec<LaneHave>, HttpError> {
    let rows = LANES
        .scan_prefix(
            &*app.store,
            agent,
            trenza_shared::store::Direction::Forward,
            LANES_MAX,
        )
        .map_err(HttpError::internal)?;
    Ok(rows
        .into_iter()
        .map(|((_, epoch, lane), row)| LaneHave {
            epoch,
            lane,
            acked: row.seq,
            hash: row.hash,
            archived: row.seq,
            ..LaneHave::nothing(epoch, lane)
        })
        .collect())
}

/// `POST /sync/v1/frame`
pub async fn frame(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let received_ms = app.clock.wall_ms();
    let agent = agent_of(&app, &peer)?;
    let bytes: Bytes = body::read(&headers, body, FRAME_BODY_BYTES_MAX, Pace::default()).await?;
    let checked = tokio::task::spawn_blocking(move || {
        let frame = Frame::from_bytes(&bytes)
            .map_err(|error| HttpError::bad_request("bad_frame", error.to_string()))?;
        if frame.agent != agent {
            return Err(HttpError::forbidden(
                "the frame was captured by another agent than the certificate's",
            ));
        }
        frame
            .open()
            .map_err(|error| HttpError::bad_request("bad_frame", error.to_string()))?;
        Ok(frame)
    });
    let frame = checked.await.map_err(HttpError::internal)??;
    let (epoch, lane) = (frame.epoch, frame.lane);
    let head = LaneHave {
        epoch,
        lane,
        acked: frame.last(),
        hash: frame.head,
        archived: frame.last(),
        ..LaneHave::nothing(epoch, lane)
    };
    let placed = app
        .append(Arrival::frame(received_ms, frame))
        .await
        .map_err(cannot_store)?;
    let outcome = match placed {
        Placed::Stored(_) => "stored",
        Placed::Known(_) => "known",
        Placed::Gap(_) => "gap",
        Placed::Fork(_) => "fork",
    };
    metrics::counter!("trenza_server_frames_total", "outcome" => outcome).increment(1);
    Ok(msgpack(&match placed {
        Placed::Stored(_) => Ack::Stored(head),
        Placed::Known(at) => Ack::Stored(at.have(epoch, lane)),
        Placed::Gap(at) => Ack::Gap(at.have(epoch, lane)),
        Placed::Fork(at) => {
            note_fork(
                &app,
                &agent,
                format!("epoch {epoch} lane {lane:?} differs after {}", at.seq),
            )?;
            Ack::Fork(at.have(epoch, lane))
        }
    }))
}

fn note_fork(app: &App, agent: &AgentId, what: String) -> Result<(), HttpError> {
    tracing::warn!(agent.id = %agent, fork = %what, "two copies of one agent");
    let Some(mut row) = CONTACTS
        .get(&*app.store, agent)
        .map_err(HttpError::internal)?
    else {
        return Ok(());
    };
    row.fork = Some(what);
    let mut batch = Batch::new();
    CONTACTS
        .put(&mut batch, agent, &row)
        .map_err(HttpError::internal)?;
    app.store
        .commit(batch, Durable::Later)
        .map_err(HttpError::internal)
}

/// Why the log did not take something, as an answer that brings the client back.
pub fn cannot_store(error: GroupError<trenza_shared::store::StoreError>) -> HttpError {
    match error {
        GroupError::Busy => HttpError::unavailable("busy", "too much waits to be stored", 1),
        GroupError::Closed => HttpError::unavailable("stopping", "the server is stopping", 5),
        GroupError::Refused(error) => {
            HttpError::unavailable("cannot_store", "the store cannot write now", 5).log(error)
        }
    }
}

fn msgpack(shape: &impl Shape) -> Response {
    (
        [(header::CONTENT_TYPE, "application/msgpack")],
        shape.to_bytes(),
    )
        .into_response()
}
