//! `init`: everything a server needs before its first start, in one folder. Never overwrites anything.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use serde::Serialize;
use trenza_shared::{
    clock::Clock,
    id::to_hex,
    net::pki::{Ca, WEB_CERT_DAYS, write_secret},
    store::{Batch, Durable, RocksStore, Store, rocks::RocksOptions},
};

use super::{
    PRIORITY_DEFAULT,
    check::{self, Advised},
    secret,
};
use crate::{
    app::{random, server_names},
    config::Config,
    tables::{META, MetaRow, Role, SOURCES, SourceRow, TOKENS, TokenRow, USERS, UserRow, spaces},
};

/// The settings as shipped.
pub const TEMPLATE: &str = include_str!("../../../config/server.toml");
/// Name of the settings file.
pub const FILE: &str = "server.toml";
/// The first user.
pub const ADMIN: &str = "admin";
/// The first source.
const FIRST_SOURCE: &str = "Website";
/// Where everything is made before it is moved into place.
const WORKSHOP: &str = ".init";

/// What the caller must know; shown once.
#[derive(Debug, Serialize)]
pub struct Made {
    /// The settings file.
    pub config: PathBuf,
    /// Who signs in.
    pub admin_user: &'static str,
    /// With what.
    pub admin_password: String,
    /// For the API, role admin.
    pub api_token: String,
    /// Of the first source.
    pub write_key: String,
}

/// Makes settings, certificates and store in `dir`.
///
/// # Errors
/// Something is there already (it is named and left as it is), or a file cannot be written (what was made is removed).
pub fn init(dir: &Path, country: &str, zone: &str, clock: &dyn Clock) -> anyhow::Result<Made> {
    let country = check::country(country)?;
    check::zone(zone)?;
    let existed = dir.exists();
    // What is in it is about people: for the owner only.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))?;
    let dir = dir
        .canonicalize()
        .with_context(|| format!("cannot use the folder {}", dir.display()))?;
    let defaults = Config::default();
    let pieces = [
        &defaults.tls.ca_cert,
        &defaults.tls.ca_key,
        &defaults.tls.web_cert,
        &defaults.tls.web_key,
        &defaults.store.dir,
    ];
    // The settings come last: where they are, everything is.
    let pieces: Vec<&Path> = pieces
        .into_iter()
        .map(PathBuf::as_path)
        .chain([Path::new(FILE)])
        .collect();
    for piece in pieces.iter().rev() {
        let path = dir.join(piece);
        if path.symlink_metadata().is_ok() {
            return Err(Advised::new(
                format!("{} exists already", path.display()),
                "init never overwrites; choose another --dir, or start the server that is there with `trenza-server run --config FILE`",
            )
            .into());
        }
    }
    let workshop = dir.join(WORKSHOP);
    if workshop.exists() {
        // What an interrupted init left.
        fs::remove_dir_all(&workshop).with_context(|| {
            format!(
                "cannot remove {}, left by an interrupted init",
                workshop.display()
            )
        })?;
    }
    let mut placed = Vec::new();
    let made = make(&workshop, &country, zone, clock).and_then(|made| {
        for piece in &pieces {
            let to = dir.join(piece);
            fs::rename(workshop.join(piece), &to)
                .with_context(|| format!("cannot write {}", to.display()))?;
            placed.push(to);
        }
        fs::File::open(&dir)
            .and_then(|folder| folder.sync_all())
            .with_context(|| format!("cannot write {}", dir.display()))?;
        Ok(Made {
            config: dir.join(FILE),
            ..made
        })
    });
    let cleaned = fs::remove_dir_all(&workshop);
    if made.is_err() {
        for path in placed {
            let _best_effort = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
        }
        if !existed {
            let _best_effort = fs::remove_dir(&dir);
        }
    } else {
        cleaned.with_context(|| format!("cannot remove {}", workshop.display()))?;
    }
    made
}

/// Makes all the pieces in an empty folder.
fn make(workshop: &Path, country: &str, zone: &str, clock: &dyn Clock) -> anyhow::Result<Made> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(workshop)
        .with_context(|| format!("cannot make the folder {}", workshop.display()))?;
    let now_ms = clock.wall_ms();
    let text = settings(country, zone, &to_hex(&random::<32>()))?;
    let secret_file = |name: &Path, text: &str| {
        let path = workshop.join(name);
        write_secret(&path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    };
    secret_file(Path::new(FILE), &text)?;
    // With the environment's overrides: the names of the certificate may come from there.
    let config = Config::load(&workshop.join(FILE))?;
    let Config {
        tls: files, store, ..
    } = Config::default();
    if config.tls != files || config.store.dir != store.dir {
        return Err(Advised::new(
            "the environment moves the store or a certificate (TRENZA_STORE__DIR or TRENZA_TLS__...)",
            "init keeps all in one folder; unset it, then change server.toml and move the files yourself",
        )
        .into());
    }
    let ca = Ca::generate("Trenza", now_ms)?;
    let (names, ips) = server_names(&config);
    let web = ca.issue_server(&names, &ips, now_ms, WEB_CERT_DAYS)?;
    secret_file(&files.ca_cert, ca.cert_pem())?;
    secret_file(&files.ca_key, &ca.key_pem())?;
    secret_file(&files.web_cert, &web.chain_pem)?;
    secret_file(&files.web_key, &web.key_pem)?;
    let made = Made {
        config: PathBuf::new(),
        admin_user: ADMIN,
        admin_password: secret::password(),
        api_token: secret::token(),
        write_key: secret::write_key(),
    };
    let store: Arc<RocksStore> = Arc::new(RocksStore::open(
        workshop.join(Config::default().store.dir),
        &spaces(),
        RocksOptions::default(),
    )?);
    first_rows(&*store, &made, country, zone, now_ms)?;
    store.flush()?;
    store.close()?;
    let folder = store.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot write {}", folder.display()))?;
    Ok(made)
}

fn first_rows(
    store: &dyn Store,
    made: &Made,
    country: &str,
    zone: &str,
    now_ms: i64,
) -> anyhow::Result<()> {
    let mut batch = Batch::new();
    META.put(
        &mut batch,
        &(),
        &MetaRow {
            generation: u64::try_from(now_ms).unwrap_or(1),
        },
    )?;
    let source = SourceRow {
        name: FIRST_SOURCE.into(),
        origins: Vec::new(),
        namespace: String::new(),
        country: country.into(),
        zone: zone.into(),
        priority: PRIORITY_DEFAULT,
        revoked: false,
    };
    SOURCES.put(&mut batch, &made.write_key, &source)?;
    TOKENS.put(
        &mut batch,
        &secret::token_hash(&made.api_token),
        &TokenRow {
            role: Role::Admin,
            created_ms: now_ms,
        },
    )?;
    let user = UserRow {
        password_hash: secret::password_hash(&made.admin_password)?,
        role: Role::Admin,
    };
    USERS.put(&mut batch, &made.admin_user.to_owned(), &user)?;
    store.commit(batch, Durable::Yes)?;
    Ok(())
}

/// The shipped settings with this server's own values.
fn settings(country: &str, zone: &str, id_key: &str) -> anyhow::Result<String> {
    let defaults = Config::default();
    let mut text = TEMPLATE.to_owned();
    for (key, default, value) in [
        ("id_key", "", id_key),
        ("country", defaults.place.country.as_str(), country),
        ("zone", defaults.place.zone.as_str(), zone),
    ] {
        let line = format!("\n{key} = \"{default}\"\n");
        if text.matches(&line).count() != 1 {
            bail!("the shipped settings have no line {}", line.trim());
        }
        text = text.replace(&line, &format!("\n{key} = \"{value}\"\n"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use trenza_shared::clock::TestClock;

    use super::*;

    const NOW: i64 = 1_768_472_430_456;

    #[test]
    fn the_shipped_settings_are_the_defaults() {
        let shipped: Config = toml::from_str(TEMPLATE).unwrap();
        let defaults = Config {
            dir: shipped.dir.clone(),
            ..Config::default()
        };
        assert_eq!(shipped, defaults);
        // Every key is there: nothing is a default by being left out.
        let text = toml::to_string(&Config::default()).unwrap();
        let names = |text: &str| -> std::collections::BTreeSet<String> {
            let table: toml::Table = toml::from_str(text).unwrap();
            table
                .iter()
                .flat_map(|(section, keys)| {
                    keys.as_table()
                        .unwrap()
                        .keys()
                        .map(move |key| format!("{section}.{key}"))
                })
                .collect()
        };
        assert_eq!(names(TEMPLATE), names(&text));
    }

    #[test]
    fn init_makes_a_server_once_and_never_overwrites() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("new");
        let made = init(&dir, "pt", "Europe/Lisbon", &TestClock::at(NOW)).unwrap();
        let config = Config::load(&made.config).unwrap();
        assert_eq!(
            (config.place.country.as_str(), config.place.zone.as_str()),
            ("PT", "Europe/Lisbon")
        );
        assert_ne!(config.id_key().unwrap(), [0; 32]);
        for file in [
            "server.toml",
            "ca.pem",
            "ca.key.pem",
            "web.pem",
            "web.key.pem",
        ] {
            assert_eq!(
                fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777,
                0o600,
                "{file}"
            );
        }
        assert!(!dir.join(WORKSHOP).exists());
        let before = fs::read(&made.config).unwrap();
        let error = init(&dir, "ES", "Europe/Madrid", &TestClock::at(NOW)).unwrap_err();
        assert!(
            format!("{error:#}").contains("server.toml exists already"),
            "{error:#}"
        );
        assert_eq!(fs::read(&made.config).unwrap(), before);
    }

    #[test]
    fn a_refused_init_leaves_nothing_behind() {
        let parent = tempfile::tempdir().unwrap();
        assert!(
            init(
                &parent.path().join("x"),
                "Spain",
                "Europe/Madrid",
                &TestClock::at(NOW)
            )
            .is_err()
        );
        assert!(
            init(
                &parent.path().join("x"),
                "ES",
                "Europe/Nowhere",
                &TestClock::at(NOW)
            )
            .is_err()
        );
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        fs::write(parent.path().join("ca.pem"), "mine").unwrap();
        assert!(init(parent.path(), "ES", "Europe/Madrid", &TestClock::at(NOW)).is_err());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
