//! K4: a visitor without a badge, in twenty seconds.

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use trenza_shared::identifier::{Identifier, Invalid, Kind, Place, email, normalise};

use super::{
    Frame, Lang,
    events::{self, Details, Web},
    form,
    handover::Handover,
    page,
    words::Words,
};
use crate::state::App;

/// Longest text taken from a field. Unit: characters.
const FIELD_CHARS_MAX: usize = 254;

#[derive(askama::Template)]
#[template(path = "quick.html")]
struct Quick {
    frame: Frame,
    reasons: Vec<String>,
    topics: Vec<String>,
    asks_id: bool,
    typed: Sent,
    problem: String,
    contact_error: String,
    suggestion: String,
    may_keep: bool,
    visit: String,
    token: String,
}

/// What the form sends.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Sent {
    reason: String,
    topic: String,
    contact: String,
    first_name: String,
    last_name: String,
    second_last_name: String,
    company: String,
    visit: String,
    token: String,
    /// The suggested contact was accepted.
    contact_fix: String,
    /// The contact is right although it looks like a typing mistake.
    keep: String,
    /// Nothing personal is kept.
    without: String,
    /// Their id on the website, brought along in a code.
    web_visitor: String,
    /// The user's on the website.
    web_user: String,
}

/// What is to be said about the form.
#[derive(Default)]
struct Said {
    problem: String,
    contact_error: String,
    suggestion: String,
    may_keep: bool,
}

/// `GET /{lang}/quick`
pub async fn show(State(app): State<App>, lang: Lang) -> Response {
    let (visit, token) = form::new_visit(&app);
    ask(
        &app,
        lang,
        Sent {
            visit,
            token,
            ..Sent::default()
        },
        Said::default(),
        StatusCode::OK,
    )
}

/// The form with what a visitor brought along from the website; only what is missing is left to be asked.
pub fn resumed(
    app: &App,
    lang: Lang,
    brought: Handover,
    (visit, token): (String, String),
) -> Response {
    let typed = Sent {
        contact: brought.contact,
        first_name: brought.first_name,
        last_name: brought.last_name,
        second_last_name: brought.second_last_name,
        company: brought.company,
        topic: brought.topic,
        web_visitor: brought.anonymous_id,
        web_user: brought.user_id,
        visit,
        token,
        ..Sent::default()
    };
    ask(app, lang, typed, Said::default(), StatusCode::OK)
}

/// `POST /{lang}/quick`
pub async fn save(State(app): State<App>, lang: Lang, Form(mut sent): Form<Sent>) -> Response {
    let w = Words::of(lang);
    if !form::is_ours(&app, &sent.visit, &sent.token) {
        (sent.visit, sent.token) = form::new_visit(&app);
        let said = Said {
            problem: w.press_again.into(),
            ..Said::default()
        };
        return ask(&app, lang, sent, said, StatusCode::FORBIDDEN);
    }
    let without = !sent.without.is_empty();
    if !sent.contact_fix.is_empty() {
        sent.contact = std::mem::take(&mut sent.contact_fix);
    }
    let traits = if without {
        Vec::new()
    } else {
        match traits(&app, w, &sent) {
            Ok(traits) => traits,
            Err(said) => return ask(&app, lang, sent, said, StatusCode::UNPROCESSABLE_ENTITY),
        }
    };
    let chosen = |value: &str, from: &[String]| {
        from.iter()
            .find(|chip| *chip == value)
            .cloned()
            .unwrap_or_default()
    };
    let web = (!without).then(|| Web {
        anonymous_id: short(&sent.web_visitor),
        user_id: short(&sent.web_user),
    });
    let web = web.filter(|web| !web.anonymous_id.is_empty());
    let what = if traits.is_empty() && web.is_none() {
        "without"
    } else {
        "visit"
    };
    let details = Details {
        web,
        reason: chosen(&sent.reason, &app.config.kiosk.reasons),
        topic: chosen(&sent.topic, &app.config.kiosk.topics),
        traits,
    };
    let drafts = events::registered(&app, &sent.visit, &details);
    if form::save(&app, &sent.visit, drafts).await {
        return Redirect::to(&format!("/{}/saved/{what}", lang.code())).into_response();
    }
    let said = Said {
        problem: w.not_saved.into(),
        ..Said::default()
    };
    ask(&app, lang, sent, said, StatusCode::SERVICE_UNAVAILABLE)
}

fn ask(app: &App, lang: Lang, typed: Sent, said: Said, status: StatusCode) -> Response {
    let (visit, token) = (typed.visit.clone(), typed.token.clone());
    let kiosk = &app.config.kiosk;
    let Said {
        problem,
        contact_error,
        suggestion,
        may_keep,
    } = said;
    let template = Quick {
        frame: Frame::new(app, lang, "quick").wiped(),
        reasons: kiosk.reasons.clone(),
        topics: kiosk.topics.clone(),
        asks_id: kiosk.ask_national_id,
        typed,
        problem,
        contact_error,
        suggestion,
        may_keep,
        visit,
        token,
    };
    page(&template, status)
}

/// The traits of the form, or what is wrong with the contact.
fn traits(app: &App, w: &Words, sent: &Sent) -> Result<Vec<(&'static str, String)>, Said> {
    let mut traits = Vec::new();
    if !sent.contact.trim().is_empty() {
        let place = Place {
            country: &app.config.agent.country,
            namespace: "",
        };
        match contact(&sent.contact, &place, app.config.kiosk.ask_national_id) {
            Ok(found) => {
                if let Some(meant) = email::suggest(&found).filter(|_| sent.keep.is_empty()) {
                    return Err(Said {
                        contact_error: w.meant(&meant),
                        suggestion: meant,
                        may_keep: true,
                        ..Said::default()
                    });
                }
                // A document keeps the form in which it was typed: the server reads it by the same rules and the same place.
                let value = if found.kind == Kind::NationalId {
                    sent.contact.trim().to_owned()
                } else {
                    found.value
                };
                traits.push((found.kind.name(), value));
            }
            Err(invalid) => {
                let suggestion = invalid.suggestion().unwrap_or_default();
                let contact_error = match &invalid {
                    Invalid::CheckDigit {
                        document,
                        right: Some(right),
                    } if document.has_letter() => w.letter(right),
                    other => w.invalid(other),
                };
                return Err(Said {
                    contact_error,
                    suggestion,
                    ..Said::default()
                });
            }
        }
    }
    let fields = [
        ("firstName", &sent.first_name),
        ("lastName", &sent.last_name),
        ("secondLastName", &sent.second_last_name),
        ("company", &sent.company),
    ];
    for (name, value) in fields {
        let value = short(value);
        if !value.is_empty() {
            traits.push((name, value));
        }
    }
    Ok(traits)
}

/// A field as it is kept.
fn short(text: &str) -> String {
    let kept = text.trim().chars().filter(|c| !c.is_control());
    kept.take(FIELD_CHARS_MAX).collect()
}

/// Reads the one contact field: staff do not choose what it is, they type it.
fn contact(text: &str, place: &Place, ask_national_id: bool) -> Result<Identifier, Invalid> {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if text.contains('@') {
        return normalise(Kind::Email, text, place);
    }
    if letters > 0 {
        let kind = if ask_national_id && digits >= 5 {
            Kind::NationalId
        } else {
            Kind::Email
        };
        return normalise(kind, text, place);
    }
    let phone = normalise(Kind::Phone, text, place);
    if phone.is_ok() || !ask_national_id {
        return phone;
    }
    match normalise(Kind::NationalId, text, place) {
        Ok(id) => Ok(id),
        Err(invalid) if invalid.suggestion().is_some() => Err(invalid),
        Err(_) => phone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_field_knows_what_was_typed() {
        let spain = Place {
            country: "ES",
            namespace: "",
        };
        let kind = |text: &str| contact(text, &spain, true).map(|found| found.kind);
        assert_eq!(kind("ana@example.com"), Ok(Kind::Email));
        assert_eq!(kind("612 345 678"), Ok(Kind::Phone));
        assert_eq!(kind("12345678Z"), Ok(Kind::NationalId));
        assert_eq!(kind("X1234567L"), Ok(Kind::NationalId));
        assert_eq!(kind("ana.example.com"), Err(Invalid::EmailAt));
        assert_eq!(
            contact("12345678A", &spain, true)
                .unwrap_err()
                .suggestion()
                .as_deref(),
            Some("12345678Z")
        );
        assert_eq!(
            contact("12345678", &spain, true)
                .unwrap_err()
                .suggestion()
                .as_deref(),
            Some("12345678Z")
        );
        assert!(matches!(
            contact("12345678", &spain, false),
            Err(Invalid::PhoneLength | Invalid::PhoneRange)
        ));
    }
}
