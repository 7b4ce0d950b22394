//! Commands about the rules of identity.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde_json::Value;
use trenza_shared::{identity::Rules, matching::Language};

use super::{args, say};
use crate::admin::{
    Command, Link,
    rules::{Publish, Published, Shown, Trained},
};

/// How often publishing is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Most identifiers of a customer that a line shows.
const VALUES_MAX: usize = 3;

/// Carries one out.
///
/// # Errors
/// What the server said, or that the file holds no rules.
pub async fn ask(link: &Link, todo: &args::Rules, json: bool) -> anyhow::Result<ExitCode> {
    match todo {
        args::Rules::Show { version, .. } => {
            let version = *version;
            let shown: Shown = link.ask(&Command::RulesShow { version }).await?;
            if json {
                say::answer(&serde_json::to_value(&shown)?, true)?;
            } else {
                let mut out = io::stdout().lock();
                writeln!(out, "# version {} is in force", shown.in_force)?;
                for one in &shown.versions {
                    let at = one.at.as_deref().unwrap_or("the program's own");
                    writeln!(
                        out,
                        "# {:>4}  {at}  {}  {}",
                        one.version, one.by, one.reason
                    )?;
                }
                write!(out, "{}", toml::to_string_pretty(&shown.rules)?)?;
            }
        }
        args::Rules::Simulate { file, .. } => {
            let rules = Box::new(read(file)?);
            let bar = bar(json);
            let report = loop {
                let rules = rules.clone();
                let stands: Value = link.ask(&Command::RulesSimulate { rules }).await?;
                if stands["state"] != "running" {
                    break stands;
                }
                bar.set_length(stands["of"].as_u64().unwrap_or(0));
                bar.set_position(stands["done"].as_u64().unwrap_or(0));
            };
            bar.finish_and_clear();
            if json {
                say::answer(&report, true)?;
            } else {
                tell(&report)?;
            }
        }
        args::Rules::Publish { file, reason, .. } => {
            let asked = Publish {
                rules: read(file)?,
                reason: reason.clone(),
            };
            let command = Command::RulesPublish(Box::new(asked));
            let published: Published = link.ask(&command).await?;
            let bar = bar(json);
            loop {
                let now: Shown = link.ask(&Command::RulesShow { version: None }).await?;
                let Some(going) = now.publishing else {
                    anyhow::ensure!(
                        now.in_force == published.version,
                        "version {} is published and not in force yet; the server goes on with it when it runs",
                        published.version
                    );
                    break;
                };
                bar.set_length(going.of);
                bar.set_position(going.done);
                tokio::time::sleep(LOOK).await;
            }
            bar.finish_and_clear();
            say::answer(&serde_json::to_value(&published)?, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Learns weights, and prints the rules with them.
///
/// # Errors
/// What the server said.
pub async fn train(link: &Link, from: Language, json: bool) -> anyhow::Result<ExitCode> {
    let trained: Trained = link.ask(&Command::MatchTrain { from }).await?;
    if json {
        say::answer(&serde_json::to_value(&trained)?, true)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Trained {
        rules,
        customers,
        same,
        apart,
        alike,
    } = &trained;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "# learned from {customers} customers: {same} pairs of records of one person by a value with one owner (a national id, a card, a login; an e-mail or a phone may be a family's), {apart} of two by their national ids, {alike} alike"
    )?;
    write!(out, "{}", toml::to_string(rules)?)?;
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<Rules> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    toml::from_str(&text).with_context(|| format!("{} holds no rules", file.display()))
}

fn bar(json: bool) -> ProgressBar {
    if io::stderr().is_terminal() && !json {
        ProgressBar::new(0)
    } else {
        ProgressBar::hidden()
    }
}

/// A report for people.
fn tell(report: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let customers = &report["customers"];
    writeln!(
        out,
        "customers  {} now, {} by these rules",
        customers["before"], customers["after"]
    )?;
    let found = report["found"].as_object();
    if found.is_none_or(|found| found.is_empty()) {
        return writeln!(out, "nothing would change");
    }
    for (what, found) in found.into_iter().flatten() {
        writeln!(
            out,
            "\n{what}: {} times, {} customers",
            found["times"], found["customers"]
        )?;
        for example in found["examples"].as_array().into_iter().flatten() {
            let side = |side: &str| {
                let customers = example[side].as_array().into_iter().flatten();
                customers.map(named).collect::<Vec<_>>().join(" + ")
            };
            writeln!(out, "  {}", side("before"))?;
            writeln!(out, "  -> {}", side("after"))?;
            if let Some(why) = example["sentence"]["en"].as_str() {
                writeln!(out, "     {why}")?;
            }
        }
    }
    Ok(())
}

fn named(customer: &Value) -> String {
    let values = customer["identifiers"].as_array().into_iter().flatten();
    let values = values.take(VALUES_MAX).map(|value| {
        let part = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        format!("{}:{}", part("kind"), part("value"))
    });
    let id = customer["id"].as_str().unwrap_or_default();
    format!("{id} ({})", values.collect::<Vec<_>>().join(", "))
}
