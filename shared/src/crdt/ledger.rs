//! Points, visits and money: a sum over the deduplicated set of entries.
//!
//! Owns exact decimal amounts and their sum. No floats, and no counters: a restored or copied disk would lose or double what a counter counted.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::Join;
use crate::id::EventId;

/// Most digits after the point of an amount.
pub const FRACTION_DIGITS_MAX: u32 = 18;
/// Most digits before the point of an amount.
pub const WHOLE_DIGITS_MAX: usize = 16;

/// What is wrong with an amount or a sum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    /// No decimal number.
    #[error("amount {0:?} is no decimal number; write it like -12.50")]
    NotANumber(String),
    /// More digits than an amount can have.
    #[error(
        "amount {0:?} has more than {WHOLE_DIGITS_MAX} digits before or {FRACTION_DIGITS_MAX} after the point"
    )]
    TooLong(String),
    /// The entries add up to more than a total can hold.
    #[error("the sum of the entries is out of range; an entry is not what it should be")]
    SumTooLarge,
}

/// An exact decimal. Unit: what the ledger counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Amount {
    /// Times ten to the -[`FRACTION_DIGITS_MAX`].
    scaled: i128,
}

const SCALE: i128 = 10_i128.pow(FRACTION_DIGITS_MAX);

impl Amount {
    /// A whole amount.
    #[must_use]
    pub fn whole(count: i32) -> Self {
        Self {
            scaled: i128::from(count) * SCALE,
        }
    }

    /// The sum; none when it is out of range.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scaled = self.scaled.checked_add(other.scaled)?;
        Some(Self { scaled })
    }
}

impl FromStr for Amount {
    type Err = BadAmount;

    /// Reads `-12.50`; a canonical JSON number without an exponent is one.
    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let shown = || text.chars().take(60).collect::<String>();
        let (negative, digits) = text
            .strip_prefix('-')
            .map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(BadAmount::NotANumber(shown()));
        }
        let (whole, fraction) = (
            whole.trim_start_matches('0'),
            fraction.trim_end_matches('0'),
        );
        let places = FRACTION_DIGITS_MAX as usize;
        if whole.len() > WHOLE_DIGITS_MAX || fraction.len() > places {
            return Err(BadAmount::TooLong(shown()));
        }
        let scaled: i128 = format!("0{whole}{fraction:0<places$}")
            .parse()
            .map_err(|_| BadAmount::NotANumber(shown()))?;
        Ok(Self {
            scaled: if negative { -scaled } else { scaled },
        })
    }
}

/// Without a needless point or zero, as canonical JSON numbers are.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.scaled.unsigned_abs();
        let (whole, fraction) = (
            magnitude / SCALE.unsigned_abs(),
            magnitude % SCALE.unsigned_abs(),
        );
        if self.scaled < 0 {
            f.write_str("-")?;
        }
        write!(f, "{whole}")?;
        if fraction > 0 {
            let places = FRACTION_DIGITS_MAX as usize;
            let text = format!("{fraction:0places$}");
            write!(f, ".{}", text.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

/// Entries by event id. Bounded by who fills it.
///
/// **Laws.** Union by event id. Event ids are content ids, so two amounts of one id do not happen; if they do, the greater stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<EventId, Amount>,
}

impl Ledger {
    /// The event adds `amount`, once, however often it is entered.
    pub fn enter(&mut self, event: EventId, amount: Amount) {
        let entry = self.entries.entry(event).or_insert(amount);
        *entry = amount.max(*entry);
    }

    /// How many entries there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Their sum.
    ///
    /// # Errors
    /// [`BadAmount::SumTooLarge`] beyond 2^127 units of the last digit: the same answer on every replica, since the entries are
    /// added in the order of their ids.
    pub fn total(&self) -> Result<Amount, BadAmount> {
        self.entries
            .values()
            .try_fold(Amount::default(), |sum, amount| sum.checked_add(*amount))
            .ok_or(BadAmount::SumTooLarge)
    }
}

impl Join for Ledger {
    fn join(&mut self, other: &Self) {
        for (event, amount) in &other.entries {
            self.enter(*event, *amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crdt::laws;

    fn ledger(entries: &[(u8, i32)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (event, amount) in entries {
            ledger.enter(EventId([*event; 32]), Amount::whole(*amount));
        }
        ledger
    }

    #[test]
    fn money_is_exact() {
        let mut ledger = Ledger::default();
        for (n, text) in ["0.1", "0.2", "-0.30", "10000000000000.01"]
            .into_iter()
            .enumerate()
        {
            ledger.enter(
                EventId([u8::try_from(n).unwrap(); 32]),
                text.parse().unwrap(),
            );
        }
        assert_eq!(ledger.total().unwrap().to_string(), "10000000000000.01");
        assert_eq!("-0.50".parse::<Amount>().unwrap().to_string(), "-0.5");
        assert_eq!("-0".parse::<Amount>().unwrap().to_string(), "0");
    }

    #[test]
    fn an_entry_that_comes_twice_counts_once() {
        let twice = ledger(&[(1, 5), (2, 7), (1, 5)]);
        assert_eq!(
            (twice.count(), twice.total().unwrap()),
            (2, Amount::whole(12))
        );
    }

    #[test]
    fn what_is_no_amount_is_refused_with_the_reason() {
        for text in [
            "", "-", ".5", "5.", "1e3", "0x1", "1,5", "٣", "NaN", "--1", "+1",
        ] {
            assert!(
                matches!(text.parse::<Amount>(), Err(BadAmount::NotANumber(_))),
                "{text}"
            );
        }
        for text in ["12345678901234567", "0.1234567890123456789"] {
            assert!(
                matches!(text.parse::<Amount>(), Err(BadAmount::TooLong(_))),
                "{text}"
            );
        }
        assert_eq!(
            "0000000000000000000001.50000000000000000000000"
                .parse::<Amount>()
                .unwrap()
                .to_string(),
            "1.5"
        );
    }

    #[test]
    fn a_sum_out_of_range_is_an_error_and_no_wrong_figure() {
        let mut ledger = Ledger::default();
        for n in 0..=255 {
            ledger.enter(EventId([n; 32]), "9999999999999999".parse().unwrap());
        }
        assert!(ledger.total().is_ok());
        ledger.enter(EventId([7; 32]), Amount { scaled: i128::MAX });
        assert_eq!(ledger.total(), Err(BadAmount::SumTooLarge));
    }

    proptest! {
        #[test]
        fn the_laws_hold(a in prop::collection::vec((0u8..9, -9i32..9), 0..9), b in prop::collection::vec((0u8..9, -9i32..9), 0..9), c in prop::collection::vec((0u8..9, -9i32..9), 0..9)) {
            laws::hold(&ledger(&a), &ledger(&b), &ledger(&c))?;
        }

        #[test]
        fn an_amount_survives_its_text(whole in -9_999_999_999i64..9_999_999_999, fraction in 0u64..1_000_000) {
            let amount: Amount = format!("{whole}.{fraction:06}").parse().unwrap();
            prop_assert_eq!(amount.to_string().parse::<Amount>().unwrap(), amount);
        }
    }
}
