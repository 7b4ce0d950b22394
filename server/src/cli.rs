//! The commands: what can be typed, and what is printed.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

mod args; // what can be typed
mod ask; // commands that work whether the server runs or not
mod rules; // commands about the rules of identity
mod say; // what is printed

use std::{io, process::ExitCode, time::Duration};

use anyhow::Context as _;
use trenza_shared::{
    clock::{Clock as _, SystemClock},
    net::{descriptors::make_room, serve::Limits},
    store::rocks::all_closed,
    telemetry,
};

use crate::{
    admin::{backup, check::Advised, doctor, init, is_busy},
    app::{AGENT_CONNECTIONS_MAX, App, STORE_FILES_MAX, shut},
    config::Config,
    waiting,
};
use args::{Place, Todo};

/// Exit code of what could not be done.
const FAILED: u8 = 1;
/// Exit code of what was typed wrong, as clap has it.
const WRONG_USAGE: u8 = 2;
/// How long `run` may take to stop.
const STOP_MAX: Duration = Duration::from_millis(9_500);
/// Longest wait, last of all, for a store that another thread of the program still closes.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// How long `run` waits for a store that another command holds.
const BUSY_WAIT: Duration = Duration::from_millis(250);
/// How often it looks.
const BUSY_TRIES: u32 = 40;

/// The listeners beside the agents': `https`, `http` and `ops`.
const OTHER_LISTENERS: usize = 3;

/// Takes in what agents and websites capture, and shows one record per customer
#[derive(clap::Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    todo: Todo,
}

/// Runs a command.
pub fn main(cli: Cli) -> ExitCode {
    let code = match start(cli.todo) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::from(code(&error))
        }
    };
    if !all_closed(CLOSE_MAX) {
        eprintln!("error: the store did not close in time; what was acknowledged is safe");
    }
    code
}

/// What a command that did not do its work ends with.
fn code(error: &anyhow::Error) -> u8 {
    let mut advised = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<Advised>());
    if advised.any(|advised| advised.wrong_usage) {
        WRONG_USAGE
    } else {
        FAILED
    }
}

/// The chain of causes, then what to do.
fn complain(error: &anyhow::Error) {
    if error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    }) {
        // Whoever read has seen enough.
        return;
    }
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Causes that repeat what stands there already say nothing.
        if !text.contains(&cause) {
            text.push_str(if text.is_empty() { "error: " } else { ": " });
            text.push_str(&cause);
        }
    }
    eprintln!("{text}");
    if let Some(advised) = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Advised>())
        && !advised.hint.is_empty()
    {
        eprintln!("hint: {}", advised.hint);
    }
}

fn start(todo: Todo) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let code = match todo {
        Todo::Init { dir, place, json } => {
            let Place { country, zone } = place;
            let defaults = Config::default().place;
            let made = init::init(
                &dir,
                &country.unwrap_or(defaults.country),
                &zone.unwrap_or(defaults.zone),
                &SystemClock,
            )?;
            say::made(&made, json)?;
            ExitCode::SUCCESS
        }
        Todo::Restore { from, asked } => {
            let restored = backup::restore(&from, &asked.settings.config, &SystemClock)?;
            say::answer(&serde_json::to_value(&restored)?, asked.json)?;
            ExitCode::SUCCESS
        }
        Todo::Doctor { asked } => {
            let config = Config::load(&asked.settings.config)?;
            let checks = runtime.block_on(doctor::examine(&config, SystemClock.wall_ms()));
            let well = say::checks(&checks, asked.json)?;
            ExitCode::from(u8::from(!well))
        }
        Todo::Run { settings } => {
            let config = Config::load(&settings.config)?;
            telemetry::start(Some(&config.log.level))?;
            let others = OTHER_LISTENERS * Limits::default().connections_max;
            make_room(AGENT_CONNECTIONS_MAX + others + STORE_FILES_MAX);
            runtime.block_on(run(config))?;
            ExitCode::SUCCESS
        }
        other => {
            // What a command has to say stands in its answer; the log is for trouble.
            telemetry::start(Some("warn"))?;
            make_room(0);
            runtime.block_on(ask::ask(other))?
        }
    };
    // Threads in the middle of a blocking call must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_millis(500));
    Ok(code)
}

async fn run(config: Config) -> anyhow::Result<()> {
    let mut tries = 0;
    let opened = loop {
        match App::open(config.clone()) {
            Err(error) if is_busy(&error) && tries < BUSY_TRIES => {
                // A command may hold the store for a moment.
                tries += 1;
                tokio::time::sleep(BUSY_WAIT).await;
            }
            other => break other,
        }
    };
    let mut signal = Box::pin(stop_signal()?);
    let running = match opened {
        Ok(running) => running,
        Err(error) => {
            let why = waiting::waits_for(error)?;
            match waiting::open(&config, why, &mut signal).await? {
                Some(running) => running,
                None => return Ok(()),
            }
        }
    };
    let (told, mut stopping) = tokio::sync::watch::channel(false);
    let shutdown = async move {
        signal.await;
        told.send_replace(true);
    };
    let too_long = async move {
        let _told = stopping.wait_for(|stop| *stop).await;
        tokio::time::sleep(STOP_MAX).await;
    };
    let rocks = running.rocks();
    tokio::select! {
        served = running.serve(shutdown) => served,
        () = too_long => {
            tracing::warn!("stopped with work in hand; nothing acknowledged is lost");
            if let Some(rocks) = rocks {
                shut(rocks).await;
            }
            Ok(())
        }
    }
}

/// Resolves at the first SIGTERM or SIGINT.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::admin::check;

    #[test]
    fn the_commands_of_the_contract_are_understood() {
        Cli::command().debug_assert();
        for line in [
            "init --dir d --json",
            "init --dir d --country ES --zone Europe/Madrid",
            "run --config f",
            "source create --config f --name Web --origin https://a.org --origin http://b.org:80 --namespace n --country C0 --json",
            "agent invite --config f --touchpoint Shop --country MX --zone America/Mexico_City --json",
            "agent list --config f --json",
            "agent revoke --config f ag_00000000000000000000000000000000",
            "token create --config f --role steward --json",
            "import --config f --source CRM people.csv --map map.toml",
            "export customers --config f",
            "export events --config f",
            "replay --config f --verify",
            "rules show --config f --version 2",
            "rules simulate --config f rules.toml --json",
            "rules publish --config f rules.toml --reason why",
            "verify --config f --agent ag_00000000000000000000000000000000 --json",
            "backup d --config f",
            "restore d --config f",
        ] {
            let words = ["trenza-server"].into_iter().chain(line.split(' '));
            let parsed = Cli::try_parse_from(words);
            assert_eq!(parsed.is_ok(), !line.contains("C0"), "{line}");
        }
    }

    #[test]
    fn a_value_that_is_none_ends_with_two_and_what_failed_with_one() {
        for wrong in [
            check::country("Spain").unwrap_err(),
            check::zone("Mars/Olympus").unwrap_err(),
            check::name("a source", "").unwrap_err(),
            check::origin("example.org/path").unwrap_err(),
        ] {
            let error = anyhow::Error::from(wrong).context("while making it");
            assert_eq!(code(&error), WRONG_USAGE, "{error:#}");
        }
        let taken = Advised::new("there is one already", "choose another name");
        assert_eq!(code(&taken.into()), FAILED);
    }

    #[test]
    fn wrong_usage_ends_with_two() {
        for line in [
            "dance",
            "run --nonsense",
            "token create --role king",
            "agent revoke 12",
            "init",
        ] {
            let words = ["trenza-server"].into_iter().chain(line.split(' '));
            let error = Cli::try_parse_from(words).err().unwrap();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
