//! The commands.
//!
//! Owns arguments, what is printed, and exit codes: 0 done, 1 failed, 2 wrong usage.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use trenza_shared::{
    clock::{Clock, SystemClock, boot_id},
    net::{client, descriptors::make_room, serve::Limits},
    probe::disk_free_bytes,
    store::RocksStore,
    telemetry,
};

use crate::{
    app::{Started, store_options},
    arenas,
    config::{Config, files},
    doctor::{self, Check},
    enrol::{self, EnrolError, Invitation},
    log,
    room::{self, Room},
    salvage::Progress,
    status::{self, Status},
    sync::copies,
    tables::{SERVER, STATE, StateRow},
    time::KnownTime,
};

/// Exit code of what was typed wrong, as clap has it.
const WRONG_USAGE: u8 = 2;
/// Largest status over the local socket. Unit: bytes.
const STATUS_BYTES_MAX: usize = 64 * 1024;

/// Takes in visits at a touchpoint, keeps them, and sends them when there is a network.
#[derive(Parser)]
#[command(name = "trenza-agent", version, about)]
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
    /// How it stands: what waits, since when, whether the server answers
    Status {
        #[command(flatten)]
        at: At,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check disk, clock, certificate and server; change nothing
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
        let config = Config::load(&self.config)?;
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
    match command(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("trenza-agent: {error:#}");
            match error.downcast_ref() {
                Some(EnrolError::BadFingerprint | EnrolError::BadUrl(_)) => WRONG_USAGE.into(),
                _ => ExitCode::FAILURE,
            }
        }
    }
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
            make_room(Limits::default().connections_max);
            runtime.block_on(run(config, &dir))
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

async fn run(config: Config, dir: &Path) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let started = Started::new(config, dir, Arc::new(SystemClock)).await?;
    print(&serde_json::to_string(&started.ready)?)?;
    tracing::info!(agent.id = %started.app.log.agent(), log.epoch = started.app.log.epoch(), listen.http = %started.ready.http, "the agent runs");
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    started.serve(shutdown).await;
    Ok(ExitCode::SUCCESS)
}

/// Asks the running agent; where none runs, reads its store.
async fn status_of(config: &Config, dir: &Path) -> anyhow::Result<Status> {
    match client::unix(dir.join(files::SOCKET))
        .get("/v1/status")
        .await
    {
        Ok(answer) => {
            let answer = answer.whole(STATUS_BYTES_MAX).await?;
            serde_json::from_slice(&answer.body)
                .context("the running agent gives no status; see its log")
        }
        Err(_) => stopped_status(config, dir),
    }
}

fn stopped_status(config: &Config, dir: &Path) -> anyhow::Result<Status> {
    let folder = dir.join(&config.store.dir);
    let mut status = Status {
        agent: copies::own_id(dir).map_or_else(|| config.id(), Ok)?,
        epoch: 0,
        head_seq: 0,
        acked_seq: 0,
        waiting: 0,
        oldest_waiting_ms: 0,
        clock_offset_ms: None,
        disk_free_bytes: disk_free_bytes(dir),
        room: Room::default(),
        store_bytes: room::folder_bytes(&folder).unwrap_or(0),
        dropped: 0,
        dropped_ranges: Vec::new(),
        room_problem: String::new(),
        server: "down".into(),
        kept: 0,
        kept_reason: String::new(),
        refused: false,
        problem: "the agent does not run".into(),
        salvage: Progress::default(),
        program: env!("CARGO_PKG_VERSION").into(),
        venue: String::new(),
        neighbours: Vec::new(),
        delivered: Vec::new(),
    };
    if !folder.exists() {
        return Ok(status);
    }
    let store = RocksStore::open_to_read(folder, store_options(config))?;
    let state: StateRow = STATE.get(&store, &())?.unwrap_or_default();
    let told = SERVER.get(&store, &())?.unwrap_or_default();
    let time = KnownTime::new(
        boot_id().map_or(0, |boot| boot.number()),
        &told,
        &SystemClock,
    );
    let (heads, drops) = (log::heads(&store, &state)?, log::Drops::read(&store)?);
    let sums = status::figures(&store, &heads, &told.lanes, &drops, time)?;
    (
        status.epoch,
        status.head_seq,
        status.acked_seq,
        status.waiting,
        status.dropped,
    ) = (
        state.epoch,
        sums.head,
        sums.acked,
        sums.waiting,
        sums.dropped,
    );
    status.dropped_ranges = status::dropped_ranges(&drops);
    status.oldest_waiting_ms = status::age_ms(sums.oldest_ms, time.now_ms(&SystemClock));
    status.clock_offset_ms = told.clock_offset_ms;
    Ok(status)
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
            "agent     {}, epoch {}\ntaken in  {}\nsent      {}\nwaiting   {}, the oldest for {} s\nserver    {}{problem}\ndisk      {} MiB free",
            status.agent,
            status.epoch,
            status.head_seq,
            status.acked_seq,
            status.waiting,
            status.oldest_waiting_ms / 1000,
            status.server,
            status.disk_free_bytes / (1024 * 1024),
        ))?;
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
    let running = match client::unix(dir.join(files::SOCKET))
        .get("/v1/status")
        .await
    {
        Ok(answer) => {
            serde_json::from_slice::<Status>(&answer.whole(STATUS_BYTES_MAX).await?.body).ok()
        }
        Err(_) => None,
    };
    let clock = Arc::new(SystemClock);
    let offset_ms = running.as_ref().and_then(|status| status.clock_offset_ms);
    let server_ms = offset_ms.map(|offset| clock.wall_ms() + offset);
    let status = running.or_else(|| {
        let stopped = stopped_status(config, dir).ok()?;
        Some(Status {
            clock_offset_ms: None,
            ..stopped
        })
    });
    let checks = doctor::examine(config, dir, clock, server_ms, status.as_ref()).await;
    if json {
        print(
            &serde_json::json!({ "ok": checks.iter().all(|check| check.ok), "checks": checks })
                .to_string(),
        )?;
    } else {
        for Check { name, ok, message } in &checks {
            print(&format!(
                "{} {name:<12} {message}",
                if *ok { "ok " } else { "BAD" }
            ))?;
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
