//! Agents that a restored server has forgotten: they enrolled, renewed their certificate or became agents of their own after the
//! backup was made.
//!
//! Such an agent holds a certificate of this server's own authority, which the handshake has checked, so it is recorded again: its
//! id and venue as the certificate says, and the rest as it says itself when it is asked, in its next hello. A revocation that the
//! backup holds stays one; what was revoked after the backup has to be revoked again, and `restore` says so.

use trenza_shared::{
    id::AgentId,
    net::{error::HttpError, pki::Owner},
    store::{Batch, StoreError},
    wire::sync::Introduction,
};

use crate::{
    admin::{PRIORITY_DEFAULT, check},
    app::App,
    tables::{AgentRow, AgentState, CERTS, CertRow, SOURCES, SourceRow},
};

/// Longest write key that is taken over. Unit: bytes.
const WRITE_KEY_BYTES_MAX: usize = 64;

/// Records the certificate of an agent that is not revoked, and the agent too where it is not known.
pub(super) fn admit(
    app: &App,
    owner: &Owner,
    fingerprint: [u8; 32],
    not_after_ms: i64,
) -> Result<AgentId, HttpError> {
    let agent = owner.agent;
    let mut batch = Batch::new();
    let cert = CertRow {
        agent,
        not_after_ms,
    };
    CERTS
        .put(&mut batch, &fingerprint, &cert)
        .map_err(HttpError::internal)?;
    let row = app
        .registry
        .recall_agent(&agent)
        .map_err(HttpError::internal)?;
    let known = row.is_some();
    // Where it stands and under which key it captures is asked for: until then it has none.
    let row = row.unwrap_or_else(|| AgentRow {
        touchpoint: agent.to_string(),
        country: app.config.place.country.clone(),
        zone: app.config.place.zone.clone(),
        venue: owner.venue.clone(),
        write_key: String::new(),
        enrolled_ms: app.clock.wall_ms(),
        state: AgentState::Active,
        copy_of: None,
    });
    // The certificate of a revoked agent is recorded too: that changes nothing.
    app.registry
        .put_agent(&agent, &row, batch)
        .map_err(HttpError::internal)?;
    metrics::counter!("trenza_server_readmitted_total").increment(1);
    tracing::warn!(agent.id = %agent, agent.known = known, "a certificate of this server's authority that it had forgotten: recorded again; revoke the agent if it had been revoked");
    Ok(agent)
}

/// Whether an agent is known by its certificate alone.
pub(super) fn is_stranger(app: &App, agent: &AgentId) -> bool {
    app.registry
        .agent(agent)
        .is_some_and(|row| row.write_key.is_empty())
}

/// Takes an agent's word for where it stands, and records its kiosk's write key where that was forgotten too. Tells whether it was
/// taken: what an admin could not have written is not.
pub(super) fn introduced(
    app: &App,
    agent: &AgentId,
    said: &Introduction,
) -> Result<bool, StoreError> {
    let Some(before) = app.registry.agent(agent) else {
        return Ok(false);
    };
    let key_is_one = (1..=WRITE_KEY_BYTES_MAX).contains(&said.write_key.len())
        && said.write_key.bytes().all(|byte| byte.is_ascii_graphic());
    let (Ok(touchpoint), Ok(country), Ok(()), true) = (
        check::name("a touchpoint", &said.touchpoint),
        check::country(&said.country),
        check::zone(&said.zone),
        key_is_one,
    ) else {
        tracing::warn!(agent.id = %agent, "an agent that was recorded again says of itself what cannot be used; correct its agent.toml");
        return Ok(false);
    };
    let row = AgentRow {
        touchpoint,
        country,
        zone: said.zone.clone(),
        write_key: said.write_key.clone(),
        ..before
    };
    let mut batch = Batch::new();
    // A key that is there stays as it is, taken back or not.
    let source = app
        .registry
        .source(&row.write_key)
        .is_none()
        .then(|| SourceRow {
            name: row.touchpoint.clone(),
            origins: Vec::new(),
            namespace: String::new(),
            country: row.country.clone(),
            zone: row.zone.clone(),
            priority: PRIORITY_DEFAULT,
            revoked: false,
        });
    if let Some(source) = &source {
        SOURCES.put(&mut batch, &row.write_key, source)?;
    }
    app.registry.put_agent(agent, &row, batch)?;
    if let Some(source) = &source {
        app.registry.note_source(&row.write_key, source);
    }
    tracing::info!(agent.id = %agent, agent.touchpoint = %row.touchpoint, "an agent that was recorded again says where it stands");
    Ok(true)
}
