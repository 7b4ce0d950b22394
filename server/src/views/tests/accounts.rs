//! Accounts and households: what a person sees and says of them.

use super::{Browser, Role, Server, investor};

async fn stated(browser: &Browser<'_>, fields: &[(&str, &str)]) -> String {
    let answer = browser.post("/en/accounts", fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let to = answer.headers["location"].to_str().unwrap();
    to.split('?').next().unwrap().to_owned()
}

async fn seen(server: &Server) {
    let browser = Browser::of(server, Role::Steward).await;
    let empty = browser.get("/es/accounts").await;
    assert!(empty.text.contains("Ninguna cuenta todavía"));
    let new = [
        ("name", "Seguros <Byron>"),
        ("kind", "organisation"),
        ("person", "ada@example.org"),
        ("role", "Compras"),
        ("pays", "1"),
        ("from", "2026-01-01"),
    ];
    let account = stated(&browser, &new).await;
    let page = browser.get(&account).await.text;
    for text in [
        "Seguros &#60;Byron&#62;",
        "Ada Byron",
        "Compras",
        "Pays",
        "from 2026-01-01",
        "Nobody known who decides",
    ] {
        assert!(page.contains(text), "{text} not in {page}");
    }
    // Another role of the same person; then the first one ends.
    let id = account.rsplit('/').next().unwrap();
    let decides = [
        ("account", id),
        ("person", "600111222"),
        ("role", "Gerente"),
        ("decides", "1"),
    ];
    assert_eq!(stated(&browser, &decides).await, account);
    let ended = [
        ("account", id),
        ("person", "ada@example.org"),
        ("role", "Compras"),
        ("to", "2026-02-01"),
    ];
    // Of two statements of one moment a hash would choose.
    server.clock.advance_ms(1_000);
    stated(&browser, &ended).await;
    let page = browser.get(&account.replace("/en/", "/es/")).await.text;
    for text in [
        "Gerente",
        "Decide",
        "Paga",
        "2026-01-01 – 2026-02-01",
        "Hoy no",
    ] {
        assert!(page.contains(text), "{text} not in {page}");
    }
    assert!(!page.contains("Sin decisor conocido"));
    let record = browser.get(&browser.record("byron").await).await.text;
    assert!(record.contains(&format!("href=\"{account}\"")) && record.contains("Gerente"));
    let found = browser.get("/en/accounts?q=segu").await.text;
    assert!(found.contains(&account));
    // Nothing is stated of nobody.
    let nobody = [
        ("account", id),
        ("person", "nobody@example.org"),
        ("role", "Recepción"),
    ];
    let answer = browser.post("/en/accounts", &nobody).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("Nobody has that value") && answer.text.contains("Recepción"));
    let turned = [
        ("account", id),
        ("person", "ada@example.org"),
        ("from", "2026-03-02"),
        ("to", "2026-03-01"),
    ];
    let answer = browser.post("/en/accounts", &turned).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("the last cannot be before the first"));
}

#[tokio::test]
async fn a_relation_is_added_under_ones_name_shown_and_ended() {
    let server = investor().await;
    seen(&server).await;
    server.close().await;
}

#[tokio::test]
async fn a_reader_sees_no_name_of_a_household_and_states_nothing() {
    let server = investor().await;
    let steward = Browser::of(&server, Role::Steward).await;
    let home = [
        ("name", "Familia Byron"),
        ("kind", "household"),
        ("person", "ada@example.org"),
    ];
    let account = stated(&steward, &home).await;
    let reader = Browser::of(&server, Role::Reader).await;
    for path in [account.as_str(), "/en/accounts"] {
        let page = reader.get(path).await.text;
        assert!(
            page.contains("F*** B***") && !page.contains("Byron"),
            "{page}"
        );
        assert!(!page.contains("Add relation"));
    }
    let answer = reader.post("/en/accounts", &home).await;
    assert_eq!(answer.status, 403);
    drop((steward, reader));
    server.close().await;
}
