//! The real programs as child processes, killed when dropped.

mod agent;
mod clock;
mod ports;
mod server;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

pub use agent::Agent;
pub use clock::FalseClock;
pub use ports::Ports;
pub use server::Server;

use crate::disk::Disk;

/// How long anything may take before a test calls it hung.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for the end of a killed program that a test lets go.
const END_MAX: Duration = Duration::from_secs(5);
/// Pause between two looks at a condition.
pub(crate) const LOOK: Duration = Duration::from_millis(25);

/// The folder of the built programs: `TRENZA_BIN_DIR`, else beside this very program.
///
/// # Errors
/// They were not built.
pub fn bin(name: &str) -> anyhow::Result<PathBuf> {
    let dir = match std::env::var_os("TRENZA_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let mut dir = std::env::current_exe()?;
            dir.pop();
            if dir.file_name() == Some(OsStr::new("deps")) {
                dir.pop();
            }
            dir
        }
    };
    let path = dir.join(name);
    ensure!(
        path.exists(),
        "{} is not built; run: cargo build -p {name}",
        path.display()
    );
    Ok(path)
}

/// A server that runs in `home`, and an agent of it that runs on a disk of its own; the agent's log is in `home` too.
///
/// # Errors
/// A command failed.
pub fn on_disk(disk: &Disk, home: &Path) -> anyhow::Result<(Server, Agent)> {
    let mut server = Server::init(&home.join("server"), None)?;
    server.start()?;
    let mut agent = server.enrol("Tienda", &disk.path().join("agent"))?;
    agent.log = home.join("agent.log");
    agent.start()?;
    Ok((server, agent))
}

/// Waits for a condition; the error of the last look says what was missing.
///
/// # Errors
/// It did not come true within [`PATIENCE`].
pub async fn until<T, F: Future<Output = anyhow::Result<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if start.elapsed() > PATIENCE => {
                return Err(error.context(format!("waited {PATIENCE:?} for: {what}")));
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// A running program, with its ready line.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// What it printed when it was ready.
    pub ready: Value,
}

impl Running {
    fn start(
        program: &Path,
        config: &Path,
        env: &BTreeMap<String, String>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log_path = log;
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log_path)?;
        let mut child = Command::new(program)
            .args(["run".as_ref(), "--config".as_ref(), config.as_os_str()])
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut reader = BufReader::new(stdout);
        let (first, told) = mpsc::channel();
        // The pipe must stay open and empty, or the program would stop at its next line.
        std::thread::spawn(move || {
            let (mut line, mut rest) = (String::new(), Vec::new());
            let read = reader.read_line(&mut line);
            let _hung = first.send(read.map(|_| line));
            let _end = reader.read_to_end(&mut rest);
        });
        let line = match told.recv_timeout(PATIENCE) {
            Ok(line) => line?,
            Err(_hung) => {
                child.kill()?;
                format!("it was not ready within {PATIENCE:?}. ")
            }
        };
        let ready = serde_json::from_str(&line);
        match ready {
            Ok(ready) => Ok(Self { child, ready }),
            Err(_) => {
                let status = child.wait()?;
                let said = std::fs::read_to_string(log_path)?;
                let last = said.lines().rev().find(|said| !said.is_empty());
                bail!(
                    "{} ended before it was ready ({status}): {line}{}",
                    program.display(),
                    last.unwrap_or_default()
                )
            }
        }
    }

    /// A URL of the ready line.
    pub fn url(&self, name: &str) -> String {
        self.ready[name].as_str().unwrap_or_default().to_owned()
    }

    /// Id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power cut of the process would.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop and waits.
    ///
    /// # Errors
    /// It did not stop within [`PATIENCE`].
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        ensure!(asked.success(), "kill -TERM failed");
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(LOOK);
        }
        bail!("it did not stop within {PATIENCE:?} of SIGTERM")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        // A simulated disk that hangs keeps what waits for it, also a killed program, until the disk is dropped: maybe after this.
        let start = Instant::now();
        while start.elapsed() < END_MAX && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK);
        }
    }
}
