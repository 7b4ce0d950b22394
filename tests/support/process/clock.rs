//! A wall clock that lies to a program: Debian's libfaketime, preloaded. The boot clock is not touched, as a wrong RTC does not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// Where packages put the library.
const FOLDERS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
];

/// What the programs it is given to take for the time of day.
pub struct FalseClock {
    library: PathBuf,
    file: PathBuf,
}

impl FalseClock {
    /// One that is right until it is set; its file is in `dir`.
    ///
    /// # Errors
    /// The library is not installed.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        let library = FOLDERS
            .iter()
            .map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"))
            .find(|path| path.exists())
            .context("this test lies about the time with libfaketime, which is not installed; type: sudo apt-get install faketime")?;
        let clock = Self {
            library,
            file: dir.join("false-clock"),
        };
        clock.set_off_by(0)?;
        Ok(clock)
    }

    /// From now on it is off by so much, and goes on. Running programs see it at once. Unit: seconds.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_off_by(&self, seconds: i64) -> anyhow::Result<()> {
        self.set(&format!("{seconds:+}"))
    }

    /// From now on it stands still. Unit: seconds since 1970.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn stand_at(&self, seconds: i64) -> anyhow::Result<()> {
        self.set(&seconds.to_string())
    }

    /// It is read at every look at the clock, so it must never be half written.
    fn set(&self, what: &str) -> anyhow::Result<()> {
        let next = self.file.with_extension("next");
        fs::write(&next, what)?;
        fs::rename(&next, &self.file)
            .with_context(|| format!("cannot write {}", self.file.display()))
    }

    /// Settings by environment of a program that is to believe it.
    pub fn env(&self) -> impl Iterator<Item = (String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("LD_PRELOAD", text(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.file)),
            // Of what stands still: seconds since 1970, not a date in some zone.
            ("FAKETIME_FMT", "%s".to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
            // A program that begins itself anew would leave the library's shared memory behind.
            ("MALLOC_ARENA_MAX", "2".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
    }
}
