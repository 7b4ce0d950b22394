//! Where the event of a messageId stands.
//!
//! Owns the answer to "did it arrive, and where is it now". Also looks into the end of the log that is not applied yet.

use std::collections::BTreeSet;

use trenza_shared::{
    event::Event,
    evidence::{Observation, observe},
    id::Fingerprint,
    store::{StoreError, View},
    wire::{
        Shape as _,
        entry::{Open, What},
    },
};

use super::timeline::{Moment, moment};
use crate::{
    evidence::{entry_at, message_key, next_records, seed_of},
    registry::Registry,
    tables::{APPLIED, MESSAGES, REJECTED, RejectedRow},
};

/// Most records of the log that are looked through beyond what is applied.
const UNAPPLIED_RECORDS_MAX: usize = 64;
/// Most versions and refusals shown of one messageId.
const VERSIONS_MAX: usize = 32;

/// One version of what came with a messageId.
pub struct Version {
    /// The event.
    pub moment: Moment,
    /// The seed of the customer it belongs to; none when its identifiers are all invalid or blocked.
    pub seed: Option<Fingerprint>,
}

/// A refusal with the text that was refused.
pub struct Refused {
    /// Why.
    pub row: RejectedRow,
    /// What was sent, as far as it was kept.
    pub text: String,
}

/// Everything that came with one messageId.
pub enum Standing {
    /// In the log, not looked at yet.
    Waiting(Box<Event>),
    /// In the derived tables.
    Applied {
        /// By event time, then id; more than one is a conflict.
        versions: Vec<Version>,
        /// Refused entries.
        refused: Vec<Refused>,
    },
}

/// What came with a messageId; none when it is not here.
///
/// # Errors
/// The store cannot be read.
pub fn find(view: &dyn View, message_id: &str) -> Result<Option<Standing>, StoreError> {
    let Some(row) = MESSAGES.get(view, &message_key(message_id))? else {
        return Ok(unapplied(view, message_id)?.map(|event| Standing::Waiting(Box::new(event))));
    };
    let mut versions = Vec::new();
    for id in row.events.iter().take(VERSIONS_MAX) {
        let moment = moment(view, id)?;
        let seed = match &moment.row.fingerprint {
            Some(fingerprint) => seed_of(view, fingerprint)?,
            None => None,
        };
        versions.push(Version { moment, seed });
    }
    // Not in the order of arrival, which two servers with the same events need not share.
    versions.sort_by_key(|version| (version.moment.row.at_ms, version.moment.event.id));
    let mut refused = Vec::new();
    for position in row.rejected.iter().take(VERSIONS_MAX) {
        let Some(row) = REJECTED.get(view, &(position.record, position.index))? else {
            continue;
        };
        let text = entry_at(view, *position)?
            .text()
            .map(str::to_owned)
            .unwrap_or_default();
        refused.push(Refused { row, text });
    }
    Ok(Some(Standing::Applied { versions, refused }))
}

fn unapplied(view: &dyn View, message_id: &str) -> Result<Option<Event>, StoreError> {
    let applied = APPLIED.get(view, &())?.unwrap_or(0);
    for (_, record) in next_records(view, applied, UNAPPLIED_RECORDS_MAX)? {
        let Ok(entries) = record.run.unpack() else {
            continue;
        };
        for entry in &entries {
            let is_event =
                Open::from_bytes(&entry.open).is_ok_and(|open| matches!(open.what, What::Event(_)));
            let Ok(text) = entry.text() else { continue };
            if is_event
                && text.contains(message_id)
                && let Ok(event) = Event::stored(text.to_owned())
                && event.message_id == message_id
            {
                return Ok(Some(event));
            }
        }
    }
    Ok(None)
}

/// What a stored event says, by all of its takings-in.
pub fn said(moment: &Moment, registry: &Registry) -> Observation {
    let origins: BTreeSet<_> = moment
        .row
        .origins
        .iter()
        .filter_map(|row| registry.origin(row, None))
        .collect();
    observe(&moment.event, &origins)
}

/// Why an event that says this belongs to nobody: what is wrong with each of its identifiers.
pub fn nobody_because(said: &Observation) -> String {
    let wrong = unusable(said);
    if wrong.is_empty() {
        "its identifiers are blocked: they are evidence of nobody".to_owned()
    } else {
        wrong.join("; ")
    }
}

/// What is wrong with each identifier of an event that is none.
pub fn unusable(said: &Observation) -> Vec<String> {
    let unusable = said.unusable.iter();
    unusable
        .map(|(kind, reason)| format!("{kind}: {reason}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use trenza_shared::{
        event::EventType,
        store::{Batch, Durable, MemStore, Store as _},
        wire::{entry::Entry, frame::Run},
    };

    use super::*;
    use crate::tables::{Hop, LOG, RecordRow};

    #[test]
    fn an_event_that_is_not_applied_yet_is_found_in_the_log() {
        let store = MemStore::new();
        let open = Open {
            what: What::Event(EventType::Page),
            captured_ms: 5,
            boottime_ms: 0,
            boot: 0,
            offset_min: 0,
            key: "wk".into(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        let entry = |id: &str| {
            Entry::clear(
                &open,
                &format!(r#"{{"type":"page","userId":"m-3","messageId":"{id}"}}"#),
            )
        };
        let mut batch = Batch::new();
        for (number, id) in [(1, "m-1"), (2, "m-2")] {
            let row = RecordRow {
                received_ms: 5,
                hop: Hop::Own,
                count: 1,
                run: Run::pack(&[entry(id)]),
                links: None,
            };
            LOG.put(&mut batch, &number, &row).unwrap();
        }
        APPLIED.put(&mut batch, &(), &1).unwrap();
        store.commit(batch, Durable::Yes).unwrap();
        assert!(
            matches!(find(&store, "m-2").unwrap(), Some(Standing::Waiting(event)) if event.message_id == "m-2")
        );
        assert!(
            find(&store, "m-1").unwrap().is_none(),
            "what is applied is only looked for in the tables"
        );
        assert!(
            find(&store, "m-3").unwrap().is_none(),
            "a text that merely holds the id is not the event"
        );
    }
}
