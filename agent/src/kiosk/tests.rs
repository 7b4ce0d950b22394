use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use tower::ServiceExt;
use trenza_shared::{
    clock::TestClock,
    event::Event,
    id::{AgentId, BootId, Lane},
    store::{Fault, FaultyStore},
};

use crate::{
    config::Config,
    http,
    link::LinkCell,
    log::{Fresh, Log, next_frame},
    merge::Today,
    state::{App, Parts},
};

mod web; // who comes from the website

/// 2026-03-14, 10:42 in Madrid.
const NOW: i64 = 1_773_481_320_000;
const FORM: &str = "application/x-www-form-urlencoded";

struct Stand {
    app: App,
    disk: Arc<FaultyStore>,
}

fn stand() -> Stand {
    let mut config = Config::default();
    let id = AgentId([7; 16]);
    config.agent.id = Some(id);
    config.agent.touchpoint = "Puesto B".into();
    config.capture.write_key = "wk_kiosk".into();
    let disk = Arc::new(FaultyStore::new(0, Fault::Full));
    let (log, _thread) = Log::open(
        disk.clone(),
        id,
        Fresh {
            epoch: 1,
            salt_root: [1; 32],
            damaged: false,
        },
    )
    .unwrap();
    let app = App::new(Parts {
        lan: None,
        today: Today::new(config.zone(), config.capture.write_key.clone()),
        dir: ".".into(),
        clock: Arc::new(TestClock::at(NOW)),
        boot: BootId([0; 16]),
        store: disk.clone(),
        log,
        link: Arc::new(LinkCell::open(disk.clone(), NOW).unwrap()),
        room: Arc::new(crate::room::RoomCell::new(config.store.room())),
        send_now: Arc::default(),
        salvage: Arc::default(),
        mend: Arc::default(),
        form_key: [3; 32],
        saved_visits: tokio::sync::Mutex::default(),
        config,
    });
    Stand { app, disk }
}

impl Stand {
    async fn ask(&self, request: Request<Body>) -> (Response<()>, String) {
        let (parts, body) = http::routes(&self.app, "http")
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            Response::from_parts(parts, ()),
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    async fn get(&self, path: &str) -> (Response<()>, String) {
        self.ask(
            Request::get(path)
                .header("host", "localhost:8321")
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    async fn post(&self, path: &str, form: &str) -> (Response<()>, String) {
        let request = Request::post(path)
            .header("host", "localhost:8321")
            .header("origin", "http://localhost:8321");
        self.ask(
            request
                .header("content-type", FORM)
                .body(Body::from(form.to_owned()))
                .unwrap(),
        )
        .await
    }

    /// Opens a form and sends it with `fields`.
    async fn fill(&self, path: &str, fields: &str) -> (Response<()>, String) {
        let (_, page) = self.get(path).await;
        self.post(path, &format!("{}&{fields}", hidden(&page)))
            .await
    }

    fn events(&self) -> Vec<Event> {
        let head = self.app.log.ends()[&(1, Lane::Visits)].seq;
        let frame = next_frame(&*self.app.store, 1, Lane::Visits, 0, head, head).unwrap();
        let entries = frame.map(|frame| frame.open().unwrap()).unwrap_or_default();
        entries
            .iter()
            .map(|entry| Event::stored(entry.text().unwrap().to_owned()).unwrap())
            .collect()
    }
}

/// `visit=..&token=..` of a page's form.
fn hidden(page: &str) -> String {
    let value = |name: &str| {
        page.split_once(&format!("name=\"{name}\" value=\""))
            .unwrap()
            .1
            .split_once('"')
            .unwrap()
            .0
            .to_owned()
    };
    format!("visit={}&token={}", value("visit"), value("token"))
}

fn location(response: &Response<()>) -> &str {
    response.headers()[header::LOCATION].to_str().unwrap()
}

#[tokio::test]
async fn the_home_page_says_that_work_goes_on_without_a_network() {
    let stand = stand();
    let (response, page) = stand.get("/es/").await;
    assert_eq!(response.status(), 200);
    for text in [
        "Escanear",
        "Alta rápida",
        "Sin red · 0 por enviar · desde 10:42 · puede seguir",
        "Aún no hay visitas en este turno",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let (_, page) = stand.get("/en/").await;
    assert!(page.contains("No network · 0 to send · since 10:42 · carry on"));
    stand.app.link.up(NOW);
    assert!(stand.get("/es/").await.1.contains("Todo enviado"));
}

#[tokio::test]
async fn the_browsers_language_is_chosen_and_unknown_ones_are_spanish() {
    let stand = stand();
    for (wanted, path) in [
        ("en-GB,en;q=0.9,es;q=0.5", "/en/"),
        ("es-MX,en;q=0.8", "/es/"),
        ("fr", "/es/"),
        ("", "/es/"),
    ] {
        let request = Request::get("/")
            .header("host", "localhost")
            .header("accept-language", wanted)
            .body(Body::empty())
            .unwrap();
        assert_eq!(location(&stand.ask(request).await.0), path, "{wanted}");
    }
    assert_eq!(stand.get("/fr/").await.0.status(), 404);
}

#[tokio::test]
async fn while_the_store_cannot_be_read_the_outbox_says_so_and_comes_back() {
    let stand = stand();
    stand.disk.die_after(0, false);
    stand.fill("/es/scan", "code=ABC").await;
    assert!(stand.disk.is_dead());
    let (response, page) = stand.get("/es/outbox").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["refresh"], "5; url=/es/outbox");
    assert!(page.contains("esta página vuelve sola"), "{page}");
    stand.disk.restart();
    assert_eq!(stand.get("/es/outbox").await.0.status(), 200);
}

#[tokio::test]
async fn pages_are_locked_down_and_bring_all_they_need() {
    let stand = stand();
    for path in [
        "/es/",
        "/es/scan",
        "/en/quick",
        "/es/saved/scan",
        "/en/outbox",
    ] {
        let (response, page) = stand.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(
            response.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'")
        );
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(
            !page.contains("style=")
                && !page.contains("onclick")
                && !page.contains("<script>")
                && !page.contains("//cdn"),
            "{path}"
        );
        let css = page
            .split_once("rel=\"stylesheet\" href=\"")
            .unwrap()
            .1
            .split_once('"')
            .unwrap()
            .0
            .to_owned();
        let (response, _) = stand.get(&css).await;
        assert_eq!(response.status(), 200);
        assert!(
            response.headers()[header::CACHE_CONTROL]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
    }
}

#[tokio::test]
async fn a_scanned_badge_is_a_visit_with_an_id_of_its_own() {
    let stand = stand();
    for code in ["B-100", "B-200"] {
        let (response, _) = stand.fill("/es/scan", &format!("code={code}")).await;
        assert_eq!(
            (response.status(), location(&response)),
            (StatusCode::SEE_OTHER, "/es/saved/scan")
        );
    }
    let events = stand.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].text_at(&["event"]), Some("Badge Scanned"));
    assert_eq!(
        events[0].text_at(&["context", "traits", "badgeId"]),
        Some("B-100")
    );
    assert_eq!(
        events[0].text_at(&["context", "trenza", "touchpoint"]),
        Some("Puesto B")
    );
    assert_ne!(
        events[0].text_at(&["anonymousId"]),
        events[1].text_at(&["anonymousId"])
    );
    let (_, page) = stand.get("/es/saved/scan").await;
    assert!(
        page.contains("No lo conozco todavía. Se guarda y se resolverá al enviar")
            && !page.contains("B-200")
    );
    assert!(
        stand
            .get("/es/")
            .await
            .1
            .contains("2 visitas en este turno")
    );
    assert!(
        stand
            .get("/en/")
            .await
            .1
            .contains("No network · 2 to send · since 10:42 · carry on")
    );
    let (_, page) = stand.get("/es/outbox").await;
    assert!(page.contains("Visita o acción") && page.contains("10:42") && !page.contains("B-100"));
}

#[tokio::test]
async fn pressing_save_twice_saves_once() {
    let stand = stand();
    let (_, page) = stand.get("/es/scan").await;
    let form = format!("{}&code=B-7", hidden(&page));
    for _ in 0..2 {
        assert_eq!(stand.post("/es/scan", &form).await.0.status(), 303);
    }
    assert_eq!(stand.events().len(), 1);
}

#[tokio::test]
async fn a_form_of_another_site_or_without_its_token_saves_nothing_and_keeps_what_was_typed() {
    let stand = stand();
    let (response, page) = stand.post("/es/scan", "code=B-9&visit=x&token=y").await;
    assert_eq!(response.status(), 403);
    assert!(page.contains("value=\"B-9\"") && page.contains("pulse Guardar otra vez"));
    let (_, fresh) = stand.get("/es/scan").await;
    let evil = Request::post("/es/scan")
        .header("host", "localhost:8321")
        .header("origin", "http://evil.example")
        .header("content-type", FORM);
    assert_eq!(
        stand
            .ask(
                evil.body(Body::from(format!("{}&code=B-9", hidden(&fresh))))
                    .unwrap()
            )
            .await
            .0
            .status(),
        403
    );
    let rebound = Request::get("/es/")
        .header("host", "evil.example:8321")
        .body(Body::empty())
        .unwrap();
    assert_eq!(stand.ask(rebound).await.0.status(), 403);
    assert!(stand.events().is_empty());
}

#[tokio::test]
async fn a_wrong_letter_is_named_and_its_right_one_saves_with_one_press() {
    let stand = stand();
    let (response, page) = stand
        .fill(
            "/es/quick",
            "contact=12345678A&first_name=Ana&last_name=Ruiz&second_last_name=Gil&topic=renta+fija",
        )
        .await;
    assert_eq!(response.status(), 422);
    assert!(page.contains("La letra no corresponde: ¿12345678Z?"));
    assert!(
        page.contains("name=\"contact_fix\" value=\"12345678Z\"")
            && page.contains("value=\"Ruiz\"")
    );
    let form = format!(
        "{}&contact=12345678A&first_name=Ana&last_name=Ruiz&second_last_name=Gil&topic=renta+fija&contact_fix=12345678Z",
        hidden(&page)
    );
    let (response, _) = stand.post("/es/quick", &form).await;
    assert_eq!(location(&response), "/es/saved/visit");
    let events = stand.events();
    let of = |path: &[&str]| {
        events
            .iter()
            .find_map(|event| event.text_at(path))
            .map(str::to_owned)
    };
    assert_eq!(of(&["traits", "nationalId"]).as_deref(), Some("12345678Z"));
    assert_eq!(of(&["traits", "secondLastName"]).as_deref(), Some("Gil"));
    assert_eq!(of(&["properties", "topic"]).as_deref(), Some("renta fija"));
    assert_eq!(
        events[0].text_at(&["anonymousId"]),
        events[1].text_at(&["anonymousId"])
    );
}

#[tokio::test]
async fn a_mistyped_provider_is_offered_for_correction_and_may_stay() {
    let stand = stand();
    let (_, page) = stand.fill("/en/quick", "contact=ana%40gmial.com").await;
    assert!(
        page.contains("Did you mean ana@gmail.com?") && page.contains("value=\"ana@gmail.com\"")
    );
    let (response, _) = stand
        .post(
            "/en/quick",
            &format!("{}&contact=ana%40gmial.com&keep=1", hidden(&page)),
        )
        .await;
    assert_eq!(response.status(), 303);
    assert_eq!(
        stand.events()[0].text_at(&["traits", "email"]),
        Some("ana@gmial.com")
    );
}

#[tokio::test]
async fn a_telephone_is_kept_with_its_country() {
    let stand = stand();
    stand.fill("/es/quick", "contact=612+345+678").await;
    assert_eq!(
        stand.events()[0].text_at(&["traits", "phone"]),
        Some("+34612345678")
    );
}

#[tokio::test]
async fn saved_without_personal_data_has_none_even_when_it_was_typed() {
    let stand = stand();
    let (response, _) = stand
        .fill(
            "/es/quick",
            "contact=nonsense&first_name=Ana&company=Acme&reason=demo&without=1",
        )
        .await;
    assert_eq!(location(&response), "/es/saved/without");
    let events = stand.events();
    assert_eq!(events.len(), 1);
    assert!(
        !events[0].text.contains("Ana")
            && !events[0].text.contains("Acme")
            && !events[0].text.contains("nonsense")
    );
    assert_eq!(events[0].text_at(&["properties", "reason"]), Some("demo"));
}

#[tokio::test]
async fn what_cannot_be_stored_stays_on_the_screen() {
    let stand = stand();
    stand.disk.fail_every(1, Fault::Full);
    let (response, page) = stand.fill("/es/scan", "code=B-5").await;
    assert_eq!(response.status(), 503);
    assert!(page.contains("value=\"B-5\"") && page.contains("No se ha podido guardar"));
    stand.disk.fail_every(0, Fault::Full);
    assert_eq!(
        stand
            .post("/es/scan", &format!("{}&code=B-5", hidden(&page)))
            .await
            .0
            .status(),
        303
    );
    assert_eq!(stand.events().len(), 1);
}

#[tokio::test]
async fn capture_takes_any_key_and_any_origin_and_status_counts_it() {
    let stand = stand();
    let body = r#"{"writeKey":"unknown-here","batch":[{"type":"track","event":"x","userId":"u","messageId":"m1"},{"type":"nonsense","userId":"u"}]}"#;
    let request = || {
        Request::post("/v1/batch")
            .header("host", "localhost:8321")
            .header("origin", "https://shop.example")
            .body(Body::from(body))
            .unwrap()
    };
    let (response, answer) = stand.ask(request()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN],
        "https://shop.example"
    );
    assert!(answer.contains("\"rejected\":[{\"index\":1"), "{answer}");
    let (_, status) = stand.get("/v1/status").await;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        (&status["head_seq"], &status["waiting"], &status["server"]),
        (&2.into(), &2.into(), &"down".into())
    );
}
