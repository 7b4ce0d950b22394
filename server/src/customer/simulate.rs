//! What other rules of identity would make of the customers, with examples, before anybody publishes them.
//!
//! Owns the run: everything is derived by the other rules in a temporary store, beside what goes on, and compared. One at a time.

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
    identifier::Identifier,
    identity::{Change, Group, Rules, Sentence},
    store::{Store, StoreError, View},
};

use super::{
    record::{self, Record},
    why::{Context, Side, explain},
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
            if begins {
                *run = Some(Run {
                    rules: key,
                    ended_ms: 0,
                    stands: Stands::Going { done: 0, of: 0 },
                });
            }
            begins
        });
        let mut seen = self.run.subscribe();
        if begins {
            let run = self.run.clone();
            tokio::task::spawn_blocking(move || follow(&run, &ground, &rules, key));
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

fn follow(run: &watch::Sender<Option<Run>>, ground: &Ground, rules: &Rules, key: [u8; 16]) {
    let tell = |stands, ended_ms| {
        run.send_replace(Some(Run {
            rules: key,
            ended_ms,
            stands,
        }));
    };
    let result = simulate(ground, rules, &mut |done, of| {
        tell(Stands::Going { done, of }, 0);
        !*ground.stopping.borrow()
    });
    let stands = match result {
        Ok(report) => Stands::Done(Arc::new(report)),
        Err(error) => {
            tracing::warn!(%error, "a simulation failed");
            Stands::Failed(error.to_string())
        }
    };
    tell(stands, ground.clock.wall_ms());
}

fn simulate(
    ground: &Ground,
    rules: &Rules,
    go_on: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Report, StoreError> {
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
            return Err(StoreError::Closed);
        }
        compared(ground, &applier, truth, &Beside { truth, derived })
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
        for what in whats(&regrouped) {
            let found = report.found.entry(what).or_default();
            found.times += 1;
            found.customers += regrouped.before.len() as u64;
            if found.examples.len() < EXAMPLES_MAX {
                let example = example(applier, &context, (before, after), what, &regrouped)?;
                found.examples.push(example);
            }
        }
        Ok(())
    })?;
    (report.before, report.after) = counts;
    Ok(report)
}

/// What happens to customers; one set of them may be split and merged at once.
fn whats(regrouped: &Regrouped) -> Vec<What> {
    let Regrouped {
        before,
        after,
        outcome,
    } = regrouped;
    let mut whats = Vec::new();
    for change in &outcome.changes {
        whats.extend(match change {
            Change::Merged { .. } => Some(What::Merged),
            Change::Split { .. } => Some(What::Split),
            Change::Created { .. } | Change::Reseeded { .. } | Change::Updated { .. } => None,
        });
    }
    if !whats.is_empty() {
        return whats;
    }
    vec![match (before.is_empty(), after.is_empty()) {
        (true, _) => What::Appeared,
        (_, true) => What::Vanished,
        _ => What::Shifted,
    }]
}

fn example(
    applier: &Applier,
    context: &Context<'_>,
    (before, after): (&dyn View, &dyn View),
    what: What,
    regrouped: &Regrouped,
) -> Result<Example, StoreError> {
    let load = |view, groups: &[Group]| {
        let groups = groups.iter().take(SHOWN_MAX);
        groups
            .map(|group| record::load(view, &applier.id_key, group.clone()))
            .collect::<Result<Vec<_>, _>>()
    };
    // Two ends of which it can be said why they would be one, or not.
    let sides = match (what, &regrouped.before[..], &regrouped.after[..]) {
        (What::Merged, [one, other, ..], _) => own_values(before, one, other)?,
        (What::Split, _, [one, other, ..]) => [one, other]
            .map(|group| Side::Customer {
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
fn own_values(view: &dyn View, one: &Group, other: &Group) -> Result<Vec<Side>, StoreError> {
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
        vec![Side::Value(vec![one]), Side::Value(vec![other])]
    }))
}
