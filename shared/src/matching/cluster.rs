//! From pairs to groups: average linkage inside a component, canonical, so that the order in which records came never shows.
//!
//! Owns when two groups go together. Pure. Single links alone would chain strangers: what counts is the mean over all pairs
//! between two groups.

use std::{cmp::Ordering, collections::BTreeMap};

use super::Bits;

/// Most members of a component that are weighed pair by pair.
pub const MEMBERS_MAX: usize = 96;

/// By how much the threshold rises when a component has too many members, and how often. Unit: thousandths of a bit.
const LADDER_STEP: Bits = 4_000;
const LADDER_STEPS: usize = 8;

/// Groups of 0..`count`, members ascending, groups by first member. `edges` are pairs (smaller, larger) with their odds,
/// `odds` gives those of any pair, `apart` says whether two groups contradict each other. Two groups go together while the
/// mean of the odds between them is at least `from`, the surest first, equals by their first members.
#[must_use]
pub fn cluster(
    count: usize,
    edges: &[(usize, usize, Bits)],
    odds: &dyn Fn(usize, usize) -> Bits,
    apart: &dyn Fn(&[usize], &[usize]) -> bool,
    from: Bits,
) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    let mut open = vec![((0..count).collect::<Vec<_>>(), from, 0)];
    while let Some((members, threshold, step)) = open.pop() {
        for part in connected(&members, edges, threshold) {
            if part.len() <= MEMBERS_MAX {
                groups.extend(linked(&part, odds, apart, from));
            } else if step < LADDER_STEPS {
                open.push((part, threshold + LADDER_STEP, step + 1));
            } else {
                // So many that are all alike are no evidence of one person.
                groups.extend(part.into_iter().map(|member| vec![member]));
            }
        }
    }
    groups.sort_unstable();
    groups
}

/// The connected components among some members by the edges of at least `threshold`; members ascending in each.
fn connected(
    members: &[usize],
    edges: &[(usize, usize, Bits)],
    threshold: Bits,
) -> Vec<Vec<usize>> {
    let mut parent: BTreeMap<usize, usize> =
        members.iter().map(|member| (*member, *member)).collect();
    fn root(parent: &BTreeMap<usize, usize>, mut at: usize) -> usize {
        while let Some(up) = parent.get(&at).filter(|up| **up != at) {
            at = *up;
        }
        at
    }
    for (one, other, odds) in edges {
        if *odds >= threshold && parent.contains_key(one) && parent.contains_key(other) {
            let (one, other) = (root(&parent, *one), root(&parent, *other));
            parent.insert(one.max(other), one.min(other));
        }
    }
    let mut parts: BTreeMap<usize, Vec<usize>> = Default::default();
    for member in members {
        parts
            .entry(root(&parent, *member))
            .or_default()
            .push(*member);
    }
    parts.into_values().collect()
}

fn linked(
    members: &[usize],
    odds: &dyn Fn(usize, usize) -> Bits,
    apart: &dyn Fn(&[usize], &[usize]) -> bool,
    from: Bits,
) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = members.iter().map(|member| vec![*member]).collect();
    // Sums of the odds between groups: that of a joined group is the sum of its parts'.
    let mut sums: Vec<Vec<i64>> = members
        .iter()
        .map(|one| {
            let pair = |other: &usize| match one.cmp(other) {
                Ordering::Less => i64::from(odds(*one, *other)),
                Ordering::Greater => i64::from(odds(*other, *one)),
                Ordering::Equal => 0,
            };
            members.iter().map(pair).collect()
        })
        .collect();
    loop {
        let mut best: Option<(i64, i64, usize, usize)> = None;
        for one in 0..groups.len() {
            for other in one + 1..groups.len() {
                let pairs = (groups[one].len() * groups[other].len()) as i64;
                let sum = sums[one][other];
                let more = best.is_none_or(|(known, of, ..)| {
                    i128::from(sum) * i128::from(of) > i128::from(known) * i128::from(pairs)
                });
                if sum >= i64::from(from) * pairs && more && !apart(&groups[one], &groups[other]) {
                    best = Some((sum, pairs, one, other));
                }
            }
        }
        let Some((_, _, one, other)) = best else {
            return groups;
        };
        let moved = groups.remove(other);
        groups[one].extend(moved);
        groups[one].sort_unstable();
        let more = sums.remove(other);
        for (sum, more) in sums[one].iter_mut().zip(&more) {
            *sum += more;
        }
        for line in &mut sums {
            line.remove(other);
        }
        let row = sums[one].clone();
        for (line, sum) in sums.iter_mut().zip(row) {
            line[one] = sum;
        }
    }
}
