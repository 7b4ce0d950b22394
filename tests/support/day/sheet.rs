//! Owns the day's sheet of touches and its clock: local hours to UTC milliseconds, message ids, the parts every body has.
//! Knows no channel.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Map, Value, json};

use super::chance::Chance;
use super::people::PersonNo;
use super::{Place, Repeat, Touch};

/// When things happen: (first minute of the local day, minute it ends, weight).
pub type Hours = [((i64, i64), u32)];

/// What is written down during the day.
pub struct Sheet {
    half_hours: Vec<i64>,
    ids: Chance,
    /// In the order of writing.
    pub touches: Vec<Touch>,
}

const MINUTE_MS: i64 = 60_000;

impl Sheet {
    /// An empty sheet for that day in that zone.
    pub fn new(ids: Chance, date: Date, zone: &TimeZone, room: usize) -> Self {
        let half_hours = (0..48)
            .map(|slot: i64| {
                let local = date.at(0, 0, 0, 0).saturating_add((slot * 30).minutes());
                // A gap or fold of a change of the clocks is resolved as people do: the later hour, the earlier one.
                local
                    .to_zoned(zone.clone())
                    .map_or(0, |zoned| zoned.timestamp().as_millisecond())
            })
            .collect();
        Self {
            half_hours,
            ids,
            touches: Vec::with_capacity(room),
        }
    }

    /// UTC milliseconds of a minute of the local day; from 1440 on it is the night after.
    pub fn at(&self, minute: i64) -> i64 {
        let slot = (minute / 30).clamp(0, 47);
        self.half_hours[slot as usize] + (minute - slot * 30) * MINUTE_MS
    }

    /// Some moment within those hours.
    pub fn moment(&self, chance: &mut Chance, hours: &Hours) -> i64 {
        let (first, end) = *chance.weighted(hours);
        self.at(chance.between(first, end - 1)) + chance.between(0, MINUTE_MS - 1)
    }

    /// Writes a touch down. `body` needs no messageId and no timestamp.
    pub fn put(&mut self, place: Place, truth: Option<PersonNo>, at_ms: i64, body: Value) {
        let uuid = self.ids.uuid();
        let id = if place == Place::Website {
            format!("ajs-next-{at_ms}-{uuid}")
        } else {
            uuid
        };
        self.put_as(id, place, truth, at_ms, body);
    }

    /// The same with a message id of the place's own making.
    pub fn put_as(
        &mut self,
        id: String,
        place: Place,
        truth: Option<PersonNo>,
        at_ms: i64,
        mut body: Value,
    ) {
        if let Value::Object(fields) = &mut body {
            fields.insert("messageId".into(), id.into());
            fields.insert("timestamp".into(), iso(at_ms).into());
        }
        self.touches.push(Touch {
            at_ms,
            place,
            body,
            truth,
            repeat: Repeat::First,
        });
    }
}

/// `2026-03-14T09:00:00.000Z`.
pub fn iso(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(
        |_| String::new(),
        |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    )
}

/// `context` of an inbound touch: the touch fields and who or what is known to be there.
pub fn inbound(channel: &str, touchpoint: &str, traits: Map<String, Value>) -> Value {
    let mut context = json!({
        "trenza": {"channel": channel, "touchpoint": touchpoint, "direction": "in", "initiative": "reactive"}
    });
    if !traits.is_empty() {
        context["traits"] = Value::Object(traits);
    }
    context
}

/// Traits with one entry.
pub fn only(key: &str, value: impl Into<Value>) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), value.into())])
}
