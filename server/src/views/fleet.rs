//! The fleet: that every agent speaks and that nothing is missing; invitations and revocations.

mod anew; // agents that lost their store
mod dropped; // what gave way to visits

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;
use trenza_shared::{
    clock::parse_time_ms,
    id::{AgentId, Lane},
    net::error::HttpError,
    wire::sync::Lineage,
};

use super::{
    page::{Frame, Visitor, respond, see_other},
    session::{Nothing, Posted},
    text::Lang,
    time::{Shown, Times},
};
use crate::{
    admin,
    app::App,
    http::api::read,
    sync::fleet::{self, AgentStatus, Gap},
    tables::{AgentState, Role},
};

/// A clock that is wrong by this is marked. Unit: ms.
const CLOCK_OFF_MS: i64 = 120_000;

/// One agent as a page shows it.
struct Listed {
    id: String,
    touchpoint: String,
    venue: String,
    place: String,
    active: bool,
    head: u64,
    acked: u64,
    waiting: Option<u64>,
    /// What is missing, and whether it is lost for ever.
    gaps: Vec<(String, bool)>,
    /// What it gave up for want of room.
    dropped: Option<String>,
    last: Option<Shown>,
    clock: Option<String>,
    clock_known: bool,
    /// So wrong that somebody should look at it.
    clock_off: bool,
    version: String,
    disk: Option<String>,
    /// Lives of its log, where copies of it parted, of which agent it is a copy, and which are copies of it.
    lineage: Vec<String>,
    fork: bool,
    kept: String,
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    frame: Frame,
    agents: Vec<Listed>,
    sum: String,
    missing: u64,
}

/// `GET /LANG/fleet`
pub async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, HttpError> {
    let frame = visitor.frame;
    let (now_ms, times) = (app.clock.wall_ms(), frame.times(&app));
    let fleet = read(&app, move |app, view| {
        fleet::read(view, &app.registry, now_ms)
    })
    .await?;
    let t = frame.t;
    let sum = format!(
        "{} · {}: {} · {}: {}",
        t.count(
            fleet.sums.agents,
            ("agente", "agentes"),
            ("agent", "agents")
        ),
        t.head(),
        fleet.sums.head_seq,
        t.acked(),
        fleet.sums.acked_seq
    );
    let agents = fleet
        .agents
        .iter()
        .map(|agent| shown(t, &times, agent))
        .collect();
    respond(&FleetPage {
        frame,
        agents,
        sum,
        missing: fleet.sums.missing,
    })
}

fn shown(t: Lang, times: &Times, agent: &AgentStatus) -> Listed {
    let last = agent
        .last_contact_at
        .as_deref()
        .and_then(parse_time_ms)
        .map(|at_ms| times.shown(at_ms));
    Listed {
        id: agent.id.to_string(),
        touchpoint: agent.touchpoint.clone(),
        venue: agent.venue.clone(),
        place: format!("{} · {}", agent.country, agent.zone),
        active: agent.state == AgentState::Active,
        head: agent.head_seq,
        acked: agent.acked_seq,
        waiting: agent.waiting,
        gaps: gaps(t, agent),
        dropped: dropped::told(t, agent),
        clock: agent.clock_offset_ms.and_then(|ms| times.offset(ms)),
        clock_known: agent.clock_offset_ms.is_some(),
        clock_off: agent
            .clock_offset_ms
            .is_some_and(|ms| ms.saturating_abs() >= CLOCK_OFF_MS),
        version: agent.version.clone().unwrap_or_default(),
        disk: agent.disk_free_bytes.map(|bytes| gigabytes(t, bytes)),
        lineage: lineage(t, times, agent),
        fork: agent.fork.is_some(),
        kept: kept(t, agent),
        last,
    }
}

/// What it keeps and cannot deliver, as a sentence; empty where there is nothing.
fn kept(t: Lang, agent: &AgentStatus) -> String {
    let count: u64 = agent
        .kept
        .iter()
        .map(|one| one.last.saturating_sub(one.first).saturating_add(1))
        .sum();
    let codes: std::collections::BTreeSet<&str> =
        agent.kept.iter().map(|one| one.code.as_str()).collect();
    let codes = codes.into_iter().collect::<Vec<_>>().join(", ");
    match (t, count) {
        (_, 0) => String::new(),
        (Lang::Es, _) => format!(
            "{count} eventos guardados en el dispositivo y no entregados ({codes}). Se intentan de nuevo con otra versión del servidor o del agente, o con «Enviar ahora»."
        ),
        (Lang::En, _) => format!(
            "{count} events kept on the device and not delivered ({codes}). They are tried again by another version of server or agent, or by “Send now”."
        ),
    }
}

/// Where it comes from, in sentences.
fn lineage(t: Lang, times: &Times, agent: &AgentStatus) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(parent) = &agent.copy_of {
        let at = parse_time_ms(&parent.at).map_or_else(String::new, |ms| times.shown(ms).full);
        let (of, epoch) = (parent.agent, parent.epoch);
        out.push(match t {
            Lang::Es => format!(
                "Copia de {of} (vida {epoch} de su registro): su carpeta se copió; desde {at} es un agente propio."
            ),
            Lang::En => format!(
                "Copy of {of} (life {epoch} of its log): its folder was copied; since {at} it is an agent of its own."
            ),
        });
    }
    if !agent.copies.is_empty() {
        let list = agent
            .copies
            .iter()
            .map(AgentId::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let count = agent.copies.len() as u64;
        out.push(format!(
            "{}: {list}.",
            t.count(
                count,
                ("copia de este agente", "copias de este agente"),
                ("copy of this agent", "copies of this agent")
            )
        ));
    }
    out.extend(
        agent
            .began
            .as_ref()
            .map(|began| anew::told(t, times, began)),
    );
    out.extend(agent.lineage.iter().map(|one| branch(t, one)));
    if let Some(epoch) = agent.epoch.filter(|epoch| *epoch > 1) {
        out.push(match t {
            Lang::Es => format!("Vida {epoch} de su registro."),
            Lang::En => format!("Life {epoch} of its log."),
        });
    }
    out
}

/// Where two copies of an agent parted, in words.
fn branch(t: Lang, one: &Lineage) -> String {
    let Lineage {
        from, after, into, ..
    } = one;
    match t {
        Lang::Es => format!(
            "Dos copias se separaron tras el número {after} de la vida {from}; esta siguió en la vida {into}. Se guardan las dos."
        ),
        Lang::En => format!(
            "Two copies parted after number {after} of life {from}; this one went on in life {into}. Both are kept."
        ),
    }
}

/// A run of numbers in words.
fn numbers(from: u64, to: u64) -> String {
    if from == to {
        from.to_string()
    } else {
        format!("{from}–{to}")
    }
}

/// Every gap in words. Of one that begins before the oldest number on the device, the first part is lost and the rest can come.
fn gaps(t: Lang, agent: &AgentStatus) -> Vec<(String, bool)> {
    let mut out = Vec::new();
    for gap in &agent.gaps {
        let mut lanes = agent.lanes.iter();
        let lane = lanes.find(|lane| lane.epoch == gap.epoch && lane.lane == gap.lane);
        let oldest = lane.and_then(|lane| lane.oldest_on_device);
        // One that begins after what is on the device was given out before it began anew.
        let oldest = oldest.filter(|oldest| *oldest > gap.from);
        let lost = oldest.map_or(gap.to + 1, |oldest| oldest.clamp(gap.from, gap.to + 1));
        let oldest = if gap.on_device { gap.from } else { lost };
        for (from, to, on_device) in [(gap.from, oldest - 1, false), (oldest, gap.to, true)] {
            if from <= to {
                let part = Gap {
                    from,
                    to,
                    on_device,
                    ..gap.clone()
                };
                out.push((missing(t, agent, &part), !on_device));
            }
        }
    }
    out
}

/// Which numbers are missing, and whether they can still come.
fn missing(t: Lang, agent: &AgentStatus, gap: &Gap) -> String {
    let count = gap.to - gap.from + 1;
    let numbers = numbers(gap.from, gap.to);
    let what = match gap.lane {
        Lane::Visits => t.count(count, ("visita", "visitas"), ("visit", "visits")),
        Lane::Urgent => t.count(
            count,
            ("aviso urgente", "avisos urgentes"),
            ("urgent notice", "urgent notices"),
        ),
        Lane::Clock => t.count(
            count,
            ("anotación del agente", "anotaciones del agente"),
            ("note of the agent", "notes of the agent"),
        ),
        Lane::Low => t.count(
            count,
            ("evento de baja prioridad", "eventos de baja prioridad"),
            ("low-priority event", "low-priority events"),
        ),
    };
    let fate = match (gap.on_device, agent.state) {
        (true, AgentState::Active) => t.on_device(),
        (true, AgentState::Revoked) => t.stuck_on_device(),
        (false, _) => t.not_on_device(),
    };
    let verb = if count == 1 {
        t.pick("Falta", "Missing:")
    } else {
        t.pick("Faltan", "Missing:")
    };
    format!(
        "{verb} {what} ({} {numbers}) {} {}: {fate}.",
        t.pick("nº", "no."),
        t.pick("de", "of"),
        agent.touchpoint
    )
}

fn gigabytes(t: Lang, bytes: u64) -> String {
    let tenths = bytes / 100_000_000;
    format!("{}{}{} GB", tenths / 10, t.pick(",", "."), tenths % 10)
}

#[derive(Template)]
#[template(path = "invite.html")]
struct InvitePage {
    frame: Frame,
    country: String,
    zone: String,
    made: Option<Made>,
}

/// A new invitation.
struct Made {
    touchpoint: String,
    code: String,
    until: Shown,
    command: String,
    qr: Option<Qr>,
}

/// A QR code as the path of a drawing.
struct Qr {
    /// Modules of a side, quiet zone included.
    size: usize,
    /// SVG path of the dark modules.
    path: String,
}

/// `GET /LANG/fleet/invite`
pub async fn invite_form(State(app): State<App>, visitor: Visitor) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    let place = &app.config.place;
    respond(&InvitePage {
        frame: visitor.frame,
        country: place.country.clone(),
        zone: place.zone.clone(),
        made: None,
    })
}

/// What an invitation is made of.
#[derive(Deserialize)]
pub struct Invitation {
    touchpoint: String,
    #[serde(default)]
    country: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    venue: String,
}

/// `POST /LANG/fleet/invite`
pub async fn invite(
    State(app): State<App>,
    Posted(visitor, sent): Posted<Invitation>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    let frame = visitor.frame;
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    named(&sent.touchpoint)?;
    let made = admin::fleet::invite(
        &app,
        &sent.touchpoint,
        given(&sent.country),
        given(&sent.zone),
        given(&sent.venue),
    )
    .await
    .map_err(|error| coded(error, "bad_place"))?;
    let command = format!(
        "trenza-agent enrol --server {} --code {} --ca-fingerprint {} --dir /var/lib/trenza",
        made.server, made.code, made.ca_fingerprint
    );
    let until = frame
        .times(&app)
        .shown(parse_time_ms(&made.expires_at).unwrap_or_default());
    let qr = qr(&command);
    let made = Made {
        touchpoint: sent.touchpoint.trim().to_owned(),
        code: made.code,
        until,
        command,
        qr,
    };
    respond(&InvitePage {
        frame,
        country: String::new(),
        zone: String::new(),
        made: Some(made),
    })
}

/// A name that a place or a source may have.
///
/// # Errors
/// 400 when it may not.
pub fn named(text: &str) -> Result<(), HttpError> {
    admin::check::name("this", text)
        .map(|_| ())
        .map_err(|error| coded(error.into(), "bad_name"))
}

/// An error of a command under the code of the page's own phrase for it.
pub fn coded(error: HttpError, code: &'static str) -> HttpError {
    if error.code == admin::BAD_VALUE {
        HttpError { code, ..error }
    } else {
        error
    }
}

/// The drawing of a text, with the four quiet modules around it that scanners need (ISO/IEC 18004).
fn qr(text: &str) -> Option<Qr> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (index, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            path.push_str(&format!(
                "M{} {}h1v1h-1z",
                index % width + 4,
                index / width + 4
            ));
        }
    }
    Some(Qr {
        size: width + 8,
        path,
    })
}

#[derive(Template)]
#[template(path = "revoke.html")]
struct RevokePage {
    frame: Frame,
    id: String,
    touchpoint: String,
}

/// `GET /LANG/fleet/ID/revoke`
pub async fn revoke_form(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    let agent = agent(&id)?;
    let row = app.registry.agent(&agent).ok_or_else(no_agent)?;
    respond(&RevokePage {
        frame: visitor.frame,
        id: agent.to_string(),
        touchpoint: row.touchpoint,
    })
}

/// `POST /LANG/fleet/ID/revoke`
pub async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    Posted(visitor, _): Posted<Nothing>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    admin::fleet::revoke(&app, agent(&id)?)?;
    Ok(see_other(&visitor.frame.at("/fleet")))
}

fn agent(id: &str) -> Result<AgentId, HttpError> {
    id.parse().map_err(|_| no_agent())
}

fn no_agent() -> HttpError {
    HttpError::not_found("there is no such agent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_fits_a_qr_code() {
        let qr = qr(&"x".repeat(300)).unwrap();
        assert!(qr.size > 60 && qr.path.starts_with("M4 4h1v1h-1z"));
    }
}
