//! An agent with its folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{
    Running, bin,
    ports::{ANY, Ports},
    until,
};
use crate::http::Http;

/// An agent's folder, and the agent when it runs.
pub struct Agent {
    /// The folder of `enrol`.
    pub dir: PathBuf,
    /// Settings by environment; after the first start the ports stay the same.
    pub env: BTreeMap<String, String>,
    /// Where it writes what it says.
    pub log: PathBuf,
    /// Those of `env`, held while it is down.
    pub ports: Ports,
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
        self.ports.give(&mut self.env)?;
        let running = Running::start(&bin("trenza-agent")?, &self.config(), &self.env, &self.log)?;
        for (key, name) in [("HTTP", "http"), ("OPS", "ops")] {
            let url = running.url(name);
            let (_, addr) = url
                .split_once("://")
                .with_context(|| format!("no {name} in {}", running.ready))?;
            self.env
                .insert(format!("TRENZA_LISTEN__{key}"), addr.to_owned());
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

    /// Copies its folder as it is now, whether it runs or not, as a disk image would: the copy may hold files of different moments.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn copied_to(&self, dir: &Path) -> anyhow::Result<Self> {
        copy_folder(&self.dir, dir)?;
        let env = self.env.iter().map(|(key, value)| match key.as_str() {
            "TRENZA_LISTEN__HTTP" | "TRENZA_LISTEN__OPS" => (key.clone(), ANY.to_owned()),
            _ => (key.clone(), value.clone()),
        });
        Ok(Self {
            dir: dir.to_owned(),
            log: dir.join("agent.log"),
            env: env.collect(),
            ports: Ports::default(),
            running: None,
        })
    }

    /// Asks it to stop and waits.
    ///
    /// # Errors
    /// It did not stop, or not well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(running) = self.running.take() else {
            return Ok(());
        };
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
        let output = Command::new(bin("trenza-agent")?)
            .args(["status", "--json", "--config"])
            .arg(self.config())
            .envs(&self.env)
            .output()?;
        ensure!(
            output.status.success(),
            "status: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The kiosk's write key.
    ///
    /// # Errors
    /// `agent.toml` cannot be read.
    pub fn write_key(&self) -> anyhow::Result<String> {
        let text = fs::read_to_string(self.config())?;
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with("write_key"))
            .context("agent.toml has a write_key")?;
        let (_, value) = line.split_once('=').context("write_key has a value")?;
        Ok(value
            .split('#')
            .next()
            .unwrap_or_default()
            .trim()
            .trim_matches('"')
            .to_owned())
    }

    /// Waits until the server has everything that was not dropped.
    ///
    /// # Errors
    /// It did not get there.
    pub async fn drained(&self) -> anyhow::Result<Value> {
        let url = format!("{}/v1/status", self.up().url("http"));
        let http = Http::new(None)?;
        until("the agent has nothing waiting", || async {
            let status = http.get(&url).await?;
            ensure!(
                status["waiting"] == 0
                    && status["head_seq"].as_u64()
                        == status["acked_seq"]
                            .as_u64()
                            .zip(status["dropped"].as_u64())
                            .map(|(acked, dropped)| acked + dropped)
                    && status["server"] == "up",
                "{status}"
            );
            Ok(status)
        })
        .await
    }
}

/// Copies files and folders; what vanishes meanwhile is left out, and so are sockets.
fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &path)?;
        } else if kind.is_file() {
            match fs::copy(entry.path(), &path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(())
}
