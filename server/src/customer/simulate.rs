//! What other rules of identity would make of the customers, with examples, before anybody publishes them.
//!
//! Owns the run: everything is derived by the other rules in a temporary store, beside what goes on, and compared. One at a time, and
//! none that nobody asks for any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use tokio::sync::watch;
use trenza_shared::{
    clock::Clock,
    id::Fingerprint,
    identifier::Identifier,
    identity::{Change, End, Group, Rules, Sentence},
    store::{Store, StoreError, View},
};

use super::{
    record::{self, Record},
    why::{Context, explain},
};
use crate::{
    evidence::{
        Applier, load_decisions,
        regroup::{Regrouped, Regrouping},
        replay::{self, Beside},
    },
    identity::read,
    rules::InForce,
};

/// Most examples of one kind.
pub const EXAMPLES_MAX: usize = 10;
/// Most customers that an example shows of each side.
const SHOWN_MAX: usize = 8;
/// Most fingerprints of a customer that are read for a value of its own.
const MEMBERS_MAX: usize = 64;
/// How long a result is given to whoever asks the same again. Unit: ms.
const KEPT_MS: i64 = 60_000;
/// A simulation that nobody asked after for so long is broken off. Unit: ms.
const FORSAKEN_MS: i64 = 60_000;

/// What becomes of customers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Several are one.
    Merged,
    /// One is several.
    Split,
    /// Events of some are others'.
    Shifted,
    /// All events of one are of one, who has other values, and so perhaps another id.
    Reread,
    /// Events that were nobody's are somebody's.
    Appeared,
    /// All events of one are nobody's.
    Vanished,
}

/// Customers that would be others.
pub struct Example {
    /// What becomes of them.
    pub what: What,
    /// As they are; at most some of them.
    pub before: Vec<Record>,
    /// As they would be; at most some of them.
    pub after: Vec<Record>,
    /// Why they would be one, or would not.
    pub why: Option<Sentence>,
}

/// What a simulation found.
#[derive(Default)]
pub struct Report {
    /// Customers now.
    pub before: u64,
    /// Customers then.
    pub after: u64,
    /// How often what happens, and examples.
    pub found: BTreeMap<What, Found>,
}

/// One kind of change.
#[derive(Default)]
pub struct Found {
    /// How often.
    pub times: u64,
    /// How many customers of now it concerns.
    pub customers: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// How a simulation stands.
#[derive(Clone)]
pub enum Stands {
    /// It goes on.
    Going {
        /// Records of the log that are derived.
        done: u64,
        /// Records of the log.
        of: u64,
    },
    /// It is done.
    Done(Arc<Report>),
    /// It failed.
    Failed(String),
}

#[derive(Clone)]
struct Run {
    rules: [u8; 16],
    /// When somebody asked last. Unit: ms since 1970.
    asked_ms: i64,
    /// Unit: ms since 1970.
    ended_ms: i64,
    stands: Stands,
}

/// Where simulations run.
pub struct Simulator {
    run: watch::Sender<Option<Run>>,
}

/// What a simulation works on.
#[derive(Clone)]
pub struct Ground {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Sources, rules in force, ids.
    pub applier: Applier,
    /// Time, for how long a result is kept.
    pub clock: Arc<dyn Clock>,
    /// For a temporary store.
    pub dir: PathBuf,
    /// Zone of the dates in sentences. IANA name.
    pub zone: String,
    /// Becomes true when the program stops.
    pub stopping: watch::Receiver<bool>,
}

impl Default for Simulator {
    fn default() -> Self {
        Self {
            run: watch::Sender::new(None),
        }
    }
}

impl Simulator {
    /// How the simulation of these rules stands after a wait of at most `wait`; begins it where it is not on its way. None while
    /// another one is.
    pub async fn ask(&self, ground: Ground, rules: Rules, wait: Duration) -> Option<Stands> {
        let (key, now_ms) = (rules.digest(), ground.clock.wall_ms());
        let mut begins = false;
        self.run.send_if_modified(|run| {
            begins = match run {
                None => true,
                Some(Run {
                    stands: Stands::Going { .. },
                    ..
                }) => false,
                Some(run) => {
                    run.rules != key || now_ms.abs_diff(run.ended_ms) > KEPT_MS.unsigned_abs()
                }
            };
            match run {
                _ if begins => {
                    *run = Some(Run {
                        rules: key,
                        asked_ms: now_ms,
                        ended_ms: 0,
                        stands: Stands::Going { done: 0, of: 0 },
                    });
                }
                Some(run) if run.rules == key => run.asked_ms = now_ms,
                _ => {}
            }
            begins
        });
        let mut seen = self.run.subscribe();
        if begins {
            let run = self.run.clone();
            tokio::task::spawn_blocking(move || follow(&run, &ground, &rules));
        }
        let ended = seen.wait_for(|run| {
            let going = |run: &Run| matches!(run.stands, Stands::Going { .. });
            !run.as_ref()
                .is_some_and(|run| run.rules == key && going(run))
        });
        // Whoever waits too long hears how far it is.
        let _in_time = tokio::time::timeout(wait, ended).await;
        let run = self.run.borrow().clone();
        run.filter(|run| run.rules == key).map(|run| run.stands)
    }
}

fn follow(run: &watch::Sender<Option<Run>>, ground: &Ground, rules: &Rules) {
    let tell = |now, ended_ms| {
        run.send_modify(|run| {
            if let Some(run) = run {
                (run.stands, run.ended_ms) = (now, ended_ms);
            }
        });
    };
    let result = simulate(ground, rules, &mut |done, of| {
        tell(Stands::Going { done, of }, 0);
        let asked_ms = run.borrow().as_ref().map_or(0, |run| run.asked_ms);
        let forsaken = ground.clock.wall_ms().saturating_sub(asked_ms) > FORSAKEN_MS;
        !forsaken && !*ground.stopping.borrow()
    });
    let stands = match result {
        Ok(Some(report)) => Stands::Done(Arc::new(report)),
        Ok(None) => {
            tracing::info!(
                "a simulation that nobody asks after, or that a stop met, is broken off"
            );
            run.send_replace(None);
            return;
        }
        Err(error) => {
            tracing::warn!(%error, "a simulation failed");
            Stands::Failed(error.to_string())
        }
    };
    tell(stands, ground.clock.wall_ms());
}

/// None where it was broken off.
fn simulate(
    ground: &Ground,
    rules: &Rules,
    go_on: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<Report>, StoreError> {
    replay::aside(&*ground.store, &ground.dir, |truth, derived| {
        let applier = Applier {
            rules: InForce::of(rules.clone()),
            ..ground.applier.clone()
        };
        let of = replay::last(truth)?;
        let mut stopped = false;
        replay::whole(truth, &applier, derived, &mut |done| {
            stopped = !go_on(done, of);
            !stopped
        })?;
        if stopped {
            return Ok(None);
        }
        compared(ground, &applier, truth, &Beside { truth, derived }).map(Some)
    })
}

fn compared(
    ground: &Ground,
    applier: &Applier,
    before: &dyn View,
    after: &dyn View,
) -> Result<Report, StoreError> {
    let (was, is) = (ground.applier.rules.now(), applier.rules.now());
    let decisions = load_decisions(before)?;
    let context = Context {
        decisions: &decisions,
        rules: &is,
        registry: &applier.registry,
        id_key: &applier.id_key,
        zone: &ground.zone,
        masked: false,
    };
    let mut report = Report::default();
    let regrouping = Regrouping {
        before,
        after,
        alike: was.reads_like(&is),
    };
    let counts = regrouping.changes(&mut |regrouped| {
        for (what, change) in whats(&regrouped) {
            let found = report.found.entry(what).or_default();
            found.times += 1;
            found.customers += regrouped.before.len() as u64;
            if found.examples.len() < EXAMPLES_MAX {
                let views = (before, after);
                let example = example(applier, &context, views, (what, change), &regrouped)?;
                found.examples.push(example);
            }
        }
        Ok(())
    })?;
    (report.before, report.after) = counts;
    Ok(report)
}

/// What happens to customers, and by which change; one set of them may be split and merged at once.
fn whats(regrouped: &Regrouped) -> Vec<(What, Option<&Change>)> {
    let Regrouped {
        before,
        after,
        outcome,
        same_events,
    } = regrouped;
    let mut whats = Vec::new();
    for change in &outcome.changes {
        whats.extend(match change {
            Change::Merged { .. } => Some((What::Merged, Some(change))),
            Change::Split { .. } => Some((What::Split, Some(change))),
            Change::Created { .. } | Change::Reseeded { .. } | Change::Updated { .. } => None,
        });
    }
    if !whats.is_empty() {
        return whats;
    }
    let what = match (&before[..], &after[..]) {
        ([], _) => What::Appeared,
        (_, []) => What::Vanished,
        ([_], [_]) if *same_events => What::Reread,
        _ => What::Shifted,
    };
    vec![(what, None)]
}

fn example(
    applier: &Applier,
    context: &Context<'_>,
    (before, after): (&dyn View, &dyn View),
    (what, change): (What, Option<&Change>),
    regrouped: &Regrouped,
) -> Result<Example, StoreError> {
    let load = |view, groups: &[Group]| {
        let groups = groups.iter().take(SHOWN_MAX);
        groups
            .map(|group| record::load(view, &applier.id_key, group.clone()))
            .collect::<Result<Vec<_>, _>>()
    };
    // Two ends of which it can be said why they would be one, or not.
    let of = |groups: &[Group], seeds: &[Fingerprint]| -> Vec<Group> {
        let is_wanted = |group: &&Group| seeds.contains(&group.seed);
        groups.iter().filter(is_wanted).take(2).cloned().collect()
    };
    let ends = match change {
        Some(Change::Merged { from, .. }) => of(&regrouped.before, from),
        Some(Change::Split { into, .. }) => of(&regrouped.after, into),
        _ => Vec::new(),
    };
    let sides = match (what, &ends[..]) {
        (What::Merged, [one, other]) => own_values(before, one, other)?,
        (What::Split, [one, other]) => [one, other]
            .map(|group| End::Customer {
                member: group.seed,
                group: group.clone(),
            })
            .into(),
        _ => Vec::new(),
    };
    let why = match &sides[..] {
        [one, other] => Some(explain(after, context, None, one, other)?.sentence),
        _ => None,
    };
    Ok(Example {
        what,
        before: load(before, &regrouped.before)?,
        after: load(after, &regrouped.after)?,
        why,
    })
}

/// A value of each of two customers that the other has not; none where one of them has no such value.
fn own_values(view: &dyn View, one: &Group, other: &Group) -> Result<Vec<End>, StoreError> {
    let held = |group: &Group| -> Result<BTreeSet<Identifier>, StoreError> {
        let mut held = BTreeSet::new();
        for member in group.members.iter().take(MEMBERS_MAX) {
            let node = read::node(view, member)?;
            held.extend(node.into_iter().flat_map(|node| node.payload.identifiers));
        }
        Ok(held)
    };
    let (ours, theirs) = (held(one)?, held(other)?);
    let first = |held: &BTreeSet<Identifier>, not: &BTreeSet<Identifier>| {
        held.difference(not).next().cloned()
    };
    let ends = first(&ours, &theirs).zip(first(&theirs, &ours));
    Ok(ends.map_or_else(Vec::new, |(one, other)| {
        vec![End::Value(vec![one]), End::Value(vec![other])]
    }))
}

#[cfg(test)]
mod tests {
    use trenza_shared::clock::TestClock;

    use super::*;
    use crate::testing::{Server, WEB};

    #[tokio::test]
    async fn a_simulation_that_nobody_asks_after_ends_without_a_result() {
        let server = Server::start().await;
        let event = serde_json::json!({"type": "identify", "userId": "u", "traits": {"email": "ana@example.org"}});
        server.capture(WEB, &[event]).await;
        let clock = Arc::new(TestClock::at(1_000_000_000));
        let dir = tempfile::tempdir().unwrap();
        let ground = Ground {
            store: server.app.store.clone(),
            applier: server.app.applier.clone(),
            clock: clock.clone(),
            dir: dir.path().join("aside"),
            zone: "Europe/Madrid".into(),
            stopping: server.app.draining.subscribe(),
        };
        let rules = Rules::default();
        let after = |asked_ms| {
            let run = watch::Sender::new(Some(Run {
                rules: rules.digest(),
                asked_ms,
                ended_ms: 0,
                stands: Stands::Going { done: 0, of: 0 },
            }));
            follow(&run, &ground, &rules);
            run.borrow().clone().map(|run| run.stands)
        };
        let now_ms = clock.wall_ms();
        assert!(matches!(after(now_ms - FORSAKEN_MS), Some(Stands::Done(_))));
        assert!(after(now_ms - FORSAKEN_MS - 1).is_none());
        assert!(!ground.dir.exists(), "nothing of it stays");
        drop(ground);
        server.close().await;
    }
}
