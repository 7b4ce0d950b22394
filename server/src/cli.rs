//! The commands: what can be typed, and what is printed.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use trenza_shared::{clock::SystemClock, id::AgentId, telemetry};

use crate::{
    admin::{
        Command, Link, NewSource,
        check::{self, Advised},
        import, init, is_busy,
        export::{Progress, Verified},
    },
    app::App,
    config::Config,
    tables::Role,
};

/// How long `run` may take to stop. Unit: as given.
const STOP_MAX: Duration = Duration::from_millis(9_500);
/// How long `run` waits for a store that another command holds.
const BUSY_WAIT: Duration = Duration::from_millis(250);
/// How often it looks.
const BUSY_TRIES: u32 = 40;

/// Takes in what agents and websites capture, and shows one record per customer
#[derive(clap::Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    todo: Todo,
}

#[derive(clap::Args)]
struct Settings {
    /// The settings of the server
    #[arg(long, env = "TRENZA_CONFIG", default_value = init::FILE, value_name = "FILE")]
    config: PathBuf,
}

#[derive(clap::Args)]
struct Asked {
    #[command(flatten)]
    settings: Settings,
    /// Answer with one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Place {
    /// Country by whose formats telephone numbers and ids are read (ISO 3166-1, as ES)
    #[arg(long, value_parser = check::country)]
    country: Option<String>,
    /// Time zone (IANA name, as Europe/Madrid)
    #[arg(long, value_parser = zone)]
    zone: Option<String>,
}

#[derive(clap::Subcommand)]
enum Todo {
    /// Make settings, store, certificates and a first admin in a folder; never overwrites
    Init {
        /// The folder; made when it is not there
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Answer with one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Run until SIGTERM or Ctrl-C, then drain
    Run {
        #[command(flatten)]
        settings: Settings,
    },
    /// Sources: what may send events
    #[command(subcommand)]
    Source(Source),
    /// Agents: the programs at the edge
    #[command(subcommand)]
    Agent(Agent),
    /// Tokens for programs that use the API
    #[command(subcommand)]
    Token(Token),
    /// People who sign in
    #[command(subcommand)]
    User(User),
    /// Take in a file: events (.jsonl, one a line) or rows (.csv); the same file twice changes nothing
    Import {
        #[command(flatten)]
        asked: Asked,
        /// Name of the source it comes from; made when it is not there
        #[arg(long)]
        source: String,
        /// The file
        file: PathBuf,
        /// How the columns of a CSV file become an event
        #[arg(long, value_name = "MAP.toml")]
        map: Option<PathBuf>,
    },
    /// Write everything to standard output, one JSON object a line
    #[command(subcommand)]
    Export(Export),
    /// Rebuild all derived tables from the log and the decisions
    Replay {
        #[command(flatten)]
        asked: Asked,
        /// Change nothing: rebuild beside the tables there are, and compare byte for byte
        #[arg(long)]
        verify: bool,
    },
}

#[derive(clap::Subcommand)]
enum Source {
    /// Make a source; prints its write key
    Create {
        #[command(flatten)]
        asked: Asked,
        /// Its name, unique
        #[arg(long)]
        name: String,
        /// Pages of this origin may send, as https://www.example.org; repeat for more, leave out for any
        #[arg(long = "origin", value_name = "URL", value_parser = check::origin)]
        origins: Vec<String>,
        /// Within what its ids are unique; leave out for the whole organisation
        #[arg(long)]
        namespace: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Show every source with its write key
    List {
        #[command(flatten)]
        asked: Asked,
    },
}

#[derive(clap::Subcommand)]
enum Agent {
    /// Invite an agent; the code works once, for 24 hours
    Invite {
        #[command(flatten)]
        asked: Asked,
        /// Where it will stand
        #[arg(long)]
        touchpoint: String,
        #[command(flatten)]
        place: Place,
    },
    /// Show the fleet
    List {
        #[command(flatten)]
        asked: Asked,
    },
    /// Take an agent's right back, at once
    Revoke {
        #[command(flatten)]
        asked: Asked,
        /// Its id, as in the list
        #[arg(value_name = "AGENT_ID")]
        agent: AgentId,
    },
}

#[derive(clap::Subcommand)]
enum Token {
    /// Make an API token; it is shown once
    Create {
        #[command(flatten)]
        asked: Asked,
        /// What it may do
        #[arg(long)]
        role: Role,
    },
}

#[derive(clap::Subcommand)]
enum User {
    /// Make a person who signs in; the password is shown once
    Create {
        #[command(flatten)]
        asked: Asked,
        /// The name to sign in with
        #[arg(long)]
        name: String,
        /// What they may do
        #[arg(long)]
        role: Role,
    },
    /// Give a person a new password; ends their sessions
    Password {
        #[command(flatten)]
        asked: Asked,
        /// The name they sign in with
        #[arg(long)]
        name: String,
    },
    /// Show everybody who signs in
    List {
        #[command(flatten)]
        asked: Asked,
    },
}

#[derive(clap::Subcommand)]
enum Export {
    /// Every customer, sorted by id
    Customers {
        #[command(flatten)]
        settings: Settings,
    },
    /// Every stored event once, in the order of the log
    Events {
        #[command(flatten)]
        settings: Settings,
    },
}

fn zone(text: &str) -> Result<String, Advised> {
    check::zone(text).map(|()| text.to_owned())
}

/// Runs a command.
pub fn main(cli: Cli) -> ExitCode {
    match start(cli.todo) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// The chain of causes, then what to do.
fn complain(error: &anyhow::Error) {
    if error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)) {
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
    if let Some(advised) = error.chain().find_map(|cause| cause.downcast_ref::<Advised>())
        && !advised.hint.is_empty()
    {
        eprintln!("hint: {}", advised.hint);
    }
}

fn start(todo: Todo) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let code = match todo {
        Todo::Init { dir, place, json } => {
            let Place { country, zone } = place;
            let defaults = Config::default().place;
            let made = init::init(&dir, &country.unwrap_or(defaults.country), &zone.unwrap_or(defaults.zone), &SystemClock)?;
            say_made(&made, json)?;
            ExitCode::SUCCESS
        }
        Todo::Run { settings } => {
            let config = Config::load(&settings.config)?;
            telemetry::start(Some(&config.log.level))?;
            runtime.block_on(run(config))?;
            ExitCode::SUCCESS
        }
        other => {
            // What a command has to say stands in its answer; the log is for trouble.
            telemetry::start(Some("warn"))?;
            runtime.block_on(ask(other))?
        }
    };
    // Threads in the middle of a blocking call must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_millis(500));
    Ok(code)
}

async fn run(config: Config) -> anyhow::Result<()> {
    let mut tries = 0;
    let running = loop {
        match App::open(config.clone()) {
            Err(error) if is_busy(&error) && tries < BUSY_TRIES => {
                // A command may hold the store for a moment.
                tries += 1;
                tokio::time::sleep(BUSY_WAIT).await;
            }
            other => break other?,
        }
    };
    let (told, mut stopping) = tokio::sync::watch::channel(false);
    let signal = stop_signal()?;
    let shutdown = async move {
        signal.await;
        told.send_replace(true);
    };
    let too_long = async move {
        let _told = stopping.wait_for(|stop| *stop).await;
        tokio::time::sleep(STOP_MAX).await;
    };
    tokio::select! {
        served = running.serve(shutdown) => served,
        () = too_long => {
            tracing::warn!("stopped with work in hand; nothing acknowledged is lost");
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

/// Everything that works whether the server runs or not.
async fn ask(todo: Todo) -> anyhow::Result<ExitCode> {
    let (settings, json, command) = match todo {
        Todo::Source(Source::Create { asked, name, origins, namespace, place }) => {
            let new = NewSource { name, origins, namespace, country: place.country, zone: place.zone };
            (asked.settings, asked.json, Command::SourceCreate(new))
        }
        Todo::Source(Source::List { asked }) => (asked.settings, asked.json, Command::SourceList),
        Todo::Agent(Agent::Invite { asked, touchpoint, place }) => {
            (asked.settings, asked.json, Command::AgentInvite { touchpoint, country: place.country, zone: place.zone })
        }
        Todo::Agent(Agent::List { asked }) => (asked.settings, asked.json, Command::AgentList),
        Todo::Agent(Agent::Revoke { asked, agent }) => (asked.settings, asked.json, Command::AgentRevoke { agent }),
        Todo::Token(Token::Create { asked, role }) => (asked.settings, asked.json, Command::TokenCreate { role }),
        Todo::User(User::Create { asked, name, role }) => (asked.settings, asked.json, Command::UserCreate { name, role }),
        Todo::User(User::Password { asked, name }) => (asked.settings, asked.json, Command::UserPassword { name }),
        Todo::User(User::List { asked }) => (asked.settings, asked.json, Command::UserList),
        Todo::Import { asked, source, file, map } => return with_link(&asked.settings, async |link| import_file(link, &source, &file, map.as_deref(), asked.json).await).await,
        Todo::Export(Export::Customers { settings }) => return with_link(&settings, async |link| export(link, &Command::ExportCustomers).await).await,
        Todo::Export(Export::Events { settings }) => return with_link(&settings, async |link| export(link, &Command::ExportEvents).await).await,
        Todo::Replay { asked, verify: true } => return with_link(&asked.settings, async |link| verify(link, asked.json).await).await,
        Todo::Replay { asked, verify: false } => return with_link(&asked.settings, async |link| replay(link, asked.json).await).await,
        Todo::Init { .. } | Todo::Run { .. } => return Ok(ExitCode::SUCCESS), // handled before
    };
    with_link(&settings, async |link| {
        let answer: Value = link.ask(&command).await?;
        let mut out = io::stdout().lock();
        if json { writeln!(out, "{answer}")? } else { write!(out, "{}", readable(&answer, 0))? }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

async fn with_link(settings: &Settings, job: impl AsyncFnOnce(&Link) -> anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let link = Link::open(Config::load(&settings.config)?).await?;
    let result = job(&link).await;
    link.close().await;
    result
}

async fn export(link: &Link, command: &Command) -> anyhow::Result<ExitCode> {
    let mut answer = link.send(command).await?;
    let mut out = io::stdout().lock();
    while let Some(piece) = answer.chunk().await? {
        out.write_all(&piece)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn import_file(link: &Link, source: &str, file: &Path, map: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let show = io::stderr().is_terminal() && !json;
    let report = import::run(link, source, file, map, show).await?;
    if report.source_created && !json {
        eprintln!("note: there was no source called {source:?}; it was made");
    }
    let answer = serde_json::to_value(&report)?;
    let mut out = io::stdout().lock();
    if json { writeln!(out, "{answer}")? } else { write!(out, "{}", readable(&answer, 0))? }
    if let Some(path) = &report.rejects {
        eprintln!("note: {} lines are no events; they are in {} with the reasons", report.summary.rejected, path.display());
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(link: &Link, json: bool) -> anyhow::Result<ExitCode> {
    let bar = if io::stderr().is_terminal() && !json { indicatif::ProgressBar::new(0) } else { indicatif::ProgressBar::hidden() };
    let begun: Progress = link.ask(&Command::Replay).await?;
    bar.set_length(begun.last);
    // What comes meanwhile is applied as ever; the rebuilding ends where the log ended when it began.
    loop {
        let now: Progress = link.ask(&Command::Progress { wait: true }).await?;
        bar.set_position(now.applied.min(begun.last));
        if now.applied >= begun.last {
            break;
        }
    }
    bar.finish_and_clear();
    let mut out = io::stdout().lock();
    if json { writeln!(out, "{}", serde_json::json!({ "records": begun.last }))? } else { writeln!(out, "rebuilt from {} records", begun.last)? }
    Ok(ExitCode::SUCCESS)
}

async fn verify(link: &Link, json: bool) -> anyhow::Result<ExitCode> {
    let verified: Verified = link.ask(&Command::ReplayVerify).await?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(&verified)?)?;
    } else if let Some(difference) = &verified.difference {
        let short = |row: &Option<String>| row.as_ref().map_or("nothing".to_owned(), |row| format!("{} bytes", row.len() / 2));
        writeln!(out, "table {} differs first at key {}: stored {}, rebuilt {}", difference.table, difference.key, short(&difference.stored), short(&difference.rebuilt))?;
    } else {
        writeln!(out, "equal: {} rows of the derived tables are what {} records of the log give", verified.rows, verified.records)?;
    }
    if !verified.equal {
        eprintln!("error: the derived tables are not what the log gives");
        eprintln!("hint: `trenza-server replay` rebuilds them");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn say_made(made: &init::Made, json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(made)?)?;
        return Ok(());
    }
    let init::Made { config, admin_user, admin_password, api_token, write_key } = made;
    let config = config.display();
    writeln!(out, "A new server is in {config}. The secrets below are shown once:\n")?;
    writeln!(out, "  sign in      {admin_user} / {admin_password}")?;
    writeln!(out, "  API token    {api_token}")?;
    writeln!(out, "  write key    {write_key}   (source \"Website\")\n")?;
    writeln!(out, "Next:")?;
    writeln!(out, "  trenza-server run --config {config}")?;
    writeln!(out, "  trenza-server agent invite --config {config} --touchpoint \"Shop\"")?;
    writeln!(out, "  <script async src=\"https://HOST:8443/t.js\" data-write-key=\"{write_key}\"></script>")?;
    Ok(())
}

/// An answer for people: `name  value` lines; lists with a blank line between.
fn readable(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let Value::Object(members) = value else { return format!("{pad}{}\n", plain(value)) };
    let width = members.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in members {
        let label = name.replace('_', " ");
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                out.push_str(&items.iter().map(|item| readable(item, indent)).collect::<Vec<_>>().join("\n"));
            }
            Value::Array(items) if indent == 0 && items.is_empty() && members.len() == 1 => out.push_str(&format!("{pad}no {label}\n")),
            value => out.push_str(&format!("{pad}{label:width$}  {}\n", plain(value))),
        }
    }
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

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
        ] {
            let words = ["trenza-server"].into_iter().chain(line.split(' '));
            let parsed = Cli::try_parse_from(words);
            assert_eq!(parsed.is_ok(), !line.contains("C0"), "{line}");
        }
    }

    #[test]
    fn wrong_usage_ends_with_two() {
        for line in ["dance", "run --nonsense", "token create --role king", "agent revoke 12", "init"] {
            let words = ["trenza-server"].into_iter().chain(line.split(' '));
            let error = Cli::try_parse_from(words).err().unwrap();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
