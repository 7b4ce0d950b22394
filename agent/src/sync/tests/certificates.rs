//! The life of a device's certificate: renewed in time, renewed late, too old; capture goes on through all of it.

use super::*;

const DAY_MS: u64 = 24 * 3_600_000;
const CERT_DAYS: u32 = 30;

impl World {
    fn certificate(&self) -> Vec<u8> {
        std::fs::read(self.dir.path().join(files::CERT)).unwrap()
    }

    /// For the device and for the server.
    fn pass(&self, days: u64) {
        self.clock.advance_ms(days * DAY_MS);
        self.fake.clock.advance_ms(days * DAY_MS);
    }

    fn days_pass(&self, edge: &Edge, days: u64) {
        self.pass(days);
        edge.wake.notify_one();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_at_two_thirds_of_its_life_and_not_before() {
    let world = World::with_certificate_days(CERT_DAYS).await;
    let edge = world.edge(MemStore::new());
    edge.capture(&texts(0..1)).await;
    edge.until_all_sent().await;
    let first = world.certificate();
    let hellos = || world.fake.hellos.load(Ordering::SeqCst);
    for (days, renewals) in [(19, 0), (1, 1), (1, 1), (20, 2)] {
        let before = hellos();
        world.days_pass(&edge, days);
        // The second hello begins after the renewal that follows the first.
        edge.until("a hello", |_| hellos() > before).await;
        edge.wake.notify_one();
        edge.until("another hello", |_| hellos() > before + 1).await;
        assert_eq!(
            world.fake.renewals.load(Ordering::SeqCst),
            renewals,
            "after {days} days more"
        );
    }
    assert_ne!(world.certificate(), first);
    edge.capture(&texts(1..3)).await;
    edge.until_all_sent().await;
    assert_eq!(world.fake.texts(), texts(0..3));
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_was_away_for_most_of_a_year_renews_its_certificate_and_sends() {
    let world = World::with_certificate_days(CERT_DAYS).await;
    let edge = world.edge(MemStore::new());
    edge.until("the server is up", |link| link.up).await;
    let store = edge.stop().await;
    world.pass(330);
    // Visits are taken in whether or not anybody renews anything.
    let edge = world.edge(store);
    edge.capture(&texts(0..5)).await;
    edge.until_all_sent().await;
    assert_eq!(world.fake.renewals.load(Ordering::SeqCst), 1);
    assert_eq!(world.fake.texts(), texts(0..5));
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_expires_during_a_talk_is_renewed_in_it() {
    let world = World::with_certificate_days(CERT_DAYS).await;
    let edge = world.edge(MemStore::new());
    edge.until("the server is up", |link| link.up).await;
    world.pass(40);
    edge.capture(&texts(0..5)).await;
    edge.until_all_sent().await;
    assert_eq!(world.fake.renewals.load(Ordering::SeqCst), 1);
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_that_has_expired_too_is_renewed_without_a_long_rest() {
    let world = World::with_certificate_days(CERT_DAYS).await;
    let edge = world.edge(MemStore::new());
    edge.until("the server is up", |link| link.up).await;
    world.pass(40);
    // A clock that jumps while the new one is made.
    world.fake.renewal_ms.store(40 * DAY_MS, Ordering::SeqCst);
    edge.capture(&texts(0..5)).await;
    edge.until_all_sent().await;
    assert_eq!(world.fake.renewals.load(Ordering::SeqCst), 2);
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_was_away_for_too_long_says_so_and_goes_on_taking_visits_in() {
    let world = World::with_certificate_days(CERT_DAYS).await;
    world.pass(500);
    let edge = world.edge(MemStore::new());
    edge.until("it says what to do", |link| {
        link.refused && link.problem.contains("enrol")
    })
    .await;
    edge.capture(&texts(0..5)).await;
    assert_eq!(
        link::waiting(
            &edge.log.ends(),
            &edge.link.now().told.lanes,
            &edge.log.drops()
        ),
        5
    );
    assert_eq!(world.fake.renewals.load(Ordering::SeqCst), 0);
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_past_two_thirds_of_its_life_is_renewed() {
    // It began a tenth of a day before now and lives one day more.
    let world = World::with_certificate_days(1).await;
    let before = std::fs::read_to_string(world.dir.path().join(files::CERT)).unwrap();
    world.clock.advance_ms(0);
    let validity = uplink::Validity::of(&pki::read_chain(&before).unwrap()[0]).unwrap();
    assert!(!validity.wants_renewal(NOW) && validity.wants_renewal(NOW + 16 * HOUR_MS));
    let time = TlsTime::new(world.clock.clone(), 0);
    let mut uplink = Uplink::open(world.dir.path(), &world.url, time, Duration::from_secs(20));
    uplink.renew().await.unwrap();
    assert_ne!(
        std::fs::read_to_string(world.dir.path().join(files::CERT)).unwrap(),
        before
    );
    assert!(!uplink.validity().unwrap().wants_renewal(NOW + 16 * HOUR_MS));
    assert_eq!(world.fake.renewals.load(Ordering::SeqCst), 1);
    assert!(!world.dir.path().join("device.cert.next").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_agent_keeps_its_visits_and_says_so() {
    let world = World::new().await;
    world.fake.revoked.store(true, Ordering::SeqCst);
    let edge = world.edge(MemStore::new());
    edge.until("it is refused", |link| link.refused).await;
    edge.capture(&texts(0..5)).await;
    assert!(world.fake.texts().is_empty() && !edge.link.now().up);
    world.fake.revoked.store(false, Ordering::SeqCst);
    edge.wake.notify_one();
    edge.until_all_sent().await;
    assert!(!edge.link.now().refused);
    edge.stop().await;
}
