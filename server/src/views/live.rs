//! What arrives, for the developer of a website: each event with what became of it.

mod curl; // a row as a command
mod filter; // which rows

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::{Map, Value};
use trenza_shared::{
    clock::format_ms,
    fragment::mask,
    identifier::{Identifier, Kind},
    net::{error::HttpError, extract::Query},
    wire::entry::What,
};

pub use filter::Filter;

use super::{
    assets,
    fact::cut,
    page::{Frame, Visitor, respond},
    reached::Reached,
    text::Lang,
    time::Times,
};
use crate::{
    app::App,
    customer::{
        live::{ROWS_MAX, Seen, Verdict},
        moment::body_masked,
    },
    http::api::live::{Asked, Found, consent, look, source_name},
    sync::refusals::Refusal,
    tables::Hop,
};

/// Longest text of a name or value in a row. Unit: characters.
const TEXT_CHARS_MAX: usize = 120;
/// Longest body that is shown and offered as a command: a page of hundreds of them must stay small. Unit: bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// A remark under an event.
pub struct Note {
    pub warn: bool,
    pub tag: &'static str,
    pub text: String,
    pub detail: String,
}

/// One row.
pub struct Row {
    pub id: String,
    /// Seen before, and it happened again: it goes to the top.
    pub again: bool,
    pub at_ms: i64,
    pub machine: String,
    pub at: String,
    pub times: u64,
    pub name: String,
    pub kind: &'static str,
    pub from: String,
    pub who: String,
    pub consent: Option<String>,
    pub notes: Vec<Note>,
    pub body: String,
    pub curl: Option<String>,
    pub verdict: &'static str,
    pub warn: bool,
    /// Something went wrong with it: more than that a program sent it.
    pub wrong: bool,
    pub customer: Option<String>,
}

/// The rows with what their script needs.
pub struct List {
    pub rows: Vec<Row>,
    pub next: String,
    pub rows_path: String,
    pub here: String,
    pub passed: Option<String>,
    pub masked: bool,
    pub filtered: bool,
}

#[derive(Template)]
#[template(path = "live.html")]
struct LivePage {
    frame: Frame,
    script: String,
    sources: Vec<(String, bool)>,
    problems: bool,
    q: String,
    list: List,
}

#[derive(Template)]
#[template(path = "live_rows.html")]
struct Rows {
    t: Lang,
    list: List,
}

/// `GET /LANG/live`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    reached: Reached,
    Query(mut filter): Query<Filter>,
) -> Result<Response, HttpError> {
    (filter.after, filter.wait_s) = (String::new(), 0);
    let list = list(&app, &visitor.frame, &reached, &filter, "/live").await?;
    let mut names: Vec<String> = app
        .registry
        .sources()
        .into_values()
        .map(|row| row.name)
        .collect();
    names.sort();
    respond(&LivePage {
        sources: names
            .into_iter()
            .map(|name| (name == filter.source, name))
            .map(|(chosen, name)| (name, chosen))
            .collect(),
        script: assets::live(),
        problems: filter.show == "problems",
        q: filter.q,
        list,
        frame: visitor.frame,
    })
}

/// `GET /LANG/live/rows`: what is new, for the script of a page that is open.
pub async fn rows(
    State(app): State<App>,
    visitor: Visitor,
    reached: Reached,
    Query(filter): Query<Filter>,
) -> Result<Response, HttpError> {
    let list = list(&app, &visitor.frame, &reached, &filter, "/live").await?;
    let t = visitor.frame.t;
    let html = Rows { t, list }.render().map_err(HttpError::internal)?;
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        ),
    ];
    Ok((headers, Html(html)).into_response())
}

/// The rows that a filter lets through, as their reader may see them; `here` is the page they are on.
///
/// # Errors
/// As [`look`].
pub async fn list(
    app: &App,
    frame: &Frame,
    reached: &Reached,
    filter: &Filter,
    here: &str,
) -> Result<List, HttpError> {
    let asked = Asked {
        source: filter.source.clone(),
        after: filter.after.clone(),
        wait_s: filter.wait_s,
        limit: filter.is_set().then_some(ROWS_MAX),
    };
    let Found {
        page,
        refused,
        next,
    } = look(app, &asked).await?;
    let reader = Reader {
        app,
        reached,
        t: frame.t,
        times: frame.times(app),
        masked: frame.masked(),
    };
    let mut rows: Vec<Row> = Vec::with_capacity(page.seen.len() + refused.len());
    for seen in &page.seen {
        let row = reader.stored(seen);
        if filter.wants(&row, seen.message_id.as_deref()) {
            rows.push(row);
        }
    }
    for one in &refused {
        let row = reader.refused(one);
        if filter.wants(&row, None) {
            rows.push(row);
        }
    }
    // Of two at the same time the later one stands above.
    rows.reverse();
    rows.sort_by_key(|row| std::cmp::Reverse(row.at_ms));
    let query = filter.query();
    Ok(List {
        rows,
        next: next.to_string(),
        rows_path: frame.at(&format!("/live/rows{query}")),
        here: match here {
            "/live" => frame.at(&format!("/live{query}")),
            other => frame.at(other),
        },
        passed: (page.passed_over > 0).then(|| frame.t.live_passed(page.passed_over)),
        masked: frame.masked(),
        filtered: filter.is_set(),
    })
}

/// Who reads, and how.
struct Reader<'a> {
    app: &'a App,
    reached: &'a Reached,
    t: Lang,
    times: Times,
    masked: bool,
}

impl Reader<'_> {
    fn stored(&self, seen: &Seen) -> Row {
        let (t, app) = (self.t, self.app);
        let note = |warn, tag, text: &str, detail: &str| Note {
            warn,
            tag,
            text: text.to_owned(),
            detail: cut(detail, TEXT_CHARS_MAX * 4),
        };
        let mut notes = Vec::new();
        let (verdict, warn, seed) = match &seen.verdict {
            Verdict::Stored => {
                notes.push(note(false, "", t.live_stored_why(), ""));
                (t.live_stored(), false, None)
            }
            Verdict::Resolved(seed) => (t.live_resolved(), false, Some(seed)),
            Verdict::Nobody(reason) => {
                notes.push(note(false, "", t.live_nobody_why(), reason));
                (t.live_nobody(), true, None)
            }
            Verdict::Duplicate { first_ms, seed } => {
                let why = format!(
                    "{} {}.",
                    t.live_duplicate_why(),
                    self.times.clock(*first_ms)
                );
                notes.push(note(false, "", &why, ""));
                (t.live_duplicate(), true, seed.as_ref())
            }
            Verdict::Rejected { code, reason } => {
                let why = t.refusal(code);
                let more = self.unless_said(why, reason);
                notes.push(note(false, "", why.unwrap_or_default(), more));
                (t.live_rejected(), true, None)
            }
        };
        for fault in &seen.faults {
            let text = format!("{} {}", fault.member, t.fault(fault.needs));
            notes.push(note(true, t.live_fault(), &text, ""));
        }
        if seen.conflict {
            notes.push(note(true, t.live_conflict(), t.live_conflict_why(), ""));
        }
        if let Some(bot) = seen.bot {
            notes.push(note(true, t.bot(), t.bot_why(bot), ""));
        }
        let unverified = seen.open.unverified && seen.hop != Hop::Own;
        if unverified {
            notes.push(note(true, t.live_unverified(), "", ""));
        }
        let shown = self.body(seen);
        let text = match &shown {
            // As it came, byte for byte, for who may see it.
            Some(_) if !self.masked => Some(seen.text.clone()),
            Some(body) => Some(Value::Object(body.clone()).to_string()),
            None if self.masked => None,
            None => Some(seen.text.clone()),
        };
        let text = text.filter(|text| text.len() <= BODY_BYTES_MAX);
        let pretty = shown
            .as_ref()
            .and_then(|body| serde_json::to_string_pretty(body).ok())
            .or_else(|| text.clone());
        let kind = match &seen.open.what {
            What::Event(kind) => kind.name(),
            _ => "",
        };
        Row {
            id: format!("{}-{}", seen.id.0, seen.id.1),
            again: false,
            at_ms: seen.received_ms,
            machine: format_ms(seen.received_ms),
            at: self.times.clock(seen.received_ms),
            times: 1,
            name: self.name(shown.as_ref(), kind),
            kind,
            from: self.from(&seen.open.key, seen),
            who: self.who(seen.body.as_ref()),
            consent: kind_has_consent(kind).then(|| self.consent(consent(seen))),
            notes,
            body: pretty
                .filter(|text| text.len() <= 2 * BODY_BYTES_MAX)
                .unwrap_or_default(),
            curl: text
                .filter(|_| !is_mended(&seen.verdict))
                .and_then(|text| curl::command(self.reached, &seen.open.key, kind, &text)),
            verdict,
            warn,
            wrong: warn || seen.conflict || unverified || !seen.faults.is_empty(),
            customer: seed.map(|seed| app.applier.customer(seed).to_string()),
        }
    }

    fn refused(&self, refused: &Refusal) -> Row {
        let t = self.t;
        let limited = refused.code == "too_many";
        let said = t.refusal(refused.code);
        let why = said.map_or_else(
            || format!("{} {}", refused.message, refused.hint),
            str::to_owned,
        );
        let detail = match (&refused.origin, refused.code) {
            (Some(origin), "origin_refused") => origin.clone(),
            _ => self.unless_said(said, &refused.message).to_owned(),
        };
        Row {
            id: format!("r{}", refused.id),
            again: refused.times > 1,
            at_ms: refused.last_ms,
            machine: format_ms(refused.last_ms),
            at: self.times.clock(refused.last_ms),
            times: refused.times,
            name: t.live_refused_request().to_owned(),
            kind: "",
            from: source_name(self.app, &refused.key).unwrap_or_default(),
            who: refused.origin.clone().unwrap_or_default(),
            consent: None,
            notes: vec![Note {
                warn: false,
                tag: "",
                text: why,
                detail,
            }],
            body: String::new(),
            curl: None,
            verdict: if limited {
                t.live_limited()
            } else {
                t.live_refused()
            },
            warn: true,
            wrong: true,
            customer: None,
        }
    }

    /// An English sentence, for who reads English or is told nothing else.
    fn unless_said<'t>(&self, said: Option<&str>, sentence: &'t str) -> &'t str {
        match (self.t, said) {
            (Lang::Es, Some(_)) => "",
            _ => sentence,
        }
    }

    /// What was sent, as its reader may see it.
    fn body(&self, seen: &Seen) -> Option<Map<String, Value>> {
        let mut body = seen.body.clone()?;
        body.remove("writeKey");
        Some(if self.masked {
            body_masked(&body)
        } else {
            body
        })
    }

    /// What to call it: the event's name, the page's, else its type.
    fn name(&self, body: Option<&Map<String, Value>>, kind: &str) -> String {
        let text = |value: Option<&Value>| {
            let text = value?.as_str()?.trim();
            (!text.is_empty()).then(|| cut(text, TEXT_CHARS_MAX))
        };
        let named = body.and_then(|body| {
            text(body.get("event"))
                .or_else(|| text(body.get("name")))
                .or_else(|| text(body.get("properties")?.get("title")))
                .or_else(|| text(body.get("context")?.get("page")?.get("title")))
        });
        named.unwrap_or_else(|| {
            if kind.is_empty() {
                "–".to_owned()
            } else {
                kind.to_owned()
            }
        })
    }

    fn from(&self, key: &str, seen: &Seen) -> String {
        let source = source_name(self.app, key)
            .unwrap_or_else(|| format!("{} {}", self.t.live_unknown_key(), cut(key, 40)));
        let touchpoint = seen
            .agent()
            .and_then(|agent| self.app.registry.agent(&agent))
            .map(|agent| agent.touchpoint);
        match touchpoint {
            Some(touchpoint) if touchpoint != source => format!("{source} · {touchpoint}"),
            _ => source,
        }
    }

    /// Whose it says it is: the user, else the visitor.
    fn who(&self, body: Option<&Map<String, Value>>) -> String {
        let id = |name: &str, kind| {
            let value = body?.get(name)?.as_str()?.trim().to_owned();
            (!value.is_empty()).then_some(Identifier {
                kind,
                scope: String::new(),
                value,
            })
        };
        let found = id("userId", Kind::UserId).or_else(|| id("anonymousId", Kind::AnonymousId));
        found.map_or_else(String::new, |id| {
            let value = if self.masked {
                mask::identifier(&id)
            } else {
                cut(&id.value, TEXT_CHARS_MAX)
            };
            format!("{} {value}", self.t.kind(id.kind))
        })
    }

    /// `analytics ✓, ads ✗`
    fn consent(&self, said: Option<&Value>) -> String {
        let Some(categories) = said.and_then(Value::as_object) else {
            return self.t.live_no_consent().to_owned();
        };
        let parts: Vec<String> = categories
            .iter()
            .take(8)
            .map(|(name, value)| {
                let sign = if *value == Value::Bool(true) {
                    '✓'
                } else {
                    '✗'
                };
                format!("{} {sign}", cut(name, 40))
            })
            .collect();
        parts.join(", ")
    }
}

/// What was no UTF-8 is shown with signs in the place of what could not be read: sent again it would be something else.
fn is_mended(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Rejected { code, .. } if code == "not_utf8")
}

/// Only of events there is a consent to speak of.
fn kind_has_consent(kind: &str) -> bool {
    !kind.is_empty()
}
