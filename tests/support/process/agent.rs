//! An agent with its folder.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Running, bin, until};
use crate::http::Http;

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
        let running = Running::start(
            &bin("trenza-agent")?,
            &self.config(),
            &self.env,
            &self.dir.join("agent.log"),
        )?;
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
        let text = std::fs::read_to_string(self.config())?;
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

    /// Waits until the server has everything.
    ///
    /// # Errors
    /// It did not get there.
    pub async fn drained(&self) -> anyhow::Result<Value> {
        let url = format!("{}/v1/status", self.up().url("http"));
        let http = Http::new(None)?;
        until("the agent has nothing waiting", || async {
            let status = http.get(&url).await?;
            ensure!(
                status["waiting"] == 0 && status["head_seq"] == status["acked_seq"],
                "{status}"
            );
            Ok(status)
        })
        .await
    }
}
