//! After saving: a short word, and back to the start. Nothing of the visitor stands here.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use trenza_shared::net::{error::HttpError, extract::Path};

use super::{Frame, Lang, page, then_open};
use crate::state::App;

/// How long the word stays. Unit: seconds.
const STAYS_S: u32 = 8;

#[derive(askama::Template)]
#[template(path = "saved.html")]
struct Saved {
    frame: Frame,
    title: &'static str,
    text: &'static str,
}

/// The variable part of the path.
#[derive(Deserialize)]
pub struct What {
    what: String,
}

/// `GET /{lang}/saved/{scan|visit|without}`
pub async fn show(
    State(app): State<App>,
    lang: Lang,
    Path(What { what }): Path<What>,
) -> Result<Response, HttpError> {
    let (here, pick): (_, fn(&super::words::Words) -> &'static str) = match what.as_str() {
        "scan" => ("saved/scan", |w| w.saved_scan),
        "visit" => ("saved/visit", |w| w.saved_visit),
        "without" => ("saved/without", |w| w.saved_without),
        _ => return Err(HttpError::not_found("there is no such page").hint("open /es/ or /en/")),
    };
    let frame = Frame::new(&app, lang, here);
    let (title, text) = (frame.w.saved, pick(frame.w));
    Ok(then_open(
        page(&Saved { frame, title, text }, StatusCode::OK),
        STAYS_S,
        &format!("/{}/", lang.code()),
    ))
}
