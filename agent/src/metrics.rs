//! What the agent's metrics mean. In one life of the process produced = stored + duplicates + refused, and stored = acknowledged +
//! waiting + dropped.

use trenza_shared::metrics::{Kind::*, Metric};

use crate::{link, state::App};

/// Every metric of the agent.
pub const METRICS: [Metric; 25] = [
    (
        "trenza_agent_produced_total",
        Counter,
        "Events that came in, those that are none among them; the sum of stored, duplicates and refused",
    ),
    (
        "trenza_agent_stored_total",
        Counter,
        "Events put on stable storage",
    ),
    (
        "trenza_agent_duplicates_total",
        Counter,
        "Events that were there already and came again",
    ),
    (
        "trenza_agent_refused_total",
        Counter,
        "Events not stored, whose client was told to come back: no room, or a failing disk",
    ),
    (
        "trenza_agent_waiting_events",
        Gauge,
        "Events that the server does not have yet",
    ),
    (
        "trenza_agent_acknowledged_events",
        Gauge,
        "Events that the server has on stable storage",
    ),
    (
        "trenza_agent_dropped_events",
        Gauge,
        "Events of low priority given up for want of room",
    ),
    (
        "trenza_agent_log_events",
        Gauge,
        "Events stored in this life of the log: acknowledged + waiting + dropped",
    ),
    (
        "trenza_agent_server_up",
        Gauge,
        "1 while the server answers",
    ),
    (
        "trenza_agent_takes_events",
        Gauge,
        "1 while events are taken in",
    ),
    (
        "trenza_agent_store_bytes",
        Gauge,
        "What the store's files occupy, in bytes",
    ),
    (
        "trenza_agent_disk_free_bytes",
        Gauge,
        "Free space of the disk, the reserve counted in, in bytes",
    ),
    (
        "trenza_agent_sent_entries_total",
        Counter,
        "Entries that the server acknowledged",
    ),
    (
        "trenza_agent_refused_entries_total",
        Counter,
        "Entries that the server refused for good; they are kept",
    ),
    (
        "trenza_agent_sync_failures_total",
        Counter,
        "Talks with the server that failed",
    ),
    (
        "trenza_agent_salvaged_total",
        Counter,
        "Entries brought back from damaged stores",
    ),
    (
        "trenza_agent_settled_entries_total",
        Counter,
        "Entries joined to full frames in the background",
    ),
    (
        "trenza_agent_late_duplicates_total",
        Counter,
        "Retries that came too late to be known from memory",
    ),
    (
        "trenza_agent_neighbours",
        Gauge,
        "Agents of the venue that answer",
    ),
    (
        "trenza_agent_carried_bytes",
        Gauge,
        "Frames carried for neighbours, in bytes",
    ),
    (
        "trenza_agent_carried_entries_total",
        Counter,
        "Entries taken over from neighbours",
    ),
    (
        "trenza_agent_carry_refused_total",
        Counter,
        "Frames of neighbours that were not taken over",
    ),
    (
        "trenza_agent_delivered_entries_total",
        Counter,
        "Entries of neighbours brought to the server",
    ),
    (
        "trenza_agent_deliver_failures_total",
        Counter,
        "Talks with the server for neighbours that failed",
    ),
    (
        "trenza_agent_lan_failures_total",
        Counter,
        "Talks with neighbours that failed",
    ),
];

/// Sets the gauges of events.
pub fn measure(app: &App) {
    let (heads, link) = (app.log.heads().borrow().clone(), app.link.now());
    let drops = app.log.drops();
    let waiting = link::waiting(&heads, &link.told.lanes, &drops);
    let events = heads.iter().filter(|((_, lane), _)| lane.has_events());
    let held: u64 = events.map(|(_, head)| head.seq).sum();
    metrics::gauge!("trenza_agent_waiting_events").set(waiting as f64);
    metrics::gauge!("trenza_agent_log_events").set(held as f64);
    metrics::gauge!("trenza_agent_acknowledged_events")
        .set(held.saturating_sub(waiting + drops.count()) as f64);
    metrics::gauge!("trenza_agent_dropped_events").set(drops.count() as f64);
    metrics::gauge!("trenza_agent_server_up").set(f64::from(u8::from(link.up)));
}
