//! A server with its folder.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{
    Agent, Running, bin,
    ports::{ANY, Ports},
    until,
};
use crate::http::Http;

/// A server's folder, and the server when it runs.
pub struct Server {
    /// The folder of `init`.
    pub dir: PathBuf,
    /// What `init` printed.
    pub init: Value,
    /// Settings by environment; after the first start the ports stay the same.
    pub env: BTreeMap<String, String>,
    /// Where it writes what it says.
    pub log: PathBuf,
    /// Those of `env`, held while it is down.
    pub ports: Ports,
    /// The program, when it runs.
    pub running: Option<Running>,
}

impl Server {
    /// Makes a server in `dir`; `id_key` makes its ids comparable with another's.
    ///
    /// # Errors
    /// `init` failed.
    pub fn init(dir: &Path, id_key: Option<&str>) -> anyhow::Result<Self> {
        Self::init_in(dir, id_key, BTreeMap::new())
    }

    /// The same in this environment, in which it lives from then on.
    ///
    /// # Errors
    /// `init` failed.
    pub fn init_in(
        dir: &Path,
        id_key: Option<&str>,
        mut env: BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let output = Command::new(bin("trenza-server")?)
            .arg("init")
            .arg("--dir")
            .arg(dir)
            .arg("--json")
            .envs(&env)
            .output()?;
        ensure!(
            output.status.success(),
            "init: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let init = serde_json::from_slice(&output.stdout)?;
        for name in ["HTTPS", "HTTP", "AGENTS", "OPS"] {
            env.insert(format!("TRENZA_LISTEN__{name}"), ANY.to_owned());
        }
        if let Some(key) = id_key {
            env.insert("TRENZA_IDENTITY__ID_KEY".into(), key.into());
        }
        Ok(Self {
            dir: dir.to_owned(),
            log: dir.join("server.log"),
            init,
            env,
            ports: Ports::default(),
            running: None,
        })
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
        self.ports.give(&mut self.env)?;
        let running = Running::start(&bin("trenza-server")?, &self.config(), &self.env, &self.log)?;
        for (key, name) in [
            ("HTTPS", "https"),
            ("HTTP", "http"),
            ("AGENTS", "agents"),
            ("OPS", "ops"),
        ] {
            let url = running.url(name);
            if url.is_empty() && running.ready["ready"] == false {
                continue; // it waits for its disk, and listens on `ops` alone
            }
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
        self.running.as_ref().expect("the server runs")
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
    pub fn command<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<Output> {
        let mut command = Command::new(bin("trenza-server")?);
        command
            .args(args)
            .arg("--config")
            .arg(self.config())
            .envs(&self.env)
            .stdin(Stdio::null());
        Ok(command.output()?)
    }

    /// Runs a command that must succeed, and gives its standard output.
    ///
    /// # Errors
    /// The command failed.
    pub fn must<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<Vec<u8>> {
        let output = self.command(args)?;
        ensure!(
            output.status.success(),
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
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
        self.init["write_key"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
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
        self.enrol_at(touchpoint, None, dir)
    }

    /// The same for an agent of a venue.
    ///
    /// # Errors
    /// A command failed.
    pub fn enrol_at(
        &self,
        touchpoint: &str,
        venue: Option<&str>,
        dir: &Path,
    ) -> anyhow::Result<Agent> {
        self.enrol_in(touchpoint, venue, dir, BTreeMap::new())
    }

    /// The same of an agent that lives in this environment, from its enrolment on.
    ///
    /// # Errors
    /// A command failed.
    pub fn enrol_in(
        &self,
        touchpoint: &str,
        venue: Option<&str>,
        dir: &Path,
        mut env: BTreeMap<String, String>,
    ) -> anyhow::Result<Agent> {
        let mut invite = vec!["agent", "invite", "--touchpoint", touchpoint, "--json"];
        invite.extend(venue.into_iter().flat_map(|venue| ["--venue", venue]));
        let invite: Value = serde_json::from_slice(&self.must(invite)?)?;
        let text = |name: &str| invite[name].as_str().unwrap_or_default().to_owned();
        let output = Command::new(bin("trenza-agent")?)
            .args([
                "enrol",
                "--server",
                &text("server"),
                "--code",
                &text("code"),
                "--ca-fingerprint",
                &text("ca_fingerprint"),
                "--dir",
            ])
            .arg(dir)
            .envs(&env)
            .output()?;
        ensure!(
            output.status.success(),
            "enrol: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        env.extend(["HTTP", "OPS"].map(|name| (format!("TRENZA_LISTEN__{name}"), ANY.to_owned())));
        Ok(Agent {
            dir: dir.to_owned(),
            log: dir.join("agent.log"),
            env,
            ports: Ports::default(),
            running: None,
        })
    }
}
