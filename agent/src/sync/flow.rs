//! Frames on their way: several at a time, live ones beside a backlog, in whatever order the answers come.
//!
//! Owns what is on the way. Memory is fixed however large the backlog: a frame is read when there is room for it to go out.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::watch;
use trenza_shared::{
    id::Seq,
    wire::{
        frame::Frame,
        sync::{Ack, CERTIFICATE_EXPIRED, LaneHave, NOT_CURRENT, SEGMENTS_MAX},
    },
};

use super::{
    Sender, blocking,
    diverge::Divergence,
    plan::{Stretch, Want, backlog_wait_ms, next_push},
    uplink::TalkError,
    window::Window,
};
use crate::{
    link,
    log::{self, Heads},
};

/// Most live frames on the way, beside those of a backlog.
const LIVE_MAX: usize = 2;
/// Most places found in one talk that are no longer on the device; further ones wait for the next talk.
const GONE_MAX: usize = 256;
/// Entries kept aside of which the server is told before more is sent: it names a limited number of gaps that it knows no reason for.
const UNTOLD_MAX: usize = SEGMENTS_MAX / 4;

/// Why sending stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The server has everything that is on the device.
    Done,
    /// The server has no time for a backlog now, and has everything that is live.
    Resting,
    /// A hello is due, or the server has less than it had said: ask it.
    Ask {
        /// Whether it was due anyway.
        due: bool,
    },
    /// Much was kept aside that the server has not been told of.
    Tell,
    /// The server has another history of this lane.
    Diverged(Divergence, LaneHave),
}

/// One frame on its way.
struct Flight {
    what: Stretch,
    live: bool,
    /// Half of a frame whose other half went out with it, so that the two tell what the link takes.
    probes: bool,
    sent_boot_ms: u64,
    /// What was known of the lane when it was sent.
    known: LaneHave,
}

impl Flight {
    fn half(&self, frame: &Frame) -> Self {
        Self {
            what: Stretch {
                first: frame.first,
                last: frame.last(),
                ..self.what
            },
            probes: false,
            known: self.known.clone(),
            ..*self
        }
    }

    /// Sends it, and keeps the frame: one that is refused goes out again in halves.
    async fn go(self, sender: &Sender, frame: Frame) -> (Self, Frame, Result<Ack, TalkError>) {
        let answer = sender.uplink.frame(&frame, sender.around.instance).await;
        (self, frame, answer)
    }
}

/// The server lost nothing, and has no room for what lies beyond so many gaps, or names no more of them.
fn is_crowded(answer: &Ack, known: &LaneHave) -> bool {
    match answer {
        Ack::Gap(have) => have.holds(known),
        Ack::Stored(have) => have.beyond.len() >= SEGMENTS_MAX && have.holds(known),
        Ack::Fork(_) => false,
    }
}

impl Sender {
    /// Sends until the server has everything, or something has to be sorted out first. New entries go out while older ones are on
    /// their way.
    pub(super) async fn push(&mut self) -> Result<Stopped, TalkError> {
        let mut heads = self.log.heads();
        let ends = self
            .live_after
            .take()
            .unwrap_or_else(|| heads.borrow().clone());
        let mut window = self.window;
        let pushed = self.flow(&mut heads, &ends, &mut window).await;
        (self.window, self.live_after) = match &pushed {
            Err(_) => Default::default(),
            Ok(Stopped::Done) => (window.rested(), None),
            Ok(_) => (window, Some(ends)),
        };
        pushed
    }

    async fn flow(
        &self,
        heads: &mut watch::Receiver<Arc<Heads>>,
        ends: &Heads,
        window: &mut Window,
    ) -> Result<Stopped, TalkError> {
        let clock = &self.around.clock;
        let mut on_the_way = FuturesUnordered::new();
        // What cannot be sent now: the first part is on the way, the second no longer on the device.
        let mut sending: Vec<(Stretch, bool)> = Vec::new();
        let (mut gone, _) = self.kept().await?;
        let gone_max = gone.len() + GONE_MAX;
        // Something was kept aside that the server has not been told of.
        let mut untold = 0;
        // A lane of which the server takes no more.
        let mut crowded = None;
        // Halves of frames that the server refused.
        let mut halves: Vec<(Flight, Frame)> = Vec::new();
        let mut stopped = None;
        loop {
            while stopped.is_none() {
                if self.until_hello().is_zero() {
                    stopped = Some(Stopped::Ask { due: true });
                    break;
                }
                if let Some((flight, frame)) = halves.pop() {
                    if gone.iter().any(|one| one.holds(&flight.what)) {
                        // Kept aside by an earlier talk, or of a lane that is full.
                        sending.retain(|(what, _)| *what != flight.what);
                        continue;
                    }
                    on_the_way.push(flight.go(self, frame));
                    break;
                }
                let now = heads.borrow_and_update().clone();
                let told = self.link.now().told;
                let drops = self.log.drops();
                let given_up = drops.ranges().map(|(epoch, lane, first, row)| Stretch {
                    epoch,
                    lane,
                    first,
                    last: row.last,
                });
                let busy: Vec<Stretch> = sending
                    .iter()
                    .map(|(what, _)| *what)
                    .chain(gone.iter().copied())
                    .chain(given_up)
                    .collect();
                let live = sending.iter().filter(|(_, live)| *live).count();
                let old = sending.len() - live;
                let next = |want| next_push(&now, &told.lanes, &busy, want);
                let (push, live) = match next(Want::Live(ends)) {
                    Some(push) if live < LIVE_MAX => (push, true),
                    _ if old >= window.size(clock.boottime_ms()) => break,
                    _ => match next(Want::Any) {
                        Some(push) => (push, false),
                        None => break,
                    },
                };
                let key = (push.epoch, push.lane);
                let head = now.get(&key).map_or(push.last, |head| head.seq);
                let store = self.log.store().clone();
                let frame = blocking(move || {
                    log::next_frame(&*store, key.0, key.1, push.first - 1, push.last, head)
                })
                .await?;
                if frame.is_none() && heads.has_changed().unwrap_or(false) {
                    // Joined meanwhile with what was not known yet.
                    continue;
                }
                let begins = frame.as_ref().map_or(Seq::MAX, |frame| frame.first);
                if begins > push.first {
                    if gone.len() >= gone_max {
                        break;
                    }
                    gone.push(Stretch {
                        last: push.last.min(begins - 1),
                        ..push
                    });
                }
                let Some(frame) = frame.filter(|frame| frame.first <= push.last) else {
                    continue;
                };
                let what = Stretch {
                    first: frame.first,
                    last: frame.last(),
                    ..push
                };
                let flight = Flight {
                    what,
                    live,
                    probes: false,
                    sent_boot_ms: clock.boottime_ms(),
                    known: link::have(&told.lanes, key.0, key.1),
                };
                let more = frame.last() < push.last;
                // One that cannot be unpacked goes out as it is: the server says what is wrong with it.
                let halves = if !live && old == 0 && more && window.wants_halves() {
                    frame.halves().ok().flatten()
                } else {
                    None
                };
                let Some((left, right)) = halves else {
                    sending.push((what, live));
                    on_the_way.push(flight.go(self, frame));
                    continue;
                };
                for half in [left, right] {
                    let flight = Flight {
                        probes: true,
                        ..flight.half(&half)
                    };
                    sending.push((flight.what, live));
                    on_the_way.push(flight.go(self, half));
                }
            }
            let answered = tokio::select! {
                biased;
                answered = on_the_way.next() => answered,
                Ok(()) = heads.changed(), if stopped.is_none() => continue,
            };
            let Some((flight, frame, answer)) = answered else {
                let end = if untold > 0 {
                    Stopped::Tell
                } else if window.rests(clock.boottime_ms()) {
                    Stopped::Resting
                } else {
                    Stopped::Done
                };
                // Only now: the other lanes went on.
                return match (stopped, crowded) {
                    (None, Some(lane)) => Err(TalkError::Full(lane)),
                    (stopped, _) => Ok(stopped.unwrap_or(end)),
                };
            };
            let now_ms = clock.boottime_ms();
            let full = window.is_full(sending.iter().filter(|(_, live)| !live).count());
            sending.retain(|(what, _)| *what != flight.what);
            let answer = match answer {
                Err(error) if error.refuses_content() && gone.len() < gone_max => {
                    // One bad entry holds nobody up: the search for it goes on in halves.
                    match frame.halves() {
                        Ok(Some((left, right))) => {
                            for half in [right, left] {
                                let flight = flight.half(&half);
                                sending.push((flight.what, flight.live));
                                halves.push((flight, half));
                            }
                        }
                        Ok(None) | Err(_) => {
                            untold += usize::from(self.keep(&frame, &error).await?);
                            gone.push(flight.what);
                            if untold >= UNTOLD_MAX {
                                stopped.get_or_insert(Stopped::Tell);
                            }
                        }
                    }
                    continue;
                }
                Err(error)
                    if error.is_refused_as(NOT_CURRENT)
                        || error.is_refused_as(CERTIFICATE_EXPIRED) =>
                {
                    // Another start of this agent was heard later, or the certificate has just expired: the hello sorts it out.
                    stopped.get_or_insert(Stopped::Ask { due: false });
                    continue;
                }
                Err(error) if !flight.live && error.turn_in_s().is_some() => {
                    // What is live does not wait with the backlog.
                    let asked_s = error.turn_in_s().unwrap_or_default();
                    let wait_ms = backlog_wait_ms(asked_s, (self.around.random)());
                    window.rest(clock.boottime_ms().saturating_add(wait_ms));
                    continue;
                }
                answer => answer?,
            };
            let count = flight.what.last - flight.what.first + 1;
            if flight.probes {
                window.half_answered(flight.sent_boot_ms, now_ms, full);
            } else if !flight.live {
                window.answered(flight.sent_boot_ms, now_ms, full);
            }
            match answer {
                Ack::Stored(have)
                    if have.holds(&flight.known)
                        && have.missing(flight.what.first, flight.what.last).is_empty() =>
                {
                    metrics::counter!("trenza_agent_sent_entries_total").increment(count);
                    self.acknowledged(have).await?;
                }
                answer if is_crowded(&answer, &flight.known) => {
                    crowded = Some(flight.what.lane);
                    gone.push(Stretch {
                        last: Seq::MAX,
                        ..flight.what
                    });
                }
                // It lost something since it was asked.
                Ack::Stored(_) | Ack::Gap(_) => {
                    if !matches!(stopped, Some(Stopped::Diverged(..))) {
                        stopped = Some(Stopped::Ask { due: false });
                    }
                }
                Ack::Fork(have) => {
                    let Stretch { epoch, lane, .. } = flight.what;
                    stopped = Some(Stopped::Diverged(Divergence { epoch, lane }, have));
                }
            }
        }
    }
}
