//! K2: a badge, by a scanner that types like a keyboard, or by hand.

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use trenza_shared::identifier::{Invalid, Kind, Place, normalise};

use super::{
    Frame, Lang, events, form,
    handover::{self, CODE_BYTES_MAX, Read},
    page, quick,
};
use crate::state::App;

#[derive(askama::Template)]
#[template(path = "scan.html")]
struct Scan {
    frame: Frame,
    code: String,
    error: String,
    longest: usize,
    visit: String,
    token: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub struct Sent {
    #[serde(default)]
    code: String,
    #[serde(default)]
    visit: String,
    #[serde(default)]
    token: String,
}

/// `GET /{lang}/scan`
pub async fn show(State(app): State<App>, lang: Lang) -> Response {
    let visit = form::new_visit(&app);
    ask(
        &app,
        lang,
        String::new(),
        String::new(),
        visit,
        StatusCode::OK,
    )
}

/// `POST /{lang}/scan`
pub async fn save(State(app): State<App>, lang: Lang, Form(sent): Form<Sent>) -> Response {
    let w = super::words::Words::of(lang);
    if !form::is_ours(&app, &sent.visit, &sent.token) {
        let visit = form::new_visit(&app);
        return ask(
            &app,
            lang,
            sent.code,
            w.press_again.into(),
            visit,
            StatusCode::FORBIDDEN,
        );
    }
    let refused = match handover::read(&sent.code, app.now_ms()) {
        Read::Other => None,
        Read::TooLong => Some(w.code_too_long),
        Read::Broken => Some(w.code_broken),
        Read::TooFar => Some(w.code_too_far),
        Read::Ended => Some(w.code_ended),
        Read::Holds(handover) => {
            return quick::resumed(&app, lang, *handover, (sent.visit, sent.token));
        }
    };
    if let Some(why) = refused {
        // Not shown again: it may hold what the visitor typed, and the field is free for the next try.
        let (status, visit) = (StatusCode::UNPROCESSABLE_ENTITY, (sent.visit, sent.token));
        return ask(&app, lang, String::new(), why.into(), visit, status);
    }
    let place = Place {
        country: &app.config.agent.country,
        namespace: "",
    };
    if let Err(invalid) = normalise(Kind::BadgeId, &sent.code, &place) {
        return ask(
            &app,
            lang,
            sent.code,
            match invalid {
                Invalid::Empty { .. } => w.scan_lead.into(),
                other => w.invalid(&other),
            },
            (sent.visit, sent.token),
            StatusCode::UNPROCESSABLE_ENTITY,
        );
    }
    // As it was read: every reader of events makes the normal form by the same rules.
    let drafts = events::scanned(&app, &sent.visit, sent.code.trim());
    if form::save(&app, &sent.visit, drafts).await {
        Redirect::to(&format!("/{}/saved/scan", lang.code())).into_response()
    } else {
        ask(
            &app,
            lang,
            sent.code,
            w.not_saved.into(),
            (sent.visit, sent.token),
            StatusCode::SERVICE_UNAVAILABLE,
        )
    }
}

fn ask(
    app: &App,
    lang: Lang,
    code: String,
    error: String,
    (visit, token): (String, String),
    status: StatusCode,
) -> Response {
    page(
        &Scan {
            frame: Frame::new(app, lang, "scan").wiped(),
            code,
            error,
            // One more than may be: what a browser cut would otherwise pass for a code that came in part.
            longest: CODE_BYTES_MAX + 1,
            visit,
            token,
        },
        status,
    )
}
