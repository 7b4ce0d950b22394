mod anew;
mod backlog;
mod closed;
mod mutations;

use std::{fs, path::PathBuf};

use ::http::HeaderMap;
use tokio::sync::oneshot;
use trenza_shared::{
    clock::TestClock,
    id::{AgentId, Lane},
    net::{
        client::{Client, ClientLimits},
        pki::{Ca, DeviceKey},
        tls::{self, Trust},
    },
    store::rocks::{Kind, kept},
};

use super::*;
use crate::{log::Append, status::Status};

const NOW: i64 = 1_773_480_000_000;
const ID: AgentId = AgentId([7; 16]);

/// An enrolled folder whose server does not exist.
fn enrolled() -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::generate("test", NOW).unwrap();
    let key = DeviceKey::generate().unwrap();
    let cert = ca.sign_agent(&key.csr_pem().unwrap(), ID, NOW, 30).unwrap();
    fs::write(dir.path().join(files::KEY), key.to_pem()).unwrap();
    fs::write(dir.path().join(files::CERT), cert.pem).unwrap();
    fs::write(dir.path().join(files::CA), ca.cert_pem()).unwrap();
    let mut config = Config::default();
    config.agent.id = Some(ID);
    config.capture.write_key = "wk_kiosk".into();
    config.server.agents_url = "https://127.0.0.1:1".into();
    config.listen.http = ([127, 0, 0, 1], 0).into();
    config.listen.ops = ([127, 0, 0, 1], 0).into();
    (dir, config)
}

async fn start(config: &Config, dir: &Path) -> Started {
    Started::new(config.clone(), dir, Arc::new(TestClock::at(NOW)))
        .await
        .unwrap()
}

/// Serves while `job` runs, then stops as SIGTERM does.
async fn serving<T>(started: Started, job: impl AsyncFnOnce(Ready, Client) -> T) -> T {
    let ready = started.ready.clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(started.serve(async {
        let _gone = stopped.await;
    }));
    let time = TlsTime::new(Arc::new(TestClock::at(NOW)), 0);
    let (tls, _) = tls::client_config(Trust::default(), None, time).unwrap();
    let done = job(ready, Client::new(tls, ClientLimits::default())).await;
    stop.send(()).unwrap();
    serving.await.unwrap();
    done
}

async fn capture(ready: &Ready, client: &Client, id: &str) {
    let body = format!(
        r#"{{"writeKey":"wk_kiosk","type":"track","event":"x","userId":"u","messageId":"{id}"}}"#
    );
    let url = format!("{}/v1/track", ready.http);
    let answer = client.post(&url, HeaderMap::new(), body).await.unwrap();
    assert_eq!(answer.status, 200);
}

async fn status(ready: &Ready, client: &Client) -> Status {
    let url = format!("{}/v1/status", ready.http);
    let answer = client.get(&url, HeaderMap::new()).await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_are_taken_in_without_a_server_and_are_there_after_a_restart() {
    let (dir, config) = enrolled();
    let first = start(&config, dir.path()).await;
    serving(first, async |ready, client| {
        capture(&ready, &client, "a").await;
        capture(&ready, &client, "b").await;
        let readyz = format!("{}/readyz", ready.ops);
        let answer = client.get(&readyz, HeaderMap::new()).await.unwrap();
        assert_eq!(answer.status, 200);
    })
    .await;
    assert!(!dir.path().join(files::SOCKET).exists());
    let second = start(&config, dir.path()).await;
    let status = serving(second, async |ready, client| {
        capture(&ready, &client, "b").await;
        status(&ready, &client).await
    })
    .await;
    let figures = (
        status.epoch,
        status.head_seq,
        status.acked_seq,
        status.waiting,
    );
    assert_eq!(figures, (1, 2, 0, 2));
    assert_eq!(status.server, "down");
    let word = |refused, revoked, busy| {
        let status = Status {
            refused,
            revoked,
            busy,
            ..status.clone()
        };
        status.server_word().to_owned()
    };
    assert_eq!(word(false, false, false), "down");
    assert_eq!(word(true, true, false), "refused (revoked)");
    assert_eq!(word(true, false, false), "refused");
    // A server that refused once and is away now.
    assert_eq!(word(false, true, false), "down");
    assert_eq!(word(false, false, true), "busy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_or_damaged_begins_a_new_epoch() {
    let (dir, config) = enrolled();
    let epoch_of = async || {
        let started = start(&config, dir.path()).await;
        let epoch = started.app.log.epoch();
        serving(started, async |_, _| ()).await;
        epoch
    };
    assert_eq!((epoch_of().await, epoch_of().await), (1, 1));
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert_eq!(epoch_of().await, 2);
    fs::write(dir.path().join("store/CURRENT"), "nonsense\n").unwrap();
    assert_eq!(epoch_of().await, 3);
    let marker = fs::read_to_string(dir.path().join(files::EPOCH)).unwrap();
    assert_eq!(marker.trim(), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_usable_credentials_takes_visits_in_and_says_what_to_do() {
    for harm in [
        |dir: &Path| fs::remove_file(dir.join(files::KEY)).unwrap(),
        |dir: &Path| fs::write(dir.join(files::CERT), [0; 300]).unwrap(),
        |dir: &Path| {
            fs::remove_file(dir.join(files::CA)).unwrap();
            fs::create_dir(dir.join(files::CA)).unwrap();
        },
    ] {
        let (dir, config) = enrolled();
        harm(dir.path());
        let started = start(&config, dir.path()).await;
        let mut link = started.app.link.watch();
        let status = serving(started, async |ready, client| {
            capture(&ready, &client, "a").await;
            let told = link.wait_for(|link| !link.problem.is_empty());
            timeout(Duration::from_secs(20), told)
                .await
                .unwrap()
                .unwrap();
            status(&ready, &client).await
        })
        .await;
        assert_eq!(status.waiting, 1);
        assert!(
            status.problem.contains("enrol the device"),
            "{}",
            status.problem
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_which_damage_is_read_later_is_set_aside_while_the_agent_runs() {
    let (dir, config) = enrolled();
    let first = start(&config, dir.path()).await;
    for n in 0..200 {
        // Several blocks, more than a start looks at.
        let entries = vec![mutations::new_entry(&format!("{n} {}", "x".repeat(100)))];
        let lane = Lane::Visits;
        first
            .app
            .log
            .append(Append { lane, entries })
            .await
            .unwrap();
    }
    first.rocks.flush().unwrap();
    mutations::end(first).await;
    let tables = crate::salvage::files::files(&dir.path().join("store")).unwrap();
    let size = |path: &PathBuf| fs::metadata(path).unwrap().len();
    let tables = tables
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "sst"));
    let table = tables.max_by_key(size).unwrap();
    let mut bytes = fs::read(&table).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..][..4096].fill(0);
    fs::write(&table, bytes).unwrap();
    let second = start(&config, dir.path()).await;
    let app = second.app.clone();
    let mut heads = app.log.heads();
    serving(second, async |ready, client| {
        // Somebody reads a damaged block, as sync does, unless the store was emptied before.
        let all = trenza_shared::store::Range::ALL;
        let direction = trenza_shared::store::Direction::Forward;
        drop(app.store.scan(LOG.space(), all, direction, 1_000));
        app.mend.notify_one();
        let renewed = heads.wait_for(|heads| heads.keys().any(|(epoch, _)| *epoch == 2));
        timeout(Duration::from_secs(20), renewed)
            .await
            .unwrap()
            .unwrap();
        capture(&ready, &client, "b").await;
        assert_eq!(status(&ready, &client).await.epoch, 2);
    })
    .await;
    let aside = kept(&dir.path().join("store")).unwrap();
    assert!(aside.iter().any(|kept| kept.kind == Kind::Damaged));
    // The marker says so, and how far the log went since.
    let marker = fs::read_to_string(dir.path().join(files::EPOCH)).unwrap();
    assert_eq!(marker.split_whitespace().next(), Some("2"));
}

#[tokio::test]
async fn settings_that_cannot_be_used_open_no_store() {
    let (dir, mut config) = enrolled();
    config.listen.https = "0.0.0.0:8322".into();
    let clock = Arc::new(TestClock::at(NOW));
    let refused = Started::new(config, dir.path(), clock).await;
    assert!(matches!(refused, Err(StartError::Config(_))));
    assert!(!dir.path().join("store").exists());
}
