//! Telling the server what was measured of this device's clock, so that visits can be timed by it.

use trenza_shared::{
    id::Lane,
    skew::Fact,
    wire::entry::{Entry, Open, What},
};

use super::{Sender, uplink::TalkError};
use crate::{
    log::{Append, NewEntry},
    tables::Measured,
};

impl Sender {
    /// Appends a measurement to the log when it says more than what was stated last in this boot.
    ///
    /// # Errors
    /// What was stated cannot be remembered.
    pub(super) async fn state_clock(&self, fact: Fact) -> Result<(), TalkError> {
        let boot = self.around.boot.number();
        let stated = self.link.told().measured;
        let agent = self.log.agent();
        let stated = stated.filter(|stated| stated.boot == boot && stated.agent == agent);
        if !fact.is_news_after(stated.map(|stated| stated.fact).as_ref()) {
            return Ok(());
        }
        let clock = &self.around.clock;
        let since_ms = clock.boottime_ms().saturating_sub(fact.boottime_ms);
        let open = Open {
            what: What::Clock {
                server_ms: fact.server_ms,
                round_trip_ms: fact.round_trip_ms,
            },
            captured_ms: clock
                .wall_ms()
                .saturating_sub(i64::try_from(since_ms).unwrap_or(i64::MAX)),
            boottime_ms: fact.boottime_ms,
            boot,
            offset_min: 0,
            key: String::new(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        let entry = NewEntry {
            identity: None,
            entry: Entry::clear(&open, ""),
        };
        let append = Append {
            lane: Lane::Clock,
            entries: vec![entry],
        };
        if let Err(error) = self.log.append(append).await {
            // Visits that wait must not wait for it: the next hello tries again.
            tracing::warn!(error = %error, "the measured clock could not be logged");
            return Ok(());
        }
        tracing::info!(
            clock.offset_ms = fact.server_ms.saturating_sub(open.captured_ms),
            clock.round_trip_ms = fact.round_trip_ms,
            "the clock was measured"
        );
        let measured = Measured { boot, agent, fact };
        self.remember(move |link| link.measured(measured)).await
    }
}
