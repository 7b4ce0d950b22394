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
    id::{AgentId, InstanceId, Nonce, Seq},
    net::{
        body::{self, Pace},
        error::HttpError,
        serve::Peer,
    },
    store::{Batch, Durable, StoreError},
    wire::{
        Shape,
        frame::{FRAME_BYTES_MAX, FRAME_EVENTS_MAX, Frame},
        sync::{
            AGENT_REVOKED, Ack, CERTIFICATE_EXPIRED, CERTIFICATE_TOO_OLD, CopyWord, Hello,
            INSTANCE_HEADER, KEPT_MAX, Kept, LANES_MAX, LaneHave, Lineage, NOT_CURRENT,
            RENEWABLE_MS, SEGMENTS_MAX, Segment, Welcome,
        },
    },
};

use super::readmit;
use crate::{
    app::{App, random},
    sync::{
        admission::Weight,
        began,
        chain::{self, LaneKey},
        copies,
        doors::Pass,
        log::{Arrival, Outcome, Placed},
        place, segments,
    },
    tables::{ARCHIVED, AgentState, CERTS, CONTACTS, ContactRow, LaneRow},
};

/// Longest hello. Unit: bytes.
pub(super) const HELLO_BYTES_MAX: usize = 256 * 1024;
/// Longest frame: its entries, or a single largest event, packed or not. Unit: bytes.
pub(super) const FRAME_BODY_BYTES_MAX: usize =
    FRAME_BYTES_MAX * 2 + trenza_shared::event::EVENT_BYTES_MAX;

/// Which agent a certificate belongs to, if it may speak. Asked at every request: a revocation holds at once, on connections that
/// are open too.
pub fn agent_of(app: &App, peer: &Peer) -> Result<AgentId, HttpError> {
    let agent = agent_renewing(app, peer)?;
    let now_ms = app.clock.wall_ms();
    if peer.client_cert_expires_ms.is_some_and(|end| end < now_ms) {
        return Err(HttpError::new(
            StatusCode::FORBIDDEN,
            CERTIFICATE_EXPIRED,
            "this agent's certificate has expired",
        )
        .hint("renew it: POST /sync/v1/renew"));
    }
    Ok(agent)
}

/// The same for a renewal, for which a certificate that has expired is good for [`RENEWABLE_MS`].
pub fn agent_renewing(app: &App, peer: &Peer) -> Result<AgentId, HttpError> {
    let now_ms = app.clock.wall_ms();
    let renewable_ms = i64::try_from(RENEWABLE_MS).unwrap_or(i64::MAX);
    // The handshake refuses it too, but a connection may be older than that.
    if peer
        .client_cert_expires_ms
        .is_some_and(|end| end.saturating_add(renewable_ms) < now_ms)
    {
        return Err(HttpError::new(
            StatusCode::FORBIDDEN,
            CERTIFICATE_TOO_OLD,
            "this agent's certificate expired more than a year ago",
        )
        .hint("enrol the agent again; its visits stay on the device"));
    }
    let fingerprint = peer.client_cert.ok_or_else(|| {
        HttpError::unauthorized("a client certificate is required")
            .hint("enrol the agent: trenza-agent enrol")
    })?;
    let row = CERTS
        .get(&*app.store, &fingerprint)
        .map_err(HttpError::internal)?;
    let known = match (&row, &peer.client_owner) {
        (Some(row), _) if app.registry.agent(&row.agent).is_some() => row.agent,
        (_, Some(owner)) => {
            let expires_ms = peer.client_cert_expires_ms.unwrap_or(now_ms);
            readmit::admit(app, owner, fingerprint, expires_ms)?
        }
        _ => {
            return Err(HttpError::forbidden(
                "this certificate was not issued to any agent of this server",
            )
            .hint("enrol the agent again"));
        }
    };
    match app.registry.agent(&known).map(|agent| agent.state) {
        Some(AgentState::Active) => Ok(known),
        Some(AgentState::Revoked) => Err(HttpError::new(
            StatusCode::FORBIDDEN,
            AGENT_REVOKED,
            "this agent was revoked by an admin",
        )
        .hint("its visits stay on the device; ask the admin")),
        None => {
            Err(HttpError::forbidden("this agent is not known here").hint("enrol the agent again"))
        }
    }
}

/// What an agent says that costs little to answer: who it is, its pass, which holds its place until it is answered, and what it
/// says. A body has at most so many bytes, and one that is not what it should be is refused under this code.
pub(super) async fn light<T: Shape>(
    app: &App,
    peer: &Peer,
    headers: &HeaderMap,
    body: Body,
    (bytes_max, bad): (usize, &'static str),
) -> Result<(AgentId, Pass, T), HttpError> {
    let agent = agent_of(app, peer)?;
    let pass = app.doors.enter_light(&agent)?;
    let bytes = body::read(headers, body, bytes_max, Pace::default()).await?;
    let said =
        T::from_bytes(&bytes).map_err(|error| HttpError::bad_request(bad, error.to_string()))?;
    Ok((agent, pass, said))
}

/// `POST /sync/v1/hello`
pub async fn hello(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let received_ms = app.clock.wall_ms();
    let most = (HELLO_BYTES_MAX, "bad_hello");
    let (agent, _pass, hello) = light::<Hello>(&app, &peer, &headers, body, most).await?;
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
    if hello.kept.len() > KEPT_MAX {
        return Err(HttpError::bad_request(
            "too_many_kept",
            format!("a hello names at most {KEPT_MAX} runs that are kept"),
        ));
    }
    let mut introduce = readmit::is_stranger(&app, &agent);
    if introduce && let Some(said) = &hello.introduction {
        introduce = !readmit::introduced(&app, &agent, said).map_err(HttpError::internal)?;
    }
    let (lanes, fork) = lanes(&app, &hello).map_err(HttpError::internal)?;
    let copy = match hello.instance {
        Some(from) => app
            .copies
            .hear(&agent, from, hello.proof, Nonce(random()))
            .map_err(HttpError::internal)?,
        None => None,
    };
    // What a copy says of itself is not this agent's state.
    if copy.is_none() {
        let hello = Hello {
            introduction: None,
            ..hello
        };
        note_contact(&app, &agent, received_ms, hello, fork)?;
    } else if copy == Some(CopyWord::BecomeOwn) {
        metrics::counter!("trenza_server_copies_told_total").increment(1);
        tracing::warn!(agent.id = %agent, agent.instance = ?hello.instance, "two programs run under one id: this one is told to become an agent of its own");
    }
    let welcome = Welcome {
        generation: app.generation,
        received_ms,
        sent_ms: app.clock.wall_ms(),
        lanes,
        write_keys: app.registry.write_keys(),
        origins: app.registry.origins(),
        copy,
        introduce,
        program: env!("CARGO_PKG_VERSION").into(),
        revoked: app.registry.revoked_near(&agent),
    };
    Ok(msgpack(&welcome))
}

/// What is there of the lanes that an agent named, and the contradiction among them, if there is one. Where the histories differ,
/// or the device knows less than the server, marks tell the agent up to where they are one.
pub(super) fn lanes(
    app: &App,
    hello: &Hello,
) -> Result<(Vec<LaneHave>, Option<String>), StoreError> {
    let view = &*app.store;
    let (mut haves, mut fork) = (Vec::with_capacity(hello.lanes.len()), None);
    for head in &hello.lanes {
        let key = (hello.agent, head.epoch, head.lane);
        let row = segments::lane(view, &key)?;
        let mut have = told(app, key, &row, head.oldest, &hello.kept)?;
        // It ended this lane where the histories part: more of the other one is no news.
        let left = |one: &Lineage| (one.from, one.lane) == (head.epoch, head.lane);
        let left = hello.lineage.iter().any(left);
        let holds = |one: &Segment| (one.first..=one.last).contains(&head.seq);
        let other = row.segments.iter().any(holds)
            && chain::after(view, key, head.seq)?.is_some_and(|hash| hash != head.hash);
        if other || (have.last() > head.seq && !left) {
            have.marks = chain::marks(view, key, head.seq)?;
        }
        if other && fork.is_none() {
            fork = Some(format!(
                "epoch {} lane {:?} differs at {}",
                head.epoch, head.lane, head.seq
            ));
        }
        have.beyond.truncate(SEGMENTS_MAX);
        haves.push(have);
    }
    Ok((haves, fork))
}

/// What is told of a lane.
fn told(
    app: &App,
    key: LaneKey,
    row: &LaneRow,
    oldest: Seq,
    kept: &[Kept],
) -> Result<LaneHave, StoreError> {
    let never = place::never(key.1, key.2, oldest, kept);
    if !app.config.backup.required {
        return Ok(place::have_but(key.1, key.2, &row.segments, &never));
    }
    let archived = ARCHIVED.get(&*app.store, &key)?.unwrap_or_default();
    let (row, archived) = (&row.segments, &archived.segments);
    Ok(place::have_archived(key.1, key.2, row, archived, &never))
}

/// What was known of left lanes, and what is said now.
fn lineage(mut known: Vec<Lineage>, said: &[Lineage]) -> Vec<Lineage> {
    for one in said {
        known.retain(|known| (known.from, known.lane) != (one.from, one.lane));
        known.push(*one);
    }
    known.drain(..known.len().saturating_sub(LANES_MAX));
    known
}

fn note_contact(
    app: &App,
    agent: &AgentId,
    at_ms: i64,
    hello: Hello,
    fork: Option<String>,
) -> Result<(), HttpError> {
    let known = CONTACTS
        .get(&*app.store, agent)
        .map_err(HttpError::internal)?;
    let (before, fork_before, lineage_before) = known.map_or((None, None, Vec::new()), |row| {
        let before = began::before(row.earlier, row.hello.began, hello.began.as_ref());
        (before, row.fork, row.lineage)
    });
    let contact = ContactRow {
        at_ms,
        lineage: lineage(lineage_before, &hello.lineage),
        earlier: before,
        hello,
        fork: fork.or(fork_before),
    };
    let mut batch = Batch::new();
    CONTACTS
        .put(&mut batch, agent, &contact)
        .map_err(HttpError::internal)?;
    app.store
        .commit(batch, Durable::Later)
        .map_err(HttpError::internal)
}

/// Refuses a frame of a start of the program that is not the current one: two copies that send under one id would fork its log
/// again and again.
fn check_instance(app: &App, agent: &AgentId, headers: &HeaderMap) -> Result<(), HttpError> {
    let from = headers
        .get(INSTANCE_HEADER)
        .map(|value| value.to_str().unwrap_or_default().parse::<InstanceId>())
        .transpose()
        .map_err(|error| HttpError::bad_request("bad_instance", error.to_string()))?;
    if copies::may_send(&*app.store, agent, from).map_err(HttpError::internal)? {
        return Ok(());
    }
    Err(HttpError::conflict(
        NOT_CURRENT,
        "another start of this agent's program was heard later",
    )
    .hint("say hello: it decides which one goes on under this id"))
}

/// How long the body is, as its sender says. Unit: bytes.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Frames that wait on an agent, as it said last; one where it said nothing.
fn frames_waiting(app: &App, agent: &AgentId) -> u64 {
    let contact = CONTACTS.get(&*app.store, agent).ok().flatten();
    let waiting = contact.map_or(0, |contact| contact.hello.waiting);
    waiting.div_ceil(FRAME_EVENTS_MAX as u64).max(1)
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
    check_instance(&app, &agent, &headers)?;
    let room = app.room.check().map_err(GroupError::Refused);
    room.map_err(cannot_store)?;
    // Before the body is read: a backlog that waits costs no memory here.
    let pass = match Weight::of(announced(&headers)) {
        Weight::Light => app.doors.enter_light(&agent)?,
        Weight::Heavy => {
            let frames = || frames_waiting(&app, &agent);
            app.doors.enter_heavy(&agent, frames).await?
        }
    };
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
    // Waiting for the disk takes no core: the next one begins, and both share the sync.
    drop(pass);
    Ok(msgpack(&take(&app, received_ms, frame).await?))
}

/// Stores a frame whose chain was checked, whoever brought it, and says what is there then.
pub(super) async fn take(app: &App, received_ms: i64, frame: Frame) -> Result<Ack, HttpError> {
    let agent = frame.agent;
    let (epoch, lane, first) = (frame.epoch, frame.lane, frame.first);
    let placed = app
        .append(Arrival::frame(received_ms, frame))
        .await
        .map_err(cannot_store)?;
    let Placed::Frame {
        outcome,
        lane: row,
        marks,
    } = placed
    else {
        return Err(HttpError::internal("a frame was stored as something else"));
    };
    let contact = CONTACTS
        .get(&*app.store, &agent)
        .map_err(HttpError::internal)?;
    let heads = contact.iter().flat_map(|contact| &contact.hello.lanes);
    let oldest = heads
        .filter(|head| head.epoch == epoch && head.lane == lane)
        .map(|head| head.oldest)
        .next();
    let kept = contact.as_ref().map_or(&[][..], |row| &row.hello.kept);
    let told = told(app, (agent, epoch, lane), &row, oldest.unwrap_or(0), kept);
    let mut have = LaneHave {
        marks,
        ..told.map_err(HttpError::internal)?
    };
    have.beyond.truncate(SEGMENTS_MAX);
    let (name, ack) = match outcome {
        Outcome::Stored => ("stored", Ack::Stored(have)),
        Outcome::Known => ("known", Ack::Stored(have)),
        Outcome::Full => ("full", Ack::Gap(have)),
        Outcome::Fork => {
            let place = match have.marks.as_slice() {
                [exact] => format!("after {}", exact.seq),
                _ => format!("before {first}"),
            };
            note_fork(
                app,
                &agent,
                format!("epoch {epoch} lane {lane:?} differs {place}"),
            )?;
            ("fork", Ack::Fork(have))
        }
    };
    metrics::counter!("trenza_server_frames_total", "outcome" => name).increment(1);
    Ok(ack)
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
pub fn cannot_store(error: GroupError<StoreError>) -> HttpError {
    match error {
        GroupError::Busy => HttpError::unavailable("busy", "too much waits to be stored", 1),
        GroupError::Closed => HttpError::unavailable("stopping", "the server is stopping", 5),
        GroupError::Refused(error @ StoreError::Full { .. }) => {
            HttpError::unavailable("full", error.to_string(), 5)
                .hint("nothing is lost: it is taken in once the server's disk has room again")
        }
        GroupError::Refused(error) => {
            HttpError::unavailable("cannot_store", "the store cannot write now", 5).log(error)
        }
    }
}

pub(super) fn msgpack(shape: &impl Shape) -> Response {
    (
        [(header::CONTENT_TYPE, "application/msgpack")],
        shape.to_bytes(),
    )
        .into_response()
}
