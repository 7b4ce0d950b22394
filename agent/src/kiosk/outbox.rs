//! K9: what waits, what was taken in today, the last rows without anything of a person.

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use trenza_shared::net::error::HttpError;

use super::{Frame, Lang, closed, form, moment, page, then_open};
use crate::{
    lan::delivered::brought_by,
    link::have,
    state::App,
    status::{self, Status},
    sync::kept,
};

/// How often the page is read again. Unit: seconds.
const AGAIN_S: u32 = 15;
/// A difference of clocks not worth a word. Unit: ms.
const CLOCK_FINE_MS: i64 = 5_000;

#[derive(askama::Template)]
#[template(path = "outbox.html")]
struct Outbox {
    frame: Frame,
    warning: &'static str,
    kept: String,
    state_title: String,
    state_text: String,
    brought: Vec<String>,
    counts: Vec<(&'static str, u64)>,
    dropped: Option<String>,
    free_space: String,
    clock: String,
    rows: Vec<SealedRow>,
    visit: String,
    token: String,
}

struct SealedRow {
    time: String,
    label: &'static str,
    sent: bool,
    /// Where it stands while it is not known to be sent.
    state: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub struct Sent {
    #[serde(default)]
    visit: String,
    #[serde(default)]
    token: String,
}

/// `GET /{lang}/outbox`
pub async fn show(State(app): State<App>, lang: Lang) -> Result<Response, HttpError> {
    let reading = app.clone();
    let read = tokio::task::spawn_blocking(move || {
        let time = reading.shared_time();
        let now_ms = time.now_ms(&*reading.clock);
        let ends = reading.log.ends();
        let day = reading.today.read(&*reading.store, &ends, time, now_ms)?;
        let kept = kept::all(&*reading.store)?;
        status::of(&reading).map(|status| (day, status, kept))
    });
    let (day, status, kept) = match read.await.map_err(HttpError::internal)? {
        Ok(read) => read,
        Err(error) => {
            tracing::debug!(error = %error, "the day cannot be read");
            app.mend.notify_one();
            return Ok(closed::unread(&app, lang, "outbox"));
        }
    };
    let frame = Frame::new(&app, lang, "outbox");
    let w = frame.w;
    let now_ms = app.now_ms();
    let lanes = app.link.now().told.lanes.clone();
    let said = app
        .lan
        .as_ref()
        .map_or_else(Vec::new, |lan| lan.delivered_mine());
    let state = |row: &crate::merge::Row| {
        let by = brought_by(&said, row.epoch, row.lane, row.seq);
        let place = by.and_then(|by| Some(app.lan.as_ref()?.place_of(&by)));
        place.map_or_else(|| w.waits.into(), |place| w.brought(&place))
    };
    let rows = day.rows().map(|row| SealedRow {
        time: moment(&app, row.at_ms, now_ms),
        label: w.name_of(row.kind),
        sent: have(&lanes, row.epoch, row.lane)
            .missing(row.seq, row.seq)
            .is_empty()
            && !kept.iter().any(|((epoch, lane, first), one)| {
                (*epoch, *lane) == (row.epoch, row.lane) && (*first..=one.last).contains(&row.seq)
            }),
        state: state(row),
    });
    let waiting = status.to_send();
    let (visit, token) = form::new_visit(&app);
    let outbox = Outbox {
        warning: if status.refused { w.refused } else { "" },
        kept: match status.kept {
            0 => String::new(),
            count => w.kept(count, &status.kept_reason),
        },
        state_title: w.to_send(waiting),
        brought: status
            .delivered
            .iter()
            .map(|one| w.brought_by(one.events, &one.touchpoint))
            .collect(),
        state_text: oldest(&app, &frame, &status, now_ms),
        counts: day
            .counts
            .iter()
            .map(|(kind, count)| (w.name_of(*kind), *count))
            .collect(),
        dropped: (status.dropped > 0).then(|| w.dropped(status.dropped)),
        free_space: format!("{:.1} GB", status.disk_free_bytes as f64 / 1e9),
        clock: match status.clock_offset_ms {
            None => w.clock_unknown.into(),
            Some(offset) if offset.abs() < CLOCK_FINE_MS => w.clock_fine.into(),
            Some(offset) => w.clock_off(offset),
        },
        rows: rows.collect(),
        visit,
        token,
        frame,
    };
    Ok(then_open(
        page(&outbox, StatusCode::OK),
        AGAIN_S,
        &format!("/{}/outbox", lang.code()),
    ))
}

fn oldest(app: &App, frame: &Frame, status: &Status, now_ms: i64) -> String {
    if status.to_send() == 0 {
        return String::new();
    }
    let at_ms = now_ms - i64::try_from(status.oldest_waiting_ms).unwrap_or(0);
    frame.w.oldest(&moment(app, at_ms, now_ms))
}

/// `POST /{lang}/outbox`: try at once.
pub async fn send_now(State(app): State<App>, lang: Lang, Form(sent): Form<Sent>) -> Response {
    if form::is_ours(&app, &sent.visit, &sent.token) {
        app.send_now.notify_one();
    }
    Redirect::to(&format!("/{}/outbox", lang.code())).into_response()
}
