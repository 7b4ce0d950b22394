//! Owns the day's dice: a small generator of numbers that gives the same sequence for the same seed on every machine and
//! with every version of every crate, so that a figure measured on a day can be measured again next year.
//! Never for secrets.

/// Seeded dice (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Chance {
    /// Dice that start at `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Other dice, independent of these and of how often these are thrown later. One for each part of the day, so that a
    /// change in one part leaves the others as they were.
    pub fn apart(&self, part: &str) -> Self {
        let mut seed = self.state ^ 0xcbf2_9ce4_8422_2325;
        for byte in part.bytes() {
            seed = (seed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self::new(seed)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        // The bias of the multiplication is below end / 2^64: nothing a day can show.
        let wide = u128::from(self.roll()) * end as u128;
        (wide >> 64) as usize
    }

    /// A number from `first` to `last`, both included.
    pub fn between(&mut self, first: i64, last: i64) -> i64 {
        let count = usize::try_from(last - first + 1).unwrap_or(1);
        first + self.below(count) as i64
    }

    /// True in `share` of the throws (0.0 never, 1.0 always).
    pub fn happens(&mut self, share: f64) -> bool {
        self.fraction() < share
    }

    /// A number from 0.0 up to, not including, 1.0.
    pub fn fraction(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of `things`, all as likely. `things` must not be empty.
    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }

    /// One of `things`, as likely as its weight. `things` must not be empty nor all weights 0.
    pub fn weighted<'a, T>(&mut self, things: &'a [(T, u32)]) -> &'a T {
        let total: usize = things.iter().map(|(_, weight)| *weight as usize).sum();
        let mut left = self.below(total);
        for (thing, weight) in things {
            if left < *weight as usize {
                return thing;
            }
            left -= *weight as usize;
        }
        &things[things.len() - 1].0
    }

    /// `count` decimal digits.
    pub fn digits(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| char::from(b'0' + self.below(10) as u8))
            .collect()
    }

    /// A version 4 UUID (RFC 9562), from the seed.
    pub fn uuid(&mut self) -> String {
        let high = (self.roll() & 0xffff_ffff_ffff_0fff) | 0x4000;
        let low = (self.roll() & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}
