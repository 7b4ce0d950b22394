use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_waits_for_its_turn_and_a_live_visit_does_not_wait_with_it() {
    let world = World::new().await;
    *world.fake.no_time_for.lock().unwrap() = Some(("visit 0".into(), 1));
    let edge = world.edge(MemStore::new());
    edge.capture(&texts(0..1_000)).await;
    let refused = timeout(PATIENCE, world.fake.refused.notified()).await;
    assert!(refused.is_ok(), "the backlog was not refused");
    edge.capture(&["live".into()]).await;
    let fake = world.fake.clone();
    edge.until("the live visit is there", move |link| {
        link.up && fake.texts() == ["live"]
    })
    .await;
    // The turn has come: the boot clock stands still until somebody moves it.
    *world.fake.no_time_for.lock().unwrap() = None;
    // It moves on until it has passed the turn: the refusal may be read only after a first step.
    for _ in 0..PATIENCE.as_secs() {
        world.clock.advance_ms(2_000);
        if timeout(Duration::from_secs(3), edge.all_sent())
            .await
            .is_ok()
        {
            break;
        }
    }
    assert_eq!(world.fake.texts().len(), 1_001);
    assert_eq!(world.fake.hellos.load(Ordering::SeqCst), 1);
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_comes_back_ends_the_wait() {
    let world = World::new().await;
    // The answer to the first hello is lost on the way.
    world.fake.calls.store(2, Ordering::SeqCst);
    world.fake.lose_every.store(1, Ordering::SeqCst);
    let edge = world.patient_edge(MemStore::new(), 3_600_000);
    edge.until("the first try failed", |link| !link.problem.is_empty())
        .await;
    world.fake.lose_every.store(0, Ordering::SeqCst);
    let back = timeout(PATIENCE, async {
        while !edge.link.now().up {
            edge.network.notify_waiters();
            tokio::task::yield_now().await;
        }
    });
    assert!(back.await.is_ok(), "{:?}", edge.link.now());
    edge.stop().await;
}

#[test]
fn a_server_that_wants_to_be_asked_later_is_not_away() {
    let refused = |status| TalkError::Refused {
        status,
        code: String::new(),
        message: String::new(),
        retry_after_s: None,
    };
    assert!(refused(503).is_later() && refused(429).is_later());
    assert!(!refused(403).is_later() && refused(403).refuses_agent());
}
