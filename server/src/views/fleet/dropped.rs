//! What an agent gave up for want of room, in words.

use trenza_shared::wire::dropped::Reason;

use super::{Lang, numbers};
use crate::sync::fleet::AgentStatus;

/// Ranges of dropped events written out.
const DROPPED_SHOWN_MAX: usize = 3;

/// What it gave up for want of room, in words; none when nothing.
pub(super) fn told(t: Lang, agent: &AgentStatus) -> Option<String> {
    let reason = agent.dropped_ranges.last()?.reason;
    let ranges: Vec<String> = agent
        .dropped_ranges
        .iter()
        .rev()
        .take(DROPPED_SHOWN_MAX)
        .map(|one| numbers(one.from, one.to))
        .collect();
    let events = t.count(
        agent.dropped,
        ("evento de baja prioridad", "eventos de baja prioridad"),
        ("low-priority event", "low-priority events"),
    );
    let (numbers, more) = (
        ranges.join(", "),
        if agent.dropped_ranges.len() > ranges.len() {
            "…"
        } else {
            ""
        },
    );
    Some(match (t, reason) {
        (Lang::Es, Reason::Quota) => format!(
            "Descartó {events} (nº {numbers}{more}) para dejar sitio a las visitas: su cuota estaba llena. Suba store.quota_bytes o dele red; no falta ninguna visita por ello."
        ),
        (Lang::Es, Reason::Disk) => format!(
            "Descartó {events} (nº {numbers}{more}) para dejar sitio a las visitas: su disco estaba lleno. Libere espacio; no falta ninguna visita por ello."
        ),
        (Lang::En, Reason::Quota) => format!(
            "It dropped {events} (no. {numbers}{more}) to leave room for visits: its quota was full. Raise store.quota_bytes or give it a network; no visit is missing because of it."
        ),
        (Lang::En, Reason::Disk) => format!(
            "It dropped {events} (no. {numbers}{more}) to leave room for visits: its disk was full. Free some space; no visit is missing because of it."
        ),
    })
}
