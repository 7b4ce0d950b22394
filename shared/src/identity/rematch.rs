//! Keeps the persons up to date when some customers by identifiers came, changed or went.
//!
//! Owns which pairs, connected sets and questions a change touches; the result is that of [`people`](super::people()) over
//! everything. The work is bounded: a key that too many hold is not followed, and a connected set is walked no further than
//! [`Matching::members_max`](super::Matching).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use super::{
    graph::{Graph, Holder},
    pairs::{Held, Scale, Surest},
    people::Question,
    rules::Rules,
    unit::{Unit, apart},
};
use crate::{
    id::Fingerprint,
    matching::{Bits, Sketch},
};

type Id = Fingerprint;

/// A customer whose person changed: the customers of the person before and after, sorted; none where it is no more, or was not.
pub(super) type Moved = BTreeMap<Id, (Vec<Id>, Vec<Id>)>;

/// Which edges of a connected set: those before the change, or those after.
#[derive(Clone, Copy, PartialEq)]
enum Edges {
    Old,
    New,
}

/// Takes in the customers that `was` named before, and `is` are now; writes what follows.
pub(super) fn rematch<G: Graph>(
    graph: &mut G,
    was: &BTreeSet<Id>,
    is: Vec<Unit>,
    rules: &Rules,
) -> Result<Moved, G::Error> {
    let mut is: BTreeMap<Id, Unit> = is.into_iter().map(|unit| (unit.seed, unit)).collect();
    let mut changes = Changes::new();
    for seed in was
        .iter()
        .copied()
        .chain(is.keys().copied())
        .collect::<BTreeSet<_>>()
    {
        let old = if was.contains(&seed) {
            graph.unit(&seed)?
        } else {
            None
        };
        let new = is.remove(&seed);
        if old.as_deref().map(Held::unit) != new.as_ref() {
            changes.insert(seed, (old, new.map(Held::new).map(Arc::new)));
        }
    }
    if changes.is_empty() {
        return Ok(Moved::new());
    }
    let mut work = Work {
        scale: Scale::new(rules),
        rules,
        held: HashMap::new(),
        holders: HashMap::new(),
        stored: HashMap::new(),
        delta: BTreeMap::new(),
        changed: HashMap::new(),
        graph,
    };
    let (fresh, pairs) = work.take_in(changes)?;
    for ((one, other), meet) in pairs {
        work.weigh(one, other, meet)?;
    }
    work.regroup(fresh)
}

struct Work<'a, 'g, G> {
    graph: &'g mut G,
    scale: Scale<'a>,
    rules: &'a Rules,
    /// Customers as they are now.
    held: HashMap<Id, Option<Arc<Held>>>,
    /// Holders of keys as they are now; none of a key that too many hold.
    holders: HashMap<u64, Option<Vec<Holder>>>,
    /// Edges as stored.
    stored: HashMap<Id, BTreeMap<Id, Bits>>,
    /// Edges that change, from the smaller end: before and after.
    delta: BTreeMap<(Id, Id), (Option<Bits>, Option<Bits>)>,
    /// The same from both ends: after.
    changed: HashMap<Id, Vec<(Id, Option<Bits>)>>,
}

/// Customers that change: before and after.
type Changes = BTreeMap<Id, (Option<Arc<Held>>, Option<Arc<Held>>)>;

/// What happens to a holder of a key.
enum Move {
    Comes(Id, Sketch),
    Changes(Id, Sketch),
    Goes(Id),
}

/// Pairs to weigh, and whether they are known to meet under a key. Hashed, as their order plays no part and they are many.
type Pairs = HashMap<(Id, Id), bool>;

fn pair(one: Id, other: Id) -> (Id, Id) {
    (one.min(other), one.max(other))
}

impl<G: Graph> Work<'_, '_, G> {
    fn cap(&self) -> usize {
        self.rules.matching.holders_max
    }

    /// Writes the customers and their keys; who changed, and the pairs that are to be weighed again.
    fn take_in(&mut self, changes: Changes) -> Result<(BTreeSet<Id>, Pairs), G::Error> {
        let mut pairs = Pairs::new();
        let mut moves: Vec<(u64, Move)> = Vec::new();
        for (seed, (old, new)) in &changes {
            if old.is_some() {
                let edges: Vec<Id> = self.edges(seed)?.keys().copied().collect();
                pairs.extend(edges.into_iter().map(|other| (pair(*seed, other), false)));
            } else {
                self.stored.insert(*seed, BTreeMap::new());
            }
            let [was, is] = [old, new].map(|held| held.as_ref().map_or(&[][..], |one| one.keys()));
            for key in was.iter().filter(|key| is.binary_search(key).is_err()) {
                moves.push((*key, Move::Goes(*seed)));
            }
            let Some(new) = new else { continue };
            let sketch = new.sketch();
            let same = old.as_ref().is_some_and(|old| old.sketch() == sketch);
            for key in is {
                let known = was.binary_search(key).is_ok();
                if !known {
                    moves.push((*key, Move::Comes(*seed, sketch)));
                } else if !same {
                    moves.push((*key, Move::Changes(*seed, sketch)));
                }
            }
        }
        moves.sort_by_key(|(key, _)| *key);
        let mut asked: Vec<u64> = moves.iter().map(|(key, _)| *key).collect();
        asked.dedup();
        self.graph.read_ahead(&asked)?;
        for moves in moves.chunk_by(|one, other| one.0 == other.0) {
            if let Some((key, _)) = moves.first() {
                self.move_holders(*key, moves, &mut pairs)?;
            }
        }
        let fresh: BTreeSet<Id> = changes.keys().copied().collect();
        for (seed, (old, new)) in changes {
            match &new {
                Some(new) => self.graph.put_unit(new)?,
                None if old.is_some() => self.graph.remove_unit(&seed)?,
                None => {}
            }
            if let Some(new) = &new {
                let sought = self.scale.seek(new);
                for key in new.keys() {
                    self.holding(*key)?;
                    let holders = self.holders.get(key).and_then(Option::as_deref);
                    let others = holders.unwrap_or_default().iter();
                    let near = others.filter(|(other, sketch)| {
                        *other != seed && self.scale.may_be_edge(&sought, sketch)
                    });
                    pairs.extend(near.map(|(other, _)| (pair(seed, *other), true)));
                }
            }
            self.held.insert(seed, new);
        }
        Ok((fresh, pairs))
    }

    /// Writes who came to a key and who went; the pairs that are to be weighed again since it tells people apart by now, or does no
    /// longer.
    fn move_holders(
        &mut self,
        key: u64,
        moves: &[(u64, Move)],
        pairs: &mut Pairs,
    ) -> Result<(), G::Error> {
        let cap = self.cap();
        // As nearly always: somebody comes, and one look-up says to whom.
        if let [(_, Move::Comes(seed, sketch))] = moves {
            let mut holders = self.graph.add_match_holder(&key, &(*seed, *sketch), cap)?;
            if let Some(known) = &mut holders {
                if known.len() < cap {
                    known.push((*seed, *sketch));
                } else {
                    self.turns_hot(known, pairs)?;
                    holders = None;
                }
            }
            self.holders.insert(key, holders);
            return Ok(());
        }
        let before = self.graph.match_holders(&key, cap)?;
        for (_, one) in moves {
            match one {
                Move::Goes(seed) => self.graph.remove_match_holder(&key, seed)?,
                Move::Comes(seed, sketch) => {
                    let _known = self.graph.add_match_holder(&key, &(*seed, *sketch), 0)?;
                }
                Move::Changes(seed, sketch) => {
                    self.graph.change_match_holder(&key, &(*seed, *sketch))?;
                }
            }
        }
        let now = self.graph.match_holders(&key, cap)?;
        match (&before, &now) {
            // It tells people apart again.
            (None, Some(now)) => {
                for (nth, (one, _)) in now.iter().enumerate() {
                    let others = now[nth + 1..].iter();
                    pairs.extend(others.map(|(other, _)| (pair(*one, *other), true)));
                }
            }
            (Some(before), None) => self.turns_hot(before, pairs)?,
            _ => {}
        }
        self.holders.insert(key, now);
        Ok(())
    }

    /// A key tells nobody apart any more: edges between those who held it may rest on it alone.
    fn turns_hot(&mut self, before: &[Holder], pairs: &mut Pairs) -> Result<(), G::Error> {
        for (one, _) in before {
            let edges = self.edges(one)?;
            for (other, _) in before.iter().filter(|(other, _)| edges.contains_key(other)) {
                pairs.entry(pair(*one, *other)).or_insert(false);
            }
        }
        Ok(())
    }

    /// Who holds a key now; none when too many do.
    fn holding(&mut self, key: u64) -> Result<Option<&[Holder]>, G::Error> {
        let cap = self.cap();
        let holders = match self.holders.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.graph.match_holders(&key, cap)?),
        };
        Ok(holders.as_deref())
    }

    fn held(&mut self, seed: &Id) -> Result<Option<Arc<Held>>, G::Error> {
        if let Some(known) = self.held.get(seed) {
            return Ok(known.clone());
        }
        let held = self.graph.unit(seed)?;
        self.held.insert(*seed, held.clone());
        Ok(held)
    }

    /// The stored edges of a customer.
    fn edges(&mut self, seed: &Id) -> Result<&BTreeMap<Id, Bits>, G::Error> {
        if !self.stored.contains_key(seed) {
            let edges = self.graph.edges(seed)?.into_iter().collect();
            self.stored.insert(*seed, edges);
        }
        Ok(self.stored.entry(*seed).or_default())
    }

    /// Notes whether a pair's edge changes.
    fn weigh(&mut self, one: Id, other: Id, meet: bool) -> Result<(), G::Error> {
        let mut now = None;
        if let (Some(a), Some(b)) = (self.held(&one)?, self.held(&other)?)
            && (meet || self.meet(&a, &b)?)
        {
            now = self.scale.edge(&a, &b);
        }
        // An edge stands with both; the one's may have been read already.
        let (at, end) = match self.stored.contains_key(&other) {
            true => (other, one),
            false => (one, other),
        };
        let was = self.edges(&at)?.get(&end).copied();
        if was != now {
            self.delta.insert((one, other), (was, now));
            self.changed.entry(one).or_default().push((other, now));
            self.changed.entry(other).or_default().push((one, now));
        }
        Ok(())
    }

    /// Whether two have a key in common that tells people apart.
    fn meet(&mut self, one: &Held, other: &Held) -> Result<bool, G::Error> {
        for key in one.keys() {
            if other.keys().binary_search(key).is_ok() && self.holding(*key)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The edges of a customer before or after.
    fn edges_of(&mut self, seed: &Id, of: Edges) -> Result<BTreeMap<Id, Bits>, G::Error> {
        let mut edges = self.edges(seed)?.clone();
        if of == Edges::New {
            for (end, now) in self.changed.get(seed).into_iter().flatten() {
                match now {
                    Some(odds) => edges.insert(*end, *odds),
                    None => edges.remove(end),
                };
            }
        }
        Ok(edges)
    }

    /// What linking edges connect with a customer, walked until it is more than may be clustered; and whether it is.
    fn connected(&mut self, from: Id, of: Edges) -> Result<(BTreeSet<Id>, bool), G::Error> {
        let mut seen = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for (next, odds) in self.edges_of(&at, of)? {
                if odds >= self.rules.matching.bands.link && seen.insert(next) {
                    if seen.len() > self.rules.matching.members_max {
                        return Ok((seen, true));
                    }
                    open.push(next);
                }
            }
        }
        Ok((seen, false))
    }

    /// Groups again whatever the changed customers and edges touch.
    fn regroup(&mut self, fresh: BTreeSet<Id>) -> Result<Moved, G::Error> {
        let mut starts = fresh.clone();
        starts.extend(self.delta.keys().flat_map(|(one, other)| [*one, *other]));
        let mut person: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
        let mut too_many: BTreeSet<Id> = BTreeSet::new();
        for start in &starts {
            if self.held(start)?.is_none() {
                person.insert(*start, Vec::new());
                continue;
            }
            if person.contains_key(start) && !too_many.contains(start) {
                continue;
            }
            let (part, over) = self.connected(*start, Edges::New)?;
            if !over {
                self.group(&part, &mut person)?;
                continue;
            }
            // Nobody in so large a set is linked: neither those walked over nor those who came into it by this change.
            let (old, was_over) = self.connected(*start, Edges::Old)?;
            let came = old.into_iter().filter(|_| !was_over);
            for one in part.into_iter().chain(came) {
                too_many.insert(one);
                if self.held(&one)?.is_some() {
                    person.entry(one).or_insert_with(|| vec![one]);
                }
            }
        }
        let mut moved = Moved::new();
        for (seed, now) in &person {
            let was = self.graph.matched(seed)?.unwrap_or_else(|| vec![*seed]);
            if was != *now {
                let kept = (now.len() > 1).then_some(now.as_slice());
                self.graph.put_matched(seed, kept)?;
                moved.insert(*seed, (was, now.clone()));
            }
        }
        self.ask(&person)?;
        for ((one, other), (_, now)) in &self.delta {
            self.graph.put_edge(one, other, *now)?;
            self.graph.put_edge(other, one, *now)?;
        }
        Ok(moved)
    }

    /// Clusters a connected set.
    fn group(
        &mut self,
        part: &BTreeSet<Id>,
        person: &mut BTreeMap<Id, Vec<Id>>,
    ) -> Result<(), G::Error> {
        person.extend(part.iter().map(|one| (*one, vec![*one])));
        if part.len() < 2 {
            return Ok(());
        }
        let mut members = Vec::new();
        for one in part {
            members.extend(self.held(one)?);
        }
        let place = |seed: &Id| members.iter().position(|one| one.unit().seed == *seed);
        let mut edges = Vec::new();
        for one in part {
            for (other, odds) in self.edges_of(one, Edges::New)? {
                if let (Some(from), Some(to)) = (place(one), place(&other))
                    && from < to
                    && odds >= self.rules.matching.bands.link
                {
                    edges.push((from, to, odds));
                }
            }
        }
        let members: Vec<&Held> = members.iter().map(Arc::as_ref).collect();
        for together in self.scale.persons(&members, &edges) {
            person.extend(together.iter().map(|one| (*one, together.clone())));
        }
        Ok(())
    }

    /// Asks again about whoever was grouped again. `person` is what they are now; nobody where they are no more.
    fn ask(&mut self, person: &BTreeMap<Id, Vec<Id>>) -> Result<(), G::Error> {
        let mut was = BTreeSet::new();
        let mut is = BTreeSet::new();
        for (seed, ours) in person {
            for (other, odds) in self.edges_of(seed, Edges::Old)? {
                let (one, other) = pair(*seed, other);
                let odds = Reverse(odds);
                was.insert(Question { odds, one, other });
            }
            // Once for each person.
            if ours.first() != Some(seed) {
                continue;
            }
            let mut surest = Surest::default();
            for one in ours {
                for (other, odds) in self.edges_of(one, Edges::New)? {
                    let theirs = self.person_of(&other, person)?;
                    if theirs != *ours {
                        surest.note(&theirs, *one, other, odds);
                    }
                }
            }
            for (theirs, (odds, one, other)) in surest.into_pairs() {
                let (we, they) = (self.units(ours)?, self.units(&theirs)?);
                let [we, they] =
                    [&we, &they].map(|held| held.iter().map(|one| one.unit()).collect::<Vec<_>>());
                if !apart(&we, &they, self.rules) {
                    let odds = Reverse(odds);
                    is.insert(Question { odds, one, other });
                }
            }
        }
        for question in was.difference(&is) {
            if self.graph.asks(question)? {
                self.graph.drop_question(question)?;
            }
        }
        for question in &is {
            if !self.graph.asks(question)? {
                self.graph.put_question(question)?;
            }
        }
        Ok(())
    }

    fn person_of(
        &mut self,
        seed: &Id,
        person: &BTreeMap<Id, Vec<Id>>,
    ) -> Result<Vec<Id>, G::Error> {
        if let Some(known) = person.get(seed) {
            return Ok(known.clone());
        }
        Ok(self.graph.matched(seed)?.unwrap_or_else(|| vec![*seed]))
    }

    fn units(&mut self, person: &[Id]) -> Result<Vec<Arc<Held>>, G::Error> {
        let mut units = Vec::with_capacity(person.len());
        for one in person {
            units.extend(self.held(one)?);
        }
        Ok(units)
    }
}
