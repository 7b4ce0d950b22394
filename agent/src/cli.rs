//! The commands.
//!
//! Owns arguments, what is printed, and exit codes: 0 done, 1 failed, 2 wrong usage.

use std::{
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::Parser;
use http::HeaderMap;
use tokio::signal::unix::{SignalKind, signal};
use trenza_shared::{
    clock::SystemClock,
    net::{
        client::{self, Client, ClientLimits},
        descriptors::make_room,
        serve::Limits,
        tls::{self, TlsTime, Trust},
    },
    store::rocks::all_closed,
    telemetry,
};

use crate::{
    app::{Ready, Started},
    arenas,
    config::{Config, files},
    doctor::{self, Asked, Check},
    enrol::{self, EnrolError, Invitation},
    salvage::Progress,
    status::{Status, stopped},
};

/// Exit code of what was typed wrong, as clap has it.
const WRONG_USAGE: u8 = 2;
/// Longest wait, last of all, for a store that another thread of the program still closes.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// Largest status over the local socket. Unit: bytes.
const STATUS_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for an agent on this device.
const ASK_MAX: Duration = Duration::from_secs(3);

/// Takes in visits at a touchpoint, keeps them, and sends them when there is a network.
#[derive(Parser)]
#[command(
    name = "trenza-agent",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 failed (doctor: something is BAD), 2 wrong usage"
)]
enum Cli {
    /// Make this device's key, get its certificate, write DIR/agent.toml. Never overwrites
    Enrol {
        /// The server's address, as in the invitation: https://host:8443
        #[arg(long)]
        server: String,
        /// The code of the invitation; it works once
        #[arg(long)]
        code: String,
        /// SHA-256 of the server's CA, 64 hexadecimal digits, as in the invitation
        #[arg(long)]
        ca_fingerprint: String,
        /// Folder for key, certificate, settings and store
        #[arg(long)]
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run until SIGTERM, then drain
    Run(At),
    /// How it stands: what waits, since when, whether the server answers; ends with 0 also where it does not run
    Status {
        #[command(flatten)]
        at: At,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check disk, store, clock, certificates, server and neighbours; change nothing; ends with 1 when something is BAD, else with 0
    Doctor {
        #[command(flatten)]
        at: At,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
struct At {
    /// The settings that enrol wrote
    #[arg(long, env = "AGENT_CONFIG")]
    config: PathBuf,
}

impl At {
    fn load(&self) -> anyhow::Result<(Config, PathBuf)> {
        let config = Config::load_or_last(&self.config)?;
        let dir = self
            .config
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        Ok((config, dir.to_owned()))
    }
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli, Cli::Run(_)) {
        arenas::limit();
    }
    let code = match command(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("trenza-agent: {error:#}");
            match error.downcast_ref() {
                Some(EnrolError::BadFingerprint | EnrolError::BadUrl(_)) => WRONG_USAGE.into(),
                _ => ExitCode::FAILURE,
            }
        }
    };
    if !all_closed(CLOSE_MAX) {
        eprintln!(
            "trenza-agent: the store did not close in time; what was answered is on the disk all the same"
        );
    }
    code
}

fn command(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    match cli {
        Cli::Enrol {
            server,
            code,
            ca_fingerprint,
            dir,
            json,
        } => runtime.block_on(enrol_command(
            Invitation {
                server,
                code,
                ca_fingerprint,
            },
            &dir,
            json,
        )),
        Cli::Run(at) => {
            let (config, dir) = at.load()?;
            telemetry::start(Some(&config.log.level))?;
            if !config.problem.is_empty() {
                tracing::error!("{}", config.problem);
            }
            make_room(Limits::default().connections_max);
            runtime.block_on(run(config, &dir, &at.config))
        }
        Cli::Status { at, json } => {
            let (config, dir) = at.load()?;
            let status = runtime.block_on(status_of(&config, &dir))?;
            print_status(&status, json)
        }
        Cli::Doctor { at, json } => {
            let (config, dir) = at.load()?;
            runtime.block_on(doctor_command(&config, &dir, json))
        }
    }
}

async fn enrol_command(invitation: Invitation, dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let config = enrol::enrol(&invitation, dir, Arc::new(SystemClock)).await?;
    if json {
        print(&serde_json::json!({ "config": config }).to_string())?;
    } else {
        print(&format!(
            "This device is enrolled. Start it with:\n\n  trenza-agent run --config {}",
            config.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(config: Config, dir: &Path, file: &Path) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut shutdown = Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    let clock = Arc::new(SystemClock);
    let good = config.clone();
    let Some(started) = Started::when_it_can(config, dir, clock, say_ready, &mut shutdown).await?
    else {
        return Ok(ExitCode::SUCCESS);
    };
    say_ready(&started.ready);
    if let Err(error) = good.keep(file) {
        tracing::warn!(error = %error, "the settings of this good start could not be kept beside {}", file.display());
    }
    tracing::info!(agent.id = %started.app.log.agent(), log.epoch = started.app.log.epoch(), listen.http = %started.ready.http, "the agent runs");
    started.serve(shutdown).await;
    Ok(ExitCode::SUCCESS)
}

/// One line of JSON; nobody may be there any more to read it, which stops nothing.
fn say_ready(ready: &Ready) {
    let line = serde_json::to_string(ready).map_err(anyhow::Error::from);
    if let Err(error) = line.and_then(|line| print(&line)) {
        tracing::warn!(error = %error, "the ready line could not be written");
    }
}

/// Asks the running agent; where none runs, reads its store.
async fn status_of(config: &Config, dir: &Path) -> anyhow::Result<Status> {
    match running(config, dir).await {
        Some(status) => status,
        None => Ok(stopped(config, dir)?),
    }
}

/// What the running agent says; none where none runs.
async fn running(config: &Config, dir: &Path) -> Option<anyhow::Result<Status>> {
    let socket = client::unix(dir.join(files::SOCKET));
    match socket.get("/v1/status").await {
        Ok(answer) => Some(
            answer
                .whole(STATUS_BYTES_MAX)
                .await
                .map_err(anyhow::Error::from)
                .and_then(|answer| read_status(&answer)),
        ),
        // On a disk on which no socket can be made it is asked where everybody asks it.
        Err(_) => by_port(config, dir).await.map(Ok),
    }
}

fn read_status(answer: &client::Response) -> anyhow::Result<Status> {
    serde_json::from_slice(&answer.body).with_context(|| match answer.error() {
        Some(error) => format!("the running agent gives no status: {}", error.message),
        None => "the running agent gives no status; see its log".into(),
    })
}

/// What listens at the agent's own address, if it is this agent.
async fn by_port(config: &Config, dir: &Path) -> Option<Status> {
    let mut addr = config.listen.http;
    if addr.ip().is_unspecified() {
        addr.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let time = TlsTime::new(Arc::new(SystemClock), 0);
    let (tls, _) = tls::client_config(Trust::default(), None, time).ok()?;
    let limits = ClientLimits {
        connect: ASK_MAX,
        request: ASK_MAX,
        ..ClientLimits::default()
    };
    let url = format!("http://{addr}/v1/status");
    let answer = Client::new(tls, limits).get(&url, HeaderMap::new()).await;
    let status = read_status(&answer.ok()?).ok()?;
    (status.agent == Status::without_store(config, dir).ok()?.agent).then_some(status)
}

fn print_status(status: &Status, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        print(&serde_json::to_string(status)?)?;
    } else {
        let problem = if status.problem.is_empty() {
            String::new()
        } else {
            format!(" ({})", status.problem)
        };
        print(&format!(
            "agent     {}, epoch {}\ntaken in  {}\nsent      {}\nwaiting   {}, the oldest for {} s\nserver    {}{problem}\ndisk      {} MiB free, and a reserve of {} MiB",
            status.agent,
            status.epoch,
            status.head_seq,
            status.acked_seq,
            status.waiting,
            status.oldest_waiting_ms / 1000,
            status.server_word(),
            status.disk_free_bytes >> 20,
            status.reserve_bytes >> 20,
        ))?;
        if !status.https_problem.is_empty() {
            print(&format!("https     {}", status.https_problem))?;
        }
        if !status.settings_problem.is_empty() {
            print(&format!("settings  {}", status.settings_problem))?;
        }
        if !status.room_problem.is_empty() {
            print(&format!(
                "REFUSED   every new visit: {}",
                status.room_problem
            ))?;
        }
        if status.kept > 0 {
            print(&format!(
                "kept      {} that cannot be delivered: {}",
                status.kept, status.kept_reason
            ))?;
        }
        if status.dropped > 0 {
            print(&format!(
                "dropped   {} low-priority events, for want of room; trenza-agent doctor says which",
                status.dropped
            ))?;
        }
        if status.salvage != Progress::default() {
            print(&format!(
                "salvage   {} found, {} appended again, {} places unreadable, {} files to go",
                status.salvage.found,
                status.salvage.appended,
                status.salvage.unreadable,
                status.salvage.files,
            ))?;
        }
        if let Some(began) = &status.began {
            print(&format!("anew      {}", began.sentence()))?;
        }
        for one in &status.aside {
            print(&format!("aside     {}, {}", one.name, one.what()))?;
        }
        for one in &status.delivered {
            print(&format!(
                "delivered {} of those that wait, by {} ({})",
                one.events, one.touchpoint, one.agent
            ))?;
        }
        for one in &status.neighbours {
            let seen = match one.seen_ms {
                Some(ms) if one.near => format!("seen {} s ago", ms / 1000),
                Some(ms) => format!("not heard for {} s", ms / 1000),
                None => "not heard yet".into(),
            };
            print(&format!(
                "neighbour {} ({}), {seen}, {} of its events wait here",
                one.touchpoint, one.agent, one.carried_waiting
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn doctor_command(config: &Config, dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    // How far the clock is off now is known to the running agent alone: somebody may have set it since.
    let agent = match running(config, dir).await {
        Some(Ok(status)) => Asked::Runs(status),
        Some(Err(error)) => Asked::Silent(format!("{error:#}")),
        None => Asked::Stopped(stopped(config, dir).ok().map(|stopped| Status {
            clock_offset_ms: None,
            ..stopped
        })),
    };
    let checks = doctor::examine(config, dir, Arc::new(SystemClock), &agent).await;
    if json {
        print(
            &serde_json::json!({ "ok": checks.iter().all(|check| check.ok), "checks": checks })
                .to_string(),
        )?;
    } else {
        for check in &checks {
            let Check { name, message, .. } = check;
            print(&format!("{:<4} {name:<12} {message}", check.word()))?;
        }
    }
    Ok(if checks.iter().all(|check| check.ok) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write to stdout")
}
