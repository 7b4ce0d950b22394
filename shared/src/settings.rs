//! Reading of settings: a TOML file, overridden by the environment.
//!
//! Owns the way from text to a serde struct, and the messages for mistakes. Defaults stand in the structs themselves
//! (`#[serde(default, deny_unknown_fields)]`), never here.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Prefix of the environment variables that override keys.
pub const ENV_PREFIX: &str = "TRENZA";
/// Deepest nesting of a key in the environment.
const ENV_DEPTH_MAX: usize = 8;
/// Largest settings file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not there or not readable.
    #[error("cannot read {}: {cause}; name the file with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is no TOML at all, as after a cut of the power: nothing in it can be trusted.
    #[error("{}, line {line}: it is damaged, no TOML: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The file says something that is not a setting.
    #[error("{}, line {line}: {message}; the keys and their defaults are in the config folder", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// An environment variable says something that is not a setting.
    #[error(
        "environment variable {name}: {message}; the keys are in the config folder, one is written {ENV_PREFIX}_SECTION__KEY"
    )]
    BadEnv {
        /// The variable.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// File and environment are right each for itself and wrong together.
    #[error("{} with the environment: {message}", path.display())]
    BadTogether {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// Reads `path` and lets variables of this process's environment override its keys.
///
/// # Errors
/// [`SettingsError`].
pub fn load<T: DeserializeOwned>(path: &Path, env_prefix: &str) -> Result<T, SettingsError> {
    // A variable whose name or value is not Unicode is none of ours.
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load_with(path, env_prefix, env)
}

/// [`load`] with the environment as an argument.
///
/// `PREFIX_SECTION__KEY` overrides `key` of `[section]`, `PREFIX_A__B__C` one level deeper. The value is read as a TOML
/// value (`8080`, `true`, `["a"]`) and, where that does not fit, as a plain text.
///
/// # Errors
/// [`SettingsError`].
pub fn load_with<T: DeserializeOwned>(
    path: &Path,
    env_prefix: &str,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<T, SettingsError> {
    let text = read(path).map_err(|cause| SettingsError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    let line = |error: &toml::de::Error| line_of(&text, error.span().map_or(0, |span| span.start));
    let bad_file = |error: toml::de::Error| SettingsError::BadFile {
        path: path.to_owned(),
        line: line(&error),
        message: error.message().to_owned(),
    };
    if let Err(error) = toml::from_str::<Table>(&text) {
        return Err(SettingsError::Damaged {
            path: path.to_owned(),
            line: line(&error),
            message: error.message().to_owned(),
        });
    }
    // The file on its own first: only here are mistakes known by their line.
    let alone: T = toml::from_str(&text).map_err(bad_file)?;
    let mut env: Vec<_> = env
        .into_iter()
        .filter_map(|(name, value)| Some((key_path(&name, env_prefix)?, name, value)))
        .collect();
    if env.is_empty() {
        return Ok(alone);
    }
    env.sort();
    let mut table: Table = toml::from_str(&text).map_err(bad_file)?;
    for (keys, name, value) in env {
        table = overridden::<T>(table, &keys, &value)
            .map_err(|message| SettingsError::BadEnv { name, message })?;
    }
    let together = |error: toml::de::Error| SettingsError::BadTogether {
        path: path.to_owned(),
        message: error.message().to_owned(),
    };
    table.try_into().map_err(together)
}

fn read(path: &Path) -> std::io::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        let message = format!("it has {bytes} bytes, at most {FILE_BYTES_MAX} are read");
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            message,
        ));
    }
    std::fs::read_to_string(path)
}

/// The keys that a variable names; `None` when it is not for settings (as `TRENZA_LOG`).
fn key_path(name: &str, prefix: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(prefix)?.strip_prefix('_')?;
    rest.contains("__")
        .then(|| rest.split("__").map(str::to_ascii_lowercase).collect())
}

/// `table` with one key replaced, by the reading of `value` that fits `T`.
fn overridden<T: DeserializeOwned>(
    table: Table,
    keys: &[String],
    value: &str,
) -> Result<Table, String> {
    let typed = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut one| {
            // A line break could smuggle in a second key; then the value is a text.
            if one.len() == 1 {
                one.remove("v")
            } else {
                None
            }
        });
    let mut first_error = None;
    for candidate in typed.into_iter().chain([Value::String(value.to_owned())]) {
        let mut changed = table.clone();
        set(&mut changed, keys, candidate)?;
        match changed.clone().try_into::<T>() {
            Ok(_) => return Ok(changed),
            Err(error) => {
                first_error = first_error.or_else(|| Some(error.message().trim().to_owned()))
            }
        }
    }
    Err(first_error.unwrap_or_default())
}

fn set(table: &mut Table, keys: &[String], value: Value) -> Result<(), String> {
    let Some((last, sections)) = keys.split_last() else {
        return Err("it names no key".into());
    };
    if keys.len() > ENV_DEPTH_MAX || keys.iter().any(String::is_empty) {
        return Err("it names no key".into());
    }
    let mut place = table;
    for section in sections {
        let next = place
            .entry(section.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        place = next
            .as_table_mut()
            .ok_or_else(|| format!("{section} is a value and has no keys"))?;
    }
    place.insert(last.clone(), value);
    Ok(())
}

fn line_of(text: &str, byte: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(byte)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        listen: Listen,
        sync: Sync,
    }

    #[derive(Debug, Deserialize, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Listen {
        http: String,
        tags: Vec<String>,
    }

    #[derive(Debug, Deserialize, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Sync {
        wait_ms: u64,
        on: bool,
    }

    const FILE: &str = "[listen]\nhttp = \"127.0.0.1:8080\"\n\n[sync]\nwait_ms = 5\n";

    fn load_text(text: &str, env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.toml");
        std::fs::write(&path, text).unwrap();
        load_with(
            &path,
            ENV_PREFIX,
            env.iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        )
    }

    #[test]
    fn the_file_alone_gives_its_values_and_defaults() {
        let settings = load_text(FILE, &[("HOME", "/root"), ("TRENZA_LOG", "debug")]).unwrap();
        assert_eq!(
            (
                settings.listen.http.as_str(),
                settings.sync.wait_ms,
                settings.sync.on
            ),
            ("127.0.0.1:8080", 5, false)
        );
    }

    #[test]
    fn a_variable_overrides_a_key_by_its_type() {
        let env = [
            ("TRENZA_SYNC__WAIT_MS", "70"),
            ("TRENZA_SYNC__ON", "true"),
            ("TRENZA_LISTEN__HTTP", "0.0.0.0:0"),
            ("TRENZA_LISTEN__TAGS", "[\"a\", \"b\"]"),
        ];
        let settings = load_text(FILE, &env).unwrap();
        assert_eq!(
            settings.sync,
            Sync {
                wait_ms: 70,
                on: true
            }
        );
        assert_eq!(
            settings.listen,
            Listen {
                http: "0.0.0.0:0".into(),
                tags: vec!["a".into(), "b".into()]
            }
        );
    }

    #[test]
    fn a_text_that_looks_like_a_number_is_still_a_text() {
        assert_eq!(
            load_text("", &[("TRENZA_LISTEN__HTTP", "8080")])
                .unwrap()
                .listen
                .http,
            "8080"
        );
        assert_eq!(
            load_text("", &[("TRENZA_LISTEN__HTTP", "\"quoted\"")])
                .unwrap()
                .listen
                .http,
            "quoted"
        );
    }

    #[test]
    fn an_unknown_key_names_its_file_and_line() {
        let error = load_text("[listen]\nhttp = \"x\"\n\n[sync]\nwait = 5\n", &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("server.toml, line 5") && error.contains("`wait`"),
            "{error}"
        );
        let error = load_text("[listen\n", &[]).unwrap_err();
        assert!(
            matches!(error, SettingsError::Damaged { line: 1, .. }),
            "{error}"
        );
        let error = load_text("[sync]\n\nwait_ms = \"soon\"\n", &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 3"), "{error}");
    }

    #[test]
    fn an_unknown_variable_is_an_error_that_names_it() {
        for name in [
            "TRENZA_SYNC__WAIT",
            "TRENZA_SINK__WAIT_MS",
            "TRENZA_SYNC__WAIT_MS__X",
            "TRENZA___",
            "TRENZA_A__",
        ] {
            let error = load_text(FILE, &[(name, "1")]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        let error = load_text(FILE, &[("TRENZA_SYNC__WAIT_MS", "soon")]).unwrap_err();
        assert!(matches!(error, SettingsError::BadEnv { .. }), "{error}");
    }

    #[test]
    fn a_missing_file_says_how_to_name_one() {
        let error = load_with::<Settings>(Path::new("/nowhere/x.toml"), ENV_PREFIX, [])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nowhere/x.toml") && error.contains("--config"),
            "{error}"
        );
    }
}
