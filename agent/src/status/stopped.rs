//! How an agent stands that does not run, or has no store: read from its folder, which is not changed.

use std::path::Path;

use trenza_shared::{
    clock::{SystemClock, boot_id},
    probe::disk_free_bytes,
    store::RocksStore,
};

use super::{BeganAnew, Status, age_ms, aside, dropped_ranges, figures};
use crate::{
    app::{StartError, store_options},
    config::{Config, ConfigError},
    log,
    reserve::Reserve,
    room::{self, Room},
    salvage::Progress,
    sync::copies,
    tables::{BEGAN, SERVER, STATE, StateRow},
    time::KnownTime,
};

impl Status {
    /// What is known where nothing can be read of the store.
    ///
    /// # Errors
    /// The settings name no agent, and neither does a certificate.
    pub fn without_store(config: &Config, dir: &Path) -> Result<Self, ConfigError> {
        Ok(Self {
            agent: copies::own_id(dir).map_or_else(|| config.id(), Ok)?,
            epoch: 0,
            head_seq: 0,
            acked_seq: 0,
            waiting: 0,
            oldest_waiting_ms: 0,
            clock_offset_ms: None,
            disk_free_bytes: disk_free_bytes(dir),
            reserve_bytes: Reserve::in_folder(dir).bytes(),
            room: Room::default(),
            store_bytes: room::folder_bytes(&dir.join(&config.store.dir)).unwrap_or(0),
            dropped: 0,
            dropped_ranges: Vec::new(),
            room_problem: String::new(),
            server: "down".into(),
            kept: 0,
            kept_reason: String::new(),
            refused: false,
            revoked: false,
            busy: false,
            https_problem: String::new(),
            problem: "the agent does not run".into(),
            salvage: Progress::default(),
            aside: aside(dir.join(&config.store.dir)),
            began: None,
            settings_problem: config.problem.clone(),
            program: env!("CARGO_PKG_VERSION").into(),
            venue: String::new(),
            neighbours: Vec::new(),
            delivered: Vec::new(),
        })
    }
}

/// Reads the store of an agent that does not run. Blocks.
///
/// # Errors
/// The store cannot be read.
pub fn stopped(config: &Config, dir: &Path) -> Result<Status, StartError> {
    let folder = dir.join(&config.store.dir);
    let mut status = Status::without_store(config, dir)?;
    if !folder.exists() {
        return Ok(status);
    }
    let store = RocksStore::open_to_read(folder, store_options(config))?;
    let state: StateRow = STATE.get(&store, &())?.unwrap_or_default();
    let told = SERVER.get(&store, &())?.unwrap_or_default();
    // A store of before has no such table.
    let began = BEGAN.get(&store, &()).ok().flatten();
    status.began = began.map(|row| BeganAnew::of(&row.0));
    let time = KnownTime::new(
        boot_id().map_or(0, |boot| boot.number()),
        &told,
        &SystemClock,
    );
    let (heads, drops) = (log::heads(&store, &state)?, log::Drops::read(&store)?);
    let sums = figures(&store, &heads, &told.lanes, &drops, time)?;
    (
        status.epoch,
        status.head_seq,
        status.acked_seq,
        status.waiting,
        status.dropped,
    ) = (
        state.epoch,
        sums.head,
        sums.acked,
        sums.waiting,
        sums.dropped,
    );
    status.dropped_ranges = dropped_ranges(&drops);
    status.oldest_waiting_ms = age_ms(sums.oldest_ms, time.now_ms(&SystemClock));
    status.clock_offset_ms = told.clock_offset_ms;
    Ok(status)
}
