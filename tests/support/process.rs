//! The real programs as child processes, killed when dropped.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::http::Http;

/// How long anything may take before a test calls it hung.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at a condition.
const LOOK: Duration = Duration::from_millis(25);

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
    ensure!(path.exists(), "{} is not built; run: cargo build -p {name}", path.display());
    Ok(path)
}

/// Waits for a condition; the error of the last look says what was missing.
///
/// # Errors
/// It did not come true within [`PATIENCE`].
pub async fn until<T, F: Future<Output = anyhow::Result<T>>>(what: &str, mut look: impl FnMut() -> F) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if start.elapsed() > PATIENCE => return Err(error.context(format!("waited {PATIENCE:?} for: {what}"))),
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
    fn start(program: &Path, config: &Path, env: &BTreeMap<String, String>, log: &Path) -> anyhow::Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
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
        let mut line = String::new();
        reader.read_line(&mut line)?;
        // The pipe must stay open and empty, or the program would stop at its next line.
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            let _end = reader.read_to_end(&mut rest);
        });
        let ready = serde_json::from_str(&line);
        match ready {
            Ok(ready) => Ok(Self { child, ready }),
            Err(_) => {
                let status = child.wait()?;
                bail!("{} ended before it was ready ({status}): {line}", program.display())
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
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
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
        let _ended = self.child.wait();
    }
}

/// A server's folder, and the server when it runs.
pub struct Server {
    /// The folder of `init`.
    pub dir: PathBuf,
    /// What `init` printed.
    pub init: Value,
    /// Settings by environment; after the first start the ports stay the same.
    pub env: BTreeMap<String, String>,
    /// The program, when it runs.
    pub running: Option<Running>,
}

impl Server {
    /// Makes a server in `dir`; `id_key` makes its ids comparable with another's.
    ///
    /// # Errors
    /// `init` failed.
    pub fn init(dir: &Path, id_key: Option<&str>) -> anyhow::Result<Self> {
        let output = Command::new(bin("trenza-server")?).arg("init").arg("--dir").arg(dir).arg("--json").output()?;
        ensure!(output.status.success(), "init: {}", String::from_utf8_lossy(&output.stderr));
        let init = serde_json::from_slice(&output.stdout)?;
        let mut env = BTreeMap::new();
        for name in ["HTTPS", "HTTP", "AGENTS", "OPS"] {
            env.insert(format!("TRENZA_LISTEN__{name}"), "127.0.0.1:0".to_owned());
        }
        if let Some(key) = id_key {
            env.insert("TRENZA_IDENTITY__ID_KEY".into(), key.into());
        }
        Ok(Self { dir: dir.to_owned(), init, env, running: None })
    }

    /// The settings file.
    pub fn config(&self) -> PathBuf {
        PathBuf::from(self.init["config"].as_str().unwrap_or_default())
    }

    /// Starts it and keeps its ports for the next start.
    ///
    /// # Errors
    /// It did not get ready.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let running = Running::start(&bin("trenza-server")?, &self.config(), &self.env, &self.dir.join("server.log"))?;
        for (key, name) in [("HTTPS", "https"), ("HTTP", "http"), ("AGENTS", "agents"), ("OPS", "ops")] {
            let url = running.url(name);
            let (_, addr) = url.split_once("://").with_context(|| format!("no {name} in {}", running.ready))?;
            self.env.insert(format!("TRENZA_LISTEN__{key}"), addr.to_owned());
        }
        self.running = Some(running);
        Ok(())
    }

    /// The running program.
    ///
    /// # Panics
    /// It does not run.
    pub fn up(&self) -> &Running {
        self.running.as_ref().expect("the server runs")
    }

    /// Asks it to stop and waits.
    ///
    /// # Errors
    /// It did not stop, or not well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        let status = running.stop()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    /// Kills it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.running.take().map_or(Ok(()), Running::kill)
    }

    /// Runs a command against it, whether it runs or not.
    ///
    /// # Errors
    /// The command cannot be started.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> anyhow::Result<Output> {
        let mut command = Command::new(bin("trenza-server")?);
        command.args(args).arg("--config").arg(self.config()).envs(&self.env).stdin(Stdio::null());
        Ok(command.output()?)
    }

    /// Runs a command that must succeed, and gives its standard output.
    ///
    /// # Errors
    /// The command failed.
    pub fn must<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> anyhow::Result<Vec<u8>> {
        let output = self.command(args)?;
        ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }

    /// A client with the admin's token.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub fn http(&self) -> anyhow::Result<Http> {
        Http::new(self.init["api_token"].as_str())
    }

    /// The write key of the first source.
    pub fn write_key(&self) -> String {
        self.init["write_key"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an event is in its customer.
    ///
    /// # Errors
    /// It did not get there.
    pub async fn resolved(&self, message_id: &str) -> anyhow::Result<Value> {
        let http = self.http()?;
        let url = format!("{}/v1/events/{message_id}", self.up().url("http"));
        until(&format!("{message_id} is resolved"), || async {
            let event = http.get(&url).await?;
            ensure!(event["state"] == "resolved", "{event}");
            Ok(event)
        })
        .await
    }

    /// Invites and enrols an agent into `dir`. The server runs.
    ///
    /// # Errors
    /// A command failed.
    pub fn enrol(&self, touchpoint: &str, dir: &Path) -> anyhow::Result<Agent> {
        let invite: Value = serde_json::from_slice(&self.must(["agent", "invite", "--touchpoint", touchpoint, "--json"])?)?;
        let text = |name: &str| invite[name].as_str().unwrap_or_default().to_owned();
        let output = Command::new(bin("trenza-agent")?)
            .args(["enrol", "--server", &text("server"), "--code", &text("code"), "--ca-fingerprint", &text("ca_fingerprint"), "--dir"])
            .arg(dir)
            .output()?;
        ensure!(output.status.success(), "enrol: {}", String::from_utf8_lossy(&output.stderr));
        let env = ["HTTP", "OPS"].map(|name| (format!("TRENZA_LISTEN__{name}"), "127.0.0.1:0".to_owned()));
        Ok(Agent { dir: dir.to_owned(), env: env.into(), running: None })
    }
}

/// An agent's folder, and the agent when it runs.
pub struct Agent {
    /// The folder of `enrol`.
    pub dir: PathBuf,
    /// Settings by environment; after the first start the ports stay the same.
    pub env: BTreeMap<String, String>,
    /// The program, when it runs.
    pub running: Option<Running>,
}

impl Agent {
    /// The settings file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("agent.toml")
    }

    /// Starts it and keeps its ports for the next start.
    ///
    /// # Errors
    /// It did not get ready.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let running = Running::start(&bin("trenza-agent")?, &self.config(), &self.env, &self.dir.join("agent.log"))?;
        for (key, name) in [("HTTP", "http"), ("OPS", "ops")] {
            let url = running.url(name);
            let (_, addr) = url.split_once("://").with_context(|| format!("no {name} in {}", running.ready))?;
            self.env.insert(format!("TRENZA_LISTEN__{key}"), addr.to_owned());
        }
        self.running = Some(running);
        Ok(())
    }

    /// The running program.
    ///
    /// # Panics
    /// It does not run.
    pub fn up(&self) -> &Running {
        self.running.as_ref().expect("the agent runs")
    }

    /// Asks it to stop and waits.
    ///
    /// # Errors
    /// It did not stop, or not well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        let status = running.stop()?;
        ensure!(status.success(), "the agent ended with {status}");
        Ok(())
    }

    /// Kills it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.running.take().map_or(Ok(()), Running::kill)
    }

    /// `status --json`.
    ///
    /// # Errors
    /// The command failed.
    pub fn status(&self) -> anyhow::Result<Value> {
        let output = Command::new(bin("trenza-agent")?).args(["status", "--json", "--config"]).arg(self.config()).envs(&self.env).output()?;
        ensure!(output.status.success(), "status: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The kiosk's write key.
    ///
    /// # Errors
    /// `agent.toml` cannot be read.
    pub fn write_key(&self) -> anyhow::Result<String> {
        let text = std::fs::read_to_string(self.config())?;
        let line = text.lines().find(|line| line.trim_start().starts_with("write_key")).context("agent.toml has a write_key")?;
        let (_, value) = line.split_once('=').context("write_key has a value")?;
        Ok(value.split('#').next().unwrap_or_default().trim().trim_matches('"').to_owned())
    }

    /// Waits until the server has everything.
    ///
    /// # Errors
    /// It did not get there.
    pub async fn drained(&self) -> anyhow::Result<Value> {
        let url = format!("{}/v1/status", self.up().url("http"));
        let http = Http::new(None)?;
        until("the agent has nothing waiting", || async {
            let status = http.get(&url).await?;
            ensure!(status["waiting"] == 0 && status["head_seq"] == status["acked_seq"], "{status}");
            Ok(status)
        })
        .await
    }
}
