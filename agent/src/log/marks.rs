//! Marks: up to where the log went at a time of the server.
//!
//! Owns the age of entries for retention. It is counted by the server's clock alone: a device in 1970 or ten years ahead neither
//! throws away what is young nor keeps everything for ever.

use std::collections::BTreeMap;

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::{Batch, Direction, Durable, Store, StoreError},
};

use crate::tables::{MARKS, MarkRow};

/// Marks within one retention time: so fine is the age.
const MARKS_PER_RETENTION: i64 = 32;
/// Least time between two marks. Unit: ms.
const MARK_EVERY_MS_MIN: i64 = 60_000;
/// Most marks looked at. There are more only after retention was made much shorter; the rest goes next time.
const MARKS_MAX: usize = 256;

/// Up to which number each lane went.
pub type Ends = BTreeMap<(Epoch, Lane), Seq>;

/// What becomes of the marks.
#[derive(PartialEq, Eq, Debug)]
struct Plan {
    /// What this one names was taken in long enough ago.
    due: Option<i64>,
    /// Of no use any more.
    drop: Vec<i64>,
    /// It is time for another.
    add: bool,
}

fn plan(marks: &[i64], now_ms: i64, retention_ms: i64) -> Plan {
    let old = now_ms.saturating_sub(retention_ms);
    let due = marks.iter().copied().filter(|at| *at <= old).max();
    // One of the future was told by a server whose clock was wrong.
    let useless = |at: &i64| *at > now_ms || due.is_some_and(|due| *at < due);
    let newest = marks.iter().copied().filter(|at| *at <= now_ms).max();
    let every = (retention_ms / MARKS_PER_RETENTION).max(MARK_EVERY_MS_MIN);
    Plan {
        due,
        drop: marks.iter().copied().filter(useless).collect(),
        add: newest.is_none_or(|newest| now_ms.saturating_sub(newest) >= every),
    }
}

/// Marks where the log ends now, and tells up to where it is older than `retention_ms`.
///
/// # Errors
/// The store cannot be read or written.
pub fn mark(
    store: &dyn Store,
    ends: Ends,
    now_ms: i64,
    retention_ms: i64,
) -> Result<Ends, StoreError> {
    if retention_ms <= 0 {
        return Ok(ends);
    }
    let marks = MARKS.scan(store, None, None, Direction::Forward, MARKS_MAX)?;
    let times: Vec<i64> = marks.iter().map(|(at_ms, _)| *at_ms).collect();
    let plan = plan(&times, now_ms, retention_ms);
    let mut batch = Batch::new();
    for at_ms in &plan.drop {
        MARKS.delete(&mut batch, at_ms);
    }
    if plan.add {
        let ends = ends
            .into_iter()
            .map(|((epoch, lane), seq)| (epoch, lane, seq))
            .collect();
        MARKS.put(&mut batch, &now_ms, &MarkRow { ends })?;
    }
    if !batch.is_empty() {
        store.commit(batch, Durable::Later)?;
    }
    let due = marks
        .into_iter()
        .find(|(at_ms, _)| Some(*at_ms) == plan.due);
    Ok(due.map_or_else(Ends::new, |(_, row)| {
        let ends = row.ends.into_iter();
        ends.map(|(epoch, lane, seq)| ((epoch, lane), seq))
            .collect()
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trenza_shared::store::MemStore;

    use super::*;

    const HOUR: i64 = 3_600_000;

    proptest! {
        /// Whatever the device's clock says: the server's alone counts, through outages and a server whose clock was set.
        #[test]
        fn what_is_due_is_as_old_as_retention_says(hellos in proptest::collection::vec((1i64..200 * HOUR, 0u64..9), 1..60)) {
            let store = MemStore::new();
            let retention = 168 * HOUR;
            let (mut now, mut head) = (1_773_480_000_000, 0);
            let mut history = Vec::new();
            for (pause, visits) in hellos {
                now += pause;
                head += visits;
                let ends = Ends::from([((1, Lane::Visits), head)]);
                let due = mark(&store, ends, now, retention).unwrap();
                history.push((now, head));
                let due = due.get(&(1, Lane::Visits)).copied().unwrap_or(0);
                // Never too early: everything up to there was in the log a retention ago.
                let then = history.iter().rev().find(|(at, _)| *at <= now - retention);
                prop_assert!(due <= then.map_or(0, |(_, head)| *head));
                // Never too late by more than the fineness of the marks, counted to the talk that came then.
                let marked = |at: i64| history.iter().find(|(then, _)| *then >= at + retention / MARKS_PER_RETENTION);
                let late = history.iter().rev().find(|(at, _)| marked(*at).is_some_and(|(then, _)| *then <= now - retention));
                prop_assert!(due >= late.map_or(0, |(_, head)| *head));
                prop_assert!(MARKS.rows(&store).count() <= MARKS_PER_RETENTION as usize + 3);
            }
        }
    }

    #[test]
    fn a_mark_of_the_future_is_dropped_and_time_goes_on() {
        let found = plan(&[5 * HOUR, 900_000 * HOUR], 6 * HOUR, 10 * HOUR);
        assert_eq!((found.due, found.drop), (None, vec![900_000 * HOUR]));
        assert!(found.add);
    }

    #[test]
    fn without_retention_everything_is_due_at_once() {
        let store = MemStore::new();
        let ends = Ends::from([((1, Lane::Visits), 7)]);
        assert_eq!(mark(&store, ends.clone(), 5, 0).unwrap(), ends);
        assert_eq!(MARKS.rows(&store).count(), 0);
    }
}
