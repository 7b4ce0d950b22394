//! The exports of the contract: byte-equal for equal sets of events.

use std::{collections::BTreeSet, io};

use trenza_shared::{
    id::CustomerId,
    identity::Group,
    store::{StoreError, View},
};

use super::{record, timeline};
use crate::{
    evidence::entry_at,
    tables::{COMPONENTS, EVENTS, Position},
};

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reader went away, or its disk is full.
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Every customer, one line each, sorted by id.
///
/// # Errors
/// [`ExportError`].
pub fn customers(
    view: &dyn View,
    id_key: &[u8; 32],
    to: &mut dyn io::Write,
) -> Result<u64, ExportError> {
    let mut order: Vec<(CustomerId, trenza_shared::id::Fingerprint)> = Vec::new();
    for row in COMPONENTS.rows(view) {
        let (_, component) = row?;
        order.extend(component.0.groups.iter().map(|group| {
            (
                trenza_shared::identity::customer_id(id_key, &group.seed),
                group.seed,
            )
        }));
    }
    order.sort_unstable();
    let mut lines = 0;
    for (_, seed) in order {
        // A part of a person goes with the person, whose seed is the earliest of its parts'.
        let Some(group) = record::group_of(view, &seed)?.filter(|group| group.seed == seed) else {
            continue;
        };
        to.write_all(line(view, id_key, group)?.as_bytes())?;
        to.write_all(b"\n")?;
        lines += 1;
    }
    Ok(lines)
}

fn line(view: &dyn View, id_key: &[u8; 32], group: Group) -> Result<String, StoreError> {
    let records = timeline::message_ids(view, &group)?;
    let record = record::load(view, id_key, group)?;
    Ok(record.customer.export_line(
        record.id,
        records.iter().map(String::as_str),
        &record.shared(),
    ))
}

/// Every stored event once, in the order of the log.
///
/// # Errors
/// [`ExportError`].
pub fn events(view: &dyn View, to: &mut dyn io::Write) -> Result<u64, ExportError> {
    let mut order: BTreeSet<Position> = BTreeSet::new();
    for row in EVENTS.rows(view) {
        order.insert(row?.1.position);
    }
    let mut lines = 0;
    let mut open: Option<(u64, Vec<trenza_shared::wire::entry::Entry>)> = None;
    for position in order {
        if open
            .as_ref()
            .is_none_or(|(record, _)| *record != position.record)
        {
            open = Some((
                position.record,
                crate::evidence::entries_of(view, position.record)?,
            ));
        }
        let entry = match open
            .as_ref()
            .and_then(|(_, entries)| entries.get(position.index as usize))
        {
            Some(entry) => entry.clone(),
            None => entry_at(view, position)?,
        };
        let text = entry.text().map_err(|error| StoreError::Corrupt {
            space: "log".into(),
            detail: error.to_string(),
        })?;
        // A line is an event: line breaks between members are the client's layout, not content.
        let one_line: String = text
            .chars()
            .filter(|char| !matches!(char, '\n' | '\r'))
            .collect();
        to.write_all(one_line.as_bytes())?;
        to.write_all(b"\n")?;
        lines += 1;
    }
    Ok(lines)
}
