//! The rules of identity: shown, tried out, published.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use trenza_shared::{
    clock::format_ms,
    identity::Rules,
    matching::{Language, Weights},
    net::error::HttpError,
    store::{Batch, Durable, snapshot},
};

use crate::{
    app::App,
    customer::{
        learn,
        simulate::{Example, Found, Ground, Report, Stands},
    },
    evidence::publish::Going,
    http::api::customer_json,
    rules::published,
    tables::{RULES, RulesRow},
};

/// Longest reason. Unit: bytes.
const REASON_BYTES_MAX: usize = 2_000;
/// How long an answer waits for a simulation.
const WAIT: Duration = Duration::from_secs(10);
/// Folder beside the store where a simulation is derived, one at a time; of one that was killed the next one removes it.
const SIMULATED: &str = ".simulate";
/// When to come back to what is busy. Unit: seconds.
const RETRY_AFTER_S: u32 = 10;

/// A version of the rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub version: u32,
    /// Who published it; empty for the program's own.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When; none for the program's own.
    pub at: Option<String>,
}

/// The rules, and where they come from.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The version in force.
    pub in_force: u32,
    /// The rules that were asked for: those in force, or an older version's.
    pub rules: Rules,
    /// What is on its way.
    pub publishing: Option<Progress>,
    /// Every version, the newest first.
    pub versions: Vec<Version>,
}

/// How far other rules are.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// Their version.
    pub version: u32,
    /// Records of the log that are derived by them.
    pub done: u64,
    /// Records of the log.
    pub of: u64,
}

impl From<Going> for Progress {
    fn from(Going { version, done, of }: Going) -> Self {
        Self { version, done, of }
    }
}

/// What publishing did.
#[derive(Debug, Serialize, Deserialize)]
pub struct Published {
    /// The version under which these rules stand.
    pub version: u32,
    /// Whether they are others than those in force.
    pub changed: bool,
}

/// What is to be published.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The rules; their version is given by the server.
    pub rules: Rules,
    /// Why, for whoever looks at it in a year.
    pub reason: String,
}

/// The rules in force, or those of a version.
///
/// # Errors
/// 404 when nobody published that version.
pub async fn show(app: &App, version: Option<u32>) -> Result<Shown, HttpError> {
    let versions = versions(app).await?;
    let in_force = app.applier.rules.now();
    let rules = match version {
        None => (*in_force).clone(),
        Some(version) => match versions.get(&version) {
            Some(row) => row.rules.clone(),
            None => {
                return Err(HttpError::not_found(format!(
                    "there is no version {version} of the rules"
                ))
                .hint("the list of versions says which there are"));
            }
        },
    };
    let versions = versions.into_iter().rev().map(|(version, row)| Version {
        version,
        at: (row.at_ms != 0).then(|| format_ms(row.at_ms)),
        by: row.by,
        reason: row.reason,
    });
    Ok(Shown {
        in_force: in_force.version,
        rules,
        publishing: app.publisher.going().borrow().map(Progress::from),
        versions: versions.collect(),
    })
}

async fn versions(app: &App) -> Result<std::collections::BTreeMap<u32, RulesRow>, HttpError> {
    let store = app.store.clone();
    let read = tokio::task::spawn_blocking(move || snapshot(&*store, published));
    read.await
        .map_err(HttpError::internal)?
        .map_err(HttpError::internal)?
        .map_err(HttpError::internal)
}

fn checked(app: &App, rules: &Rules, version: u32) -> Result<Rules, HttpError> {
    let mut rules = rules.checked(&app.place()).map_err(|bad| {
        HttpError::bad_request("bad_rules", bad.to_string()).hint(
            "GET /v1/rules, or `trenza-server rules show`, gives the rules in force, to be changed",
        )
    })?;
    rules.version = version;
    Ok(rules)
}

/// Tries rules out; the answer comes when it is done, or says how far it is: ask the same again.
///
/// # Errors
/// The rules are none, or another simulation is on its way.
pub async fn simulate(app: &App, rules: &Rules) -> Result<Stands, HttpError> {
    let rules = checked(app, rules, app.applier.rules.now().version)?;
    let ground = Ground {
        store: app.store.clone(),
        applier: app.applier.clone(),
        clock: app.clock.clone(),
        dir: app
            .config
            .path(&app.config.store.dir)
            .with_file_name(SIMULATED),
        zone: app.config.place.zone.clone(),
        stopping: app.draining.subscribe(),
    };
    match app.simulator.ask(ground, rules, WAIT).await {
        Some(Stands::Failed(why)) => Err(HttpError::internal(std::io::Error::other(why))),
        Some(stands) => Ok(stands),
        None => Err(HttpError::unavailable(
            "busy",
            "other rules are being tried out",
            RETRY_AFTER_S,
        )),
    }
}

/// How a simulation stands, as programs read it.
#[must_use]
pub fn stands_json(stands: &Stands) -> Value {
    match stands {
        Stands::Going { done, of } => json!({ "state": "running", "done": done, "of": of }),
        Stands::Done(report) => report_json(report),
        Stands::Failed(why) => json!({ "state": "failed", "message": why }),
    }
}

fn report_json(report: &Report) -> Value {
    let found = report.found.iter().map(|(what, found)| {
        let Found {
            times,
            customers,
            examples,
        } = found;
        let examples: Vec<Value> = examples.iter().map(example_json).collect();
        let name = json!(what).as_str().unwrap_or_default().to_owned();
        let found = json!({ "times": times, "customers": customers, "examples": examples });
        (name, found)
    });
    json!({
        "state": "done",
        "customers": { "before": report.before, "after": report.after },
        "found": found.collect::<Map<_, _>>(),
    })
}

fn example_json(example: &Example) -> Value {
    let side = |records: &[crate::customer::record::Record]| {
        let shown = records.iter().map(|record| customer_json(record, false));
        shown.collect::<Vec<_>>()
    };
    json!({
        "before": side(&example.before),
        "after": side(&example.after),
        "sentence": example.why,
    })
}

/// What was learned of matching.
#[derive(Debug, Serialize, Deserialize)]
pub struct Trained {
    /// The rules in force, with the weights that were learned.
    pub rules: Rules,
    /// Customers by identifiers that can be compared.
    pub customers: u64,
    /// Pairs of records that were one person's for certain.
    pub same: u64,
    /// Pairs of customers that were two for certain, by their national ids.
    pub apart: u64,
    /// Other pairs of customers that were alike enough to be compared.
    pub alike: u64,
}

/// Learns weights of matching from the customers that there are; changes nothing.
///
/// # Errors
/// Nobody is compared by the rules in force, or the store cannot be read.
pub async fn train(app: &App, from: Language) -> Result<Trained, HttpError> {
    let mut rules = (*app.applier.rules.now()).clone();
    if !rules.matching.on {
        return Err(HttpError::bad_request(
            "matching_off",
            "by the rules in force no records are compared, so there is nothing to learn from",
        )
        .hint("publish rules with matching.on = true first"));
    }
    let (store, used) = (app.store.clone(), rules.clone());
    let learned = tokio::task::spawn_blocking(move || {
        snapshot(&*store, |view| learn::learned(view, &used, from.model()))
    });
    let learned = learned
        .await
        .map_err(HttpError::internal)?
        .map_err(HttpError::internal)?
        .map_err(HttpError::internal)?;
    let model = Weights::Own(Arc::new(learned.model));
    if let Some(wrong) = model.wrong() {
        let refused = HttpError::bad_request(
            "nothing_to_learn",
            format!(
                "{} customers are too few to learn weights from: {wrong}",
                learned.customers
            ),
        );
        return Err(refused
            .hint("import more records first; until then the weights that are shipped serve"));
    }
    let [same, apart, alike, _] = learned.pairs;
    rules.matching.model = model;
    Ok(Trained {
        rules,
        customers: learned.customers,
        same,
        apart,
        alike,
    })
}

/// Publishes rules: everything is derived by them beside what is shown, and then shown. They outlast a stop of the program.
///
/// # Errors
/// The rules are none, others are on their way, or the store cannot be written.
pub async fn publish(app: &App, asked: &Publish, by: &str) -> Result<Published, HttpError> {
    let reason = asked.reason.trim();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        let message = format!("publishing takes a reason of 1 to {REASON_BYTES_MAX} bytes");
        return Err(HttpError::bad_request("bad_reason", message)
            .hint("write for whoever looks at it in a year"));
    }
    let now = app.applier.rules.now();
    if checked(app, &asked.rules, now.version)? == *now {
        return Ok(Published {
            version: now.version,
            changed: false,
        });
    }
    let last = versions(app).await?.pop_last();
    let version = last.map_or(1, |(version, _)| version) + 1;
    let rules = checked(app, &asked.rules, version)?;
    if !app.publisher.take(&rules) {
        return Err(
            HttpError::unavailable("busy", "other rules are on their way", RETRY_AFTER_S)
                .hint("GET /v1/rules says how far they are"),
        );
    }
    let row = RulesRow {
        rules: rules.clone(),
        by: by.to_owned(),
        reason: reason.to_owned(),
        at_ms: app.clock.wall_ms(),
    };
    let mut batch = Batch::new();
    let written = RULES
        .put(&mut batch, &version, &row)
        .and_then(|()| app.store.commit(batch, Durable::Yes));
    if let Err(error) = written {
        app.publisher.leave();
        return Err(HttpError::internal(error));
    }
    tracing::info!(rules.version = version, rules.by = by, "rules published");
    app.publisher.start(rules);
    Ok(Published {
        version,
        changed: true,
    })
}
