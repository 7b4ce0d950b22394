//! A stream of events, and the count of what became of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{
    day::{Chance, Options, Place, Repeat, generate},
    http::Http,
    process::Server,
};

/// Events of one post.
pub const BATCH: u64 = 7;

/// The event with this number.
pub fn event(number: u64) -> Value {
    json!({"type": "track", "event": "Visit", "messageId": format!("pour-{number}"), "anonymousId": format!("visitor-{}", number % 40),
        "timestamp": "2026-03-14T10:00:00Z", "properties": {"number": number, "text": "ñandú ".repeat(12)}})
}

/// Posts batches until the collector fails; gives the numbers that were acknowledged.
pub async fn pour(url: String, key: String, from: u64, batches: u64) -> Vec<u64> {
    let Ok(http) = Http::new(None) else {
        return Vec::new();
    };
    let mut acknowledged = Vec::new();
    for batch in 0..batches {
        let numbers: Vec<u64> = (0..BATCH).map(|one| from + batch * BATCH + one).collect();
        let events: Vec<Value> = numbers.iter().map(|number| event(*number)).collect();
        match http.capture(&url, &key, &events, "").await {
            Ok(answer) if answer["success"] == true => acknowledged.extend(numbers),
            _ => break,
        }
    }
    acknowledged
}

/// Checks that the server holds every acknowledged event, and no event twice; gives how many it holds.
///
/// # Errors
/// Which one is lost or doubled.
pub fn stored_once(server: &Server, acknowledged: &[u64]) -> anyhow::Result<usize> {
    let export = String::from_utf8(server.must(["export", "events"])?)?;
    let mut stored: BTreeMap<String, u32> = BTreeMap::new();
    for line in export.lines() {
        let event: Value = serde_json::from_str(line)?;
        let id = event["messageId"].as_str().context("messageId")?;
        *stored.entry(id.to_owned()).or_default() += 1;
    }
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged");
    for number in acknowledged {
        let count = stored.get(&format!("pour-{number}")).copied().unwrap_or(0);
        ensure!(
            count == 1,
            "event {number} was acknowledged and is stored {count} times"
        );
    }
    let doubled = stored.iter().find(|(_, count)| **count > 1);
    ensure!(doubled.is_none(), "stored twice: {doubled:?}");
    Ok(stored.len())
}

/// Events of the demo day, again and again, each with a messageId of its own: they pack as well as real ones do.
pub struct Days(Vec<(String, String)>);

impl Default for Days {
    fn default() -> Self {
        let day = generate(&Options::default());
        let mut touches = day.events;
        touches.retain(|touch| touch.place != Place::Import && touch.repeat == Repeat::First);
        let around_id = touches.iter().filter_map(|touch| {
            let text = touch.body.to_string();
            let (head, tail) = text.split_once(touch.message_id())?;
            Some((head.to_owned(), tail.to_owned()))
        });
        Self(around_id.collect())
    }
}

impl Days {
    /// Event `number`, as JSON.
    pub fn event(&self, number: u64) -> String {
        let at = usize::try_from(number).unwrap_or_default() % self.0.len();
        let (head, tail) = &self.0[at];
        // Their first numbers differ as long as the seeds do.
        let mut chance = Chance::new(number);
        format!("{head}{:016x}{:016x}{tail}", chance.roll(), chance.roll())
    }
}
