//! Other rules come into force: everything is derived anew by them in the home that is not shown, beside what goes on, and then
//! the homes change places.
//!
//! Owns the thread that does so. Nothing that is shown changes before all of it does; a start begins anew what a stop broke off.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::watch};
use trenza_shared::{
    identity::{Decisions, Rules},
    store::{StoreError, clear_spaces, snapshot},
};

use super::{Applier, Resolver, replay, resolver::Showing};
use crate::{
    homes::{Homes, Other},
    rules::InForce,
    tables::DERIVED,
};

/// Batches over one state of the store: what a state holds on to is not given back while it is read.
const BATCHES_MAX: usize = 256;
/// Pause after a failure of the store.
const RETRY: Duration = Duration::from_secs(5);

/// How far other rules are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Going {
    /// Their version.
    pub version: u32,
    /// Records of the log that are derived by them.
    pub done: u64,
    /// Records of the log.
    pub of: u64,
}

/// Everything derived anew, up to a record.
pub struct Anew {
    /// By which rules.
    pub applier: Applier,
    /// Where.
    pub other: Other,
    /// With which decisions.
    pub decisions: Arc<Decisions>,
    /// Up to which record.
    pub at: u64,
}

/// Brings rules into force, one version at a time.
#[derive(Clone)]
pub struct Publisher {
    pub(super) homes: Arc<Homes>,
    applier: Applier,
    resolver: Resolver,
    stop: watch::Receiver<bool>,
    going: Arc<watch::Sender<Option<Going>>>,
}

impl Publisher {
    /// One that has nothing to do yet.
    #[must_use]
    pub fn new(
        homes: Arc<Homes>,
        applier: Applier,
        resolver: Resolver,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            homes,
            applier,
            resolver,
            stop,
            going: Arc::new(watch::Sender::new(None)),
        }
    }

    /// What is on its way, as it goes on.
    #[must_use]
    pub fn going(&self) -> watch::Receiver<Option<Going>> {
        self.going.subscribe()
    }

    /// Whether nothing was on its way; then `rules` are from now on. Call [`Self::start`] or [`Self::leave`] next.
    #[must_use]
    pub fn take(&self, rules: &Rules) -> bool {
        self.going.send_if_modified(|going| {
            let free = going.is_none();
            if free {
                *going = Some(Going {
                    version: rules.version,
                    done: 0,
                    of: *self.resolver.applied().borrow(),
                });
            }
            free
        })
    }

    /// Nothing comes of it.
    pub fn leave(&self) {
        self.going.send_replace(None);
    }

    /// Derives everything by `rules` and shows it, on a thread of its own.
    pub fn start(&self, rules: Rules) {
        let publisher = self.clone();
        tokio::task::spawn_blocking(move || {
            let version = rules.version;
            tracing::info!(
                rules.version = version,
                "deriving everything by other rules"
            );
            while !*publisher.stop.borrow() {
                match publisher.build(&rules) {
                    Ok(true) => {
                        tracing::info!(rules.version = version, "other rules are in force");
                        break;
                    }
                    Ok(false) => {}
                    Err(error) => {
                        tracing::error!(%error, rules.version = version, "other rules not in force yet, trying again");
                        Handle::current().block_on(publisher.rest());
                    }
                }
            }
            publisher.leave();
        });
    }

    async fn rest(&self) {
        let mut stop = self.stop.clone();
        let _either = tokio::time::timeout(RETRY, stop.wait_for(|stop| *stop)).await;
    }

    /// False when it was stopped.
    fn build(&self, rules: &Rules) -> Result<bool, StoreError> {
        let other = self.homes.other();
        clear_spaces(&other, &DERIVED)?;
        let applier = Applier {
            rules: InForce::of(rules.clone()),
            ..self.applier.clone()
        };
        let decisions = self.resolver.decisions();
        let mut at = 0;
        loop {
            let mut batches = 0;
            let mut go_on = |done| {
                batches += 1;
                let of = *self.resolver.applied().borrow();
                let version = rules.version;
                self.going.send_replace(Some(Going { version, done, of }));
                batches < BATCHES_MAX && !*self.stop.borrow()
            };
            let reached = snapshot(&*self.homes, |truth| {
                replay::in_turn(truth, &applier, &decisions, &other, at, &mut go_on)
            })??;
            if *self.stop.borrow() {
                return Ok(false);
            }
            let caught_up = reached == at;
            at = reached;
            if !caught_up {
                continue;
            }
            let anew = Anew {
                applier: applier.clone(),
                other: other.clone(),
                decisions: decisions.clone(),
                at,
            };
            let whole = match Handle::current().block_on(self.resolver.show(anew))? {
                Showing::Shown => return Ok(true),
                Showing::Late => continue,
                Showing::Behind(whole) => whole,
            };
            let mut applied = self.resolver.applied();
            let behind = applied.wait_for(|applied| *applied >= whole);
            let mut stop = self.stop.clone();
            Handle::current().block_on(async {
                tokio::select! {
                    _ = behind => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            });
        }
    }
}
