//! The settings of the last good start: a file that is damaged, as after a cut of the power, keeps no agent from starting.
//!
//! A mistake of a person is no damage: a key that is wrong is told, and nothing starts with something else than was asked for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use trenza_shared::{net::pki::replace, settings::SettingsError};

use super::{Config, ConfigError, files};

impl Config {
    /// Reads the settings as [`Config::load`] does; where the file is damaged, gone or cut off, those of the last good start, and
    /// says so in [`Config::problem`].
    ///
    /// # Errors
    /// [`ConfigError`] of the file itself.
    pub fn load_or_last(path: &Path) -> Result<Self, ConfigError> {
        let damage = match Self::load(path) {
            Err(error) if is_damage(&error) => error,
            loaded => return loaded,
        };
        let Ok(last) = Self::load(&beside(path)) else {
            return Err(damage);
        };
        Ok(Self {
            problem: format!(
                "{damage}. These are the settings of the last good start ({}): put that file in its place, or correct it, and restart",
                beside(path).display()
            ),
            ..last
        })
    }

    /// Keeps the file of these settings, with which a start went well.
    ///
    /// # Errors
    /// What the system says; the copy of before stays.
    pub fn keep(&self, path: &Path) -> io::Result<()> {
        let last = beside(path);
        if !self.problem.is_empty() {
            return Ok(());
        }
        let text = fs::read(path)?;
        if fs::read(&last).is_ok_and(|known| known == text) {
            return Ok(());
        }
        replace(&last, &text)
    }
}

/// Whether nobody wrote the file like that: it cannot be read, is no TOML, or lacks what enrolment wrote.
fn is_damage(error: &ConfigError) -> bool {
    matches!(
        error,
        ConfigError::Missing { .. }
            | ConfigError::Settings(
                SettingsError::Unreadable { .. } | SettingsError::Damaged { .. }
            )
    )
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(files::LAST);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[agent]\nid = \"ag_07070707070707070707070707070707\"\n\n[capture]\nwrite_key = \"wk\"\n\n[server]\nagents_url = \"https://a:1\"\n";

    #[test]
    fn a_damaged_file_starts_as_last_time_and_a_wrong_key_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(files::CONFIG);
        fs::write(&path, GOOD).unwrap();
        let good = Config::load_or_last(&path).unwrap();
        assert_eq!(good.problem, "");
        good.keep(&path).unwrap();

        let zeros = vec![0; GOOD.len()];
        let cut_in_a_key = &GOOD.as_bytes()[..40];
        let cut_between_lines = &GOOD.as_bytes()[..GOOD.find("[server]").unwrap()];
        let damaged = [
            &zeros[..],
            cut_in_a_key,
            cut_between_lines,
            b"",
            b"\xff\xfe",
        ];
        for (bytes, gone) in damaged
            .map(|bytes| (bytes, false))
            .into_iter()
            .chain([(&b""[..], true)])
        {
            fs::write(&path, bytes).unwrap();
            if gone {
                fs::remove_file(&path).unwrap();
            }
            let last = Config::load_or_last(&path).unwrap();
            assert!(last.problem.contains("agent.toml.last"), "{}", last.problem);
            assert_eq!(last.server, good.server);
            // What is damaged never takes the place of what was good.
            last.keep(&path).unwrap();
            assert_eq!(fs::read_to_string(beside(&path)).unwrap(), GOOD);
        }
        for wrong in [
            GOOD.replace("agents_url", "agents_urk"),
            GOOD.replace("https://", "http://"),
        ] {
            fs::write(&path, wrong).unwrap();
            assert!(Config::load_or_last(&path).is_err());
        }
        // Without a last good start the mistake is told as ever.
        let other = dir.path().join("other.toml");
        fs::write(&other, "").unwrap();
        assert!(matches!(
            Config::load_or_last(&other),
            Err(ConfigError::Missing { .. })
        ));
    }
}
