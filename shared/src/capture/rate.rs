//! The token bucket that bounds what one source may send.
//!
//! Pure: the state and the time come in, the state and the decision go out.

/// Most that a source may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How much may come at once after a pause.
    pub burst: u32,
    /// How much may come for ever. Unit: per second; 0: nothing comes back.
    pub per_second: u32,
}

/// What a source has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    /// Unit: thousandths of a token, so that a token a second is exact at millisecond steps.
    left_milli: u64,
    /// When that was so. Unit: ms of the caller's clock.
    at_ms: i64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateDecision {
    /// The tokens were taken.
    Go,
    /// Nothing was taken; so many would be there later.
    Wait {
        /// Unit: whole seconds, at least 1.
        retry_after_s: u32,
    },
}

impl TokenBucket {
    /// A full bucket.
    pub fn full(limit: RateLimit, now_ms: i64) -> Self {
        Self {
            left_milli: capacity_milli(limit),
            at_ms: now_ms,
        }
    }

    /// Takes `cost` tokens if they are there. What costs more than a burst passes when the bucket is full, or it never would.
    ///
    /// A clock that goes backwards gives nothing and costs nothing: the bucket goes on from the earlier time.
    #[must_use]
    pub fn take(self, limit: RateLimit, now_ms: i64, cost: u32) -> (Self, RateDecision) {
        let capacity = capacity_milli(limit);
        let elapsed_ms = u64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(0);
        let grown = elapsed_ms.saturating_mul(limit.per_second.into());
        let left = self.left_milli.saturating_add(grown).min(capacity);
        let needed = (u64::from(cost) * 1000).min(capacity);
        if needed <= left {
            return (
                Self {
                    left_milli: left - needed,
                    at_ms: now_ms,
                },
                RateDecision::Go,
            );
        }
        let missing = needed - left;
        let wait_ms = missing
            .checked_div(limit.per_second.into())
            .map_or(u64::MAX, |ms| ms.saturating_add(1));
        let retry_after_s = u32::try_from(wait_ms.div_ceil(1000))
            .unwrap_or(u32::MAX)
            .max(1);
        (
            Self {
                left_milli: left,
                at_ms: now_ms,
            },
            RateDecision::Wait { retry_after_s },
        )
    }
}

fn capacity_milli(limit: RateLimit) -> u64 {
    u64::from(limit.burst) * 1000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: RateLimit = RateLimit {
        burst: 3,
        per_second: 2,
    };

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut bucket = TokenBucket::full(LIMIT, 0);
        let mut passed = 0;
        for ms in 0..10_000 {
            let decision;
            (bucket, decision) = bucket.take(LIMIT, ms, 1);
            passed += u32::from(decision == RateDecision::Go);
        }
        assert_eq!(passed, 3 + 19);
    }

    #[test]
    fn who_waits_as_told_passes() {
        let (bucket, _) = TokenBucket::full(LIMIT, 0).take(LIMIT, 0, 3);
        let (bucket, decision) = bucket.take(LIMIT, 0, 3);
        assert_eq!(decision, RateDecision::Wait { retry_after_s: 2 });
        assert_eq!(bucket.take(LIMIT, 2000, 3).1, RateDecision::Go);
    }

    #[test]
    fn a_clock_set_back_neither_gives_nor_blocks() {
        let (bucket, _) = TokenBucket::full(LIMIT, 1_000_000).take(LIMIT, 1_000_000, 3);
        let (bucket, decision) = bucket.take(LIMIT, 0, 1);
        assert_eq!(decision, RateDecision::Wait { retry_after_s: 1 });
        assert_eq!(bucket.take(LIMIT, 1000, 1).1, RateDecision::Go);
    }

    #[test]
    fn without_a_rate_nothing_comes_back() {
        let never = RateLimit {
            burst: 1,
            per_second: 0,
        };
        let (bucket, first) = TokenBucket::full(never, 0).take(never, 0, 1);
        assert_eq!(first, RateDecision::Go);
        assert!(matches!(
            bucket.take(never, i64::MAX, 1).1,
            RateDecision::Wait { .. }
        ));
    }

    proptest! {
        #[test]
        fn no_more_passes_than_burst_and_rate_allow(steps in proptest::collection::vec((0i64..3000, 0u32..6), 0..60), burst in 6u32..20, per_second in 0u32..9) {
            let limit = RateLimit { burst, per_second };
            let mut bucket = TokenBucket::full(limit, 0);
            let (mut now, mut passed) = (0, 0u64);
            for (pause, cost) in steps {
                now += pause;
                let decision;
                (bucket, decision) = bucket.take(limit, now, cost);
                if decision == RateDecision::Go {
                    passed += u64::from(cost);
                }
            }
            let elapsed = u64::try_from(now).unwrap();
            prop_assert!(passed * 1000 <= u64::from(burst) * 1000 + elapsed * u64::from(per_second));
        }

        #[test]
        fn no_input_makes_it_panic(left: u64, at: i64, now: i64, burst: u32, per_second: u32, cost: u32) {
            let bucket = TokenBucket { left_milli: left, at_ms: at };
            let _decided = bucket.take(RateLimit { burst, per_second }, now, cost);
        }
    }
}
