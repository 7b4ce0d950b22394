//! The server's side of an import: a chunk of events becomes one record of the log.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use trenza_shared::{
    event::{Event, EventType},
    evidence::Origin,
    group_commit::GroupError,
    identity::Rules,
    net::error::HttpError,
    store::StoreError,
    wire::entry::{Entry, Open},
};

use super::{NewSource, access, import::CHUNK_EVENTS_MAX};
use crate::{
    app::App,
    sync::log::Arrival,
    tables::{EVENTS, Hop, OriginRow},
};

/// The source of an import.
#[derive(Debug, Serialize, Deserialize)]
pub struct Started {
    /// Its write key.
    pub key: String,
    /// Whether it was made just now.
    pub created: bool,
    /// As what its events are taken in: by it their identifiers are read.
    pub origin: Origin,
    /// IANA name of its zone: by it local times are read.
    pub zone: String,
    /// The rules in force: by them some identifiers are nobody's.
    pub rules: Rules,
}

/// What became of a chunk.
#[derive(Debug, Serialize, Deserialize)]
pub struct Took {
    /// Events that are new.
    pub stored: u64,
    /// Events that this source had brought before.
    pub duplicates: u64,
}

/// Finds the source of an import; makes it where there is none. Waits for what was imported before.
pub async fn start(app: &App, source: String) -> Result<Started, HttpError> {
    let last = *app.log.last().borrow();
    let _in_time = app.resolved(last).await;
    let name = super::check::name("a source", &source)?;
    let known = app
        .registry
        .sources()
        .into_iter()
        .find(|(_, row)| row.name == name && !row.revoked);
    let created = known.is_none();
    let key = match known {
        Some((key, _)) => key,
        None => {
            let new = NewSource {
                name,
                ..NewSource::default()
            };
            access::source_create(app, new).await?.write_key
        }
    };
    let now = (app.clock.wall_ms(), app.clock.boottime_ms());
    let row = OriginRow::new(
        Open::own(now.0, now.1, key.clone(), EventType::Identify),
        None,
    );
    let (Some(origin), Some(source)) = (app.registry.origin(&row, None), app.registry.source(&key))
    else {
        return Err(no_source());
    };
    Ok(Started {
        key,
        created,
        origin,
        zone: source.zone,
        rules: Rules::clone(&app.applier.rules.now()),
    })
}

fn no_source() -> HttpError {
    HttpError::not_found("the write key of the import belongs to no source")
}

/// Appends what is new of a chunk, on stable storage when it answers.
pub async fn chunk(app: &App, key: &str, texts: Vec<String>) -> Result<Took, HttpError> {
    let Some(source) = app.registry.source(key) else {
        return Err(no_source());
    };
    if texts.len() > CHUNK_EVENTS_MAX {
        return Err(HttpError::bad_request(
            "chunk_too_large",
            format!(
                "{} events in a chunk, the limit is {CHUNK_EVENTS_MAX}",
                texts.len()
            ),
        ));
    }
    let now_ms = app.clock.wall_ms();
    let boottime_ms = app.clock.boottime_ms();
    let (mut entries, mut seen, mut duplicates) =
        (Vec::with_capacity(texts.len()), BTreeSet::new(), 0);
    for text in texts {
        let event = Event::stored(text)
            .map_err(|error| HttpError::bad_request(error.code(), error.to_string()))?;
        if !seen.insert(event.id) || brought(app, key, &event).map_err(HttpError::internal)? {
            duplicates += 1;
            continue;
        }
        let open = Open::own(now_ms, boottime_ms, key.to_owned(), event.kind);
        entries.push(Entry::clear(&open, &event.text));
    }
    let stored = entries.len() as u64;
    if !entries.is_empty() {
        app.append(Arrival::own(now_ms, Hop::Import(source.name), &entries))
            .await
            .map_err(|error| match error {
                GroupError::Closed => {
                    HttpError::unavailable("stopping", "the server is stopping", 5)
                        .hint("run the same import again: what is stored is not stored twice")
                }
                GroupError::Busy => {
                    HttpError::unavailable("busy", "too many requests wait to be stored", 1)
                        .hint("run the same import again: what is stored is not stored twice")
                }
                GroupError::Refused(error) => HttpError::internal(error),
            })?;
    }
    Ok(Took { stored, duplicates })
}

/// Whether this very source has brought this event: then it has nothing to add to it.
fn brought(app: &App, key: &str, event: &Event) -> Result<bool, StoreError> {
    let row = EVENTS.get(&*app.store, &event.id)?;
    Ok(row.is_some_and(|row| {
        row.origins
            .iter()
            .any(|origin| origin.key == key && origin.agent.is_none())
    }))
}
