//! A device whose clock is wrong: from the capture through sync to the time that the server derives.

use trenza_shared::skew::{Correction, Fact, Facts};

use super::*;

const DAY: u64 = 86_400_000;
const YEAR: i64 = 365 * DAY as i64;
const BOOT: BootId = BootId([1; 16]);

/// Time passes for the server and for the device.
fn pass(world: &World, ms: u64) {
    world.fake.clock.advance_ms(ms);
    world.clock.advance_ms(ms);
}

/// An agent that has not measured anything, and says nothing until it is told to: no hello while clocks are moved by hand.
async fn unmeasured(world: &World) -> Edge {
    world.fake.revoked.store(true, Ordering::SeqCst);
    let edge = world.edge(MemStore::new());
    edge.until("it is refused", |link| link.refused).await;
    world.fake.revoked.store(false, Ordering::SeqCst);
    edge
}

impl Edge {
    /// Takes a visit in, stamped by the device's clocks. Returns when that really was.
    async fn visit(&self, world: &World, text: &str) -> (String, i64) {
        let open = Open {
            what: What::Event(EventType::Track),
            captured_ms: world.clock.wall_ms(),
            boottime_ms: world.clock.boottime_ms(),
            boot: BOOT.number(),
            offset_min: 60,
            key: "wk".into(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        let entry = NewEntry {
            identity: None,
            entry: Entry::clear(&open, text),
        };
        let append = Append {
            lane: Lane::Visits,
            entries: vec![entry],
        };
        self.log.append(append).await.unwrap();
        (text.to_owned(), world.fake.clock.wall_ms())
    }

    /// Another hello, after which everything is on the server.
    async fn sync(&self, world: &World) {
        let now_ms = world.fake.clock.wall_ms();
        // It counts as up again only after what was measured is in the log.
        self.link.down(0, Down::default(), String::new());
        self.wake.notify_one();
        let log = self.log.clone();
        self.until("a hello of now, and everything sent", move |link| {
            let acked = |(epoch, lane)| link::have(&link.told.lanes, epoch, lane).acked;
            link.up
                && link.told.server_ms >= now_ms
                && log
                    .ends()
                    .iter()
                    .all(|(lane, head)| acked(*lane) == head.seq)
        })
        .await;
    }
}

impl Fake {
    fn correction(&self) -> Correction {
        let mut facts = Facts::default();
        for open in self.opens(Lane::Clock) {
            if let What::Clock {
                server_ms,
                round_trip_ms,
            } = open.what
            {
                assert_eq!(open.boot, BOOT.number());
                facts.join(Fact {
                    round_trip_ms,
                    boottime_ms: open.boottime_ms,
                    server_ms,
                });
            }
        }
        facts.correction()
    }

    fn opens(&self, of: Lane) -> Vec<Open> {
        let lanes = self.lanes.lock().unwrap();
        let of = lanes.iter().filter(|((_, lane), _)| *lane == of);
        of.flat_map(|(_, held)| held.values().map(|one| one.open.clone()))
            .collect()
    }
}

/// What the server got, in its order, lies within a second of the truth.
fn assert_right(world: &World, truth: &[(String, i64)], name: &str) {
    let texts: Vec<&String> = truth.iter().map(|(text, _)| text).collect();
    assert_eq!(
        world.fake.texts().iter().collect::<Vec<_>>(),
        texts,
        "{name}: the order"
    );
    let correction = world.fake.correction();
    for (open, (text, at_ms)) in world.fake.opens(Lane::Visits).iter().zip(truth) {
        let is = correction.at(open.boottime_ms).unwrap();
        let error = is.at_ms.abs_diff(*at_ms);
        assert!(error < 1_000, "{name}, {text}: wrong by {error} ms");
        assert!(
            error <= is.confidence_ms,
            "{name}, {text}: {error} ms, {is:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_of_a_device_with_a_wrong_clock_have_their_right_time_after_a_sync() {
    for (name, off_ms) in [
        ("1970", -NOW),
        ("ten years ahead", 10 * YEAR),
        ("an hour ahead", HOUR_MS),
        ("an hour behind", -HOUR_MS),
        ("right", 0),
    ] {
        let world = World::new().await;
        world.clock.set_wall_ms(NOW + off_ms);
        let edge = unmeasured(&world).await;
        edge.sync(&world).await;
        let mut truth = Vec::new();
        for n in 0..20 {
            pass(&world, 61_000);
            truth.push(edge.visit(&world, &format!("visit {n}")).await);
        }
        edge.sync(&world).await;
        assert_right(&world, &truth, name);
        assert_eq!(
            world.fake.opens(Lane::Clock).len(),
            1,
            "{name}: measured once, stated once"
        );
        let left = world.fake.clock.wall_ms() - world.clock.wall_ms();
        assert_eq!(edge.link.now().told.clock_offset_ms, Some(left), "{name}");
        edge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_while_visits_come_in_changes_neither_their_order_nor_their_time() {
    let world = World::new().await;
    let edge = unmeasured(&world).await;
    let mut truth = Vec::new();
    // An hour back, an hour ahead, to 1970, ten years on: before and after the first hello.
    let steps = [-HOUR_MS, HOUR_MS, -NOW, 10 * YEAR, NOW - 9 * YEAR];
    for (n, step) in steps.into_iter().cycle().take(15).enumerate() {
        world.clock.set_wall_ms(world.clock.wall_ms() + step);
        pass(&world, 60_000);
        truth.push(edge.visit(&world, &format!("visit {n}")).await);
        if n % 4 == 3 {
            edge.sync(&world).await;
        }
    }
    edge.sync(&world).await;
    assert_right(&world, &truth, "set again and again");
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_changes_to_and_from_summer_time_are_nothing_for_the_log() {
    for change in ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"] {
        let world = World::new().await;
        let change = trenza_shared::clock::parse_time_ms(change).unwrap();
        // A device that keeps local time in its clock jumps by an hour when the place does, one that keeps UTC does not.
        for jump in [0, HOUR_MS, -HOUR_MS] {
            world.fake.clock.set_wall_ms(change - 90_000);
            world.clock.set_wall_ms(change - 90_000);
            world.clock.set_boottime_ms(5_000);
            world.fake.lanes.lock().unwrap().clear();
            let edge = unmeasured(&world).await;
            let mut truth = Vec::new();
            for n in 0..6 {
                pass(&world, 30_000);
                if n == 2 {
                    world.clock.set_wall_ms(world.clock.wall_ms() + jump);
                }
                truth.push(edge.visit(&world, &format!("visit {n}")).await);
            }
            edge.sync(&world).await;
            assert_right(&world, &truth, "summer time");
            edge.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_days_asleep_with_a_drifting_clock_are_within_a_second() {
    let world = World::new().await;
    let edge = unmeasured(&world).await;
    let mut truth = vec![edge.visit(&world, "before").await];
    edge.sync(&world).await;
    // The boot clock goes on while the device sleeps; it loses 40 parts of a million, 10 s in three days.
    let sleep = 3 * DAY;
    for n in 0..3 {
        world.fake.clock.advance_ms(sleep / 3);
        world
            .clock
            .advance_ms(sleep / 3 - sleep / 3 * 40 / 1_000_000);
        truth.push(
            edge.visit(&world, &format!("woken up for a moment {n}"))
                .await,
        );
    }
    edge.sync(&world).await;
    assert_right(&world, &truth, "asleep");
    assert_eq!(world.fake.opens(Lane::Clock).len(), 2);
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_program_states_nothing_twice_and_knows_the_time_before_the_server_answers()
 {
    let world = World::new().await;
    world.clock.set_wall_ms(0);
    let edge = unmeasured(&world).await;
    edge.sync(&world).await;
    let store = edge.stop().await;
    pass(&world, 3_000);
    let link = LinkCell::open(Arc::new(store.fork()), 0).unwrap();
    let known = KnownTime::new(BOOT.number(), &link.told(), &*world.clock);
    // And certificates are not judged by 1970.
    assert_eq!(link.passed_ms(), NOW + 5_000);
    let fresh = LinkCell::open(Arc::new(MemStore::new()), 0).unwrap();
    assert_eq!(fresh.passed_ms(), trenza_shared::clock::BUILT_MS);
    assert_eq!(known.now_ms(&*world.clock), world.fake.clock.wall_ms());
    let edge = world.edge(store);
    edge.sync(&world).await;
    assert_eq!(world.fake.opens(Lane::Clock).len(), 1);
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_is_counted_by_the_servers_clock_whatever_the_device_says() {
    for (name, off_ms) in [("1970", -NOW), ("ten years ahead", 10 * YEAR)] {
        let world = World::new().await;
        world.clock.set_wall_ms(NOW + off_ms);
        let edge = unmeasured(&world).await;
        for n in 0..3 {
            edge.visit(&world, &format!("old {n}")).await;
        }
        edge.sync(&world).await;
        let held = |edge: &Edge| log::oldest(&*edge.store, 1, Lane::Visits).unwrap();
        // The clock is put right, by decades, and nothing is thrown away for that.
        world.clock.set_wall_ms(NOW);
        for _ in 0..6 {
            pass(&world, DAY);
            edge.sync(&world).await;
            assert_eq!(held(&edge), 1, "{name}: younger than a week");
        }
        world.clock.set_wall_ms(NOW + off_ms);
        edge.visit(&world, "young").await;
        pass(&world, 2 * DAY);
        edge.sync(&world).await;
        // What is deleted is known a moment after the hello.
        let gone = async {
            while held(&edge) == 1 {
                edge.sync(&world).await;
            }
        };
        assert!(
            timeout(PATIENCE, gone).await.is_ok(),
            "{name}: older than a week"
        );
        assert_eq!(held(&edge), 4, "{name}: the young one stays");
        edge.stop().await;
    }
}
