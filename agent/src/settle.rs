//! Looks after the log in the background: small chunks become full frames, late retries are counted.
//!
//! Owns when that is done: not while much comes in, since requests need the processor more. Losing it loses nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use trenza_shared::{
    id::{Epoch, Lane},
    store::{RocksStore, Store, StoreError},
    wire::frame::{LEVEL_SMALL, Packer},
};

use crate::{
    log::{self, Heads, Step},
    state::App,
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// From so many entries between two looks on, the processor is left to the requests.
const BUSY_ENTRIES: u64 = 5_000;
/// Frames settled in one go while something comes in, and while nothing does: a stop waits for so many at most.
const STEPS_MAX: usize = 4;
const QUIET_STEPS_MAX: usize = 32;
/// New rows that are written to table files once it is quiet, so that the write-ahead log can go. Unit: bytes.
const FLUSH_BYTES: u64 = 1024 * 1024;
/// Looks without a new entry after which it is quiet.
const QUIET_LOOKS: u32 = 10;

/// What to do at a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    /// Much comes in.
    Rest,
    /// A little comes in, or nothing.
    Settle,
    /// Nothing has come in for a while.
    SettleAndFlush,
}

/// What the last looks saw.
#[derive(Clone, Copy, Default, Debug)]
struct Pace {
    entries: u64,
    quiet_looks: u32,
}

impl Pace {
    /// The next look: so many entries were appended so far, in all lanes.
    fn look(&mut self, entries: u64) -> Act {
        let new = entries.saturating_sub(self.entries);
        self.entries = entries;
        self.quiet_looks = if new == 0 { self.quiet_looks + 1 } else { 0 };
        match new {
            BUSY_ENTRIES.. => Act::Rest,
            _ if self.quiet_looks == QUIET_LOOKS => Act::SettleAndFlush,
            _ => Act::Settle,
        }
    }

    /// Nothing will be due before something is appended.
    fn idle(&self) -> bool {
        self.quiet_looks > QUIET_LOOKS
    }
}

fn appended(heads: &Heads) -> u64 {
    heads.values().map(|head| head.seq).sum()
}

/// Settles until `stop` says true.
pub async fn run(app: App, rocks: Arc<RocksStore>, mut stop: watch::Receiver<bool>) {
    let mut heads = app.log.heads();
    let mut pace = Pace::default();
    let mut failed = false;
    // Kept as long as there is work: what large pieces of memory come and go, the allocator keeps several times over.
    let mut packer = None;
    loop {
        if pace.idle() {
            packer = None;
            pace = Pace {
                quiet_looks: 0,
                ..pace
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = heads.changed() => {}
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(LOOK_EVERY) => {}
        }
        let ends = heads.borrow_and_update().clone();
        let act = pace.look(appended(&ends));
        if act == Act::Rest {
            continue;
        }
        let (store, epoch, now_ms) = (app.store.clone(), app.log.epoch(), app.now_ms());
        let rocks = rocks.clone();
        let steps_max = if pace.quiet_looks > 0 {
            QUIET_STEPS_MAX
        } else {
            STEPS_MAX
        };
        let mut packing = packer.take();
        let done = spawn_blocking(move || {
            let step = settle_some(&*store, &mut packing, &ends, epoch, steps_max)?;
            if act == Act::SettleAndFlush {
                log::forget(&*store, now_ms)?;
                if rocks.memory()?.write_buffer_bytes >= FLUSH_BYTES {
                    rocks.flush()?;
                }
            }
            Ok::<_, StoreError>((step, packing))
        });
        match done.await {
            Ok(Ok((step, packing))) => {
                packer = packing;
                failed = false;
                metrics::counter!("trenza_agent_settled_entries_total")
                    .increment(step.entries as u64);
                metrics::counter!("trenza_agent_late_duplicates_total")
                    .increment(step.duplicates as u64);
                if step.entries > 0 {
                    // There may be more: it is not quiet yet.
                    pace.quiet_looks = pace.quiet_looks.min(1);
                }
            }
            // Told once: the store is looked after elsewhere.
            Ok(Err(error)) if failed => tracing::debug!(error = %error, "the log is not settled"),
            Ok(Err(error)) => {
                failed = true;
                tracing::warn!(error = %error, "the log could not be settled; trying again");
            }
            Err(error) => tracing::error!(error = %error, "settling the log ended with a panic"),
        }
    }
}

/// A bounded number of steps over all lanes.
fn settle_some(
    store: &dyn Store,
    packer: &mut Option<Packer>,
    heads: &Heads,
    now: Epoch,
    steps_max: usize,
) -> Result<Step, StoreError> {
    let mut sum = Step::default();
    let lanes: BTreeMap<(Epoch, Lane), u64> =
        heads.iter().map(|(lane, head)| (*lane, head.seq)).collect();
    for ((epoch, lane), head) in lanes {
        for _ in 0..steps_max {
            let packer = packer.get_or_insert_with(|| Packer::new(LEVEL_SMALL));
            let Some(step) = log::settle(store, packer, epoch, lane, head, epoch < now)? else {
                break;
            };
            sum.entries += step.entries;
            sum.duplicates += step.duplicates;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_first_and_rows_are_flushed_once_when_it_is_quiet() {
        let mut pace = Pace::default();
        assert_eq!(pace.look(BUSY_ENTRIES), Act::Rest);
        assert_eq!(pace.look(BUSY_ENTRIES + 10), Act::Settle);
        let acts: Vec<Act> = (0..QUIET_LOOKS + 3)
            .map(|_| pace.look(BUSY_ENTRIES + 10))
            .collect();
        let flushes = acts.iter().filter(|act| **act == Act::SettleAndFlush);
        assert_eq!(flushes.count(), 1, "{acts:?}");
        assert!(pace.idle());
        assert_eq!(pace.look(2 * BUSY_ENTRIES + 10), Act::Rest);
        assert!(!pace.idle());
    }
}
