//! The HTTP surface that clients capture through, the same on agent and server.
//!
//! Owns paths, write keys, encodings, limits, answers and CORS of the capture API, so that SDKs of the Segment family, of
//! Jitsu, PostHog and Snowplow work unmodified. Never stores anything and never knows a key: both are the [`Collector`]'s. First step of the flow.
//!
//! What a status means to clients: 200 is stored and fsynced; 400, 401, 403 and 413 are dropped by every client, so they are
//! answered only where a retry cannot help; 429 and 503 are sent again. Others are never answered, since clients disagree on
//! what they mean (202 and 204 make some send twice, a redirect counts as delivered, 408 and 501 lose events).

pub mod answer; // what clients get
pub mod body; // bytes of a request into its text
pub mod cors; // which pages may read the answers
pub mod intake; // texts into events and refusals
pub mod jitsu; // Jitsu's paths
pub mod key; // whose request it is
pub mod posthog; // PostHog's bodies and paths
pub mod rate; // token bucket of a source
pub mod routes; // every URL
pub mod rudder; // RudderStack's configuration and pixel
pub mod segment; // Segment's script for HTML
pub mod settings; // what browser SDKs ask for first
pub mod snippet; // the script for websites
pub mod snowplow; // Snowplow's bodies
pub mod split; // a batch body into the texts of its events
pub mod surface; // the way of one request
#[cfg(test)]
mod tests;
pub mod vendor; // what the translations of vendors' events share

use std::future::Future;

use crate::{bot::Bot, event::Captured, net::error::HttpError, skew};

pub use {intake::Rejected, routes::router};

/// Longest request, as sent and inflated: 4 MiB, which is what the most generous SDK sends, and 5 %. Unit: bytes.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024 / 100 * 105;
/// Most events of one request.
pub const BATCH_EVENTS_MAX: usize = 10_000;

/// What the program thinks of a write key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A source of the organisation: its events are stored as such.
    Known,
    /// Not known here yet (an agent's view may be stale): stored, tagged, judged later by the server.
    Unverified,
    /// Not known to the one who must know: stored apart, still answered 200.
    Quarantine,
    /// Taken back: 401.
    Revoked,
    /// The source does not accept pages of this origin: 403.
    OriginRefused {
        /// What the browser said.
        origin: String,
    },
    /// Too much of this source for now: 429.
    RateLimited {
        /// When to come back. Unit: seconds; at most 300 are told.
        retry_after_s: u32,
    },
}

/// The verdict on a request from a page that is none of those that may send with its key; none where it may, where any page may, and
/// where no page sent it.
pub fn origin_refused(allowed: &[String], origin: Option<&str>) -> Option<Verdict> {
    let origin = origin.filter(|_| !allowed.is_empty())?;
    let may = allowed.iter().any(|one| one.eq_ignore_ascii_case(origin));
    (!may).then(|| Verdict::OriginRefused {
        origin: origin.to_owned(),
    })
}

/// One request, taken in: what is to be stored.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The write key it came with.
    pub key: String,
    /// What [`Collector::judge`] said of it: `Known`, `Unverified` or `Quarantine`.
    pub verdict: Verdict,
    /// When the whole request was here, by [`Collector::now_ms`]. Unit: UTC ms.
    pub received_ms: i64,
    /// When the client says it sent it. Unit: UTC ms of the client's clock.
    pub sent_at: Option<i64>,
    /// What its user agent says; see [`crate::bot::of_kind`] for what that says of an event.
    pub bot: Option<Bot>,
    /// What can be stored, in the client's order.
    pub events: Vec<Captured>,
    /// What never can be, to be kept apart.
    pub rejected: Vec<Rejected>,
    /// The client wants to wait until the events are in their customers.
    pub wait_resolved: bool,
}

impl Taken {
    /// By how much the client's clock was behind the collector's; see [`skew::sent_lag_ms`]. Unit: ms.
    pub fn sent_lag_ms(&self) -> i64 {
        skew::sent_lag_ms(self.sent_at, self.received_ms)
    }
}

/// What came of storing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// How many were there already.
    pub duplicates: usize,
    /// Whether all are in their customers; `None` where nobody asked or nobody resolves.
    pub resolved: Option<bool>,
}

/// The reason of [`CannotStore::Full`] where the disk has room, and the queue to it has none.
pub const MANY_WAIT: &str = "as many wait to be written as may";

/// Why nothing of a request was stored. The client is told to send it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotStore {
    /// No room, or too many wait already.
    #[error(
        "there is no room for events now: {reason}; they are welcome again in {retry_after_s} s"
    )]
    Full {
        /// What is full, in words for people.
        reason: &'static str,
        /// When to come back. Unit: seconds.
        retry_after_s: u32,
    },
    /// What room is left is kept for what has a higher priority.
    #[error(
        "there is no room for low-priority events now: what is left of the disk or the quota is kept for visits; send them again in {retry_after_s} s, or leave them out"
    )]
    KeptForOthers {
        /// When to come back. Unit: seconds.
        retry_after_s: u32,
    },
    /// The disk takes no writes, though it has room.
    #[error(
        "events cannot be stored now: {reason}; that is no fault of the event, send it again in {retry_after_s} s"
    )]
    Failed {
        /// What the disk does, as [`StoreError::plainly`](crate::store::StoreError::plainly) says it.
        reason: &'static str,
        /// When to come back. Unit: seconds.
        retry_after_s: u32,
    },
    /// The store is stopping, or is being opened again.
    #[error("the store is not open now; send again in {retry_after_s} s")]
    Closed {
        /// When to come back. Unit: seconds.
        retry_after_s: u32,
    },
}

/// What a program does with what was taken in.
pub trait Collector: Clone + Send + Sync + 'static {
    /// Judges a write key, from memory alone; called once a request, so it may take from a [`rate::TokenBucket`].
    fn judge(&self, key: &str, origin: Option<&str>) -> Verdict;
    /// Stores; answers only once all of it is on stable storage. Is also given what holds only refusals.
    ///
    /// # Errors
    /// Nothing was stored, or it is unknown whether: the client will send all of it again.
    fn store(&self, taken: Taken) -> impl Future<Output = Result<Stored, CannotStore>> + Send;
    /// Is told of a request that was refused as a whole, where its write key could be read before that; keeps nothing of it unless it
    /// wants to. Called on the way to the answer, so it must not wait.
    fn refused(&self, _key: &str, _origin: Option<&str>, _error: &HttpError) {}
    /// The wall clock. Unit: UTC ms.
    fn now_ms(&self) -> i64;
    /// A new random id for an event that came without one.
    fn fresh_message_id(&self) -> String;
}

/// What differs between the programs and their listeners.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The bytes of the snippet.
    pub snippet: &'static [u8],
    /// The release of the snippet, as in its immutable address.
    pub snippet_version: &'static str,
    /// How clients reach this listener where the request does not say: `https` or `http`.
    pub protocol: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            snippet: b"",
            snippet_version: env!("CARGO_PKG_VERSION"),
            protocol: "https",
        }
    }
}
