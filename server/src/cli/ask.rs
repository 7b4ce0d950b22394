//! Commands that work whether the server runs or not.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use serde_json::Value;

use super::{
    args::{Agent, Export, Match, Settings, Source, Todo, Token, User},
    rules, say,
};
use crate::{
    admin::{
        Command, Link, NewSource,
        export::{Progress, Verified},
        import,
    },
    config::Config,
    sync::audit::Audit,
};

/// Everything that works whether the server runs or not.
pub async fn ask(todo: Todo) -> anyhow::Result<ExitCode> {
    let (settings, json, command) = match todo {
        Todo::Source(Source::Create {
            asked,
            name,
            origins,
            namespace,
            place,
        }) => {
            let new = NewSource {
                name,
                origins,
                namespace,
                country: place.country,
                zone: place.zone,
            };
            (asked.settings, asked.json, Command::SourceCreate(new))
        }
        Todo::Source(Source::Revoke { asked, source }) => {
            (asked.settings, asked.json, Command::SourceRevoke { source })
        }
        Todo::Source(Source::List { asked }) => (asked.settings, asked.json, Command::SourceList),
        Todo::Agent(Agent::Invite {
            asked,
            touchpoint,
            venue,
            place,
        }) => (
            asked.settings,
            asked.json,
            Command::AgentInvite {
                touchpoint,
                country: place.country,
                zone: place.zone,
                venue,
            },
        ),
        Todo::Agent(Agent::List { asked }) => (asked.settings, asked.json, Command::AgentList),
        Todo::Agent(Agent::Revoke { asked, agent }) => {
            (asked.settings, asked.json, Command::AgentRevoke { agent })
        }
        Todo::Token(Token::Create { asked, role }) => {
            (asked.settings, asked.json, Command::TokenCreate { role })
        }
        Todo::User(User::Create { asked, name, role }) => (
            asked.settings,
            asked.json,
            Command::UserCreate { name, role },
        ),
        Todo::User(User::Password { asked, name }) => {
            (asked.settings, asked.json, Command::UserPassword { name })
        }
        Todo::User(User::List { asked }) => (asked.settings, asked.json, Command::UserList),
        Todo::Backup { to, asked } => {
            // The running server has a working folder of its own.
            let to =
                std::path::absolute(&to).with_context(|| format!("{} is no path", to.display()))?;
            let settings = std::path::absolute(&asked.settings.config)?;
            (asked.settings, asked.json, Command::Backup { to, settings })
        }
        Todo::Import {
            asked,
            source,
            file,
            map,
        } => {
            return with_link(&asked.settings, async |link| {
                import_file(link, &source, &file, map.as_deref(), asked.json).await
            })
            .await;
        }
        Todo::Export(Export::Customers { settings }) => {
            return with_link(&settings, async |link| {
                export(link, &Command::ExportCustomers).await
            })
            .await;
        }
        Todo::Export(Export::Events { settings }) => {
            return with_link(&settings, async |link| {
                export(link, &Command::ExportEvents).await
            })
            .await;
        }
        Todo::Replay {
            asked,
            verify: true,
        } => return with_link(&asked.settings, async |link| verify(link, asked.json).await).await,
        Todo::Replay {
            asked,
            verify: false,
        } => return with_link(&asked.settings, async |link| replay(link, asked.json).await).await,
        Todo::Rules(todo) => {
            let asked = todo.asked();
            let (settings, json) = (&asked.settings, asked.json);
            return with_link(settings, async |link| rules::ask(link, &todo, json).await).await;
        }
        Todo::Match(Match::Train { asked, from }) => {
            let (settings, json) = (&asked.settings, asked.json);
            return with_link(settings, async |link| rules::train(link, from, json).await).await;
        }
        Todo::Verify { asked, agent } => {
            return with_link(&asked.settings, async |link| {
                let found: Audit = link.ask(&Command::Audit { agent }).await?;
                say::answer(&serde_json::to_value(&found)?, asked.json)?;
                Ok(if found.ok {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                })
            })
            .await;
        }
        Todo::Init { .. } | Todo::Run { .. } | Todo::Doctor { .. } | Todo::Restore { .. } => {
            return Ok(ExitCode::SUCCESS);
        } // handled before
    };
    with_link(&settings, async |link| {
        let answer: Value = link.ask(&command).await?;
        say::answer(&answer, json)?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

async fn with_link(
    settings: &Settings,
    job: impl AsyncFnOnce(&Link) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
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

async fn import_file(
    link: &Link,
    source: &str,
    file: &Path,
    map: Option<&Path>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let show = io::stderr().is_terminal() && !json;
    let report = import::run(link, source, file, map, show).await?;
    if report.source_created && !json {
        eprintln!("note: there was no source called {source:?}; it was made");
    }
    say::answer(&serde_json::to_value(&report)?, json)?;
    if let Some(path) = &report.rejects {
        eprintln!(
            "note: lines that are no events: {}; they are in {} with the reasons",
            report.summary.rejected,
            path.display()
        );
    }
    if let Some(path) = &report.flaws {
        eprintln!(
            "note: lines that were taken, but for a value that is no such identifier: {}; they are in {} with the reasons",
            report.summary.flawed,
            path.display()
        );
    }
    let summary = &report.summary;
    if summary.rejected > 0 && summary.rejected == summary.read {
        // Nothing of the file was an event: whoever runs this in a script must see that it failed.
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(link: &Link, json: bool) -> anyhow::Result<ExitCode> {
    let bar = if io::stderr().is_terminal() && !json {
        indicatif::ProgressBar::new(0)
    } else {
        indicatif::ProgressBar::hidden()
    };
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
    if json {
        writeln!(out, "{}", serde_json::json!({ "records": begun.last }))?
    } else {
        writeln!(out, "rebuilt from {} records", begun.last)?
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(link: &Link, json: bool) -> anyhow::Result<ExitCode> {
    let verified: Verified = link.ask(&Command::ReplayVerify).await?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(&verified)?)?;
    } else if let Some(difference) = &verified.difference {
        let short = |row: &Option<String>| {
            row.as_ref().map_or("nothing".to_owned(), |row| {
                format!("{} bytes", row.len() / 2)
            })
        };
        writeln!(
            out,
            "table {} differs first at key {}: stored {}, rebuilt {}",
            difference.table,
            difference.key,
            short(&difference.stored),
            short(&difference.rebuilt)
        )?;
    } else {
        writeln!(
            out,
            "equal: {} rows of the derived tables are what {} records of the log give",
            verified.rows, verified.records
        )?;
    }
    if !verified.equal {
        eprintln!("error: the derived tables are not what the log gives");
        eprintln!("hint: `trenza-server replay` rebuilds them");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
