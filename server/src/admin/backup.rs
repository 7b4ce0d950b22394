//! A consistent copy of everything in a folder, and the way back.
//!
//! Owns the folder's shape: the settings and certificates, a store of its own, and `backup.json` with the number of rows and a hash
//! of every table. `backup.json` is written last: a folder without it is no backup. Restoring reads every row and compares.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use trenza_shared::{
    clock::{Clock, format_ms},
    net::{error::HttpError, pki::write_secret},
    store::{
        Batch, Direction, Durable, Range, RocksStore, Space, Store, StoreError, View, entries,
        rocks::RocksOptions, snapshot,
    },
};

use super::check::Advised;
use crate::{
    app::App,
    config::{Config, Tls},
    sync::segments,
    tables::{ARCHIVED, META, MetaRow, backed_up, spaces},
};

/// Shape of the folder.
const FORMAT: u32 = 1;
/// What makes a folder a backup.
const MANIFEST: &str = "backup.json";
/// The store in it.
const STORE: &str = "store";
/// Bytes of one batch while a store is copied.
const COPY_BYTES: usize = 4 << 20;

/// A backup or a restore that failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It would write over something, or is not what it should be.
    #[error(transparent)]
    Refused(#[from] Advised),
    /// A file cannot be read or written.
    #[error("{doing} {}: {cause}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// `backup.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// When it was made.
    pub made_at: String,
    /// What is in each table.
    pub tables: BTreeMap<String, TableSum>,
}

/// What is in a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    /// Rows.
    pub rows: u64,
    /// BLAKE3 over all rows in order, in hexadecimal.
    pub blake3: String,
}

/// What was written.
#[derive(Debug, Serialize, Deserialize)]
pub struct Made {
    /// The folder of the backup, or the settings of the restored server.
    pub path: PathBuf,
    /// When the backup was made.
    pub made_at: String,
    /// Rows of all tables.
    pub rows: u64,
    /// Where the store is that was there before; only after a restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_aside: Option<PathBuf>,
    /// What nobody but the admin can bring back; only after a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
}

/// What is lost with the time since the backup.
fn to_do(made_at: &str) -> String {
    format!(
        "Agents that enrolled after {made_at} come back by themselves. Revocations made after it are lost: revoke those agents, tokens and write keys again."
    )
}

/// Writes a backup of a running server into a folder that is new or empty.
pub async fn backup(app: &App, to: PathBuf, settings: PathBuf) -> Result<Made, HttpError> {
    let (store, config, made_at) = (
        app.store.clone(),
        app.config.clone(),
        format_ms(app.clock.wall_ms()),
    );
    let written =
        tokio::task::spawn_blocking(move || write(&*store, &config, &settings, &to, made_at));
    written
        .await
        .map_err(HttpError::internal)?
        .map_err(|error| match error {
            BackupError::Refused(advised) => advised.into(),
            // Whoever asks over the local socket is the operator.
            other => HttpError::new(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                "backup_failed",
                other.to_string(),
            ),
        })
}

fn write(
    store: &dyn Store,
    config: &Config,
    settings: &Path,
    to: &Path,
    made_at: String,
) -> Result<Made, BackupError> {
    let existed = to.exists();
    if existed
        && fs::read_dir(to)
            .map_err(file("cannot read", to))?
            .next()
            .is_some()
    {
        return Err(Advised::new(
            format!("{} is not empty", to.display()),
            "a backup goes into a folder of its own; name a new one",
        )
        .into());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(to)
        .map_err(file("cannot make", to))?;
    let written = pieces(store, config, settings, to, made_at);
    if written.is_err() {
        // Half a backup helps nobody; what cannot be removed is no backup without its manifest.
        let _best_effort = fs::remove_dir_all(to);
        if existed {
            let _best_effort = fs::create_dir(to);
        }
    }
    written
}

fn pieces(
    store: &dyn Store,
    config: &Config,
    settings: &Path,
    to: &Path,
    made_at: String,
) -> Result<Made, BackupError> {
    let mut files = vec![(settings.to_path_buf(), to.join(super::init::FILE))];
    files.extend(certificates(&config.tls).map(|(own, name)| (config.path(own), to.join(name))));
    for (from, into) in files {
        let bytes = fs::read(&from).map_err(file("cannot read", &from))?;
        write_secret(&into, &bytes).map_err(file("cannot write", &into))?;
    }
    let folder = to.join(STORE);
    let (tables, lanes) = snapshot(store, |view| {
        let lanes = segments::all(view).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, BackupError>((copy(view, &folder)?, lanes))
    })??;
    let manifest = Manifest {
        format: FORMAT,
        made_at: made_at.clone(),
        tables,
    };
    let path = to.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    write_secret(&path, &text).map_err(file("cannot write", &path))?;
    sync_folder(to)?;
    // Only now: from here on agents may delete what is in it.
    let mut batch = Batch::new();
    for (lane, row) in lanes {
        ARCHIVED.put(&mut batch, &lane, &row)?;
    }
    if !batch.is_empty() {
        store.commit(batch, Durable::Yes)?;
    }
    Ok(Made {
        path: to.to_path_buf(),
        made_at,
        rows: manifest.tables.values().map(|sum| sum.rows).sum(),
        moved_aside: None,
        to_do: None,
    })
}

/// Makes the names of a folder's files outlast a power cut.
fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(file("cannot sync", folder))
}

/// The certificate files of the settings, and what they are called in a backup.
fn certificates(tls: &Tls) -> impl Iterator<Item = (&PathBuf, &'static str)> {
    [
        (&tls.ca_cert, "ca.pem"),
        (&tls.ca_key, "ca.key.pem"),
        (&tls.web_cert, "web.pem"),
        (&tls.web_key, "web.key.pem"),
    ]
    .into_iter()
}

fn file<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> BackupError + use<'a> {
    move |cause| BackupError::File {
        doing,
        path: path.to_path_buf(),
        cause,
    }
}

/// Copies every table into a new store, durable when it returns.
fn copy(view: &dyn View, folder: &Path) -> Result<BTreeMap<String, TableSum>, BackupError> {
    let store = RocksStore::open(folder, &spaces(), RocksOptions::default())?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(file("cannot write", folder))?;
    let mut tables = BTreeMap::new();
    let mut batch = Batch::new();
    for space in backed_up() {
        let sum = sum(view, space, |key, value| {
            batch.put(space, key, value);
            if batch.bytes() >= COPY_BYTES {
                store.commit(std::mem::take(&mut batch), Durable::Later)?;
            }
            Ok(())
        })?;
        tables.insert(space.0.to_owned(), sum);
    }
    store.commit(batch, Durable::Yes)?;
    store.flush()?;
    store.close()?;
    Ok(tables)
}

/// Reads a table, row by row, and sums it up.
fn sum(
    view: &dyn View,
    space: Space,
    mut row: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<TableSum, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut rows = 0;
    for entry in entries(view, space, Range::ALL, Direction::Forward) {
        let (key, value) = entry?;
        for part in [&key, &value] {
            hasher
                .update(&(part.len() as u64).to_be_bytes())
                .update(part);
        }
        row(&key, &value)?;
        rows += 1;
    }
    Ok(TableSum {
        rows,
        blake3: hasher.finalize().to_hex().to_string(),
    })
}

/// Puts a backup back for the settings at `config`, which are taken from the backup where there are none. Every row is read and
/// compared with `backup.json`. A store that is there is moved aside; settings and certificates that are there stay.
///
/// # Errors
/// It is no whole backup, it is of another server, or the server runs.
pub fn restore(from: &Path, config: &Path, clock: &dyn Clock) -> anyhow::Result<Made> {
    let manifest = manifest(from)?;
    let shipped = Config::load(&from.join(super::init::FILE))
        .context("the settings in the backup cannot be used")?;
    let config = std::path::absolute(config)?;
    if config.exists() {
        let own = Config::load(&config)?;
        if own.id_key()? != shipped.id_key()? {
            return Err(Advised::new(
                format!(
                    "{} belongs to another server: its identity.id_key is not the backup's",
                    config.display()
                ),
                "restore into a new folder: --config NEW_FOLDER/server.toml",
            )
            .into());
        }
    }
    let dir = config.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))?;
    // Where the settings come from the backup, they are read as they will stand.
    let settings = if config.exists() {
        Config::load(&config)?
    } else {
        Config {
            dir: dir.to_path_buf(),
            ..shipped
        }
    };
    let target = settings.path(&settings.store.dir);
    not_in_use(&target)?;
    let workshop = target.with_file_name(".restore");
    if workshop.exists() {
        fs::remove_dir_all(&workshop).with_context(|| {
            format!(
                "cannot remove {}, left by an interrupted restore",
                workshop.display()
            )
        })?;
    }
    let generation =
        check_and_copy(&from.join(STORE), &workshop, &manifest, clock).inspect_err(|_| {
            let _best_effort = fs::remove_dir_all(&workshop);
        })?;
    let moved_aside = aside(&target, generation)?;
    fs::rename(&workshop, &target).with_context(|| format!("cannot write {}", target.display()))?;
    let certificates =
        certificates(&settings.tls).map(|(own, name)| (from.join(name), settings.path(own)));
    // The settings come last: where they are, everything is.
    for (from, into) in certificates.chain([(from.join(super::init::FILE), config.clone())]) {
        if !into.exists() {
            let bytes =
                fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
            write_secret(&into, &bytes)
                .with_context(|| format!("cannot write {}", into.display()))?;
        }
    }
    Ok(Made {
        path: config,
        to_do: Some(to_do(&manifest.made_at)),
        made_at: manifest.made_at,
        rows: manifest.tables.values().map(|sum| sum.rows).sum(),
        moved_aside,
    })
}

fn manifest(from: &Path) -> anyhow::Result<Manifest> {
    let path = from.join(MANIFEST);
    let text = fs::read(&path).map_err(|error| {
        Advised::new(format!("{} is no backup: {MANIFEST} cannot be read: {error}", from.display()), "name the folder that `trenza-server backup` wrote; one without that file was interrupted")
    })?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    anyhow::ensure!(
        manifest.format == FORMAT,
        "the backup has format {}, this program reads format {FORMAT}",
        manifest.format
    );
    Ok(manifest)
}

/// A store that is damaged is what one restores over; one that is open is not.
fn not_in_use(store: &Path) -> anyhow::Result<()> {
    if store.join("CURRENT").exists()
        && let Err(error @ StoreError::Busy { .. }) =
            RocksStore::open(store, &spaces(), RocksOptions::default())
    {
        return Err(Advised::new(
            error.to_string(),
            "stop the server first; a restore needs the store to itself",
        )
        .into());
    }
    Ok(())
}

/// Copies the backup's store, comparing every table with the manifest, and begins a new generation, by which agents know that
/// the server may lack what it had acknowledged.
fn check_and_copy(
    from: &Path,
    to: &Path,
    manifest: &Manifest,
    clock: &dyn Clock,
) -> anyhow::Result<u64> {
    anyhow::ensure!(
        from.join("CURRENT").exists(),
        "the backup has no store in {}",
        from.display()
    );
    // Opening writes to a store's folder: the backup stays as it is, only its copy is opened.
    let raw = to.with_file_name(".restore-copy");
    let _left_before = fs::remove_dir_all(&raw);
    let copied = copy_files(from, &raw)
        .with_context(|| format!("cannot copy {}", from.display()))
        .and_then(|()| {
            let store = RocksStore::open(&raw, &spaces(), RocksOptions::default())?;
            let tables = copy(&store, to).context("the backup cannot be read")?;
            for (name, sum) in &manifest.tables {
                anyhow::ensure!(
                    tables.get(name) == Some(sum),
                    "the backup is damaged: table {name} is not what was written"
                );
            }
            let before = META.get(&store, &())?.map_or(0, |meta| meta.generation);
            Ok(before)
        });
    let _best_effort = fs::remove_dir_all(&raw);
    let generation = u64::try_from(clock.wall_ms()).unwrap_or(1).max(copied? + 1);
    let store = RocksStore::open(to, &spaces(), RocksOptions::default())?;
    let mut batch = Batch::new();
    META.put(&mut batch, &(), &MetaRow { generation })?;
    store.commit(batch, Durable::Yes)?;
    store.close()?;
    Ok(generation)
}

/// The files of a folder without subfolders; hard links where they can be, for files that are never changed in place.
fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let into = to.join(entry.file_name());
        let fixed = entry
            .path()
            .extension()
            .is_some_and(|ending| ending == "sst");
        if !fixed || fs::hard_link(entry.path(), &into).is_err() {
            fs::copy(entry.path(), &into)?;
        }
    }
    Ok(())
}

/// Moves a store that is there out of the way.
fn aside(store: &Path, generation: u64) -> anyhow::Result<Option<PathBuf>> {
    if store.symlink_metadata().is_err() {
        return Ok(None);
    }
    let mut name = store.as_os_str().to_owned();
    name.push(format!(".before-{generation}"));
    let to = PathBuf::from(name);
    fs::rename(store, &to).with_context(|| format!("cannot move {} aside", store.display()))?;
    Ok(Some(to))
}

#[cfg(test)]
mod tests;
