//! How many frames of a backlog may be on the way: pure.
//!
//! More as long as answers come as quickly as ever, so that a long way does not limit the drain; fewer as soon as frames wait for
//! each other, because on a slow link everything that is on the way delays what is live.

/// Most frames of a backlog on the way: 85,000 events a second over a round trip of 700 ms, and some 4 MB, as much as a server lets one
/// connection have on the way.
const FRAMES_MAX: usize = 64;
/// How much later than the quickest answer one may come before frames count as waiting. Unit: ms, beside half of the quickest.
const SLACK_MS: u64 = 100;
/// The window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    size: usize,
    quickest_ms: Option<u64>,
    /// When the last answer came. Unit: ms of the boot clock.
    answered_ms: Option<u64>,
    /// A half of the first frame was answered, the other is on the way.
    halved: bool,
    /// The first two parts that went out together have told what the link takes (packet pair: Keshav, "A control-theoretic
    /// approach to flow control", 1991).
    leapt: bool,
    /// Answers that still come of a larger window: they say nothing about this one.
    stale: usize,
    /// The server has no time for a backlog before this. Unit: ms of the boot clock.
    rests_until_ms: Option<u64>,
}

impl Default for Window {
    /// One frame: what is on the way has to arrive within the limit of time even on the slowest link.
    fn default() -> Self {
        Self {
            size: 1,
            quickest_ms: None,
            answered_ms: None,
            halved: false,
            leapt: false,
            stale: 0,
            rests_until_ms: None,
        }
    }
}

impl Window {
    /// How many frames may be on the way.
    pub fn size(self, now_ms: u64) -> usize {
        if self.rests(now_ms) { 0 } else { self.size }
    }

    /// Whether so many on the way are as many as may be.
    pub fn is_full(self, on_the_way: usize) -> bool {
        on_the_way >= self.size
    }

    /// Nothing of a backlog may go out before `until_ms`.
    pub fn rest(&mut self, until_ms: u64) {
        self.rests_until_ms = self.rests_until_ms.max(Some(until_ms));
    }

    /// Whether it still rests.
    pub fn rests(self, now_ms: u64) -> bool {
        self.rests_until_ms
            .is_some_and(|until_ms| now_ms < until_ms)
    }

    /// Until when it rests, or rested last. Unit: ms of the boot clock.
    pub fn rests_until_ms(self) -> Option<u64> {
        self.rests_until_ms
    }

    /// The same without a rest: there is no backlog any more.
    pub fn rested(self) -> Self {
        Self {
            rests_until_ms: None,
            ..self
        }
    }

    /// Whether the first frame of a backlog goes out in halves: nobody knows the link yet, and two that go out together tell what it
    /// takes for one, without more being on the way than one frame.
    pub fn wants_halves(self) -> bool {
        self.answered_ms.is_none()
    }

    /// One of the two halves was answered, whichever came first; the answer to the other is the frame's.
    pub fn half_answered(&mut self, sent_ms: u64, now_ms: u64, full: bool) {
        if self.wants_halves() {
            self.answered_ms = Some(now_ms);
            self.halved = true;
        } else {
            self.answered(sent_ms, now_ms, full);
        }
    }

    /// A frame that was sent at `sent_ms` was answered; `full` when the window was what held the next one back.
    pub fn answered(&mut self, sent_ms: u64, now_ms: u64, full: bool) {
        let took_ms = now_ms.saturating_sub(sent_ms);
        let before_ms = self.answered_ms.replace(now_ms);
        let parts = if std::mem::take(&mut self.halved) {
            2
        } else {
            1
        };
        let quickest_ms = self
            .quickest_ms
            .map_or(took_ms, |before| before.min(took_ms));
        self.quickest_ms = Some(quickest_ms);
        let limit_ms = quickest_ms
            .saturating_add(quickest_ms / 2)
            .saturating_add(SLACK_MS);
        if self.stale > 0 {
            self.stale -= 1;
        } else if took_ms > limit_ms {
            self.stale = self.size;
            self.size = (self.size * 3 / 4).max(1);
        } else if full {
            self.size = (self.size + 1).min(FRAMES_MAX);
            // It was on the way together with the one answered before it.
            if let Some(before_ms) = before_ms.filter(|before_ms| *before_ms > sent_ms)
                && !self.leapt
            {
                let frame_ms = now_ms.saturating_sub(before_ms).max(1) * parts;
                let holds = usize::try_from(quickest_ms / frame_ms).unwrap_or(FRAMES_MAX);
                self.size = self.size.max(holds.min(FRAMES_MAX));
                self.leapt = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sends frames over a link for so long; returns frames a second and how long the last ones took, in ms. A link takes `way_ms`
    /// for the first byte to come and its answer to be back, and `frame_ms` to carry a frame, one after the other.
    fn run(way_ms: u64, frame_ms: u64, for_ms: u64) -> (f64, u64) {
        let mut window = Window::default();
        let mut on_the_way: std::collections::VecDeque<(u64, u64)> = Default::default();
        let (mut now_ms, mut free_ms, mut done, mut took_ms) = (0, 0, 0, 0);
        assert!(window.wants_halves());
        window.half_answered(0, frame_ms / 2 + way_ms, true);
        while now_ms < for_ms {
            while on_the_way.len() < window.size(now_ms) {
                free_ms = now_ms.max(free_ms) + frame_ms;
                on_the_way.push_back((now_ms, free_ms + way_ms));
            }
            if let Some((sent_ms, back_ms)) = on_the_way.pop_front() {
                now_ms = now_ms.max(back_ms);
                took_ms = back_ms - sent_ms;
                window.answered(sent_ms, back_ms, true);
                done += 1;
            }
        }
        (f64::from(done) * 1000.0 / now_ms as f64, took_ms)
    }

    #[test]
    fn a_long_way_does_not_limit_the_drain() {
        let (frames, _) = run(700, 2, 60_000);
        assert!(
            frames > 40.0,
            "{frames} frames a second over a way of 700 ms"
        );
        // 200,000 events: 1, 64, 64 and 64 frames, and the rest.
        let (frames, _) = run(700, 2, 3_600);
        assert!(frames * 3.6 >= 200.0, "{frames} frames a second at first");
    }

    #[test]
    fn a_rest_ends_and_the_longest_one_counts() {
        let mut window = Window::default();
        window.rest(700);
        window.rest(500);
        assert_eq!(
            [window.size(0), window.size(699), window.size(700)],
            [0, 0, 1]
        );
        assert_eq!(window.rested(), Window::default());
    }

    proptest! {
        /// On a slow link it is used nearly fully, and nothing waits long behind what is on the way.
        #[test]
        fn a_slow_link_is_filled_and_not_flooded(way_ms in 5u64..800, frame_ms in 30u64..4_000) {
            let (frames, took_ms) = run(way_ms, frame_ms, 400_000);
            let alone_ms = way_ms + frame_ms;
            let possible = (1000.0 / frame_ms as f64).min(FRAMES_MAX as f64 * 1000.0 / alone_ms as f64);
            prop_assert!(frames >= 0.85 * possible, "{frames} of {possible} frames a second");
            prop_assert!(took_ms <= 4 * alone_ms + 2 * SLACK_MS, "{took_ms} ms for a frame that takes {alone_ms} alone");
        }
    }
}
