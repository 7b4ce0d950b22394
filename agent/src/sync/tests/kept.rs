//! What the server refuses, and what cannot be read, holds nothing else up.

use trenza_shared::store::{Batch, Direction, Durable, Range, Store as _, View as _};

use super::*;
use crate::{
    sync::kept as keeping,
    tables::{KEPT, KEPT_BYTES, LOG},
};

fn acked(edge: &Edge) -> Seq {
    link::have(&edge.link.now().told.lanes, 1, Lane::Visits).acked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_refused_is_kept_told_and_tried_again_by_another_version_only() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    let mut all = texts(0..600);
    (all[17], all[400]) = ("poison".into(), "more poison".into());
    edge.capture(&all).await;
    // It holds back no acknowledgement of what follows.
    edge.until("all but what is refused is acknowledged", |_| {
        acked(&edge) == 600
    })
    .await;
    let rows = |edge: &Edge| keeping::all(&*edge.store).unwrap();
    let numbers: Vec<_> = rows(&edge)
        .iter()
        .map(|(key, row)| (key.2, row.last))
        .collect();
    assert_eq!(numbers, [(18, 18), (401, 401)]);
    let row = rows(&edge).swap_remove(0).1;
    assert_eq!(
        (row.code.as_str(), row.server.as_str()),
        ("bad_frame", "1.0.0")
    );
    assert!(row.reason.contains("poisonous"), "{}", row.reason);

    // Talks go on without it.
    let refused = world.fake.poisoned.load(Ordering::SeqCst);
    assert_eq!(refused, 2);
    edge.capture(&texts(600..610)).await;
    edge.until("the next ones are acknowledged", |_| acked(&edge) == 610)
        .await;
    assert_eq!(world.fake.poisoned.load(Ordering::SeqCst), refused);

    // The log's own copy may go: what is kept outlives it.
    edge.stop_and_prune(&world).await;
}

impl Edge {
    /// Goes on over a log that holds no more than its last chunk, with a server of a later version.
    async fn stop_and_prune(self, world: &World) {
        let store = self.stop().await;
        while log::prune(&store, 1, Lane::Visits, 600).unwrap().chunks > 0 {}
        *world.fake.program.lock().unwrap() = "2.0.0".into();
        let edge = world.edge(store);
        let fake = world.fake.clone();
        edge.until("the later version has all of it", move |_| {
            fake.texts().len() == 610
        })
        .await;
        // What comes next goes only after what was kept was seen to be taken.
        edge.capture(&texts(610..611)).await;
        edge.until("the next one is acknowledged", |_| acked(&edge) == 611)
            .await;
        let store = edge.stop().await;
        assert!(KEPT.rows(&store).next().is_none());
        assert!(KEPT_BYTES.rows(&store).next().is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_cannot_be_decoded_is_set_aside_and_the_rest_is_sent() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    for text in texts(0..9) {
        edge.capture(&[text]).await;
    }
    edge.until_all_sent().await;
    let store = edge.stop().await;
    let chunks = store
        .scan(LOG.space(), Range::ALL, Direction::Forward, 100)
        .unwrap();
    let visits = chunks.iter().filter(|(key, _)| {
        use trenza_shared::store::Key as _;
        <(Epoch, Lane, Seq)>::decode(key).is_some_and(|key| key.1 == Lane::Visits)
    });
    let (broken, _) = visits.clone().nth(4).unwrap();
    let mut batch = Batch::new();
    batch.put(LOG.space(), broken.clone(), b"nonsense".to_vec());
    store.commit(batch, Durable::Yes).unwrap();
    // The server lost everything, so all of it is read again.
    world.fake.lanes.lock().unwrap().clear();
    world.fake.generation.store(2, Ordering::SeqCst);
    let edge = world.edge(store);
    let fake = world.fake.clone();
    edge.until("the rest is sent", move |_| fake.texts().len() == 8)
        .await;
    edge.until("and acknowledged", |_| acked(&edge) == 9).await;
    let kept = keeping::all(&*edge.store).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].0.2, kept[0].1.last), (5, 5));
    assert_eq!(kept[0].1.code, keeping::UNREADABLE);
    edge.stop().await;
}

/// Every third one is refused: far more gaps than the server names in an answer.
fn poisonous() -> Vec<String> {
    let mut all = texts(0..600);
    for text in all.iter_mut().step_by(3) {
        text.push_str(" poison");
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_refused_entries_hold_nothing_up() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    edge.capture(&poisonous()).await;
    edge.until("all but what is refused is acknowledged", |_| {
        acked(&edge) == 600
    })
    .await;
    assert_eq!(keeping::all(&*edge.store).unwrap().len(), 200);
    assert_eq!(world.fake.texts().len(), 400);
    assert_eq!(world.fake.poisoned.load(Ordering::SeqCst), 200, "once each");
    edge.until("it is well", |link| link.up && link.problem.is_empty())
        .await;
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_with_too_many_gaps_for_the_server_is_told_and_holds_no_other_lane_up() {
    let world = World::new().await;
    world.fake.segments_max.store(5, Ordering::SeqCst);
    let edge = world.edge(MemStore::new());
    edge.capture(&poisonous()).await;
    edge.until("it says what is wrong", |link| {
        link.problem.contains("so many gaps of the lane Visits")
    })
    .await;
    let held = |lane| {
        let lanes = world.fake.lanes.lock().unwrap();
        lanes.get(&(1, lane)).map_or(0, |held| held.len())
    };
    assert!((1..400).contains(&held(Lane::Visits)));
    assert!(held(Lane::Clock) > 0, "another lane goes on");
    // A server that keeps more.
    world.fake.segments_max.store(u64::MAX, Ordering::SeqCst);
    edge.wake.notify_one();
    edge.until("all but what is refused is acknowledged", |_| {
        acked(&edge) == 600
    })
    .await;
    assert_eq!(world.fake.texts().len(), 400);
    edge.stop().await;
}
