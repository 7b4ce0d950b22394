//! An agent's first call, and the renewal of its certificate.

use axum::{Extension, Json, extract::State};
use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::AgentId,
    net::{error::HttpError, pki::IssuedCert, serve::Peer},
    store::Batch,
};

use super::sync::agent_renewing;
use crate::{
    app::{App, random},
    tables::{AgentRow, AgentState, CERTS, CertRow, INVITES, SOURCES, SourceRow},
};

/// For how long a certificate that has expired can still be renewed: a season without contact, and then some. Unit: ms.
pub const RENEWABLE_MS: u64 = 366 * 24 * 3_600_000;

/// What the device says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    code: String,
    csr: String,
    #[serde(default)]
    program: String,
}

/// What it gets.
#[derive(Serialize)]
pub struct EnrolAnswer {
    agent: AgentId,
    certificate: String,
    ca: String,
    agents_url: String,
    touchpoint: String,
    country: String,
    zone: String,
    write_key: String,
}

/// A code as its hash: codes are not kept.
pub fn code_hash(code: &str) -> [u8; 32] {
    // Typed by people: case and dashes do not count.
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|char| char.to_ascii_uppercase())
        .collect();
    *blake3::hash(plain.as_bytes()).as_bytes()
}

/// `POST /v1/enrol`
pub async fn enrol(
    State(app): State<App>,
    Json(request): Json<EnrolRequest>,
) -> Result<Json<EnrolAnswer>, HttpError> {
    let now_ms = app.clock.wall_ms();
    let key = code_hash(&request.code);
    // One enrolment at a time: a code works once.
    let _one = app.enrolling.lock().await;
    let invite = INVITES
        .get(&*app.store, &key)
        .map_err(HttpError::internal)?;
    let refused = |message: &str| {
        HttpError::forbidden(message)
            .hint("ask the admin for a new invitation: trenza-server agent invite")
    };
    let mut invite = invite.ok_or_else(|| refused("this code is not known here"))?;
    if invite.used_by.is_some() {
        return Err(refused("this code was used already"));
    }
    if invite.expires_ms < now_ms {
        return Err(refused("this code has expired"));
    }
    let agent = AgentId(random());
    let issued = sign(&app, &request.csr, agent, &invite.venue)?;
    let write_key = format!("wk_{}", trenza_shared::id::to_hex(&random::<12>()));
    let row = AgentRow {
        touchpoint: invite.touchpoint.clone(),
        country: invite.country.clone(),
        zone: invite.zone.clone(),
        venue: invite.venue.clone(),
        write_key: write_key.clone(),
        enrolled_ms: now_ms,
        state: AgentState::Active,
        copy_of: None,
    };
    let source = SourceRow {
        name: row.touchpoint.clone(),
        origins: Vec::new(),
        namespace: String::new(),
        country: row.country.clone(),
        zone: row.zone.clone(),
        priority: crate::admin::PRIORITY_DEFAULT,
        revoked: false,
    };
    invite.used_by = Some(agent);
    let mut batch = Batch::new();
    INVITES
        .put(&mut batch, &key, &invite)
        .map_err(HttpError::internal)?;
    SOURCES
        .put(&mut batch, &write_key, &source)
        .map_err(HttpError::internal)?;
    CERTS
        .put(
            &mut batch,
            &issued.fingerprint,
            &CertRow {
                agent,
                not_after_ms: issued.not_after_ms,
            },
        )
        .map_err(HttpError::internal)?;
    app.registry
        .put_agent(&agent, &row, batch)
        .map_err(HttpError::internal)?;
    app.registry.note_source(&write_key, &source);
    tracing::info!(agent.id = %agent, agent.touchpoint = %row.touchpoint, agent.program = %request.program.chars().take(40).collect::<String>(), "agent enrolled");
    Ok(Json(EnrolAnswer {
        agent,
        certificate: issued.pem,
        ca: app.ca.cert_pem().to_owned(),
        agents_url: app.agents_url(),
        touchpoint: row.touchpoint,
        country: row.country,
        zone: row.zone,
        write_key,
    }))
}

/// What a renewal brings and gets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    csr: String,
}

/// The new certificate.
#[derive(Serialize)]
pub struct RenewAnswer {
    certificate: String,
}

/// `POST /sync/v1/renew`
pub async fn renew(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Json(request): Json<RenewRequest>,
) -> Result<Json<RenewAnswer>, HttpError> {
    let agent = agent_renewing(&app, &peer)?;
    let row = app.registry.agent(&agent);
    let venue = row.map(|row| row.venue).unwrap_or_default();
    let issued = sign(&app, &request.csr, agent, &venue)?;
    let mut batch = Batch::new();
    CERTS
        .put(
            &mut batch,
            &issued.fingerprint,
            &CertRow {
                agent,
                not_after_ms: issued.not_after_ms,
            },
        )
        .map_err(HttpError::internal)?;
    app.store
        .commit(batch, trenza_shared::store::Durable::Yes)
        .map_err(HttpError::internal)?;
    Ok(Json(RenewAnswer {
        certificate: issued.pem,
    }))
}

/// Signs an agent's request.
pub fn sign(app: &App, csr: &str, agent: AgentId, venue: &str) -> Result<IssuedCert, HttpError> {
    app.ca
        .sign_member(
            csr,
            agent,
            venue,
            app.clock.wall_ms(),
            app.config.tls.agent_cert_days,
        )
        .map_err(|error| HttpError::bad_request("bad_csr", error.to_string()))
}
