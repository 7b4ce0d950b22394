//! Agents: invitations, the list, revocation.

use serde::Serialize;
use trenza_shared::{
    clock::format_ms,
    id::AgentId,
    net::error::HttpError,
    store::{Batch, Durable, snapshot},
    wire::sync::Lineage,
};

use super::{access::place, check, secret};
use crate::{
    app::App,
    http::code_hash,
    sync::{
        audit::{self, Audit},
        fleet::{self, AgentStatus, CopyOf},
    },
    tables::{AgentState, INVITES, InviteRow},
};

/// How long an invitation works. Unit: ms.
const INVITE_MS: i64 = 24 * 3_600_000;

/// A new invitation.
#[derive(Debug, Serialize)]
pub struct Invited {
    /// Works once.
    pub code: String,
    /// Where to enrol.
    pub server: String,
    /// By what the server is known.
    pub ca_fingerprint: String,
    /// Until when the code works. RFC 3339.
    pub expires_at: String,
}

/// Makes an invitation; only the hash of its code is kept.
pub async fn invite(
    app: &App,
    touchpoint: &str,
    country: Option<String>,
    zone: Option<String>,
    venue: Option<String>,
) -> Result<Invited, HttpError> {
    let touchpoint = check::name("a touchpoint", touchpoint)?;
    let venue = venue.map(|venue| check::name("a venue", &venue));
    let venue = venue.transpose()?.unwrap_or_default();
    let (country, zone) = place(app, country, zone)?;
    let code = secret::code();
    let expires_ms = app.clock.wall_ms().saturating_add(INVITE_MS);
    let mut batch = Batch::new();
    INVITES
        .put(
            &mut batch,
            &code_hash(&code),
            &InviteRow {
                touchpoint,
                country,
                zone,
                venue,
                expires_ms,
                used_by: None,
            },
        )
        .map_err(HttpError::internal)?;
    app.store
        .commit(batch, Durable::Yes)
        .map_err(HttpError::internal)?;
    tracing::info!("agent invited");
    Ok(Invited {
        code,
        server: app.public_url(),
        ca_fingerprint: app.ca.fingerprint(),
        expires_at: format_ms(expires_ms),
    })
}

/// One agent of the list: what there is to know of it in a line of a terminal.
#[derive(Debug, Serialize)]
pub struct AgentLine {
    agent: AgentId,
    touchpoint: String,
    country: String,
    zone: String,
    venue: String,
    state: AgentState,
    enrolled_at: String,
    last_seen_at: Option<String>,
    given_out: u64,
    stored_seq: u64,
    waiting: Option<u64>,
    missing: u64,
    dropped: u64,
    copy_of: Option<CopyOf>,
    fork: Option<String>,
    lineage: Vec<Lineage>,
    began_anew: Option<String>,
}

impl AgentLine {
    fn of(agent: AgentStatus) -> Self {
        Self {
            agent: agent.id,
            touchpoint: agent.touchpoint,
            country: agent.country,
            zone: agent.zone,
            venue: agent.venue,
            state: agent.state,
            enrolled_at: agent.enrolled_at,
            last_seen_at: agent.last_contact_at,
            given_out: agent.head_seq,
            stored_seq: agent.acked_seq,
            waiting: agent.waiting,
            missing: agent.missing,
            dropped: agent.dropped,
            copy_of: agent.copy_of,
            fork: agent.fork,
            lineage: agent.lineage,
            began_anew: agent.began.map(|began| began.sentence()),
        }
    }
}

/// The fleet.
#[derive(Debug, Serialize)]
pub struct AgentLines {
    agents: Vec<AgentLine>,
}

/// Every agent, by touchpoint.
pub fn list(app: &App) -> Result<AgentLines, HttpError> {
    let fleet = fleet::read(&*app.store, &app.registry, app.clock.wall_ms())
        .map_err(HttpError::internal)?;
    Ok(AgentLines {
        agents: fleet.agents.into_iter().map(AgentLine::of).collect(),
    })
}

/// Reads every record of every agent again, or of one, and checks every link of its chain, as of one moment.
pub async fn audit(app: &App, agent: Option<AgentId>) -> Result<Audit, HttpError> {
    if let Some(agent) = agent
        && app.registry.agent(&agent).is_none()
    {
        return Err(nobody(&agent));
    }
    let store = app.store.clone();
    let read = move || snapshot(&*store, |view| audit::audit(view, agent));
    let found = tokio::task::spawn_blocking(read)
        .await
        .map_err(HttpError::internal)?;
    found.and_then(|found| found).map_err(HttpError::internal)
}

fn nobody(agent: &AgentId) -> HttpError {
    HttpError::not_found(format!("there is no agent {agent}"))
        .hint("`trenza-server agent list` shows the fleet")
}

/// A revoked agent.
#[derive(Debug, Serialize)]
pub struct Revoked {
    agent: AgentId,
    touchpoint: String,
    state: AgentState,
}

/// Takes an agent's right back, and that of its kiosk's write key once no copy of the agent uses it: who has the device can send
/// nothing any more.
pub fn revoke(app: &App, agent: AgentId) -> Result<Revoked, HttpError> {
    let Some(mut row) = app.registry.agent(&agent) else {
        return Err(nobody(&agent));
    };
    row.state = AgentState::Revoked;
    app.registry
        .put_agent(&agent, &row, Batch::new())
        .map_err(HttpError::internal)?;
    // Copies of one agent have one write key: it ends with the last of them.
    let in_use = app
        .registry
        .agents()
        .values()
        .any(|other| other.state == AgentState::Active && other.write_key == row.write_key);
    if let Some(mut source) = app.registry.source(&row.write_key).filter(|_| !in_use) {
        source.revoked = true;
        app.registry
            .put_source(&row.write_key, &source)
            .map_err(HttpError::internal)?;
    }
    tracing::info!(agent.id = %agent, "agent revoked");
    Ok(Revoked {
        agent,
        touchpoint: row.touchpoint,
        state: row.state,
    })
}
