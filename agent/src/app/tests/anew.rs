//! A store that is gone is told: in the status, by the doctor, to the server.

use super::*;
use crate::{
    doctor::{self, Asked, Check},
    marker::Used,
    status::Status,
};

async fn store_check(config: &Config, dir: &Path, status: Status) -> Check {
    let clock = Arc::new(TestClock::at(NOW));
    let checks = doctor::examine(config, dir, clock, &Asked::Runs(status)).await;
    let found = checks.into_iter().find(|check| check.name == "store");
    found.unwrap()
}

/// Serves until three visits are taken in and the marker knows of them.
async fn three_visits(config: &Config, dir: &Path) -> Status {
    let started = start(config, dir).await;
    let marker = Marker::new(dir.join(files::EPOCH));
    serving(started, async |ready, client| {
        for id in ["a", "b", "c"] {
            capture(&ready, &client, id).await;
        }
        status(&ready, &client).await
    })
    .await;
    let Used::UpTo(reached) = marker.used() else {
        panic!("no marker")
    };
    assert_eq!(reached.ends.get(&Lane::Visits), Some(&3));
    let started = start(config, dir).await;
    serving(started, async |ready, client| status(&ready, &client).await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_told_with_how_much_had_been_taken_in() {
    for empty_folder_stays in [false, true] {
        let (dir, config) = enrolled();
        let before = three_visits(&config, dir.path()).await;
        assert_eq!(before.began, None, "nothing was lost yet");
        assert!(store_check(&config, dir.path(), before).await.ok);

        fs::remove_dir_all(dir.path().join("store")).unwrap();
        if empty_folder_stays {
            fs::create_dir(dir.path().join("store")).unwrap();
        }
        let started = start(&config, dir.path()).await;
        let told = serving(started, async |ready, client| status(&ready, &client).await).await;
        let began = told.began.clone().unwrap();
        assert_eq!((began.epoch, began.given_out, began.aside), (2, 3, false));
        assert_eq!(told.epoch, 2);
        let check = store_check(&config, dir.path(), told).await;
        assert!(!check.ok, "{check:?}");
        assert!(check.message.contains("began in epoch 2"), "{check:?}");
        // Neither a further start nor the stopped agent forgets it.
        let again = start(&config, dir.path()).await;
        let told = serving(again, async |ready, client| status(&ready, &client).await).await;
        assert_eq!(told.began.as_ref(), Some(&began));
        let read = crate::status::stopped(&config, dir.path()).unwrap();
        assert_eq!(read.began, Some(began));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_aside_is_always_mentioned_with_what_to_do() {
    let (dir, config) = enrolled();
    three_visits(&config, dir.path()).await;
    fs::write(dir.path().join("store/CURRENT"), "nonsense\n").unwrap();
    let started = start(&config, dir.path()).await;
    let told = serving(started, async |ready, client| {
        // The salvage waits for the server's word first.
        status(&ready, &client).await
    })
    .await;
    assert!(told.began.as_ref().is_some_and(|began| began.aside));
    let aside = told
        .aside
        .iter()
        .find(|one| one.name.starts_with("store.damaged-"));
    assert!(aside.is_some_and(|one| !one.salvaged), "{:?}", told.aside);
    let check = store_check(&config, dir.path(), told).await;
    for part in ["store.damaged-", "do not delete it", "waits to be salvaged"] {
        assert!(check.message.contains(part), "{check:?}");
    }
    assert!(!check.ok);
}
