//! One record: who, what is known and by whom, what happened.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use serde::Deserialize;
use trenza_shared::{
    crdt::ConsentState,
    event::{EventType, at},
    fragment::ConsentPart,
    id::EventId,
    net::error::HttpError,
    store::{StoreError, View},
};

use super::{
    accounts::{Held, held, kind, name},
    fact::{self, Fact},
    graph::{self, Drawing, Graph},
    page::{Frame, Visitor, respond},
    strip::{self, Strip, Touch},
    text::Lang,
    time::{Shown, Times},
};
use crate::{
    app::App,
    customer::{
        accounts,
        moment::body_masked,
        record::Record,
        timeline::{self, Cursor, Moment},
    },
    evidence::TimeSource,
    http::api::{read, today},
    registry::Registry,
};

/// Events of one page of the timeline.
const PAGE: usize = 40;
/// Most events in the picture of touches.
const STRIP_MAX: usize = 150;
/// An event that comes later than this is marked. Unit: ms.
const LATE_MS: i64 = 3_600_000;
/// Most traits and interests shown.
const TRAITS_MAX: usize = 60;
/// Traits that come before the others, in this order.
const FIRST: [&str; 8] = [
    "firstName",
    "lastName",
    "secondLastName",
    "name",
    "company",
    "birthday",
    "address",
    "city",
];
/// Longest text of an event. Unit: characters.
const TEXT_CHARS_MAX: usize = 120;

/// Which part of the timeline.
#[derive(Deserialize)]
pub struct Asked {
    /// `oldest` begins at the beginning.
    #[serde(default)]
    order: String,
    /// Where the page before ended.
    #[serde(default)]
    after: String,
}

/// An identifier with its circumstances.
pub struct Known {
    /// What and which.
    pub fact: Fact,
    /// Whether it links nobody.
    pub shared: bool,
    /// When first.
    pub first: Shown,
    /// When last.
    pub last: Shown,
    /// Who said it.
    pub sources: String,
}

/// A trait.
pub struct Said {
    /// What it is called.
    pub name: String,
    /// The value that counts.
    pub value: String,
    /// Who said it.
    pub source: String,
    /// When.
    pub at: String,
    /// What others said: value, source, time.
    pub others: Vec<(String, String, String)>,
}

/// What is allowed: purpose, channel, state.
pub type Permission = (String, String, &'static str);

/// One side of the person.
pub struct Side {
    /// What it is called.
    pub name: &'static str,
    /// How many touches.
    pub touches: String,
    /// Its identifiers.
    pub facts: Vec<Fact>,
    /// What is allowed on it.
    pub consents: Vec<Permission>,
}

/// An account that the person belongs to.
pub struct Belongs {
    name: String,
    kind: &'static str,
    path: String,
    roles: Vec<Held>,
}

/// An event.
pub struct Line {
    /// Its channel's icon.
    pub icon: &'static str,
    /// Its channel.
    pub channel: String,
    /// What happened.
    pub what: String,
    /// About what.
    pub topic: String,
    /// Where.
    pub place: String,
    /// By which device.
    pub agent: String,
    /// When.
    pub at: Shown,
    /// How that is known, where it is worth a word.
    pub timing: Option<String>,
    /// A program did it, and why that is thought.
    pub bot: Option<&'static str>,
    /// Another event came with its messageId.
    pub id_conflict: bool,
    /// When it arrived, if that was much later.
    pub late: Option<String>,
    /// Whether it came from the person.
    pub inbound: bool,
}

/// What the page shows.
pub struct Content {
    title: String,
    id: String,
    aliases: Vec<String>,
    since: Option<Shown>,
    last: Option<Shown>,
    touches: u64,
    known: Vec<Known>,
    any_shared: bool,
    earlier_ids: String,
    said: Vec<Said>,
    interests: Vec<(String, u64)>,
    consents: Vec<Permission>,
    sides: Vec<Side>,
    belongs: Vec<Belongs>,
    graph: Option<Graph>,
    strip: Option<Strip>,
    lines: Vec<Line>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    frame: Frame,
    record: Content,
    path: String,
    oldest: bool,
    begun: bool,
    strip_width: i64,
}

/// `GET /LANG/customers/ID`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, HttpError> {
    let frame = visitor.frame;
    let (shown, times, oldest, begun) = (
        frame.clone(),
        frame.times(&app),
        asked.order == "oldest",
        !asked.after.is_empty(),
    );
    let record = read(&app, move |app, view| {
        let Some(record) = fact::record(view, app, &id)? else {
            return Ok(None);
        };
        seen(
            view,
            app,
            &shown,
            &times,
            &record,
            oldest,
            cursor(&asked.after),
        )
        .map(Some)
    });
    let record = record.await?.ok_or_else(fact::no_record)?;
    tracing::info!(session.user = %visitor.caller.who, customer.id = %record.id, "record opened");
    let path = frame.at(&format!("/customers/{}", record.id));
    respond(&RecordPage {
        frame,
        record,
        path,
        oldest,
        begun,
        strip_width: strip::WIDTH,
    })
}

fn cursor(text: &str) -> Option<Cursor> {
    let (at_ms, event) = text.split_once('.')?;
    Some((at_ms.parse().ok()?, event.parse::<EventId>().ok()?))
}

fn seen(
    view: &dyn View,
    app: &App,
    frame: &Frame,
    times: &Times,
    record: &Record,
    oldest: bool,
    after: Option<Cursor>,
) -> Result<Content, StoreError> {
    let (t, masked, key) = (frame.t, frame.masked(), &app.applier.id_key);
    let (customer, shared) = (&record.customer, record.shared());
    let (moments, next) = if oldest {
        timeline::page(view, &record.group, after, PAGE)?
    } else {
        timeline::page_back(view, &record.group, after, PAGE)?
    };
    let (recent, _) = timeline::page_back(view, &record.group, None, STRIP_MAX)?;
    let touches: Vec<Touch> = recent
        .iter()
        .map(|moment| Touch {
            at_ms: moment.row.at_ms,
            channel: moment.channel().unwrap_or_default().to_owned(),
            inbound: inbound(moment),
        })
        .collect();
    let drawing = Drawing {
        t,
        times,
        registry: &app.registry,
        masked,
    };
    let known = customer.identifiers.iter().map(|(identifier, seen)| Known {
        fact: Fact::new(t, key, identifier, masked),
        shared: shared.contains(identifier),
        first: times.shown(seen.first_ms),
        last: times.shown(seen.last_ms),
        sources: seen.sources.iter().cloned().collect::<Vec<_>>().join(", "),
    });
    let mut interests: Vec<(String, u64)> = customer
        .interests
        .iter()
        .map(|(topic, count)| (topic.clone(), *count))
        .collect();
    interests.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    interests.truncate(TRAITS_MAX);
    Ok(Content {
        title: fact::title(t, customer, masked),
        id: record.id.to_string(),
        aliases: record.aliases.iter().map(ToString::to_string).collect(),
        since: customer.span.first().map(|first| times.shown(first.at_ms)),
        last: customer.span.last().map(|last| times.shown(last.at_ms)),
        touches: customer.events,
        any_shared: customer.identifiers.keys().any(|one| shared.contains(one)),
        earlier_ids: t.count(
            record.aliases.len() as u64,
            ("identificador anterior", "identificadores anteriores"),
            ("earlier id", "earlier ids"),
        ),
        known: known.collect(),
        said: said(t, times, record, masked),
        interests,
        consents: permissions(t, &customer.consents, &customer.refused_beside),
        belongs: belongs(view, app, frame, record)?,
        sides: customer
            .facets
            .iter()
            .map(|(facet, side)| Side {
                name: t.facet(*facet),
                touches: t.count(side.events, ("contacto", "contactos"), ("touch", "touches")),
                facts: side
                    .identifiers
                    .keys()
                    .take(TRAITS_MAX)
                    .map(|one| Fact::new(t, key, one, masked))
                    .collect(),
                consents: permissions(t, &side.consents, &BTreeSet::new()),
            })
            .collect(),
        graph: Graph::draw(view, &drawing, record)?,
        strip: Strip::draw(t, times, &touches),
        lines: moments
            .iter()
            .map(|moment| line(t, times, &app.registry, moment, masked))
            .collect(),
        next: next.map(|(at_ms, event)| format!("{at_ms}.{event}")),
    })
}

fn said(t: Lang, times: &Times, record: &Record, masked: bool) -> Vec<Said> {
    let mut out = Vec::new();
    let traits = &record.customer.traits;
    let first = FIRST.iter().filter_map(|name| traits.get_key_value(*name));
    let rest = traits
        .iter()
        .filter(|(name, _)| !FIRST.contains(&name.as_str()));
    for (name, register) in first.chain(rest).take(TRAITS_MAX) {
        let Some(winner) = register.winner() else {
            continue;
        };
        let of = |claim| fact::cut(&fact::claimed(t, name, claim, masked), TEXT_CHARS_MAX * 2);
        out.push(Said {
            name: t.field(name).to_owned(),
            value: of(winner),
            source: winner.marker.source.clone(),
            at: times.day(winner.marker.at_ms),
            others: register
                .losers()
                .map(|claim| {
                    (
                        of(claim),
                        claim.marker.source.clone(),
                        times.day(claim.marker.at_ms),
                    )
                })
                .collect(),
        });
    }
    out
}

fn belongs(
    view: &dyn View,
    app: &App,
    frame: &Frame,
    record: &Record,
) -> Result<Vec<Belongs>, StoreError> {
    let decisions = app.resolver.decisions();
    let (key, active, today) = (&app.applier.id_key, decisions.active(), today(app));
    let all = accounts::of(view, key, active, record)?;
    let shown = all.iter().map(|(account, roles)| Belongs {
        name: name(frame, account),
        kind: kind(frame.t, account),
        path: frame.at(&format!("/accounts/{}", account.id)),
        roles: held(frame.t, roles, today),
    });
    Ok(shown.collect())
}

/// `beside`: those that are refused by an event of nobody alone, of which the timeline shows nothing.
pub fn permissions(
    t: Lang,
    consents: &BTreeMap<ConsentPart, ConsentState>,
    beside: &BTreeSet<ConsentPart>,
) -> Vec<Permission> {
    let shown = consents.iter().map(|(part, state)| {
        let (purpose, channel) = part;
        let state = match beside.contains(part) {
            true => t.refused_beside(),
            false => consent(t, *state),
        };
        (purpose.clone(), t.channel(channel).to_owned(), state)
    });
    shown.collect()
}

fn consent(t: Lang, state: ConsentState) -> &'static str {
    match state {
        ConsentState::Granted => t.granted(),
        ConsentState::Denied => t.denied(),
        ConsentState::Unknown => t.unknown(),
    }
}

fn inbound(moment: &Moment) -> bool {
    moment.event.touch("direction") != Some("out")
}

fn line(t: Lang, times: &Times, registry: &Registry, moment: &Moment, masked: bool) -> Line {
    let event = &moment.event;
    let body = if masked {
        body_masked(&event.body)
    } else {
        event.body.clone()
    };
    let first = |paths: &[&[&str]]| {
        let mut texts = paths.iter().filter_map(|path| at(&body, path)?.as_str());
        let text = texts.find(|text| !text.trim().is_empty())?;
        Some(fact::cut(text, TEXT_CHARS_MAX))
    };
    let titled = |kind: &str, name: Option<String>| {
        name.map_or_else(|| kind.to_owned(), |name| format!("{kind}: {name}"))
    };
    let what = match event.kind {
        EventType::Track => {
            first(&[&["event"]]).unwrap_or_else(|| t.pick("Hizo algo", "Did something").to_owned())
        }
        EventType::Page => titled(
            t.pick("Página", "Page"),
            first(&[
                &["properties", "title"],
                &["name"],
                &["context", "page", "title"],
                &["properties", "path"],
                &["context", "page", "path"],
            ]),
        ),
        EventType::Screen => titled(
            t.pick("Pantalla", "Screen"),
            first(&[&["name"], &["properties", "name"]]),
        ),
        EventType::Identify => t.pick("Se identificó", "Identified").to_owned(),
        EventType::Group => t
            .pick("Pertenece a un grupo", "Belongs to a group")
            .to_owned(),
        EventType::Alias => t
            .pick(
                "Dos identificadores de una persona",
                "Two ids of one person",
            )
            .to_owned(),
    };
    let channel = moment.channel().unwrap_or_default();
    // Of a time that nobody knows, nobody can say that it was long ago.
    let late = moment.timing.source != TimeSource::Device
        && moment.received_ms.saturating_sub(moment.row.at_ms) > LATE_MS;
    Line {
        icon: strip::icon(channel),
        channel: t.channel(channel).to_owned(),
        what,
        topic: first(&[&["properties", "topic"]]).unwrap_or_default(),
        place: graph::place(registry, moment),
        agent: moment
            .agent()
            .map(|agent| fact::cut(&agent.to_string(), 12))
            .unwrap_or_default(),
        at: times.shown(moment.row.at_ms),
        timing: times.known(&moment.timing),
        bot: moment.bot().map(|bot| t.bot_why(bot)),
        id_conflict: moment.id_conflict,
        late: late.then(|| times.full(moment.received_ms)),
        inbound: inbound(moment),
    }
}
