//! A store that cannot be opened: the agent listens, refuses with the reason, and opens it by itself.

use std::time::Instant;

use ::http::StatusCode;
use tokio::sync::mpsc;

use super::*;
use crate::{
    doctor::{self, Asked},
    room::Room,
    status::Status,
};

/// How soon the store is used once it can be opened.
const SOON: Duration = Duration::from_secs(5);

async fn get(client: &Client, url: String) -> (StatusCode, String) {
    let answer = client.get(&url, HeaderMap::new()).await.unwrap();
    (
        answer.status,
        String::from_utf8_lossy(&answer.body).into_owned(),
    )
}

fn client() -> Client {
    let time = TlsTime::new(Arc::new(TestClock::at(NOW)), 0);
    let (tls, _) = tls::client_config(Trust::default(), None, time).unwrap();
    Client::new(tls, ClientLimits::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_store_cannot_be_opened_listens_says_why_and_opens_it_by_itself() {
    let (dir, mut config) = enrolled();
    config.store.dir = "blocked/store".into();
    let blocked = dir.path().join("blocked");
    fs::write(&blocked, "no folder").unwrap();

    let (told, mut addresses) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let (of_agent, folder) = (config.clone(), dir.path().to_owned());
    let running = tokio::spawn(async move {
        let mut stopped = Box::pin(async {
            let _gone = stopped.await;
        });
        let clock = Arc::new(TestClock::at(NOW));
        let tell = |ready: &Ready| told.send(ready.clone()).unwrap();
        let started = Started::when_it_can(of_agent, &folder, clock, tell, &mut stopped).await;
        let started = started.unwrap().expect("it was not stopped before");
        told.send(started.ready.clone()).unwrap();
        started.serve(stopped).await;
    });
    let ready = addresses.recv().await.unwrap();
    assert!(!ready.ready, "{ready:?}");

    let client = client();
    let body = r#"{"writeKey":"wk_kiosk","type":"track","event":"x","userId":"u","messageId":"a"}"#;
    let post = async |path: &str| {
        let url = format!("{}{path}", ready.http);
        client.post(&url, HeaderMap::new(), body).await.unwrap()
    };
    let refused = post("/v1/track").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.retry_after_s(), Some(5));
    let error = refused.error().unwrap();
    assert_eq!(error.code, "failed");
    assert!(error.message.contains("the disk fails"), "{error:?}");
    let (status, text) = get(&client, format!("{}/readyz", ready.ops)).await;
    assert_eq!(status, 503);
    assert!(text.contains("cannot be opened yet"), "{text}");
    for (lang, words) in [
        ("es", "no se puede guardar"),
        ("en", "nothing can be saved"),
    ] {
        let (status, page) = get(&client, format!("{}/{lang}/", ready.http)).await;
        assert_eq!(status, 503);
        assert!(page.contains(words), "{page}");
        for wrong in ["puede seguir", "carry on ·", "Aún no hay", "No visits"] {
            assert!(!page.contains(wrong), "{page}");
        }
    }
    assert_eq!(post("/es/quick").await.status, 503);
    // The whole shape, over the port and over the local socket.
    let (_, text) = get(&client, format!("{}/v1/status", ready.http)).await;
    let status: Status = serde_json::from_str(&text).unwrap();
    assert_eq!((status.agent, status.room), (ID, Room::Failed));
    let socket = trenza_shared::net::client::unix(dir.path().join(files::SOCKET));
    let answer = socket.get("/v1/status").await.unwrap();
    let answer = answer.whole(64 * 1024).await.unwrap();
    let local: Status = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(local.room_problem, status.room_problem);
    let clock = Arc::new(TestClock::at(NOW));
    let checks = doctor::examine(&config, dir.path(), clock, &Asked::Runs(local)).await;
    let agent = checks.iter().find(|check| check.name == "agent").unwrap();
    assert!(!agent.ok && agent.message.contains("refuses"), "{agent:?}");

    fs::remove_file(&blocked).unwrap();
    fs::create_dir(&blocked).unwrap();
    let since = Instant::now();
    let again = addresses.recv().await.unwrap();
    assert!(again.ready && since.elapsed() < SOON);
    assert_eq!((&again.http, &again.ops), (&ready.http, &ready.ops));
    // What was connected before is let go.
    let client = self::client();
    capture(&again, &client, "a").await;
    let (status, text) = get(&client, format!("{}/readyz", ready.ops)).await;
    assert_eq!(status, 200, "{text}");
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test]
async fn an_agent_that_waits_for_its_disk_can_be_stopped() {
    let (dir, mut config) = enrolled();
    config.store.dir = "blocked/store".into();
    fs::write(dir.path().join("blocked"), "no folder").unwrap();
    let clock = Arc::new(TestClock::at(NOW));
    let mut stop = Box::pin(async {});
    let started = Started::when_it_can(config, dir.path(), clock, |_| (), &mut stop).await;
    assert!(started.unwrap().is_none());
}

#[tokio::test]
async fn a_status_of_a_store_that_was_closed_by_its_disk_has_the_whole_shape() {
    let (dir, config) = enrolled();
    let started = start(&config, dir.path()).await;
    let open = crate::status::of(&started.app).unwrap();
    started.rocks.close().unwrap();
    let closed = crate::status::of(&started.app).unwrap();
    assert_eq!((closed.agent, closed.epoch), (ID, open.epoch));
    assert_eq!(closed.head_seq, open.head_seq);
}
