//! Owns the measuring of a grouping against the truth of a day: pairwise precision, recall and F1, and the merges that
//! are wrong. Knows nothing of how the grouping came about.
//!
//! A *record* is a messageId of the day that says something about its person: its own identifier, or an `anonymousId`
//! that an identifier was given under. Anonymous visits that nothing ever named are left out, as are touches of nobody:
//! no algorithm can be right or wrong about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::{Day, PersonNo, Repeat, Touch, identifiers_of};

/// How well a grouping agrees with the truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Records measured.
    pub records: usize,
    /// True people among them.
    pub people: usize,
    /// Customers the grouping makes of them.
    pub customers: usize,
    /// Of the pairs grouped together, those of one person.
    pub precision: f64,
    /// Of the pairs of one person, those grouped together.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// Recall among the pairs that a chain of equal identifiers of that person connects: what can be had without
    /// comparing names.
    pub recall_reachable: f64,
    /// Harmonic mean of precision and that recall.
    pub f1_reachable: f64,
    /// People whose records are one customer, and nobody else's with it.
    pub exact_people: usize,
    /// Persons too many in a customer, summed over customers.
    pub wrong_merges: usize,
    /// Those in which all of the customer's people are of one household.
    pub wrong_merges_in_households: usize,
    /// Wrong merges for each thousand customers.
    pub wrong_merges_per_thousand: f64,
}

/// Measures `customer_of` (messageId to customer) on the day. A record without a customer counts as a customer of its
/// own.
pub fn quality<'a>(day: &'a Day, customer_of: impl Fn(&'a str) -> Option<&'a str>) -> Quality {
    measure(day, records(day), customer_of)
}

/// The same without visits of a browser that several people use in which nobody said who was there: whose they are, nothing tells,
/// so no grouping has all of them right.
pub fn quality_of_told<'a>(
    day: &'a Day,
    customer_of: impl Fn(&'a str) -> Option<&'a str>,
) -> Quality {
    let mut records = records(day);
    let mut users: BTreeMap<&str, BTreeSet<PersonNo>> = BTreeMap::new();
    for (touch, person) in &records {
        if let Some(browser) = touch.body["anonymousId"].as_str() {
            users.entry(browser).or_default().insert(*person);
        }
    }
    records.retain(|(touch, _)| {
        let browser = touch.body["anonymousId"].as_str();
        says_who(touch) || browser.is_none_or(|id| users[id].len() == 1)
    });
    measure(day, records, customer_of)
}

fn measure<'a>(
    day: &'a Day,
    records: Vec<(&'a Touch, PersonNo)>,
    customer_of: impl Fn(&'a str) -> Option<&'a str>,
) -> Quality {
    let parts = reachable_parts(&records);
    let mut alone = 0;
    let mut customers: BTreeMap<(usize, &str), BTreeMap<PersonNo, usize>> = BTreeMap::new();
    let (mut persons, mut reachable) = (BTreeMap::new(), BTreeMap::new());
    let (mut both, mut reachable_both) = (BTreeMap::new(), BTreeMap::new());
    for ((touch, person), part) in records.iter().zip(&parts) {
        let customer = customer_of(touch.message_id()).map_or_else(
            || {
                alone += 1;
                (alone, "")
            },
            |id| (0, id),
        );
        *customers
            .entry(customer)
            .or_default()
            .entry(*person)
            .or_default() += 1;
        *persons.entry(*person).or_insert(0_usize) += 1;
        *reachable.entry((*person, *part)).or_insert(0_usize) += 1;
        *both.entry((customer, *person)).or_insert(0_usize) += 1;
        *reachable_both
            .entry((customer, *person, *part))
            .or_insert(0_usize) += 1;
    }
    let together = pairs(customers.values().map(|people| people.values().sum()));
    let precision = share(pairs(both.values().copied()), together);
    let recall = share(
        pairs(both.values().copied()),
        pairs(persons.values().copied()),
    );
    let recall_reachable = share(
        pairs(reachable_both.values().copied()),
        pairs(reachable.values().copied()),
    );
    let mixed = customers.values().filter(|people| people.len() > 1);
    let of_one_home = |people: &BTreeMap<PersonNo, usize>| {
        let homes: BTreeSet<_> = people
            .keys()
            .map(|no| day.people[no.0 as usize].household)
            .collect();
        homes.len() == 1
    };
    let wrong_merges = mixed.clone().map(|people| people.len() - 1).sum();
    let exact = customers.values().filter(|people| {
        people.len() == 1
            && people
                .iter()
                .all(|(person, count)| persons[person] == *count)
    });
    Quality {
        records: records.len(),
        people: persons.len(),
        customers: customers.len(),
        precision,
        recall,
        f1: harmonic(precision, recall),
        recall_reachable,
        f1_reachable: harmonic(precision, recall_reachable),
        exact_people: exact.count(),
        wrong_merges,
        wrong_merges_in_households: mixed
            .filter(|people| of_one_home(people))
            .map(|people| people.len() - 1)
            .sum(),
        wrong_merges_per_thousand: 1_000.0 * wrong_merges as f64 / customers.len().max(1) as f64,
    }
}

/// Whether a person's own identifier is in it.
fn says_who(touch: &Touch) -> bool {
    identifiers_of(&touch.body)
        .iter()
        .any(|(kind, _)| *kind != "anonymousId")
}

/// First copies with a person and something that names one.
fn records(day: &Day) -> Vec<(&Touch, PersonNo)> {
    let visitor = |touch: &Touch| touch.body["anonymousId"].as_str().map(str::to_owned);
    let named: BTreeSet<_> = day
        .events
        .iter()
        .filter(|touch| says_who(touch))
        .filter_map(visitor)
        .collect();
    day.events
        .iter()
        .filter(|touch| touch.repeat == Repeat::First)
        .filter(|touch| says_who(touch) || visitor(touch).is_some_and(|id| named.contains(&id)))
        .filter_map(|touch| touch.truth.map(|person| (touch, person)))
        .collect()
}

/// For each record, the number of its part: records of one person that share an identifier, directly or by a chain.
fn reachable_parts(records: &[(&Touch, PersonNo)]) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..records.len()).collect();
    fn root(parent: &mut [usize], mut at: usize) -> usize {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    let mut first: BTreeMap<(PersonNo, &str, String), usize> = BTreeMap::new();
    for (at, (touch, person)) in records.iter().enumerate() {
        for (kind, value) in identifiers_of(&touch.body) {
            let other = *first
                .entry((*person, kind, normal(kind, value)))
                .or_insert(at);
            let (a, b) = (root(&mut parent, at), root(&mut parent, other));
            parent[a.max(b)] = a.min(b);
        }
    }
    (0..records.len()).map(|at| root(&mut parent, at)).collect()
}

/// Near enough to a normal form to see that two writings are one value.
fn normal(kind: &str, value: &str) -> String {
    match kind {
        "phone" => {
            let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
            digits[digits.len().saturating_sub(9)..].iter().collect()
        }
        "nationalId" => value
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_uppercase(),
        "email" => value.trim().to_lowercase(),
        _ => value.to_owned(),
    }
}

fn pairs(sizes: impl Iterator<Item = usize>) -> usize {
    sizes.map(|size| size * size.saturating_sub(1) / 2).sum()
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

fn harmonic(a: f64, b: f64) -> f64 {
    if a + b == 0.0 {
        0.0
    } else {
        2.0 * a * b / (a + b)
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} records of {} people in {} customers",
            self.records, self.people, self.customers
        )?;
        writeln!(
            out,
            "  precision {:.5}, recall {:.5}, F1 {:.5}",
            self.precision, self.recall, self.f1
        )?;
        writeln!(
            out,
            "  reachable by identifiers: recall {:.5}, F1 {:.5}",
            self.recall_reachable, self.f1_reachable
        )?;
        write!(
            out,
            "  {} people exact, {} wrong merges ({} in households), {:.2} per thousand customers",
            self.exact_people,
            self.wrong_merges,
            self.wrong_merges_in_households,
            self.wrong_merges_per_thousand
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, generate};
    use super::*;

    fn day() -> Day {
        generate(&Options {
            people: 500,
            events: 4_000,
            ..Options::default()
        })
    }

    fn grouped(day: &Day, group: impl Fn(&Touch) -> Option<String>) -> Quality {
        let groups: BTreeMap<&str, String> = day
            .events
            .iter()
            .filter(|touch| touch.repeat == Repeat::First)
            .filter_map(|touch| group(touch).map(|group| (touch.message_id(), group)))
            .collect();
        quality(day, |id| groups.get(id).map(String::as_str))
    }

    #[test]
    fn the_truth_itself_is_perfect() {
        let day = day();
        let found = grouped(&day, |touch| touch.truth.map(|person| person.0.to_string()));
        assert_eq!(
            (found.precision, found.recall, found.f1, found.wrong_merges),
            (1.0, 1.0, 1.0, 0)
        );
        assert_eq!(
            (found.exact_people, found.customers),
            (found.people, found.people)
        );
        assert_eq!(found.recall_reachable, 1.0);
    }

    #[test]
    fn one_customer_for_all_has_full_recall_and_a_wrong_merge_for_each_other_person() {
        let found = grouped(&day(), |_| Some("all".to_owned()));
        assert_eq!((found.customers, found.recall), (1, 1.0));
        assert_eq!(
            (found.wrong_merges, found.exact_people),
            (found.people - 1, 0)
        );
        assert!(found.precision < 0.05 && found.wrong_merges_in_households == 0);
    }

    #[test]
    fn no_grouping_at_all_is_precise_and_finds_nothing() {
        let found = grouped(&day(), |_| None);
        assert_eq!((found.precision, found.recall, found.f1), (1.0, 0.0, 0.0));
        assert_eq!(found.customers, found.records);
    }

    #[test]
    fn what_nobody_can_tell_is_left_out_where_only_what_was_told_counts() {
        let day = day();
        // Everything of a browser in one customer, which is right but where several use it; all the rest is as it is in truth.
        let browser = |touch: &Touch| {
            let anonymous = touch.body["anonymousId"]
                .as_str()
                .filter(|_| !says_who(touch));
            let person = || touch.truth.map(|person| person.0.to_string());
            anonymous.map(str::to_owned).or_else(person)
        };
        let of: BTreeMap<&str, String> = day
            .events
            .iter()
            .filter_map(|touch| Some((touch.message_id(), browser(touch)?)))
            .collect();
        let customer_of = |id| of.get(id).map(String::as_str);
        assert!(quality(&day, customer_of).wrong_merges > 0);
        let told = quality_of_told(&day, customer_of);
        assert_eq!((told.wrong_merges, told.precision), (0, 1.0));
        assert!(told.records > 1_000 && told.records < quality(&day, customer_of).records);
    }

    #[test]
    fn households_taken_for_people_are_wrong_merges_inside_households() {
        let day = day();
        let home = |touch: &Touch| {
            touch
                .truth
                .map(|no| day.people[no.0 as usize].household.0.to_string())
        };
        let found = grouped(&day, home);
        assert!(found.wrong_merges > 20);
        assert_eq!(found.wrong_merges, found.wrong_merges_in_households);
        assert!(found.precision < 1.0 && found.recall == 1.0);
    }
}
