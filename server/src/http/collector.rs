//! Capture on the server's own listeners: the server is a collector for websites too.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use trenza_shared::{
    bot,
    capture::{
        CannotStore, Collector, MANY_WAIT, Stored, Taken, Verdict, origin_refused,
        rate::{RateDecision, RateLimit, TokenBucket},
    },
    event::EVENT_BYTES_MAX,
    group_commit::GroupError,
    id::to_hex,
    net::error::HttpError,
    store::StoreError,
    wire::entry::{Entry, Open, What},
};

use crate::{
    app::App,
    sync::log::{Arrival, Placed},
    tables::Hop,
};

/// When to come back after the store could not write. Unit: seconds.
const RETRY_AFTER_S: u32 = 2;

/// What each source has sent of late, over whichever listener.
#[derive(Default)]
pub struct Rates(Mutex<HashMap<String, TokenBucket>>);

impl Rates {
    /// When to come back, where a source has sent more than `per_s` requests a second (0: without limit). Unit: seconds. Only for keys of known
    /// sources, so that there are no more of them than sources.
    fn limited(&self, key: &str, per_s: u32, now_ms: i64) -> Option<u32> {
        if per_s == 0 {
            return None;
        }
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = RateLimit {
            burst: per_s.saturating_mul(2),
            per_second: per_s,
        };
        let bucket = buckets
            .entry(key.to_owned())
            .or_insert_with(|| TokenBucket::full(limit, now_ms));
        let (left, decision) = bucket.take(limit, now_ms, 1);
        *bucket = left;
        match decision {
            RateDecision::Go => None,
            RateDecision::Wait { retry_after_s } => Some(retry_after_s),
        }
    }
}

/// Judges by the registry, stores in the log.
#[derive(Clone)]
pub struct ServerCollector {
    app: App,
}

impl ServerCollector {
    /// A collector of this server.
    pub fn new(app: App) -> Self {
        Self { app }
    }
}

/// An entry of what a client sent, as every collector of this program writes it.
pub fn entries(taken: &Taken, boottime_ms: u64) -> Vec<Entry> {
    let sent_lag_ms = taken.sent_lag_ms();
    let open = |what, bot| Open {
        what,
        captured_ms: taken.received_ms,
        boottime_ms,
        boot: 0,
        offset_min: 0,
        key: taken.key.clone(),
        unverified: taken.verdict != Verdict::Known,
        bot,
        sent_lag_ms,
    };
    let events = taken.events.iter().map(|event| {
        let bot = bot::of_kind(taken.bot, event.kind);
        Entry::clear(&open(What::Event(event.kind), bot), &event.text)
    });
    let rejected = taken.rejected.iter().map(|one| {
        let what = What::Rejected {
            code: one.code.to_owned(),
            reason: one.reason.clone(),
            message_id: one.message_id.clone(),
        };
        let end = one.text.floor_char_boundary(EVENT_BYTES_MAX);
        Entry::clear(&open(what, None), &one.text[..end])
    });
    events.chain(rejected).collect()
}

impl Collector for ServerCollector {
    fn judge(&self, key: &str, origin: Option<&str>) -> Verdict {
        let per_s = self.app.config.capture.requests_per_s_max;
        let within_limit =
            |key: &str, verdict| match self.app.rates.limited(key, per_s, self.now_ms()) {
                Some(retry_after_s) => Verdict::RateLimited { retry_after_s },
                None => verdict,
            };
        let Some(source) = self.app.registry.source(key) else {
            // All keys that nobody made together: whoever makes some up must not fill the disk.
            return within_limit("", Verdict::Quarantine);
        };
        if source.revoked {
            return Verdict::Revoked;
        }
        if let Some(refused) = origin_refused(&source.origins, origin) {
            return refused;
        }
        within_limit(key, Verdict::Known)
    }

    async fn store(&self, taken: Taken) -> Result<Stored, CannotStore> {
        let entries = entries(&taken, self.app.clock.boottime_ms());
        if entries.is_empty() {
            return Ok(Stored {
                duplicates: 0,
                resolved: taken.wait_resolved.then_some(true),
            });
        }
        let produced = entries.len() as u64;
        metrics::counter!("trenza_server_produced_total").increment(produced);
        let placed = self
            .app
            .append(Arrival::own(taken.received_ms, Hop::Own, &entries))
            .await
            .inspect(|_| metrics::counter!("trenza_server_stored_total").increment(produced))
            .inspect_err(|_| metrics::counter!("trenza_server_refused_total").increment(produced))
            .map_err(|error| match error {
                GroupError::Closed => CannotStore::Closed {
                    retry_after_s: RETRY_AFTER_S,
                },
                GroupError::Busy => CannotStore::Full {
                    reason: MANY_WAIT,
                    retry_after_s: 1,
                },
                // Told once, where it is looked after.
                GroupError::Refused(error @ StoreError::Full { .. }) => CannotStore::Full {
                    reason: error.plainly(),
                    retry_after_s: RETRY_AFTER_S,
                },
                // Told where it is looked after: a line for each request would fill a disk.
                GroupError::Refused(error) => {
                    tracing::debug!(%error, "events not stored");
                    CannotStore::Failed {
                        reason: error.plainly(),
                        retry_after_s: RETRY_AFTER_S,
                    }
                }
            })?;
        let resolved = match placed {
            Placed::Own(record) if taken.wait_resolved => Some(self.app.resolved(record).await),
            _ => None,
        };
        Ok(Stored {
            duplicates: 0,
            resolved,
        })
    }

    fn refused(&self, key: &str, origin: Option<&str>, error: &HttpError) {
        // Only of sources, and of none at all: keys that nobody made would fill the memory.
        if key.is_empty() || self.app.registry.source(key).is_some() {
            let now_ms = self.now_ms();
            self.app.refusals.note(key, origin, error, now_ms);
        }
    }

    fn now_ms(&self) -> i64 {
        self.app.clock.wall_ms()
    }

    fn fresh_message_id(&self) -> String {
        format!("srv-{}", to_hex(&crate::app::random::<16>()))
    }
}
