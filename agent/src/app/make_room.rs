//! Makes room for visits where the quota or the disk is short, one bounded step at a look: what the server archived goes first, then
//! low-priority events, the oldest first; then the files are packed, so that the space really comes back.
//!
//! Owns the order. What room there is is judged in `room`; a visit that is not archived is never deleted.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use trenza_shared::{
    probe::disk_free_bytes,
    store::{KEY_BYTES_MAX, Key as _, RocksStore, StoreError},
};

use super::start;
use crate::{
    log::{self, Heads, Yield},
    marker::Marker,
    room::{self, Excess, Room},
    state::App,
    sync::tidy,
    tables::{LOG, PEER_FRAMES},
};

/// Most steps of giving up at a look, each some megabytes: between two of them others may write.
const STEPS_MAX: usize = 64;
/// With less free the files are not packed: that would need more than there is, and the store would fail. Unit: bytes.
const PACK_FREE_MIN: u64 = 16 * 1024 * 1024;

/// Does what is to be done now; true where there may be more to do, or less room is used now.
///
/// # Errors
/// The store cannot be read or written; tried again at the next look.
pub(super) async fn make_room(
    app: &App,
    rocks: &Arc<RocksStore>,
    marker: &Arc<Marker>,
) -> Result<bool, String> {
    let seen = app.room.now();
    let mut changed = match seen.room {
        Room::Failed => return Ok(false),
        Room::Plenty => false,
        Room::Short | Room::Full => {
            let spare = room::spare(&seen.facts, app.room.limits());
            let (store, told) = (app.store.clone(), app.link.told());
            let gone = blocking(move || tidy::early(&*store, &told, spare)).await?;
            app.room.pruned(gone);
            match room::excess(&seen.facts, app.room.limits()) {
                Some(excess) if gone == 0 => give_way(app, excess).await?,
                _ => gone > 0,
            }
        }
    };
    if disk_free_bytes(&app.dir) >= PACK_FREE_MIN && app.room.wants_packing() {
        let (rocks, heads) = (rocks.clone(), app.log.ends());
        blocking(move || pack(&rocks, &heads)).await?;
        changed = true;
    }
    if app.log.drops().wants_new_life(app.log.epoch()) {
        start::renew(app, marker).await;
    }
    Ok(changed)
}

/// Gives low-priority events up until so much has gone, or there are no more.
async fn give_way(app: &App, excess: Excess) -> Result<bool, String> {
    let (mut bytes, mut entries) = (0, 0);
    for _ in 0..STEPS_MAX {
        let what = Yield {
            bytes: excess.bytes.saturating_sub(bytes),
            reason: excess.reason,
            told: app.link.told(),
            captured_ms: app.clock.wall_ms(),
            boottime_ms: app.clock.boottime_ms(),
            boot: app.boot.number(),
        };
        let given = app
            .log
            .give_up(what)
            .await
            .map_err(|error| error.to_string())?;
        bytes += given.bytes;
        entries += given.entries;
        if given.bytes == 0 || bytes >= excess.bytes {
            break;
        }
    }
    if bytes > 0 {
        app.room.pruned(bytes);
        tracing::warn!(log.dropped = entries, room.reason = ?excess.reason, "low-priority events gave way to visits; the server is told which");
    }
    Ok(bytes > 0)
}

/// Gives back the space of what was deleted at the beginnings of all lanes, and of what was carried for others.
fn pack(rocks: &RocksStore, heads: &Heads) -> Result<(), StoreError> {
    // Deletions that are only in the write-ahead log free nothing; and the log itself can go then.
    rocks.flush()?;
    for (epoch, lane) in heads.keys() {
        let oldest = log::oldest(rocks, *epoch, *lane)?;
        if oldest > 1 {
            let (from, to) = ((*epoch, *lane, 0), (*epoch, *lane, oldest));
            rocks.pack(LOG.space(), &from.to_key(), &to.to_key())?;
        }
    }
    if PEER_FRAMES.rows(rocks).next().is_none() {
        rocks.pack(PEER_FRAMES.space(), &[], &[0xFF; KEY_BYTES_MAX])?;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, String> {
    match spawn_blocking(job).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
