//! One source, for the developer of its website: what to paste, what to allow, and whether anything arrives.

use askama::Template;
use axum::{extract::State, response::Response};
use serde::Deserialize;
use serde_json::json;
use trenza_shared::{
    capture::{Collector as _, Taken, Verdict},
    clock::format_ms,
    event::{Captured, Event, Taking},
    id::to_hex,
    net::{error::HttpError, extract::Path},
};

use super::{
    assets,
    live::{self, Filter},
    page::{Frame, Visitor, encoded, respond, see_other},
    reached::Reached,
    session::{Nothing, Posted},
    steps::paste_line,
};
use crate::{
    admin,
    app::{App, random},
    http::{ServerCollector, snippet},
    tables::{Role, SourceRow},
};

/// The visitor of every test event: all of them are one record.
pub const TEST_VISITOR: &str = "trenza-test";
/// Most refused origins that are offered to be allowed.
const REFUSED_MAX: usize = 5;

#[derive(Template)]
#[template(path = "source.html")]
struct SourcePage {
    frame: Frame,
    script: String,
    name: String,
    key: String,
    path: String,
    origins: Vec<String>,
    place: String,
    namespace: String,
    revoked: bool,
    line: String,
    note: Option<&'static str>,
    line_fixed: String,
    policy: String,
    proxy: String,
    refused: Vec<String>,
    list: live::List,
}

fn found(app: &App, key: &str) -> Result<SourceRow, HttpError> {
    app.registry
        .source(key)
        .ok_or_else(|| HttpError::not_found("there is no such source"))
}

/// `GET /LANG/sources/{key}`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    reached: Reached,
    Path(key): Path<String>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    let row = found(&app, &key)?;
    let frame = visitor.frame;
    let path = format!("/sources/{}", encoded(&key));
    let list = live::list(&app, &frame, &reached, &Filter::of(key.clone()), &path).await?;
    let (url, script) = (&reached.url, snippet());
    let mut refused: Vec<String> = Vec::new();
    for one in app.refusals.after(Some(&key), 0).0.into_iter().rev() {
        let origin = one.origin.filter(|_| one.code == "origin_refused");
        refused.extend(origin.filter(|origin| {
            !refused.contains(origin)
                && !row
                    .origins
                    .iter()
                    .any(|own| own.eq_ignore_ascii_case(origin))
        }));
    }
    refused.truncate(REFUSED_MAX);
    let line_fixed = format!(
        "<script async src=\"{url}{}\" integrity=\"{}\" crossorigin=\"anonymous\" data-write-key=\"{key}\"></script>",
        script.immutable_path(),
        script.integrity(),
    );
    respond(&SourcePage {
        script: assets::live(),
        line: paste_line(&reached, &key),
        note: reached.note(frame.t),
        line_fixed,
        policy: format!("script-src {url}; connect-src {url}"),
        proxy: format!(
            "location = /t.js {{ proxy_pass {url}/t.js; }}\nlocation = /v1/batch {{ proxy_pass {url}/v1/batch; }}"
        ),
        place: format!("{} · {}", row.country, row.zone),
        name: row.name,
        namespace: row.namespace,
        revoked: row.revoked,
        origins: row.origins,
        path: frame.at(&path),
        key,
        refused,
        list,
        frame,
    })
}

/// Which pages may send.
#[derive(Deserialize)]
pub struct Origins {
    #[serde(default)]
    origins: String,
}

/// `POST /LANG/sources/{key}/origins`
pub async fn origins(
    State(app): State<App>,
    Path(key): Path<String>,
    Posted(visitor, sent): Posted<Origins>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    found(&app, &key)?;
    let given: Vec<String> = sent.origins.split_whitespace().map(str::to_owned).collect();
    admin::access::source_origins(&app, &key, &given)
        .await
        .map_err(|error| super::fleet::coded(error, "bad_origin"))?;
    let path = format!("/sources/{}", encoded(&key));
    Ok(see_other(&visitor.frame.at(&path)))
}

/// `POST /LANG/sources/{key}/revoke`
pub async fn revoke(
    State(app): State<App>,
    Path(key): Path<String>,
    Posted(visitor, Nothing {}): Posted<Nothing>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    admin::access::source_revoke(&app, &key).await?;
    let path = format!("/sources/{}", encoded(&key));
    Ok(see_other(&visitor.frame.at(&path)))
}

/// `POST /LANG/sources/{key}/test`: an event of ours, on the way that every event goes.
pub async fn test(
    State(app): State<App>,
    Path(key): Path<String>,
    Posted(visitor, Nothing {}): Posted<Nothing>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    if found(&app, &key)?.revoked {
        return Err(HttpError::conflict(
            "key_revoked",
            "this write key was revoked",
        ));
    }
    let now_ms = app.clock.wall_ms();
    let text = json!({
        "type": "track",
        "event": "Trenza test",
        "anonymousId": TEST_VISITOR,
        "messageId": format!("test-{}", to_hex(&random::<8>())),
        "timestamp": format_ms(now_ms),
        "context": {"trenza": {"channel": "web"}},
    });
    let event = Event::take(&text.to_string(), Taking::default()).map_err(HttpError::internal)?;
    let taken = Taken {
        key: key.clone(),
        verdict: Verdict::Known,
        received_ms: now_ms,
        sent_at: None,
        bot: None,
        events: vec![Captured::from(event)],
        rejected: Vec::new(),
        wait_resolved: true,
    };
    ServerCollector::new(app.clone()).store(taken).await?;
    let path = format!("/sources/{}", encoded(&key));
    Ok(see_other(&visitor.frame.at(&format!("{path}#live"))))
}
