//! What the server's metrics mean. Of what clients send to it, in one life of the process: produced = stored + refused. What
//! agents gave out is stored here, dropped (low priority, counted) or missing; what still waits on them is among the missing.

use tracing::warn;
use trenza_shared::metrics::{Kind::*, Metric};

use crate::{app::App, http::api::read, sync::fleet};

/// Every metric of the server.
pub const METRICS: [Metric; 21] = [
    (
        "trenza_server_produced_total",
        Counter,
        "Events that clients sent to this server, those that are none among them; the sum of stored (what is no event is kept with its reason) and refused",
    ),
    (
        "trenza_server_stored_total",
        Counter,
        "Of those, put on stable storage; duplicates are found when they are applied",
    ),
    (
        "trenza_server_refused_total",
        Counter,
        "Of those, not stored, and their client was told to come back",
    ),
    (
        "trenza_server_entries_total",
        Counter,
        "Entries put on stable storage, by the way they came",
    ),
    (
        "trenza_server_log_record",
        Gauge,
        "Number of the log's last record",
    ),
    (
        "trenza_server_applied_record",
        Gauge,
        "Number of the last record whose events are in their customers",
    ),
    ("trenza_server_agents", Gauge, "Agents that may speak"),
    (
        "trenza_server_agents_given_out",
        Gauge,
        "Sequence numbers that agents have given out, as they said last",
    ),
    (
        "trenza_server_agents_stored",
        Gauge,
        "Of those, stored here",
    ),
    (
        "trenza_server_agents_waiting_events",
        Gauge,
        "Events that wait on the agents, as they said last",
    ),
    (
        "trenza_server_agents_dropped",
        Gauge,
        "Sequence numbers of low-priority events that agents gave up for want of room",
    ),
    (
        "trenza_server_agents_missing",
        Gauge,
        "Sequence numbers given out and neither stored here nor dropped: those that still wait among them",
    ),
    (
        "trenza_server_frames_total",
        Counter,
        "Frames of agents, by what became of them",
    ),
    (
        "trenza_server_carried_entries_total",
        Counter,
        "Entries that one agent brought for another",
    ),
    (
        "trenza_server_sync_refused_total",
        Counter,
        "Requests of agents that were told to come back",
    ),
    (
        "trenza_server_commits_failed_total",
        Counter,
        "Writes to the log that failed; nothing of them was acknowledged",
    ),
    (
        "trenza_server_agent_copies_total",
        Counter,
        "Copies of agents that became agents of their own",
    ),
    (
        "trenza_server_copies_told_total",
        Counter,
        "Agents told that another one uses their id",
    ),
    (
        "trenza_server_readmitted_total",
        Counter,
        "Agents admitted again after this server was restored from a backup",
    ),
    (
        "trenza_server_disk_free_bytes",
        Gauge,
        "Free space of the store's disk, in bytes",
    ),
    (
        "trenza_server_web_certificate_left_seconds",
        Gauge,
        "How long the certificate of the web listener is valid",
    ),
];

/// Sets the gauges of the log and of the fleet.
pub async fn measure(app: App) {
    let now_ms = app.clock.wall_ms();
    metrics::gauge!("trenza_server_log_record").set(*app.log.last().borrow() as f64);
    let fleet = read(&app, move |app, view| {
        fleet::read(view, &app.registry, now_ms)
    });
    let sums = match fleet.await {
        Ok(fleet) => fleet.sums,
        Err(error) => {
            warn!(%error, "the fleet could not be measured");
            return;
        }
    };
    for (name, value) in [
        ("trenza_server_agents", sums.active),
        ("trenza_server_agents_given_out", sums.head_seq),
        ("trenza_server_agents_stored", sums.acked_seq),
        ("trenza_server_agents_waiting_events", sums.waiting),
        ("trenza_server_agents_dropped", sums.dropped),
        ("trenza_server_agents_missing", sums.missing),
    ] {
        metrics::gauge!(name).set(value as f64);
    }
}
