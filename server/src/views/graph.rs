//! What holds a record together, as a picture: its identifiers on one side, where they appeared on the other.

use std::collections::{BTreeMap, BTreeSet};

use trenza_shared::{
    id::Fingerprint,
    identifier::Identifier,
    identity::Node,
    store::{Direction, StoreError, View},
};

use super::{fact::cut, text::Lang, time::Times};
use crate::{
    customer::{
        compared::value,
        record::Record,
        timeline::{Moment, moment},
    },
    identity::read,
    registry::Registry,
    tables::TIMELINE,
};

/// Most members of a record that are looked at.
const MEMBERS_MAX: usize = 200;
/// Most boxes of one side.
const BOXES_MAX: usize = 10;
/// Most characters of a box's line.
const CHARS_MAX: usize = 34;
/// Height of a box with the space below it.
const STEP: i64 = 58;
/// Where the first box begins.
const TOP: i64 = 34;
/// Height of a box.
const BOX: i64 = 46;

/// The picture and its rows.
pub struct Graph {
    /// Height of the drawing.
    pub height: i64,
    /// Identifiers.
    pub left: Vec<Boxed>,
    /// Places.
    pub right: Vec<Boxed>,
    /// From which height on the left to which on the right, and whether the value links nobody.
    pub lines: Vec<(i64, i64, bool)>,
    /// Whether there is more than the picture shows.
    pub more: bool,
    /// The same as rows.
    pub rows: Vec<Row>,
}

/// A box.
pub struct Boxed {
    /// Its top.
    pub y: i64,
    /// First line.
    pub title: String,
    /// Second line.
    pub text: String,
    /// Whether the value links nobody.
    pub shared: bool,
}

/// A place of the table.
pub struct Row {
    /// Where.
    pub place: String,
    /// When first.
    pub at: String,
    /// Which values appeared together there.
    pub values: Vec<(String, bool)>,
}

/// Values that appeared together.
struct Sighting {
    place: String,
    at_ms: i64,
    values: Vec<Identifier>,
}

/// What the picture is drawn of.
pub struct Drawing<'a> {
    /// Language.
    pub t: Lang,
    /// How times are written.
    pub times: &'a Times,
    /// Sources and agents.
    pub registry: &'a Registry,
    /// Whether personal values are hidden.
    pub masked: bool,
}

/// The earliest event of a fingerprint.
///
/// # Errors
/// The store cannot be read.
pub fn first_moment(
    view: &dyn View,
    fingerprint: &Fingerprint,
) -> Result<Option<Moment>, StoreError> {
    let first = TIMELINE
        .scan_prefix(view, fingerprint, Direction::Forward, 1)?
        .pop();
    first.map(|((_, _, id), _)| moment(view, &id)).transpose()
}

/// Where an event happened, in a word: its place, else its source.
pub fn place(registry: &Registry, moment: &Moment) -> String {
    moment
        .touchpoint(registry)
        .or_else(|| moment.sources(registry).into_iter().next())
        .unwrap_or_default()
}

impl Graph {
    /// Draws a record; none when a single value makes it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn draw(
        view: &dyn View,
        drawing: &Drawing<'_>,
        record: &Record,
    ) -> Result<Option<Self>, StoreError> {
        let mut sightings: BTreeMap<(String, Vec<Identifier>), i64> = BTreeMap::new();
        for member in record.group.members.iter().take(MEMBERS_MAX) {
            let (Some(node), Some(first)) =
                (read::node(view, member)?, first_moment(view, member)?)
            else {
                continue;
            };
            let Node { payload, .. } = node;
            let at = sightings
                .entry((place(drawing.registry, &first), payload.identifiers))
                .or_insert(first.row.at_ms);
            *at = first.row.at_ms.min(*at);
        }
        let mut sightings: Vec<Sighting> = sightings
            .into_iter()
            .map(|((place, values), at_ms)| Sighting {
                place,
                at_ms,
                values,
            })
            .collect();
        sightings.sort_by_key(|sighting| sighting.at_ms);
        if record.customer.identifiers.len() < 2 {
            return Ok(None);
        }
        Ok(Some(Self::of(
            drawing,
            &sightings,
            &record.shared(),
            record.group.members.len() > MEMBERS_MAX,
        )))
    }

    fn of(
        drawing: &Drawing<'_>,
        sightings: &[Sighting],
        shared: &BTreeSet<Identifier>,
        mut more: bool,
    ) -> Self {
        let label = |identifier: &Identifier| value(identifier, drawing.masked);
        // Places that show several values explain more than those that show one.
        let mut drawn: Vec<&Sighting> = sightings.iter().collect();
        drawn.sort_by_key(|sighting| {
            (
                std::cmp::Reverse(sighting.values.len().min(2)),
                sighting.at_ms,
            )
        });
        more |= drawn.len() > BOXES_MAX;
        drawn.truncate(BOXES_MAX);
        drawn.sort_by_key(|sighting| sighting.at_ms);
        let mut order: Vec<&Identifier> = Vec::new();
        for identifier in drawn.iter().flat_map(|sighting| &sighting.values) {
            if !order.contains(&identifier) {
                order.push(identifier);
            }
        }
        more |= order.len() > BOXES_MAX;
        order.truncate(BOXES_MAX);
        let tallest = i64::try_from(order.len().max(drawn.len())).unwrap_or(0);
        let centred = |count: usize, index: usize| {
            let (count, index) = (
                i64::try_from(count).unwrap_or(0),
                i64::try_from(index).unwrap_or(0),
            );
            TOP + (tallest - count) * STEP / 2 + index * STEP
        };
        let left: Vec<Boxed> = order
            .iter()
            .enumerate()
            .map(|(index, identifier)| Boxed {
                y: centred(order.len(), index),
                title: drawing.t.kind(identifier.kind).to_owned(),
                text: cut(&label(identifier), CHARS_MAX),
                shared: shared.contains(*identifier),
            })
            .collect();
        let right: Vec<Boxed> = drawn
            .iter()
            .enumerate()
            .map(|(index, sighting)| Boxed {
                y: centred(drawn.len(), index),
                title: cut(&sighting.place, CHARS_MAX),
                text: drawing.times.full(sighting.at_ms),
                shared: false,
            })
            .collect();
        let mut lines = Vec::new();
        for (sighting, place) in drawn.iter().zip(&right) {
            for (identifier, value) in order.iter().zip(&left) {
                if sighting.values.contains(identifier) {
                    lines.push((value.y + BOX / 2, place.y + BOX / 2, value.shared));
                }
            }
        }
        let rows = sightings.iter().map(|sighting| Row {
            place: sighting.place.clone(),
            at: drawing.times.full(sighting.at_ms),
            values: sighting
                .values
                .iter()
                .map(|one| {
                    (
                        format!("{} {}", drawing.t.kind(one.kind), label(one)),
                        shared.contains(one),
                    )
                })
                .collect(),
        });
        Self {
            height: TOP + tallest * STEP,
            left,
            right,
            lines,
            more,
            rows: rows.collect(),
        }
    }
}
