//! A long time without a server delays no start.
//!
//! `TRENZA_BACKLOG=1000000` asks for more events than the short run has.

use std::time::Instant;

use futures_util::future::join_all;

use super::{
    mutations::{end, new_entry},
    *,
};

const EVENTS: u64 = 20_000;
/// Events of one commit: a busy stand's.
const COMMIT_EVENTS: u64 = 10;
/// Commits on their way at a time.
const COMMITS: usize = 512;
/// From start to the first event on stable storage.
const START_MAX: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_delays_no_start() {
    let events: u64 = std::env::var("TRENZA_BACKLOG")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(EVENTS);
    let (dir, config) = enrolled();
    let started = start(&config, dir.path()).await;
    let commits: Vec<u64> = (0..events / COMMIT_EVENTS).collect();
    for some in commits.chunks(COMMITS) {
        let appends = some.iter().map(|commit| {
            let entries = (0..COMMIT_EVENTS).map(|n| {
                let hash = blake3::hash(&(commit * COMMIT_EVENTS + n).to_be_bytes());
                new_entry(&format!(
                    r#"{{"type":"track","event":"Visit","userId":"{hash}","properties":{{"topic":"funds","text":"{}"}}}}"#,
                    "ñandú ".repeat(20)
                ))
            });
            let entries = entries.collect();
            let lane = Lane::Visits;
            started.app.log.append(Append { lane, entries })
        });
        for appended in join_all(appends).await {
            appended.unwrap();
        }
    }
    end(started).await;
    for how in ["first", "again"] {
        let begun = Instant::now();
        let started = start(&config, dir.path()).await;
        let listens = begun.elapsed();
        let entries = vec![new_entry(how)];
        let lane = Lane::Visits;
        started
            .app
            .log
            .append(Append { lane, entries })
            .await
            .unwrap();
        let took = begun.elapsed();
        println!(
            "{events} events wait, {how} start: listens after {listens:?}, has an event on the disk after {took:?}"
        );
        assert!(took < START_MAX);
        end(started).await;
    }
}
