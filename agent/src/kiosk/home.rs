//! K1: two giant buttons, and how things stand.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use trenza_shared::net::error::HttpError;

use super::{
    Frame, Lang, page, then_open,
    venue::{self, Venue},
    words::Words,
};
use crate::state::App;

/// How often the page is read again for its footer. Unit: seconds.
const AGAIN_S: u32 = 15;

#[derive(askama::Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    /// None where the day's visits cannot be counted.
    tally: Option<String>,
    venue: Option<Venue>,
}

/// `GET /`: the browser's language.
pub async fn choose_language(headers: HeaderMap) -> Response {
    let wanted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    Redirect::temporary(&format!("/{}/", Lang::accepted(wanted).code())).into_response()
}

/// `GET /{lang}`: as people type it.
pub async fn add_slash(lang: Lang) -> Response {
    Redirect::permanent(&format!("/{}/", lang.code())).into_response()
}

/// `GET /{lang}/`
pub async fn show(State(app): State<App>, lang: Lang) -> Result<Response, HttpError> {
    let reading = app.clone();
    let counts = tokio::task::spawn_blocking(move || {
        let (ends, time) = (reading.log.ends(), reading.shared_time());
        let now_ms = time.now_ms(&*reading.clock);
        // A count that cannot be read must not keep the buttons from the staff.
        let visits = match reading.today.read(&*reading.store, &ends, time, now_ms) {
            Ok(day) => Some(day.visits),
            Err(error) => {
                tracing::debug!(error = %error, "the day's count cannot be read");
                None
            }
        };
        let venue = visits.and_then(|visits| venue::of(&reading, Words::of(lang), visits));
        (visits, venue)
    });
    let (visits, venue) = counts.await.map_err(HttpError::internal)?;
    let frame = Frame::new(&app, lang, "");
    let tally = visits.map(|visits| frame.w.tally(visits));
    Ok(then_open(
        page(
            &Home {
                frame,
                tally,
                venue,
            },
            StatusCode::OK,
        ),
        AGAIN_S,
        &format!("/{}/", lang.code()),
    ))
}
