//! A copy of an agent becomes an agent of its own.

use axum::{Extension, Json, extract::State};
use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::{AgentId, Epoch, InstanceId},
    net::{
        error::HttpError,
        pki::{self, IssuedCert},
        serve::Peer,
    },
    store::{Batch, Durable},
};

use super::{enrol::sign, sync::agent_of};
use crate::{
    app::{App, random},
    sync::copies,
    tables::{AgentRow, AgentState, CERTS, COPY_KEYS, CertRow, CopyKeyRow, CopyOfRow, INSTANCES},
};

/// What the copy says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyRequest {
    csr: String,
    instance: InstanceId,
    epoch: Epoch,
}

/// What it gets.
#[derive(Serialize)]
pub struct CopyAnswer {
    agent: AgentId,
    certificate: String,
}

/// `POST /sync/v1/copy`
///
/// The key of the request is the copy's, made on its device, and the same key always gets the same agent: a copy whose answer was
/// lost asks again and no second agent comes of it.
pub async fn become_own(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Json(request): Json<CopyRequest>,
) -> Result<Json<CopyAnswer>, HttpError> {
    let parent = agent_of(&app, &peer)?;
    let key = pki::csr_key_hash(&request.csr)
        .map_err(|error| HttpError::bad_request("bad_csr", error.to_string()))?;
    // One at a time, with the enrolments: the limit and the key are looked at and written in one step.
    let _one = app.enrolling.lock().await;
    if let Some(CopyKeyRow { agent }) = COPY_KEYS
        .get(&*app.store, &key)
        .map_err(HttpError::internal)?
    {
        let row = app
            .registry
            .recall_agent(&agent)
            .map_err(HttpError::internal)?;
        let venue = row.map(|row| row.venue);
        let issued = sign(&app, &request.csr, agent, &venue.unwrap_or_default())?;
        let mut batch = Batch::new();
        note_certificate(&mut batch, &issued, agent)?;
        app.store
            .commit(batch, Durable::Yes)
            .map_err(HttpError::internal)?;
        return Ok(answer(agent, issued));
    }
    let told = INSTANCES
        .get(&*app.store, &parent)
        .map_err(HttpError::internal)?
        .is_some_and(|row| copies::was_told(&row, request.instance));
    if !told {
        return Err(HttpError::conflict(
            "not_a_copy",
            "this start of the program was not told to become an agent of its own",
        )
        .hint("say hello first"));
    }
    let now_ms = app.clock.wall_ms();
    let agents = app.registry.agents();
    copies::may_copy(&agents, parent, now_ms).map_err(|wait_ms| {
        HttpError::too_many(
            format!(
                "{} copies came of one enrolment within a day",
                copies::COPIES_MAX
            ),
            u32::try_from(wait_ms / 1000 + 1).unwrap_or(u32::MAX),
        )
        .hint("revoke the agent if its disk was stolen; else enrol each device by its own code")
    })?;
    let parent_row = agents
        .get(&parent)
        .cloned()
        .ok_or_else(|| HttpError::forbidden("this agent is not known here"))?;
    let agent = AgentId(random());
    let issued = sign(&app, &request.csr, agent, &parent_row.venue)?;
    let row = AgentRow {
        enrolled_ms: now_ms,
        state: AgentState::Active,
        copy_of: Some(CopyOfRow {
            agent: parent,
            epoch: request.epoch,
            at_ms: now_ms,
        }),
        ..parent_row
    };
    let mut batch = Batch::new();
    note_certificate(&mut batch, &issued, agent)?;
    COPY_KEYS
        .put(&mut batch, &key, &CopyKeyRow { agent })
        .map_err(HttpError::internal)?;
    app.registry
        .put_agent(&agent, &row, batch)
        .map_err(HttpError::internal)?;
    metrics::counter!("trenza_server_agent_copies_total").increment(1);
    tracing::warn!(agent.id = %agent, agent.copy_of = %parent, agent.touchpoint = %row.touchpoint, "a copy of an agent became an agent of its own");
    Ok(answer(agent, issued))
}

fn note_certificate(
    batch: &mut Batch,
    issued: &IssuedCert,
    agent: AgentId,
) -> Result<(), HttpError> {
    let row = CertRow {
        agent,
        not_after_ms: issued.not_after_ms,
    };
    CERTS
        .put(batch, &issued.fingerprint, &row)
        .map_err(HttpError::internal)
}

fn answer(agent: AgentId, issued: IssuedCert) -> Json<CopyAnswer> {
    Json(CopyAnswer {
        agent,
        certificate: issued.pem,
    })
}
