//! Clocks that are wrong, measured before and after what they timed.

use serde_json::json;
use trenza_shared::clock::format_ms;

use super::*;
use crate::{
    customer::timeline,
    evidence::{TimeSource, Timing},
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// 14 March 2026, 09:20 UTC: when the agents of these tests booted.
const BOOTED: i64 = 1_773_480_000_000;

/// An agent's clock in one boot.
struct Device {
    agent: AgentId,
    boot: u64,
    /// What its wall clock says at its boot clock's 0.
    wall_ms: i64,
}

impl Device {
    /// A visit that its own page stamped, `at` after boot.
    fn own(&self, message: &str, at: u64) -> Happening {
        let said = format_ms(self.wall_ms + at as i64 - 5);
        self.takes(message, at, json!({"timestamp": said}))
    }

    /// A visit without a time of the client's.
    fn bare(&self, message: &str, at: u64) -> Happening {
        self.takes(message, at, json!({}))
    }

    fn takes(&self, message: &str, at: u64, mut body: Value) -> Happening {
        body["type"] = "identify".into();
        body["messageId"] = message.into();
        body["traits"] = json!({"email": "ana@example.org"});
        let happening = by(
            WEB,
            Some(self.agent),
            self.wall_ms + at as i64,
            &body.to_string(),
        );
        in_boot(self.boot, at, happening)
    }

    /// The server's clock, measured `at` after boot.
    fn measures(&self, at: u64, round_trip_ms: u64) -> Happening {
        let truth = BOOTED + at as i64;
        measured(self.agent, self.boot, at, truth, round_trip_ms)
    }
}

/// Event time of each message.
fn times(world: &World) -> BTreeMap<String, i64> {
    let rows = TIMELINE.rows(&world.store).map(|row| {
        let ((_, at_ms, _), message) = row.unwrap();
        (String::from_utf8(message).unwrap(), at_ms)
    });
    rows.collect()
}

/// How the time of each message is known.
fn timings(world: &World) -> BTreeMap<String, Timing> {
    let rows = TIMELINE.rows(&world.store).map(|row| {
        let ((_, at_ms, id), message) = row.unwrap();
        let moment = timeline::moment(&world.store, &id).unwrap();
        assert_eq!(moment.row.at_ms, at_ms);
        (String::from_utf8(message).unwrap(), moment.timing)
    });
    rows.collect()
}

#[test]
fn a_measured_clock_times_what_came_before_and_after_it_within_a_second_in_every_order() {
    let year = 365 * DAY as i64;
    let wrong = [
        ("1970", -BOOTED),
        ("ten years ahead", 10 * year),
        ("an hour ahead", HOUR as i64),
        ("an hour behind", -(HOUR as i64)),
        ("right", 0),
    ];
    for (name, off) in wrong {
        let kiosk = Device {
            agent: STAND,
            boot: 7,
            wall_ms: BOOTED + off,
        };
        let world = in_every_order(
            name,
            &[
                kiosk.own("first", HOUR),
                kiosk.bare("second", 2 * HOUR),
                kiosk.own("asleep for three days", 3 * DAY + 2 * HOUR),
                kiosk.measures(3 * DAY + 3 * HOUR, 80),
                kiosk.measures(1_000, 80),
            ],
        );
        let times = times(&world);
        for (message, at) in [
            ("first", HOUR),
            ("second", 2 * HOUR),
            ("asleep for three days", 3 * DAY + 2 * HOUR),
        ] {
            let truth = BOOTED + at as i64;
            assert!(
                times[message].abs_diff(truth) < 1_000,
                "{name}, {message}: {} is not {truth}",
                times[message]
            );
            let timing = timings(&world)[message];
            assert_eq!(timing.captured_ms.abs_diff(truth), 0, "{name}, {message}");
            assert_eq!(timing.wall_ms - truth, off, "{name}, {message}");
            let by_client = off == 0 && message != "second";
            let (source, sure) = match by_client {
                true => (TimeSource::Client, None),
                false => (TimeSource::Corrected, Some(41)),
            };
            assert_eq!(
                (timing.source, timing.confidence_ms),
                (source, sure),
                "{name}, {message}"
            );
        }
    }
}

#[test]
fn an_event_of_two_agents_has_the_time_of_the_one_whose_clock_is_known_in_every_order() {
    // One wall clock is years behind and never measured, one an hour ahead, one right.
    let unknown = Device {
        agent: STAND,
        boot: 1,
        wall_ms: 0,
    };
    let ahead = Device {
        agent: DOOR,
        boot: 2,
        wall_ms: BOOTED + HOUR as i64,
    };
    let world = in_every_order(
        "two agents",
        &[
            unknown.bare("m", HOUR),
            ahead.bare("m", 2 * HOUR),
            by(
                WEB,
                None,
                BOOTED + 3 * HOUR as i64,
                r#"{"type":"identify","messageId":"m","traits":{"email":"ana@example.org"}}"#,
            ),
            ahead.measures(5_000, 40),
            ahead.measures(DAY, 900),
        ],
    );
    assert_eq!(times(&world)["m"], BOOTED + 2 * HOUR as i64);
}

#[test]
fn a_boot_that_was_never_measured_keeps_what_its_clock_said_and_loses_nothing() {
    let lost = Device {
        agent: STAND,
        boot: 1,
        wall_ms: 0,
    };
    let measured = Device {
        agent: STAND,
        boot: 2,
        wall_ms: 0,
    };
    let world = in_every_order(
        "never measured",
        &[
            lost.bare("of a lost boot", 5),
            measured.bare("of a measured one", 5),
            measured.measures(9, 10),
        ],
    );
    let times = times(&world);
    assert_eq!(times["of a lost boot"], 5);
    let timing = timings(&world)["of a lost boot"];
    assert_eq!(
        (timing.source, timing.confidence_ms),
        (TimeSource::Device, None)
    );
    assert_eq!(times["of a measured one"], BOOTED + 5);
}

#[test]
fn a_place_of_capture_that_turns_out_to_be_the_first_moves_the_event() {
    // By which country a phone is read depends on who took the event in first.
    let text =
        r#"{"type":"identify","messageId":"m","anonymousId":"v","traits":{"phone":"612345678"}}"#;
    let late = by(APP, None, BOOTED + DAY as i64, text);
    let first = in_boot(3, HOUR, by(WEB, Some(STAND), BOOTED + 9 * DAY as i64, text));
    let clock = measured(STAND, 3, 0, BOOTED, 10);
    let other = in_boot(
        3,
        2 * HOUR,
        by(WEB, Some(STAND), 5, &text.replace("\"m\"", "\"n\"")),
    );
    let world = in_every_order("first turns out", &[late, first, clock, other]);
    assert_eq!(times(&world)["m"], BOOTED + HOUR as i64);
    for id in world.shown_ids() {
        assert!(world.leads(&id), "{id}");
    }
}

#[test]
fn a_clock_measured_after_more_events_than_are_timed_at_one_go() {
    let kiosk = Device {
        agent: STAND,
        boot: 1,
        wall_ms: 0,
    };
    let visits: Vec<Happening> = (0..2_500)
        .map(|n| kiosk.bare(&format!("m{n}"), n * 60_000))
        .collect();
    let clock = kiosk.measures(2_500 * 60_000, 40);
    let mut after = World::new();
    after.take(&visits.iter().collect::<Vec<_>>());
    after.take(&[&clock]);
    let mut before = World::new();
    before.take(&[&clock]);
    before.take(&visits.iter().rev().collect::<Vec<_>>());
    assert_eq!(after.export(), before.export());
    after
        .derived()
        .assert_same(&before.derived(), "before and after");
    assert!(times(&after).values().all(|at| *at >= BOOTED));
}

#[test]
fn a_measurement_that_names_no_boot_or_came_from_no_agent_is_kept_apart() {
    let mut world = World::new();
    world.take(&[&measured(STAND, 0, 5, BOOTED, 10)]);
    assert_eq!(CLOCKS.rows(&world.store).count(), 0);
    let refused = crate::tables::REJECTED.rows(&world.store).next();
    assert_eq!(refused.unwrap().unwrap().1.code, "clock_of_nobody");
}
