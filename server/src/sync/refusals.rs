//! What was refused of a source at the door: requests of which nothing was stored.
//!
//! Owns a bounded memory of them, for the developer who wonders where their events are; a restart forgets it. Never holds anybody
//! up: a note is a look at a short list, and the same refusal again only counts up.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use trenza_shared::net::error::HttpError;

/// Most different refusals kept of one source; of more, the oldest are forgotten.
pub const KEPT_MAX: usize = 100;
/// Longest text kept of what a client said. Unit: characters.
const TEXT_CHARS_MAX: usize = 300;

/// A request that was refused, and the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its own number; the same refusal again keeps it.
    pub id: u64,
    /// Grows with every refusal; of the newest of these.
    pub number: u64,
    /// The write key.
    pub key: String,
    /// When it was refused first. Unit: ms since 1970.
    pub first_ms: i64,
    /// When it was refused last. Unit: ms since 1970.
    pub last_ms: i64,
    /// Stable name of the reason.
    pub code: &'static str,
    /// The reason, in a sentence.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// The page that sent it, as the browser said.
    pub origin: Option<String>,
    /// How often.
    pub times: u64,
}

/// The refusals of every source.
pub struct Refusals {
    by_key: Mutex<BTreeMap<String, VecDeque<Refusal>>>,
    told: watch::Sender<u64>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            by_key: Mutex::default(),
            told: watch::Sender::new(0),
        }
    }
}

impl Refusals {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Refusal>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of one. The key is that of a source, so that there are no more lists than sources.
    pub fn note(&self, key: &str, origin: Option<&str>, error: &HttpError, now_ms: i64) {
        let cut = |text: &str| text.chars().take(TEXT_CHARS_MAX).collect::<String>();
        let (message, origin) = (cut(&error.message), origin.map(cut));
        let mut all = self.all();
        let number = *self.told.borrow() + 1;
        let kept = all.entry(key.to_owned()).or_default();
        let same = kept.iter().position(|one| {
            one.code == error.code && one.message == message && one.origin == origin
        });
        let refusal = match same.and_then(|at| kept.remove(at)) {
            Some(known) => Refusal {
                number,
                last_ms: now_ms,
                times: known.times.saturating_add(1),
                ..known
            },
            None => Refusal {
                id: number,
                number,
                key: key.to_owned(),
                first_ms: now_ms,
                last_ms: now_ms,
                code: error.code,
                message,
                hint: error.hint.clone(),
                origin,
                times: 1,
            },
        };
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(refusal);
        self.told.send_replace(number);
    }

    /// Those after a number, of one source or of all, oldest first, and the number of the newest of all.
    pub fn after(&self, key: Option<&str>, number: u64) -> (Vec<Refusal>, u64) {
        let all = self.all();
        let lists = all
            .iter()
            .filter(|(own, _)| key.is_none_or(|key| key == own.as_str()));
        let mut found: Vec<Refusal> = lists
            .flat_map(|(_, list)| list)
            .filter(|one| one.number > number)
            .cloned()
            .collect();
        found.sort_unstable_by_key(|one| one.number);
        (found, *self.told.borrow())
    }

    /// The number of the newest, as it grows.
    pub fn told(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(message: &str) -> HttpError {
        HttpError::bad_request("not_json", message).hint("correct it")
    }

    #[test]
    fn the_same_refusal_again_only_counts_up() {
        let refusals = Refusals::default();
        for at in 0..1_000 {
            refusals.note("wk", Some("https://x.org"), &error("no"), at);
        }
        refusals.note("wk", Some("https://y.org"), &error("no"), 1_000);
        let (found, newest) = refusals.after(Some("wk"), 0);
        assert_eq!(newest, 1_001);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (
                found[0].id,
                found[0].times,
                found[0].first_ms,
                found[0].last_ms
            ),
            (1, 1_000, 0, 999)
        );
        assert_eq!(refusals.after(Some("wk"), 1_000).0.len(), 1);
        assert!(refusals.after(Some("other"), 0).0.is_empty());
    }

    proptest! {
        #[test]
        fn memory_is_bounded_whatever_is_refused(
            notes in proptest::collection::vec((0..3usize, 0..400u32, "\\PC{0,400}"), 0..600),
        ) {
            let refusals = Refusals::default();
            for (source, origin, message) in &notes {
                let origin = format!("https://{origin}.org");
                refusals.note(["a", "b", "c"][*source], Some(&origin), &error(message), 0);
            }
            for key in ["a", "b", "c"] {
                let (found, newest) = refusals.after(Some(key), 0);
                prop_assert!(found.len() <= KEPT_MAX);
                prop_assert_eq!(newest as usize, notes.len());
                prop_assert!(found.is_sorted_by_key(|one| one.number));
                prop_assert!(found.iter().all(|one| one.message.chars().count() <= TEXT_CHARS_MAX));
            }
        }
    }
}
