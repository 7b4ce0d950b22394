//! An agent that has nothing new: whether it is still so is told without repeating what both know.

use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};
use trenza_shared::{
    id::AgentId,
    net::{error::HttpError, serve::Peer},
    store::{Batch, Durable, StoreError},
    wire::{
        pulse::{Heard, Pulse, Told, digest},
        sync::Hello,
    },
};

use super::{
    readmit,
    sync::{lanes, light, msgpack},
};
use crate::{
    app::App,
    sync::copies,
    tables::{CONTACTS, ContactRow},
};

/// Longest pulse. Unit: bytes.
const PULSE_BYTES_MAX: usize = 1024;

/// `POST /sync/v1/pulse`
pub async fn pulse(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let received_ms = app.clock.wall_ms();
    let most = (PULSE_BYTES_MAX, "bad_pulse");
    let (agent, _pass, pulse) = light::<Pulse>(&app, &peer, &headers, body, most).await?;
    let heard = if same(&app, &agent, &pulse, received_ms).map_err(HttpError::internal)? {
        Heard::Same {
            received_ms,
            sent_ms: app.clock.wall_ms(),
        }
    } else {
        Heard::Hello
    };
    Ok(msgpack(&heard))
}

/// Whether the last hello would be said and answered now as it was. If so, it counts as said.
fn same(app: &App, agent: &AgentId, pulse: &Pulse, at_ms: i64) -> Result<bool, StoreError> {
    let Some(contact) = CONTACTS.get(&*app.store, agent)? else {
        return Ok(false);
    };
    // Another start of the program was heard since, or the agent is known by its certificate alone.
    if readmit::is_stranger(app, agent)
        || !copies::may_send(&*app.store, agent, contact.hello.instance)?
    {
        return Ok(false);
    }
    let (told, fork) = lanes(app, &contact.hello)?;
    if fork.is_some() || told.iter().any(|have| !have.marks.is_empty()) {
        return Ok(false);
    }
    let told = Told {
        generation: app.generation,
        lanes: &told,
        write_keys: &app.registry.write_keys(),
        origins: &app.registry.origins(),
        revoked: &app.registry.revoked_near(agent),
    };
    if digest(&contact.hello, Some(told)) != pulse.digest {
        return Ok(false);
    }
    let contact = ContactRow {
        at_ms,
        hello: Hello {
            boottime_ms: pulse.boottime_ms,
            wall_ms: pulse.wall_ms,
            clock_offset_ms: pulse.clock_offset_ms,
            disk_free_bytes: pulse.disk_free_bytes,
            ..contact.hello
        },
        ..contact
    };
    let mut batch = Batch::new();
    CONTACTS.put(&mut batch, agent, &contact)?;
    app.store.commit(batch, Durable::Later)?;
    Ok(true)
}
