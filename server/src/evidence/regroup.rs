//! What becomes of customers when the same events are grouped by other rules.
//!
//! Owns the comparison of two groupings of one log. Memory grows with the largest set of customers that share events, and with
//! the number of those that change, not with all of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use trenza_shared::{
    id::{EventId, Fingerprint},
    identity::{Group, Outcome},
    store::{Direction, StoreError, View},
};

use crate::{
    identity::read,
    tables::{COMPONENTS, EVENTS, TIMELINE},
};

/// Two groupings of one log.
pub struct Regrouping<'a> {
    /// As it is.
    pub before: &'a dyn View,
    /// As it would be.
    pub after: &'a dyn View,
    /// Whether every event has the same identity payload in both.
    pub alike: bool,
}

/// Customers that share events, before and after, of which not all are the same.
pub struct Regrouped {
    /// As they were.
    pub before: Vec<Group>,
    /// As they would be.
    pub after: Vec<Group>,
    /// What became of them.
    pub outcome: Outcome,
    /// Every event that was somebody's of them is somebody's, and no other came.
    pub same_events: bool,
}

/// An event's place in both groupings: its fingerprint before and after, where it has one.
type Tie = (Option<Fingerprint>, Option<Fingerprint>);

impl Regrouping<'_> {
    /// Tells what becomes of every customer that does not stay as it is; gives how many there are before and after.
    ///
    /// # Errors
    /// Those of the stores, and of `each`.
    pub fn changes(
        &self,
        each: &mut dyn FnMut(Regrouped) -> Result<(), StoreError>,
    ) -> Result<(u64, u64), StoreError> {
        let (mut before, mut after) = (0, 0);
        let mut done: HashSet<Fingerprint> = HashSet::new();
        persons(self.before, &mut |group| {
            before += 1;
            if done.remove(&group.seed) || self.stays(&group)? {
                return Ok(());
            }
            let regrouped = self.around(group.clone())?;
            let others = regrouped.before.iter().map(|other| other.seed);
            done.extend(others.filter(|seed| *seed != group.seed));
            each(regrouped)
        })?;
        persons(self.after, &mut |group| {
            after += 1;
            // Where payloads are alike, every event that is somebody's was somebody's before.
            if self.alike {
                return Ok(());
            }
            // Who has no event that was anybody's before is nobody's neighbour yet.
            let ties = self.ties_of(&group, false)?;
            if ties.iter().any(|(was, _)| was.is_some()) {
                return Ok(());
            }
            let outcome = Outcome::between(&[], std::slice::from_ref(&group));
            each(Regrouped {
                before: Vec::new(),
                after: vec![group],
                outcome,
                same_events: false,
            })
        })?;
        Ok((before, after))
    }

    /// Whether a customer has the same events under the same id.
    fn stays(&self, group: &Group) -> Result<bool, StoreError> {
        let Some(then) = read::person(self.after, &group.seed)? else {
            return Ok(false);
        };
        if then.members != group.members || then.seed != group.seed {
            return Ok(false);
        }
        if self.alike {
            return Ok(true);
        }
        let same = |tie: &Tie| tie.0 == tie.1;
        Ok(self.ties_of(group, true)?.iter().all(same)
            && self.ties_of(&then, false)?.iter().all(same))
    }

    /// All customers, before and after, that are connected with one by events.
    fn around(&self, first: Group) -> Result<Regrouped, StoreError> {
        let mut before: BTreeMap<Fingerprint, (Group, BTreeSet<Tie>)> = BTreeMap::new();
        let mut after: BTreeMap<Fingerprint, (Group, BTreeSet<Tie>)> = BTreeMap::new();
        let mut waiting = vec![first];
        while let Some(group) = waiting.pop() {
            if before.contains_key(&group.seed) {
                continue;
            }
            let ties = self.ties_of(&group, true)?;
            let mut reached = BTreeSet::new();
            reached.extend(ties.iter().filter_map(|(_, is)| *is));
            before.insert(group.seed, (group, ties));
            for fingerprint in reached {
                let Some(then) = read::person(self.after, &fingerprint)? else {
                    continue;
                };
                if after.contains_key(&then.seed) {
                    continue;
                }
                let ties = self.ties_of(&then, false)?;
                let back: BTreeSet<Fingerprint> = ties.iter().filter_map(|(was, _)| *was).collect();
                after.insert(then.seed, (then, ties));
                for fingerprint in back {
                    waiting.extend(read::person(self.before, &fingerprint)?);
                }
            }
        }
        let all = before.values().chain(after.values());
        let same_events = all
            .flat_map(|(_, ties)| ties)
            .all(|(was, is)| was.is_some() && is.is_some());
        let tied = |(group, ties): &(Group, BTreeSet<Tie>)| Group {
            members: ties.iter().map(atom).collect(),
            ..group.clone()
        };
        let (was, is): (Vec<Group>, Vec<Group>) = (
            before.values().map(tied).collect(),
            after.values().map(tied).collect(),
        );
        Ok(Regrouped {
            outcome: Outcome::between(&was, &is),
            same_events,
            before: before.into_values().map(|(group, _)| group).collect(),
            after: after.into_values().map(|(group, _)| group).collect(),
        })
    }

    /// Where a customer's events belong in both groupings.
    fn ties_of(&self, group: &Group, is_before: bool) -> Result<BTreeSet<Tie>, StoreError> {
        let mut ties = BTreeSet::new();
        for member in &group.members {
            if self.alike {
                ties.insert((Some(*member), Some(*member)));
                continue;
            }
            let (here, there) = if is_before {
                (self.before, self.after)
            } else {
                (self.after, self.before)
            };
            for row in TIMELINE.rows_of(here, member, Direction::Forward) {
                let ((_, _, event), _) = row?;
                let other = belongs(there, &event)?;
                ties.insert(if is_before {
                    (Some(*member), other)
                } else {
                    (other, Some(*member))
                });
            }
        }
        Ok(ties)
    }
}

fn belongs(view: &dyn View, event: &EventId) -> Result<Option<Fingerprint>, StoreError> {
    Ok(EVENTS.get(view, event)?.and_then(|row| row.fingerprint))
}

/// Stands for the events of one tie as a member of a group.
fn atom(tie: &Tie) -> Fingerprint {
    match tie {
        (Some(was), Some(is)) if was == is => *was,
        (was, is) => {
            let mut hasher = blake3::Hasher::new();
            for end in [was, is] {
                hasher.update(&[u8::from(end.is_some())]);
                hasher.update(&end.unwrap_or(Fingerprint([0; 16])).0);
            }
            let mut out = [0; 16];
            hasher.finalize_xof().fill(&mut out);
            Fingerprint(out)
        }
    }
}

/// Every customer of a grouping, once.
fn persons(
    view: &dyn View,
    each: &mut dyn FnMut(Group) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for row in COMPONENTS.rows(view) {
        let (_, component) = row?;
        for group in component.0.groups {
            let person = read::matched(view, &group.seed)?;
            match person {
                None => each(group)?,
                Some(seeds) if seeds.first() == Some(&group.seed) => {
                    if let Some(joined) = read::person(view, &group.seed)? {
                        each(joined)?;
                    }
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}
