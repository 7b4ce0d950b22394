//! What people read, and who may.

use axum::{
    body::Body,
    http::{Request, header},
};

use super::{Browser, PASSWORD, Role, Server, investor, sign_in, user};

#[tokio::test]
async fn nobody_reads_a_page_without_signing_in() {
    let server = investor().await;
    for path in [
        "/es/find",
        "/es/fleet",
        "/es/first-steps",
        "/es/sources",
        "/es/decisions",
        "/es/customers/c_00",
    ] {
        let answer = server
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.status, 303, "{path}");
        assert!(
            answer.headers[header::LOCATION]
                .to_str()
                .unwrap()
                .starts_with("/es/sign-in?next=%2Fes%2F"),
            "{path}"
        );
    }
    let root = server
        .send(
            Request::get("/")
                .header(header::ACCEPT_LANGUAGE, "en-GB,es;q=0.5")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(root.headers[header::LOCATION], "/en/find");
    server.close().await;
}

#[tokio::test]
async fn signing_in_gives_a_cookie_for_twelve_hours_that_only_its_hash_is_kept_of() {
    let server = Server::start().await;
    user(&server, "ada", Role::Steward);
    let (wrong, nobody) = (
        sign_in(&server, "ada", "wrong").await,
        sign_in(&server, "bob", "wrong").await,
    );
    assert_eq!((wrong.status.as_u16(), nobody.status.as_u16()), (401, 401));
    assert_eq!(
        wrong.text.replace("ada", ""),
        nobody.text.replace("bob", ""),
        "an unknown user gets the same answer"
    );
    assert!(wrong.headers.get(header::SET_COOKIE).is_none());
    let right = sign_in(&server, "ada", PASSWORD).await;
    assert_eq!(right.headers[header::LOCATION], "/en/fleet");
    let cookie = right.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "this listener is not encrypted");
    let pair = cookie.split(';').next().unwrap().to_owned();
    let look = |path: &'static str| {
        server.send(
            Request::get(path)
                .header(header::COOKIE, &pair)
                .body(Body::empty())
                .unwrap(),
        )
    };
    assert_eq!(look("/es/find").await.status, 200);
    server.clock.advance_ms(12 * 3_600_000 + 1);
    assert_eq!(look("/es/find").await.status, 303);
    server.close().await;
}

#[tokio::test]
async fn a_password_cannot_be_guessed_quickly() {
    let server = Server::start().await;
    user(&server, "ada", Role::Admin);
    for _ in 0..10 {
        assert_eq!(sign_in(&server, "ada", "wrong").await.status, 401);
    }
    assert_eq!(sign_in(&server, "ada", PASSWORD).await.status, 429);
    server.clock.advance_ms(60_000);
    assert_eq!(sign_in(&server, "ada", PASSWORD).await.status, 303);
    server.close().await;
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Reader).await;
    assert_eq!(
        browser.post("/es/sign-out", &[]).await.headers[header::LOCATION],
        "/es/sign-in"
    );
    assert_eq!(browser.get("/es/find").await.status, 303);
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn the_record_says_who_by_whom_and_what_happened() {
    let server = investor().await;
    let browser = Browser::of(&server, Role::Steward).await;
    let by_each = ["byron", "ada@exam", "600 111 222", "12345678-z", "ES-0001"];
    let record = browser.record("byron").await;
    for q in by_each {
        assert_eq!(browser.record(q).await, record, "{q}");
    }
    let page = browser.get(&record).await.text;
    for text in [
        "Ada Byron",
        "ada@example.org",
        "12345678Z",
        "+34600111222",
        "Renta fija",
        "Badge Scanned",
        "Stand B",
        "Core system",
        "10000",
        "Alcalá",
        "Arrived late",
        "14 Mar 2026, 10:59",
    ] {
        assert!(page.contains(text), "{text} is not in the record");
    }
    // The fair's badge came a minute after the fact: no mark.
    assert_eq!(page.matches("Arrived late").count(), 3);
    let spanish = browser.get(&record.replacen("/en/", "/es/", 1)).await.text;
    for text in [
        "Línea de vida",
        "Llegó tarde",
        "14/03/2026 10:59",
        "Lo mismo en una tabla",
    ] {
        assert!(spanish.contains(text), "{text} is not in the record");
    }
    let nobody = browser.get("/es/find?q=nadie").await.text;
    assert!(nobody.contains("Nadie con eso. ¿Buscar por parte del correo?"));
    let visitor = browser
        .record("visitor-bbbb-0002")
        .await
        .replacen("/en/", "/es/", 1);
    let visitor = browser.get(&visitor).await.text;
    assert!(
        visitor.contains("Visitante sin identificar: 1 visita web"),
        "{visitor}"
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_reader_sees_no_personal_value_on_any_page() {
    let server = investor().await;
    let browser = Browser::of(&server, Role::Reader).await;
    let decision = serde_json::json!({"kind": "household", "subjects": ["email:ada@example.org", "phone:600111222"], "reason": "Ada Byron said so"});
    let decided = server.post(Role::Steward, "/v1/decisions", &decision).await;
    assert_eq!(decided.status, 200, "{}", decided.text);
    let record = browser.record("byron").await;
    let why = browser.get(&format!("{record}/why")).await;
    let options: Vec<String> = why
        .text
        .split("<option value=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect();
    let mut texts = vec![why.text];
    for to in &options {
        texts.push(
            browser
                .get(&format!("{record}/why?from={}&to={to}", options[0]))
                .await
                .text,
        );
    }
    texts.push(browser.get(&record).await.text);
    texts.push(browser.get("/en/find").await.text);
    texts.push(browser.get("/en/decisions").await.text);
    for text in &texts {
        for secret in [
            "Byron",
            "ada@example",
            "600111222",
            "12345678",
            "B-7741",
            "ES-0001",
            "visitor-aaaa",
        ] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert!(texts.iter().any(|text| text.contains("A*** B***")));
    for path in [
        "/en/sources",
        "/en/fleet/invite",
        "/en/decisions/new?kind=same&one=a&one_value=b&two=c&two_value=d",
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(
            answer.text.contains("Your role does not allow this"),
            "{path}"
        );
    }
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn errors_are_pages_for_people_and_json_for_programs() {
    let server = Server::start().await;
    let ask = |path: &'static str, accept: &'static str| {
        server.send(
            Request::get(path)
                .header(header::ACCEPT, accept)
                .header(header::ACCEPT_LANGUAGE, "en")
                .body(Body::empty())
                .unwrap(),
        )
    };
    let page = ask("/nowhere", "text/html,*/*").await;
    assert_eq!(page.status, 404);
    assert!(page.text.contains("There is nothing here"));
    assert_eq!(ask("/nowhere", "*/*").await.json["code"], "not_found");
    assert_eq!(
        ask("/v1/customers", "text/html").await.json["code"],
        "unauthorized"
    );
    server.close().await;
}

#[tokio::test]
async fn a_long_line_of_life_comes_in_pages_from_either_end() {
    let server = Server::start().await;
    let event = |n: u32| {
        serde_json::json!({"type": "track", "event": format!("Visit {n:03}."), "userId": "u-1", "anonymousId": format!("a-{}", n % 3), "messageId": format!("m{n}"),
            "timestamp": format!("2026-03-{:02}T{:02}:00:00Z", 1 + n / 24, n % 24)})
    };
    server
        .capture(
            crate::testing::WEB,
            &(0..100).map(event).collect::<Vec<_>>(),
        )
        .await;
    let browser = Browser::of(&server, Role::Steward).await;
    let record = browser.record("u-1").await;
    for (order, expected) in [
        ("newest", (0..100).rev().collect::<Vec<u32>>()),
        ("oldest", (0..100).collect()),
    ] {
        let (mut seen, mut path) = (Vec::new(), format!("{record}?order={order}"));
        for _ in 0..5 {
            let page = browser.get(&path).await.text;
            let visits = page.split("<strong>Visit ").skip(1);
            seen.extend(visits.map(|rest| rest[..3].parse::<u32>().unwrap()));
            let next = super::between(&page, "&amp;after=", "#line");
            let Some(next) = next else { break };
            path = format!("{record}?order={order}&after={next}");
        }
        assert_eq!(seen, expected, "{order}");
    }
    drop(browser);
    server.close().await;
}
