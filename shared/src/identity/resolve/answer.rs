//! From clusters to the sorted answer.

use super::*;

impl Solver<'_> {
    /// The persons, by connected component.
    pub(super) fn components(&self) -> Vec<Component> {
        let seeds = self.seeds();
        let part = self.problem.connected();
        let mut groups: BTreeMap<u32, BTreeMap<u32, Vec<u32>>> = BTreeMap::new();
        for node in 0..self.problem.nodes.len() as u32 {
            let root = self.clusters.find(node);
            let of_part = groups.entry(part[node as usize]).or_default();
            of_part.entry(root).or_default().push(node);
        }
        let mut refusals = self.refusals(&part, &seeds);
        groups
            .into_iter()
            .map(|(part, groups)| {
                let mut groups: Vec<Group> = groups
                    .into_values()
                    .map(|members| self.group(&members))
                    .collect();
                groups.sort_by_key(|group| group.seed);
                let mut refusals = refusals.remove(&part).unwrap_or_default();
                refusals.sort();
                // Parts are named by their first node, and nodes stand in order of fingerprint.
                Component {
                    id: self.problem.nodes[part as usize].fingerprint,
                    groups,
                    refusals,
                }
            })
            .collect()
    }

    /// The groups as matching sees them, without those that cannot be told from anybody.
    pub(super) fn units(&self, components: &[Component], active: &Active) -> Vec<Unit> {
        let mut sides = self.sides(active);
        let place = |member: &Fingerprint| {
            let by = |node: &&Node| node.fingerprint.cmp(member);
            self.problem.nodes.binary_search_by(by).ok()
        };
        let groups = components.iter().flat_map(|component| &component.groups);
        let mut units = Vec::new();
        for group in groups {
            let at: Vec<usize> = group.members.iter().filter_map(place).collect();
            let Some(first) = at.first() else { continue };
            let nodes: Vec<&Node> = at.iter().map(|at| self.problem.nodes[*at]).collect();
            let root = self.clusters.find(*first as u32);
            let summary = self.clusters.summary(root);
            let value = |key: &u32| self.problem.keys[*key as usize].identifier.clone();
            let name = |at: &u32| {
                let name = &self.problem.names[*at as usize];
                Name {
                    given: name.given.clone(),
                    surnames: name.surnames.clone(),
                    birthday: name.birthday.clone(),
                }
            };
            let mut names: Vec<Vec<Name>> = summary
                .names
                .iter()
                .map(|names| {
                    let mut names: Vec<Name> = names.iter().map(name).collect();
                    names.sort_unstable();
                    names
                })
                .collect();
            names.sort_unstable();
            let mut sides: Vec<Side> = sides.remove(&root).into_iter().flatten().collect();
            sides.sort_unstable();
            let unit = Unit {
                seed: group.seed,
                person: merged(&nodes),
                contacts: contacts(&nodes),
                exclusive: summary.exclusive.iter().map(value).collect(),
                limited: summary.limited.values().flatten().map(value).collect(),
                names,
                sides,
            };
            if unit.comparable() {
                units.push(unit);
            }
        }
        units
    }

    /// On which sides of every *not same* the clusters stand. One that holds both values in one node takes no side by it.
    fn sides(&self, active: &Active) -> BTreeMap<u32, BTreeSet<Side>> {
        let mut sides: BTreeMap<u32, BTreeSet<Side>> = BTreeMap::new();
        for ((one, other), id) in active.not_same() {
            for (value, first) in [(one, true), (other, false)] {
                let rival = if first { other } else { one };
                let holders = |value: &Identifier| -> &[u32] {
                    let key = self.problem.key(value);
                    key.map_or(&[], |key| &self.problem.keys[key as usize].holders)
                };
                let theirs = holders(rival);
                for node in holders(value) {
                    if theirs.binary_search(node).is_err() {
                        let of = sides.entry(self.clusters.find(*node)).or_default();
                        of.insert(Side {
                            id: *id,
                            one: one.clone(),
                            other: other.clone(),
                            first,
                        });
                    }
                }
            }
        }
        sides
    }

    /// Per node, the seed of its group.
    fn seeds(&self) -> Vec<Fingerprint> {
        let mut earliest: BTreeMap<u32, (i64, Fingerprint)> = BTreeMap::new();
        for (at, node) in self.problem.nodes.iter().enumerate() {
            let this = (node.first_at_ms, node.fingerprint);
            let seed = earliest
                .entry(self.clusters.find(at as u32))
                .or_insert(this);
            *seed = this.min(*seed);
        }
        (0..self.problem.nodes.len())
            .map(|at| {
                let root = self.clusters.find(at as u32);
                earliest
                    .get(&root)
                    .map_or(self.problem.nodes[at].fingerprint, |seed| seed.1)
            })
            .collect()
    }

    fn group(&self, members: &[u32]) -> Group {
        let seed = members
            .iter()
            .map(|at| self.problem.nodes[*at as usize])
            .min_by_key(|node| (node.first_at_ms, node.fingerprint));
        let mut shared: BTreeMap<u32, SharedWhy> = BTreeMap::new();
        for node in members {
            for key in &self.problem.keys_of[*node as usize] {
                if let Some(why) = self.why_shared(*key, *node) {
                    shared.entry(*key).or_insert(why);
                }
            }
        }
        Group {
            seed: seed.map_or(Fingerprint([0; 16]), |node| node.fingerprint),
            seed_at_ms: seed.map_or(0, |node| node.first_at_ms),
            members: members
                .iter()
                .map(|at| self.problem.nodes[*at as usize].fingerprint)
                .collect(),
            shared: shared
                .into_iter()
                .map(|(key, why)| SharedKey {
                    identifier: self.problem.keys[key as usize].identifier.clone(),
                    why,
                })
                .collect(),
        }
    }

    fn why_shared(&self, key: u32, node: u32) -> Option<SharedWhy> {
        match self.problem.keys[key as usize].off {
            Some(Off::Hot) => return Some(SharedWhy::TooMany),
            Some(Off::Listed) => return Some(SharedWhy::Listed),
            Some(Off::Declared(id)) => return Some(SharedWhy::Declared(id)),
            None => {}
        }
        let found = self
            .generic
            .get(&key)
            .or_else(|| self.muted.get(&(key, node)));
        found.or_else(|| self.limited.get(&key)).cloned()
    }

    /// What was refused, by connected component.
    fn refusals(&self, part: &[u32], seeds: &[Fingerprint]) -> BTreeMap<u32, Vec<Refusal>> {
        let mut whys: BTreeMap<u32, &SharedWhy> = BTreeMap::new();
        for (key, why) in self.generic.iter().chain(&self.limited) {
            whys.entry(*key).or_insert(why);
        }
        for ((key, _), why) in &self.muted {
            whys.entry(*key).or_insert(why);
        }
        let mut out: BTreeMap<u32, Vec<Refusal>> = BTreeMap::new();
        let mut refuse = |cause: Cause, why: &SharedWhy, nodes: &mut dyn Iterator<Item = u32>| {
            let mut nodes = nodes.peekable();
            let Some(first) = nodes.peek().copied() else {
                return;
            };
            let groups: BTreeSet<Fingerprint> = nodes.map(|node| seeds[node as usize]).collect();
            if groups.len() > 1 {
                out.entry(part[first as usize]).or_default().push(Refusal {
                    cause,
                    why: why.clone(),
                    groups: groups.into_iter().take(REFUSAL_GROUPS_MAX).collect(),
                });
            }
        };
        for (key, why) in whys {
            let key = &self.problem.keys[key as usize];
            let cause = Cause::Key(key.identifier.clone());
            refuse(cause, why, &mut key.holders.iter().copied());
        }
        for (id, (why, one, other)) in &self.refused {
            let holders = |key: &u32| self.problem.keys[*key as usize].holders.iter().copied();
            let mut both = holders(one).chain(holders(other));
            refuse(Cause::Decision(*id), why, &mut both);
        }
        out
    }
}
