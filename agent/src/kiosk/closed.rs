//! What the staff sees while there is no store, or it cannot be read: that nothing can be saved, and that it comes back by itself.

use axum::{extract::State, http::StatusCode, response::Response};

use super::{Frame, Lang, page, then_open};
use crate::{app::waiting::Waiting, state::App};

/// How often the page looks whether it is over. Unit: seconds.
const AGAIN_S: u32 = 5;

#[derive(askama::Template)]
#[template(path = "closed.html")]
struct Closed {
    frame: Frame,
    text: &'static str,
}

fn closed(waiting: &Waiting, lang: Lang, text: fn(&Frame) -> &'static str) -> Response {
    let frame = Frame::closed(waiting.config(), lang, waiting.short());
    let text = text(&frame);
    page(&Closed { frame, text }, StatusCode::SERVICE_UNAVAILABLE)
}

/// `GET` of any page.
pub async fn show(State(waiting): State<Waiting>, lang: Lang) -> Response {
    let page = closed(&waiting, lang, |frame| frame.w.closed);
    then_open(page, AGAIN_S, &format!("/{}/", lang.code()))
}

/// The page of a running agent whose store failed, until it is opened again.
pub(super) fn unread(app: &App, lang: Lang, here: &'static str) -> Response {
    let frame = Frame::new(app, lang, here);
    let text = frame.w.closed;
    let page = page(&Closed { frame, text }, StatusCode::SERVICE_UNAVAILABLE);
    then_open(page, AGAIN_S, &format!("/{}/{here}", lang.code()))
}

/// `POST` of a form that was open from before. It does not go away by itself: what was typed is one page back.
pub async fn not_saved(State(waiting): State<Waiting>, lang: Lang) -> Response {
    closed(&waiting, lang, |frame| frame.w.closed_not_saved)
}
