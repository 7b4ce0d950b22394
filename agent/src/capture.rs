//! What becomes of a captured request: entries in the log, on stable storage before 200.
//!
//! Owns the [`Collector`] of the agent. Never refuses a write key: an agent's view of them may be stale, the server judges.

use trenza_shared::{
    bot,
    capture::{CannotStore, Collector, MANY_WAIT, Stored, Taken, Verdict, origin_refused},
    event::{Captured, Event, EventType, Taking},
    group_commit::GroupError,
    id::Lane,
    store::StoreError,
    wire::{
        Shape as _,
        dropped::Reason,
        entry::{Entry, Open, What},
    },
};

use crate::{
    log::{Append, AppendError, NewEntry},
    priority::{Priority, priority},
    room::Refusal,
    state::{self, App},
};

/// When a client may come back after a full disk. Unit: seconds.
const FULL_RETRY_S: u32 = 5;
/// When a client may come back while the store is opened again. Unit: seconds.
const CLOSED_RETRY_S: u32 = 5;
/// When a client may come back after a burst. Unit: seconds.
const BUSY_RETRY_S: u32 = 1;
/// Longest reason kept with a refused text. Unit: characters.
const REASON_CHARS_MAX: usize = 500;

/// An event as JSON text, made by a page of the kiosk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft(pub String);

impl Collector for App {
    fn judge(&self, key: &str, origin: Option<&str>) -> Verdict {
        let link = self.link.now();
        if key != self.config.capture.write_key && !link.keys.contains(key) {
            return Verdict::Unverified;
        }
        let allowed = link.told.origins.get(key).map_or(&[][..], Vec::as_slice);
        origin_refused(allowed, origin).unwrap_or(Verdict::Known)
    }

    async fn store(&self, taken: Taken) -> Result<Stored, CannotStore> {
        let duplicates = take_in(self, entries(self, taken)).await?;
        Ok(Stored {
            duplicates,
            resolved: None,
        })
    }

    fn now_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    fn fresh_message_id(&self) -> String {
        state::random_uuid()
    }
}

/// Appends to the log, a request in one batch whatever lanes it goes to, and counts what became of it: produced is the sum of stored,
/// duplicates and refused. Gives how many were there already.
///
/// # Errors
/// Nothing was stored, and nothing is lost: the client is told to send all of it again.
pub async fn take_in(app: &App, appends: Vec<Append>) -> Result<usize, CannotStore> {
    let entries = || appends.iter().flat_map(|append| &append.entries);
    let produced = entries().count() as u64;
    let bytes: usize = entries().map(|new| new.entry.bytes()).sum();
    // One visit among them, and they are taken in as visits are: it must not wait for the others.
    let yields = appends.iter().all(|append| append.lane.yields());
    metrics::counter!("trenza_agent_produced_total").increment(produced);
    let appended = match app
        .room
        .admit_or_look(bytes as u64, yields, &app.mend)
        .await
    {
        Ok(()) => app
            .log
            .append_all(appends)
            .await
            .map_err(|error| {
                // The store's own trouble is told once, where it is mended: a line for each request would fill a full disk.
                tracing::debug!(error = %error, events = produced, "a request could not be stored; its client was told to come back");
                app.mend.notify_one();
                cannot_store(&error, app.room.now().facts.failure.as_ref())
            }),
        Err(Refusal::Full(reason)) => Err(CannotStore::Full {
            reason: match reason {
                Reason::Quota => "the quota of this agent's store (store.quota_bytes) is used up",
                Reason::Disk => "the disk is full",
            },
            retry_after_s: FULL_RETRY_S,
        }),
        Err(Refusal::KeptForVisits) => Err(CannotStore::KeptForOthers {
            retry_after_s: FULL_RETRY_S,
        }),
    };
    match &appended {
        Ok(duplicates) => {
            let duplicates = (*duplicates as u64).min(produced);
            metrics::counter!("trenza_agent_duplicates_total").increment(duplicates);
            metrics::counter!("trenza_agent_stored_total").increment(produced - duplicates);
        }
        Err(_) => metrics::counter!("trenza_agent_refused_total").increment(produced),
    }
    appended
}

/// Events in the client's order, then what was refused; those of low priority in a lane of their own.
fn entries(app: &App, taken: Taken) -> Vec<Append> {
    let sent_lag_ms = taken.sent_lag_ms();
    let Taken {
        key,
        verdict,
        received_ms,
        bot,
        events,
        rejected,
        ..
    } = taken;
    let mut open = Open {
        what: What::Event(EventType::Track),
        captured_ms: received_ms,
        boottime_ms: app.clock.boottime_ms(),
        boot: app.boot.number(),
        offset_min: offset_min(app, app.now_ms()),
        key,
        unverified: verdict != Verdict::Known,
        bot: None,
        sent_lag_ms,
    };
    // Events of one request and kind have one open part.
    let mut encoded: Option<(EventType, Vec<u8>)> = None;
    let mut entries = Vec::with_capacity(events.len() + rejected.len());
    let mut low = Vec::new();
    for event in events {
        let bytes = match &encoded {
            Some((kind, bytes)) if *kind == event.kind => bytes.clone(),
            _ => {
                open.what = What::Event(event.kind);
                open.bot = bot::of_kind(bot, event.kind);
                let bytes = open.to_bytes();
                encoded = Some((event.kind, bytes.clone()));
                bytes
            }
        };
        let entry = NewEntry {
            identity: Some(app.log.fingerprint(&event)),
            entry: Entry::with_open(bytes, &event.text),
        };
        match priority(&event, &app.config.capture.low_priority) {
            Priority::Low => low.push(entry),
            Priority::Normal => entries.push(entry),
        }
    }
    let rejected = rejected.into_iter().map(|rejected| {
        let reason = rejected.reason.chars().take(REASON_CHARS_MAX).collect();
        let what = What::Rejected {
            code: rejected.code.into(),
            reason,
            message_id: rejected.message_id,
        };
        let open = Open {
            what,
            bot: None,
            ..open.clone()
        };
        NewEntry {
            identity: None,
            entry: Entry::clear(&open, &rejected.text),
        }
    });
    entries.extend(rejected);
    let lanes = [(Lane::Visits, entries), (Lane::Low, low)].into_iter();
    lanes
        .filter(|(_, entries)| !entries.is_empty())
        .map(|(lane, entries)| Append { lane, entries })
        .collect()
}

/// The entries of a visit that staff registered; none when a text is no event, which the pages never make.
pub fn entry_of_staff(app: &App, drafts: Vec<Draft>) -> Option<Vec<Append>> {
    let events = drafts
        .iter()
        .map(|Draft(text)| Event::take(text, Taking::default()).map(Captured::from));
    let events = match events.collect::<Result<Vec<_>, _>>() {
        Ok(events) => events,
        Err(error) => {
            tracing::error!(error = %error, "a page of the kiosk made something that is no event");
            return None;
        }
    };
    let taken = Taken {
        key: app.config.capture.write_key.clone(),
        verdict: Verdict::Known,
        received_ms: app.clock.wall_ms(),
        sent_at: None,
        bot: None,
        events,
        rejected: Vec::new(),
        wait_resolved: false,
    };
    Some(entries(app, taken))
}

/// The place's offset from UTC at an instant. Unit: minutes.
fn offset_min(app: &App, at_ms: i64) -> i16 {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    i16::try_from(app.config.zone().to_offset(at).seconds() / 60).unwrap_or(0)
}

/// What a client is told; the log has ended by itself after `failure` of the store, and cannot tell it.
fn cannot_store(error: &GroupError<AppendError>, failure: Option<&StoreError>) -> CannotStore {
    match error {
        GroupError::Busy => CannotStore::Full {
            reason: MANY_WAIT,
            retry_after_s: BUSY_RETRY_S,
        },
        GroupError::Refused(AppendError::Store(
            error @ (StoreError::Full { .. } | StoreError::Io { .. }),
        )) => refusal_of(error),
        GroupError::Closed | GroupError::Refused(_) => failure.map_or(
            CannotStore::Closed {
                retry_after_s: CLOSED_RETRY_S,
            },
            refusal_of,
        ),
    }
}

/// What a client is told while the disk takes nothing.
pub(crate) fn refusal_of(error: &StoreError) -> CannotStore {
    match error {
        StoreError::Full { .. } => CannotStore::Full {
            reason: error.plainly(),
            retry_after_s: FULL_RETRY_S,
        },
        error => CannotStore::Failed {
            reason: error.plainly(),
            retry_after_s: CLOSED_RETRY_S,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_ended_after_a_failure_of_the_store_tells_that_failure() {
        let full = StoreError::Full {
            detail: "0 MiB are free".into(),
        };
        let told = |error: &GroupError<AppendError>, failure| match cannot_store(error, failure) {
            CannotStore::Full { .. } => "full",
            CannotStore::KeptForOthers { .. } => "kept",
            CannotStore::Failed { .. } => "failed",
            CannotStore::Closed { .. } => "closed",
        };
        let ended = GroupError::Closed;
        let refused = GroupError::Refused(AppendError::Store(StoreError::Closed));
        let broken = StoreError::Io {
            doing: "sync",
            detail: "EIO".into(),
        };
        for (error, failure, expected) in [
            (&ended, None, "closed"),
            (&ended, Some(&full), "full"),
            (&refused, None, "closed"),
            (&refused, Some(&broken), "failed"),
            (&GroupError::Busy, Some(&broken), "full"),
        ] {
            assert_eq!(told(error, failure), expected);
        }
    }
}
