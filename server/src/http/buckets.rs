//! Token buckets by key, of which a bounded number is remembered: what slows guessing down.

use std::{collections::HashMap, hash::Hash};

use trenza_shared::capture::rate::{RateDecision, RateLimit, TokenBucket};

/// Most keys whose buckets are remembered.
pub const KEYS_MAX: usize = 10_000;

/// A bucket for each key; a key that was never seen has a full one.
#[derive(Debug)]
pub struct Buckets<K> {
    limit: RateLimit,
    of: HashMap<K, TokenBucket>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// All full.
    pub fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            of: HashMap::new(),
        }
    }

    /// Whether so much is left.
    pub fn look(&self, key: &K, now_ms: i64, cost: u32) -> RateDecision {
        let full = TokenBucket::full(self.limit, now_ms);
        let bucket = self.of.get(key).copied().unwrap_or(full);
        bucket.take(self.limit, now_ms, cost).1
    }

    /// Takes so much, if it is left.
    pub fn take(&mut self, key: K, now_ms: i64, cost: u32) -> RateDecision {
        let limit = self.limit;
        if self.of.len() >= KEYS_MAX {
            // A full bucket says nothing that a forgotten one does not.
            self.of
                .retain(|_, bucket| bucket.take(limit, now_ms, limit.burst).1 != RateDecision::Go);
        }
        if self.of.len() >= KEYS_MAX {
            // Forgetting helps who guesses a little; refusing everybody would lock the house for its owner.
            self.of.clear();
        }
        let full = TokenBucket::full(limit, now_ms);
        let bucket = self.of.entry(key).or_insert(full);
        let (left, decision) = bucket.take(limit, now_ms, cost);
        *bucket = left;
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit {
        burst: 20,
        per_second: 1,
    };

    #[test]
    fn each_key_has_its_own_and_time_fills_it_again() {
        let mut buckets = Buckets::new(LIMIT);
        assert_eq!(buckets.take("a", 0, 10), RateDecision::Go);
        assert_eq!(buckets.take("a", 0, 10), RateDecision::Go);
        let wait = RateDecision::Wait { retry_after_s: 11 };
        assert_eq!(buckets.look(&"a", 0, 10), wait);
        assert_eq!(buckets.take("a", 0, 10), wait);
        assert_eq!(buckets.look(&"b", 0, 10), RateDecision::Go);
        assert_eq!(buckets.look(&"a", 10_000, 10), RateDecision::Go);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut buckets = Buckets::new(LIMIT);
        for key in 0..KEYS_MAX + 10 {
            buckets.take(key, 0, 10);
        }
        assert!(buckets.of.len() <= KEYS_MAX);
        for key in 0..KEYS_MAX - buckets.of.len() {
            buckets.take(KEYS_MAX * 2 + key, 0, 10);
        }
        buckets.take(1, 20_000, 10);
        assert_eq!(
            buckets.of.len(),
            1,
            "those that filled up again are forgotten first"
        );
    }
}
