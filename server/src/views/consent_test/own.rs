//! The way of the test's events: they come from a page of this server, which is among no source's origins.
//!
//! A pass stands in the path: for one source, for minutes. Only an admin's page is given one, and only requests that a page of this
//! server sends may use it. What it lets through is an event like any other.

use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use trenza_shared::{
    capture::{
        CannotStore, Collector, Stored, Taken, Verdict,
        surface::{Door, Surface},
    },
    id::to_hex,
    net::{error::HttpError, extract::Path},
};

use crate::{app::App, http::ServerCollector, views::session::from_our_page};

/// How long a pass holds: longer than all cases of a test take. Unit: ms.
const PASS_MS: i64 = 5 * 60_000;
/// What the key of passes is derived for.
const PURPOSE: &str = "trenza 2026-11 pass of the consent test";

/// A new pass for a source: when it ends, a dot, the seal.
pub fn pass(key: &[u8; 32], source: &str, now_ms: i64) -> String {
    let end_ms = now_ms.saturating_add(PASS_MS);
    format!("{end_ms}.{}", to_hex(seal(key, source, end_ms).as_bytes()))
}

/// Whether a pass is for a source and has not ended.
fn holds(key: &[u8; 32], source: &str, pass: &str, now_ms: i64) -> bool {
    let Some((end, sealed)) = pass.split_once('.') else {
        return false;
    };
    let (Ok(end_ms), Ok(sealed)) = (end.parse::<i64>(), blake3::Hash::from_hex(sealed)) else {
        return false;
    };
    // Hashes are compared in constant time.
    end_ms >= now_ms && seal(key, source, end_ms) == sealed
}

fn seal(key: &[u8; 32], source: &str, end_ms: i64) -> blake3::Hash {
    let mut sealed = blake3::Hasher::new_keyed(&blake3::derive_key(PURPOSE, key));
    sealed.update(&end_ms.to_be_bytes());
    sealed.update(source.as_bytes());
    sealed.finalize()
}

/// `POST /consent-test/{pass}/v1/batch`
pub async fn take(State(app): State<App>, Path(pass): Path<String>, request: Request) -> Response {
    if from_our_page(&app, request.headers()).is_err() {
        let error = HttpError::forbidden("this address is for this server's own consent test")
            .hint("send to /v1/batch");
        return error.into_response();
    }
    let collector = OwnPage {
        inner: ServerCollector::new(app.clone()),
        app,
        pass,
    };
    Surface::new(collector).answer(request, Door::batch()).await
}

/// The server's collector, for which a page with a pass needs no origin.
#[derive(Clone)]
struct OwnPage {
    app: App,
    inner: ServerCollector,
    pass: String,
}

impl Collector for OwnPage {
    fn judge(&self, key: &str, origin: Option<&str>) -> Verdict {
        let passes = holds(&self.app.applier.id_key, key, &self.pass, self.now_ms());
        self.inner.judge(key, origin.filter(|_| !passes))
    }

    async fn store(&self, taken: Taken) -> Result<Stored, CannotStore> {
        self.inner.store(taken).await
    }

    fn refused(&self, key: &str, origin: Option<&str>, error: &HttpError) {
        self.inner.refused(key, origin, error);
    }

    fn now_ms(&self) -> i64 {
        self.inner.now_ms()
    }

    fn fresh_message_id(&self) -> String {
        self.inner.fresh_message_id()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pass_is_for_its_source_and_its_time_alone(key in any::<[u8; 32]>(), source in "wk_[a-z]{1,9}", other in "wk_[a-z]{1,9}", now in 0..i64::MAX / 2, later in 0..2 * PASS_MS, edit in any::<prop::sample::Index>()) {
            let made = pass(&key, &source, now);
            prop_assert_eq!(holds(&key, &source, &made, now + later), later <= PASS_MS);
            prop_assert_eq!(holds(&key, &other, &made, now), source == other);
            let mut edited = made.clone().into_bytes();
            let at = edit.index(edited.len());
            edited[at] = if edited[at] == b'1' { b'2' } else { b'1' };
            let edited = String::from_utf8(edited).unwrap();
            prop_assert!(!holds(&key, &source, &edited, now), "{}", edited);
        }

        #[test]
        fn what_is_no_pass_opens_nothing(text in ".{0,90}") {
            prop_assert!(!holds(&[7; 32], "wk_web", &text, 0));
        }
    }
}
