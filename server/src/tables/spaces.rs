//! Which tables are truth, which are derived of it, and where they are kept.

use trenza_shared::store::Space;

use super::{
    ACCOUNT_LINE, ACCOUNT_WORDS, ACCOUNTS, ACCOUNTS_OF, AGENTS, AHEAD, APPLIED, ARCHIVED, CERTS,
    CLOCKS, COMPONENT_OF, COMPONENTS, CONTACTS, COPY_KEYS, DECISIONS, DROPPED, EARLIER, EDGES,
    EVENTS, FED, FED_AHEAD, FEED, FORMER, FRAGMENTS, HOLDERS, HOMES, IDS, INSTANCES, INVITES,
    LANES, LOG, LOST, MARKS, MATCH_HOLDERS, MATCH_KEYS, MATCHED, MEMBERS, MESSAGES, META, NODES,
    PROFILES, PUT_OFF, QUESTIONS, REJECTED, RULED, RULES, SECOND, SECOND_SHOWN, SESSIONS, SOURCES,
    SPELLINGS, TAKEN, TIMELINE, TOKENS, UNITS, USERS, WORDS,
};

/// Tables that nothing can rebuild.
pub const TRUTH: [Space; 24] = [
    LOG.space(),
    LANES.space(),
    EARLIER.space(),
    MARKS.space(),
    ARCHIVED.space(),
    AGENTS.space(),
    CERTS.space(),
    CONTACTS.space(),
    INSTANCES.space(),
    COPY_KEYS.space(),
    INVITES.space(),
    SOURCES.space(),
    TOKENS.space(),
    USERS.space(),
    SESSIONS.space(),
    DECISIONS.space(),
    FEED.space(),
    META.space(),
    LOST.space(),
    FED.space(),
    FED_AHEAD.space(),
    RULES.space(),
    FORMER.space(),
    PUT_OFF.space(),
];
/// Tables that `replay` rebuilds, byte for byte.
pub const DERIVED: [Space; 31] = [
    EVENTS.space(),
    CLOCKS.space(),
    TAKEN.space(),
    DROPPED.space(),
    MESSAGES.space(),
    REJECTED.space(),
    TIMELINE.space(),
    FRAGMENTS.space(),
    NODES.space(),
    HOLDERS.space(),
    PROFILES.space(),
    COMPONENT_OF.space(),
    COMPONENTS.space(),
    UNITS.space(),
    MATCH_KEYS.space(),
    MATCH_HOLDERS.space(),
    EDGES.space(),
    MATCHED.space(),
    QUESTIONS.space(),
    IDS.space(),
    WORDS.space(),
    SPELLINGS.space(),
    ACCOUNTS.space(),
    MEMBERS.space(),
    ACCOUNT_LINE.space(),
    ACCOUNTS_OF.space(),
    ACCOUNT_WORDS.space(),
    HOMES.space(),
    APPLIED.space(),
    RULED.space(),
    AHEAD.space(),
];

/// Tables that are asked by exact key for what is mostly not there yet.
const POINT_LOOKUPS: [Space; 9] = [
    EVENTS.space(),
    MESSAGES.space(),
    FRAGMENTS.space(),
    NODES.space(),
    PROFILES.space(),
    COMPONENT_OF.space(),
    UNITS.space(),
    MATCH_KEYS.space(),
    MATCHED.space(),
];

/// Tables of which all rows below one key are asked for, mostly with none there, and how long that key is. Unit: bytes.
const PREFIXES: [(Space, usize); 2] = [(HOLDERS.space(), 16), (EDGES.space(), 16)];

/// Tables of nothing but hashes: to compress them costs time and saves nothing.
const HASHES: [Space; 5] = [
    HOLDERS.space(),
    COMPONENT_OF.space(),
    MATCH_KEYS.space(),
    MATCH_HOLDERS.space(),
    IDS.space(),
];

/// The tables that are asked by exact key, in both homes.
pub fn point_lookups() -> Vec<Space> {
    in_both_homes(&POINT_LOOKUPS)
}

/// The tables that are asked by a prefix of their keys, in both homes.
pub fn prefixes() -> Vec<(Space, usize)> {
    let both = |(space, bytes)| {
        in_both_homes(&[space])
            .into_iter()
            .map(move |home| (home, bytes))
    };
    PREFIXES.into_iter().flat_map(both).collect()
}

/// The tables that are not compressed, in both homes.
pub fn plain() -> Vec<Space> {
    in_both_homes(&HASHES)
}

fn in_both_homes(spaces: &[Space]) -> Vec<Space> {
    let second = spaces.iter().copied().filter_map(second_home);
    spaces.iter().copied().chain(second).collect()
}

/// What a backup holds: the derived tables once, as they are shown.
pub fn backed_up() -> impl Iterator<Item = Space> {
    TRUTH.into_iter().chain(DERIVED)
}

/// All of them, to open the store with.
pub fn spaces() -> Vec<Space> {
    let homes = SECOND.into_iter().chain([SECOND_SHOWN.space()]);
    backed_up().chain(homes).collect()
}

/// The second home of a derived table; none of any other.
pub fn second_home(space: Space) -> Option<Space> {
    let at = DERIVED.iter().position(|derived| *derived == space)?;
    SECOND.get(at).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_derived_table_has_a_second_home_of_its_own() {
        for space in DERIVED {
            let home = second_home(space).map(|home| home.0.to_owned());
            assert_eq!(home, Some(format!("{}_2", space.0)));
        }
        assert!(TRUTH.iter().all(|space| second_home(*space).is_none()));
        let all = spaces();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
