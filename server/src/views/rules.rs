//! The rules of identity: shown as a form, tried out, published, taken back by an older version.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use trenza_shared::{
    identifier::Kind,
    identity::{BadRules, Class, KindRule, Listed, Rules},
    matching::{Language, Weights},
    net::error::HttpError,
};

use super::{
    fact::{self, Fact},
    page::{Frame, Visitor, respond, respond_as, see_other},
    session::Posted,
    text::Lang,
};
use crate::{
    admin::rules::{self, Publish, Shown},
    app::App,
    customer::{
        record::Record,
        simulate::{Example, Report, Stands, What},
    },
    tables::Role,
};

/// Thousandths of a bit, in which odds are kept, of one.
const MILLI: f64 = 1_000.0;
/// Identifiers shown of a customer of an example.
const FACTS_MAX: usize = 4;

/// A form's fields by name.
type Fields = BTreeMap<String, String>;

/// What a kind may prove, as a row of the form.
struct KindRow {
    name: &'static str,
    label: &'static str,
    classes: Vec<(&'static str, &'static str, bool)>,
    strength: u16,
    max: String,
    window: String,
}

/// A version of the list.
struct Older {
    version: u32,
    at: String,
    by: String,
    reason: String,
    in_force: bool,
}

/// A customer of an example.
struct Side {
    title: String,
    facts: Vec<Fact>,
}

/// Customers that would be others.
struct Case {
    before: Vec<Side>,
    after: Vec<Side>,
    why: Option<String>,
}

/// One kind of change.
struct Changed {
    what: String,
    cases: Vec<Case>,
}

/// What trying them out found.
struct Tried {
    customers: String,
    results: Vec<Changed>,
}

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    frame: Frame,
    in_force: u32,
    /// Of which version the form holds the rules; none when somebody changed them.
    of: Option<u32>,
    kinds: Vec<KindRow>,
    cap: usize,
    blocked: String,
    shared: String,
    matching: bool,
    models: Vec<(&'static str, bool)>,
    ask: String,
    link: String,
    versions: Vec<Older>,
    /// How far others are.
    publishing: Option<String>,
    /// How far trying them out is.
    going: Option<String>,
    tried: Option<Tried>,
    wrong: Option<String>,
    reason: String,
    done: bool,
}

/// Which version, and whether something was just done.
#[derive(Deserialize)]
pub struct Asked {
    version: Option<u32>,
    #[serde(default)]
    done: String,
}

/// `GET /LANG/rules`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Steward)?;
    let shown = rules::show(&app, asked.version).await?;
    let of = Some(asked.version.unwrap_or(shown.in_force));
    let rules = shown.rules.clone();
    respond(&RulesPage {
        of,
        done: !asked.done.is_empty(),
        ..filled(visitor.frame, &shown, &rules)
    })
}

/// `POST /LANG/rules/simulate`
pub async fn simulate(
    State(app): State<App>,
    Posted(visitor, sent): Posted<Fields>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Steward)?;
    let shown = rules::show(&app, None).await?;
    let rules = read(&sent, &shown.rules);
    let stands = match &rules {
        Ok(rules) => rules::simulate(&app, rules).await,
        Err(wrong) => return refused(visitor.frame, &shown, &sent, wrong.clone()),
    };
    let rules = rules.unwrap_or_default();
    let page = |frame: &Frame| RulesPage {
        reason: sent.get("reason").cloned().unwrap_or_default(),
        ..filled(frame.clone(), &shown, &rules)
    };
    let frame = &visitor.frame;
    match stands {
        Ok(Stands::Going { done, of }) => respond(&RulesPage {
            going: Some(progress(frame.t, done, of)),
            ..page(frame)
        }),
        Ok(Stands::Done(report)) => respond(&RulesPage {
            tried: Some(tried(&app, frame, &report)),
            ..page(frame)
        }),
        Ok(Stands::Failed(_)) => Err(HttpError::internal(std::io::Error::other("simulation"))),
        Err(error) if error.status == StatusCode::BAD_REQUEST => {
            refused(visitor.frame, &shown, &sent, error.message.clone())
        }
        Err(error) => Err(error),
    }
}

/// `POST /LANG/rules`
pub async fn publish(
    State(app): State<App>,
    Posted(visitor, sent): Posted<Fields>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    let shown = rules::show(&app, None).await?;
    let rules = match read(&sent, &shown.rules) {
        Ok(rules) => rules,
        Err(wrong) => return refused(visitor.frame, &shown, &sent, wrong),
    };
    let reason = sent.get("reason").cloned().unwrap_or_default();
    if reason.trim().is_empty() {
        let wrong = visitor.frame.t.error_reason().to_owned();
        return refused(visitor.frame, &shown, &sent, wrong);
    }
    match rules::publish(&app, &Publish { rules, reason }, &visitor.caller.who).await {
        Ok(_) => Ok(see_other(&visitor.frame.at("/rules?done=1"))),
        Err(error) if error.status == StatusCode::BAD_REQUEST => {
            refused(visitor.frame, &shown, &sent, error.message.clone())
        }
        Err(error) => Err(error),
    }
}

/// The form as it was sent, and what is wrong with it.
fn refused(
    frame: Frame,
    shown: &Shown,
    sent: &Fields,
    wrong: String,
) -> Result<Response, HttpError> {
    // What can be read of it stays as it was typed.
    let mut rules = shown.rules.clone();
    for kind in Kind::ALL {
        if let Ok(rule) = kind_rule(sent, kind) {
            rules.kinds.insert(kind, rule);
        }
    }
    let typed = |name: &str| sent.get(name).cloned().unwrap_or_default();
    let page = RulesPage {
        wrong: Some(wrong),
        blocked: typed("blocked"),
        shared: typed("shared"),
        reason: typed("reason"),
        ..filled(frame, shown, &rules)
    };
    respond_as(StatusCode::BAD_REQUEST, &page)
}

fn filled(frame: Frame, shown: &Shown, rules: &Rules) -> RulesPage {
    let t = frame.t;
    let kinds = Kind::ALL.into_iter().map(|kind| {
        let rule = rules.rule(kind);
        let number = |number: Option<u32>| number.map_or_else(String::new, |n| n.to_string());
        KindRow {
            name: kind.name(),
            label: t.kind(kind),
            classes: CLASSES
                .into_iter()
                .map(|(class, name)| (name, class_says(t, class), class == rule.class))
                .collect(),
            strength: rule.strength,
            max: number(rule.max_per_person),
            window: number(rule.window_days),
        }
    });
    let versions = shown.versions.iter().map(|one| Older {
        version: one.version,
        at: one
            .at
            .as_deref()
            .unwrap_or_default()
            .chars()
            .take(10)
            .collect(),
        by: one.by.clone(),
        reason: if one.at.is_some() {
            one.reason.clone()
        } else {
            t.rules_own().to_owned()
        },
        in_force: one.version == shown.in_force,
    });
    let bits = |milli: i32| (f64::from(milli) / MILLI).to_string();
    let matching = &rules.matching;
    RulesPage {
        in_force: shown.in_force,
        of: None,
        kinds: kinds.collect(),
        cap: rules.cap,
        blocked: lines(&rules.blocked),
        shared: lines(&rules.shared),
        matching: matching.on,
        models: models(&matching.model),
        ask: bits(matching.bands.ask),
        link: bits(matching.bands.link),
        versions: versions.collect(),
        publishing: shown
            .publishing
            .map(|going| progress(t, going.done, going.of)),
        going: None,
        tried: None,
        wrong: None,
        reason: String::new(),
        done: false,
        frame,
    }
}

fn progress(t: Lang, done: u64, of: u64) -> String {
    match t {
        Lang::Es => format!("{done} de {of}"),
        Lang::En => format!("{done} of {of}"),
    }
}

const CLASSES: [(Class, &str); 6] = [
    (Class::Exclusive, "exclusive"),
    (Class::Owned, "owned"),
    (Class::Shareable, "shareable"),
    (Class::RoleScoped, "role_scoped"),
    (Class::Ephemeral, "ephemeral"),
    (Class::Blocked, "blocked"),
];

fn class_says(t: Lang, class: Class) -> &'static str {
    match class {
        Class::Exclusive => t.class_exclusive(),
        Class::Owned => t.class_owned(),
        Class::Shareable => t.class_shareable(),
        Class::RoleScoped => t.class_role_scoped(),
        Class::Ephemeral => t.class_ephemeral(),
        Class::Blocked => t.class_blocked(),
    }
}

/// The weights to choose from; own ones only where they are in use, as nobody types them.
fn models(now: &Weights) -> Vec<(&'static str, bool)> {
    let shipped = [("es", Language::Es), ("en", Language::En)]
        .map(|(name, language)| (name, *now == Weights::Shipped(language)));
    let own = matches!(now, Weights::Own(_)).then_some(("own", true));
    shipped.into_iter().chain(own).collect()
}

/// A list as a person writes it: a kind and a value a line.
fn lines(list: &Listed) -> String {
    let values = list.values();
    let lines: Vec<String> = values
        .map(|(kind, value)| format!("{}: {value}", kind.name()))
        .collect();
    lines.join("\n")
}

/// The rules of a form, over those that it does not show.
fn read(sent: &Fields, over: &Rules) -> Result<Rules, String> {
    let mut rules = over.clone();
    for kind in Kind::ALL {
        rules.kinds.insert(kind, kind_rule(sent, kind)?);
    }
    let text = |name: &str| {
        sent.get(name)
            .map(String::as_str)
            .unwrap_or_default()
            .trim()
    };
    rules.cap = text("cap")
        .parse()
        .map_err(|_| BadRules::Cap(0).to_string())?;
    rules.blocked = list(text("blocked"))?;
    rules.shared = list(text("shared"))?;
    rules.matching.on = text("matching") == "on";
    match text("model") {
        "es" => rules.matching.model = Weights::Shipped(Language::Es),
        "en" => rules.matching.model = Weights::Shipped(Language::En),
        _ => {}
    }
    let milli = |name: &str| {
        let bits: Option<f64> = text(name).replace(',', ".").parse().ok();
        let bits = bits.filter(|bits| (0.0..=1_000.0).contains(bits));
        bits.map(|bits| (bits * MILLI).round() as i32)
            .ok_or_else(|| BadRules::Matching.to_string())
    };
    rules.matching.bands.ask = milli("ask")?;
    rules.matching.bands.link = milli("link")?;
    Ok(rules)
}

fn kind_rule(sent: &Fields, kind: Kind) -> Result<KindRule, String> {
    let text = |what: &str| {
        let name = format!("{what}-{}", kind.name());
        sent.get(&name).map_or("", |text| text.trim()).to_owned()
    };
    let wrong = |what: &str| format!("{}: {what}", kind.name());
    let class = CLASSES
        .into_iter()
        .find(|(_, name)| *name == text("class"))
        .ok_or_else(|| wrong("class"))?;
    let number = |what: &str| match text(what).as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| wrong(what)),
    };
    Ok(KindRule {
        class: class.0,
        strength: text("strength").parse().map_err(|_| wrong("strength"))?,
        max_per_person: number("max")?,
        // The field is there for every kind; it means something for one class.
        window_days: number("window")?.filter(|_| class.0 == Class::Ephemeral),
    })
}

fn list(text: &str) -> Result<Listed, String> {
    let mut listed = Listed::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let named = line.split_once(':').and_then(|(name, value)| {
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.name() == name.trim());
            kind.map(|kind| (kind, value.trim()))
        });
        let (kind, value) = named.ok_or_else(|| line.to_owned())?;
        listed.insert(kind, value);
    }
    Ok(listed)
}

fn tried(app: &App, frame: &Frame, report: &Report) -> Tried {
    let t = frame.t;
    let results = report.found.iter().map(|(what, found)| {
        let count = |es, en| t.count(found.times, es, en);
        Changed {
            what: match what {
                What::Merged => count(
                    ("unión nueva", "uniones nuevas"),
                    ("new merge", "new merges"),
                ),
                What::Split => count(("separación", "separaciones"), ("split", "splits")),
                What::Shifted => count(
                    ("ficha con otros contactos", "fichas con otros contactos"),
                    ("record with other touches", "records with other touches"),
                ),
                What::Reread => count(
                    (
                        "ficha con los mismos contactos y otros datos",
                        "fichas con los mismos contactos y otros datos",
                    ),
                    (
                        "record with the same touches and other values",
                        "records with the same touches and other values",
                    ),
                ),
                What::Appeared => count(
                    ("ficha nueva", "fichas nuevas"),
                    ("new record", "new records"),
                ),
                What::Vanished => count(
                    (
                        "ficha que deja de ser de alguien",
                        "fichas que dejan de ser de alguien",
                    ),
                    (
                        "record that is nobody's any more",
                        "records that are nobody's any more",
                    ),
                ),
            },
            cases: found
                .examples
                .iter()
                .map(|example| case(app, frame, example))
                .collect(),
        }
    });
    Tried {
        customers: match t {
            Lang::Es => format!(
                "{} fichas ahora, {} con estas reglas.",
                report.before, report.after
            ),
            Lang::En => format!(
                "{} records now, {} by these rules.",
                report.before, report.after
            ),
        },
        results: results.collect(),
    }
}

fn case(app: &App, frame: &Frame, example: &Example) -> Case {
    let side = |record: &Record| Side {
        title: fact::title(frame.t, &record.customer, frame.masked()),
        facts: record
            .customer
            .identifiers
            .keys()
            .take(FACTS_MAX)
            .map(|one| Fact::new(frame.t, &app.applier.id_key, one, frame.masked()))
            .collect(),
    };
    Case {
        before: example.before.iter().map(side).collect(),
        after: example.after.iter().map(side).collect(),
        why: example
            .why
            .as_ref()
            .map(|why| frame.t.pick(&why.es, &why.en).to_owned()),
    }
}
