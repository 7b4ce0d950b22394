//! Questions as people read them, and their answers.

use serde_json::json;

use super::{Browser, CORE, Lang, Role, Server, WEB, between};

/// Two records that may be one person's; one of them with no value of its own where somebody else holds its telephone too.
async fn asked(is_shared: bool) -> Server {
    let server = Server::start().await;
    let phone = "600111222";
    let document = json!({"email": "xesca@example.org", "phone": phone, "nationalId": "12345678Z"});
    let mut records = if is_shared {
        let other = json!({"phone": phone, "nationalId": "87654321X"});
        vec![
            (WEB, "Xesqueta", "1980-05-12", document),
            (CORE, "Bartomeu", "1950-01-02", other),
        ]
    } else {
        let own = json!({"email": "xesca@example.org"});
        vec![(WEB, "Xesqueta", "1980-05-12", own)]
    };
    records.push((CORE, "Xesqueta", "1980-05-17", json!({ "phone": phone })));
    for (nth, (source, name, birthday, contact)) in records.into_iter().enumerate() {
        let mut traits = json!({"firstName": name, "lastName": "Bordils Amengual", "birthday": birthday, "city": "Soria"});
        for (key, value) in contact.as_object().unwrap() {
            traits[key] = value.clone();
        }
        let event = json!({"type": "identify", "messageId": format!("m-{nth}"), "traits": traits});
        server.capture(source, &[event]).await;
    }
    server
}

#[tokio::test]
async fn a_question_is_read_and_answered_and_gone() {
    read_answered_and_gone(asked(false).await).await;
}

#[tokio::test]
async fn a_question_about_a_record_without_a_value_of_its_own_is_answered_too() {
    read_answered_and_gone(asked(true).await).await;
}

async fn read_answered_and_gone(server: Server) {
    let browser = Browser::of(&server, Role::Steward).await;
    for (lang, for_it) in [
        (Lang::Es, "A favor: el mismo nombre, los mismos apellidos"),
        (Lang::En, "For: the same given name, the same surnames"),
    ] {
        let page = browser.get(&format!("/{}/review", lang.code())).await.text;
        assert!(page.contains(for_it), "{page}");
        assert_eq!(
            page.matches("name=\"kind\" value=\"same\"").count(),
            1,
            "{page}"
        );
    }
    let page = browser.get("/en/review").await.text;
    let field = |name: &str| {
        between(&page, &format!("name=\"{name}\" value=\""), "\"")
            .unwrap()
            .to_owned()
    };
    let (one, two) = (field("one"), field("two"));
    let (one_value, two_value) = (field("one_value"), field("two_value"));
    let query =
        format!("kind=same&one={one}&one_value={one_value}&two={two}&two_value={two_value}");
    let preview = browser.get(&format!("/en/decisions/new?{query}")).await;
    assert!(
        preview.text.contains("These become one record:"),
        "{}",
        preview.text
    );
    let consents = "No consent is on record: that counts as no.";
    assert!(preview.text.contains(consents), "{}", preview.text);
    let fields = [
        ("kind", "same"),
        ("one", &one),
        ("one_value", &one_value),
        ("two", &two),
        ("two_value", &two_value),
        ("reason", "She showed both"),
    ];
    assert_eq!(browser.post("/en/decisions", &fields).await.status, 303);
    let page = browser.get("/en/review").await.text;
    assert!(page.contains("Nothing to decide."), "{page}");
    assert_eq!(
        browser.record("xesca").await,
        browser.record("xesqueta").await
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_question_shows_what_both_say_how_far_it_agrees_and_how_sure_it_is() {
    let server = Server::start().await;
    let said = |message: &str, first: &str, birthday: &str, more: serde_json::Value| {
        let mut traits = json!({"firstName": first, "lastName": "Bordils Amengual", "birthday": birthday, "city": "Soria",
            "email": format!("{message}@example.org")});
        for (key, value) in more.as_object().unwrap() {
            traits[key] = value.clone();
        }
        json!({"type": "identify", "messageId": message, "traits": traits})
    };
    let one = said(
        "web",
        "Xesqueta",
        "1980-05-12",
        json!({"phone": "600111222"}),
    );
    let two = said("core", "XESQUETA", "1980-05-17", json!({}));
    server.capture(WEB, &[one]).await;
    server.capture(CORE, &[two]).await;
    let browser = Browser::of(&server, Role::Steward).await;
    for (lang, texts) in [
        (
            Lang::Es,
            [
                "Casi coincide",
                "una fecha de nacimiento con una errata",
                "En contra: otro correo.",
                "Distinto: en contra",
                "Falta en una",
                "Certeza: ",
                " a 1 a favor.</strong>",
                "haría falta 2.048 a 1 a favor",
            ],
        ),
        (
            Lang::En,
            [
                "Nearly agrees",
                "a date of birth with one slip",
                "Against: another e-mail.",
                "Differs: against",
                "Missing in one",
                "How sure: ",
                " to 1 for it.</strong>",
                "it would take 2,048 to 1 for it",
            ],
        ),
    ] {
        let page = browser.get(&format!("/{}/review", lang.code())).await.text;
        let values = [
            "1980-05-12",
            "1980-05-17",
            "web@example.org",
            "core@example.org",
            "+34600111222",
        ];
        for text in texts.into_iter().chain(values) {
            assert!(page.contains(text), "{text}: {page}");
        }
    }
    let reader = Browser::of(&server, Role::Reader).await;
    let page = reader.get("/en/review").await.text;
    for text in ["1980-05", "web@", "Bordils", "Soria", "600111"] {
        assert!(!page.contains(text), "{text}: {page}");
    }
    assert!(
        page.contains("Nearly agrees") && page.contains("B*** A***"),
        "{page}"
    );
    drop((browser, reader));
    server.close().await;
}

#[tokio::test]
async fn who_may_be_one_person_is_not_asked_about_as_a_home_too() {
    let server = Server::start().await;
    for (source, birthday, email) in [
        (WEB, "1980-05-12", "xesca1@example.org"),
        (CORE, "1991-11-30", "xesca2@example.org"),
    ] {
        let traits = json!({"firstName": "Xesqueta", "lastName": "Bordils", "birthday": birthday, "email": email,
            "address": {"street": "Calle del Olmo 14", "postalCode": "28012"}});
        let event =
            json!({"type": "identify", "messageId": format!("m-{source}"), "traits": traits});
        server.capture(source, &[event]).await;
    }
    let browser = Browser::of(&server, Role::Steward).await;
    let page = browser.get("/en/review").await.text;
    assert_eq!(
        page.matches("name=\"kind\" value=\"same\"").count(),
        1,
        "{page}"
    );
    assert!(
        page.contains("Nobody else seems to share a home."),
        "{page}"
    );
    // That they are two is no answer to whether they live together.
    let field = |name: &str| between(&page, &format!("name=\"{name}\" value=\""), "\"").unwrap();
    let mut fields = vec![("kind", "not_same"), ("reason", "Mother and daughter")];
    fields.extend(["one", "one_value", "two", "two_value"].map(|name| (name, field(name))));
    assert_eq!(browser.post("/en/decisions", &fields).await.status, 303);
    let page = browser.get("/en/review").await.text;
    assert!(
        page.contains("Nothing to decide.") && homes(&page) == 1,
        "{page}"
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_reader_sees_questions_masked_and_decides_nothing() {
    let server = asked(false).await;
    let browser = Browser::of(&server, Role::Reader).await;
    let page = browser.get("/en/review").await.text;
    assert!(page.contains("For: the same given name"), "{page}");
    assert!(
        !page.contains("xesca@") && !page.contains("Bordils"),
        "{page}"
    );
    assert!(!page.contains("name=\"kind\""), "{page}");
    drop(browser);
    server.close().await;
}

/// A couple of different surnames with the landline of their home, and their daughter.
async fn family() -> Server {
    let server = Server::start().await;
    let lives = |message: &str, first: &str, last: &str, street: &str, phone: &str| {
        json!({"type": "identify", "messageId": message, "timestamp": "2026-03-01T10:00:00Z", "traits": {
            "firstName": first, "lastName": last, "email": format!("{message}@example.org"), "phone": phone,
            "address": {"street": street, "postalCode": "28012"}}})
    };
    let events = [
        lives(
            "carmen",
            "Carmen",
            "Vidal Ríos",
            "Calle del Olmo 14",
            "913456789",
        ),
        lives("jorge", "Jorge", "Lara Gil", "Calle Mayor 3", "913456789"),
        lives(
            "nora",
            "Nora",
            "Lara Vidal",
            "Calle del Olmo 14",
            "600111222",
        ),
        lives(
            "eva",
            "Eva",
            "Vidal Soler",
            "Calle del Olmo 41",
            "600333444",
        ),
    ];
    server.capture(WEB, &events).await;
    server
}

fn homes(page: &str) -> usize {
    page.matches("name=\"kind\" value=\"household\"").count()
}

#[tokio::test]
async fn who_may_live_together_is_proposed_once_decided_or_put_off() {
    let server = family().await;
    let browser = Browser::of(&server, Role::Steward).await;
    let page = browser.get("/es/review").await.text;
    // Carmen and Jorge by the landline, Carmen and Nora by address and a surname; Eva lives elsewhere.
    assert_eq!(homes(&page), 2, "{page}");
    for why in [
        "el mismo teléfono fijo, +34913456789",
        "la misma dirección, Calle del Olmo 14, 28012, y el apellido Vidal",
    ] {
        assert_eq!(page.matches(why).count(), 1, "{why}: {page}");
    }
    let reader = Browser::of(&server, Role::Reader).await;
    let masked = reader.get("/es/review").await.text;
    assert!(
        masked.contains("el mismo teléfono fijo, ***789") && masked.contains("y el apellido V***"),
        "{masked}"
    );
    assert!(
        !masked.contains("Olmo") && !masked.contains("Vidal"),
        "{masked}"
    );
    drop(reader);
    assert!(
        !page.contains("Eva Vidal") && !page.contains("name=\"kind\" value=\"same\""),
        "{page}"
    );
    let field = |page: &str, name: &str| {
        between(page, &format!("name=\"{name}\" value=\""), "\"")
            .unwrap()
            .to_owned()
    };
    let [one, one_value, two, two_value] =
        ["one", "one_value", "two", "two_value"].map(|name| field(&page, name));
    let fields = [
        ("kind", "household"),
        ("one", one.as_str()),
        ("one_value", one_value.as_str()),
        ("two", two.as_str()),
        ("two_value", two_value.as_str()),
        ("reason", "Viven juntas"),
    ];
    assert_eq!(browser.post("/es/decisions", &fields).await.status, 303);
    let page = browser.get("/es/review").await.text;
    assert_eq!(homes(&page), 1, "{page}");
    let accounts = browser.get("/es/accounts").await.text;
    assert!(accounts.contains("/es/accounts/acc_"), "{accounts}");
    // Named by who lives there, never by the decision.
    let name = between(&accounts, "/es/accounts/acc_", "</a>").unwrap();
    assert!(
        name.contains("Hogar de ") && name.contains(" y ") && name.contains("Vidal"),
        "{accounts}"
    );
    let account = format!("/es/accounts/acc_{}", name.split('"').next().unwrap());
    let page = browser.get(&account).await.text;
    assert!(
        page.contains("<h1>Hogar de ") && !page.contains("d_"),
        "{page}"
    );
    let reader = Browser::of(&server, Role::Reader).await;
    let masked = reader.get("/es/accounts").await.text;
    assert!(
        masked.contains("Hogar de ") && !masked.contains("Vidal"),
        "{masked}"
    );
    drop(reader);
    let page = browser.get("/es/review").await.text;
    // Put off by one, for thirty days.
    let (one, two) = (field(&page, "one"), field(&page, "two"));
    let later = browser
        .post("/es/review/later", &[("one", &two), ("two", &one)])
        .await;
    assert_eq!(later.status, 303);
    let page = browser.get("/es/review?later=1").await.text;
    assert!(
        page.contains("Aplazada 30 días") && homes(&page) == 0,
        "{page}"
    );
    let other = Browser::of(&server, Role::Admin).await;
    assert_eq!(homes(&other.get("/es/review").await.text), 1);
    server.clock.advance_ms(30 * 86_400_000);
    let back = Browser::of(&server, Role::Steward).await;
    assert_eq!(homes(&back.get("/es/review").await.text), 1);
    drop((browser, other, back));
    server.close().await;
}

#[tokio::test]
async fn a_question_is_put_off_too() {
    let server = asked(false).await;
    let browser = Browser::of(&server, Role::Steward).await;
    let page = browser.get("/en/review").await.text;
    let field = |name: &str| between(&page, &format!("name=\"{name}\" value=\""), "\"").unwrap();
    let fields = [("one", field("one")), ("two", field("two"))];
    assert_eq!(browser.post("/en/review/later", &fields).await.status, 303);
    let page = browser.get("/en/review").await.text;
    assert!(page.contains("Nothing to decide."), "{page}");
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_preview_says_what_a_decision_will_not_do_and_why() {
    let server = Server::start().await;
    for (nth, dni) in ["12345678Z", "87654321X"].into_iter().enumerate() {
        let traits = json!({"firstName": "Eva", "lastName": "Bordils", "nationalId": dni});
        let event = json!({"type": "identify", "messageId": format!("m{nth}"), "traits": traits});
        server.capture(WEB, &[event]).await;
    }
    let browser = Browser::of(&server, Role::Steward).await;
    let one = browser.record("12345678Z").await;
    let why = browser.get(&format!("{one}/why")).await.text;
    assert!(
        why.contains("<h1>¿Una persona o varias?</h1>")
            || why.contains("<h1>One person or several?</h1>"),
        "{why}"
    );
    let from = between(&why, "<option value=\"", "\"").unwrap();
    let why = browser
        .get(&format!("{one}/why?from={from}&other=87654321X"))
        .await
        .text;
    assert!(
        !why.contains("it would take") && !why.contains("haría falta"),
        "{why}"
    );
    let field = |name: &str| between(&why, &format!("name=\"{name}\" value=\""), "\"").unwrap();
    let query =
        ["one", "one_value", "two", "two_value"].map(|name| format!("{name}={}", field(name)));
    for (lang, says) in [
        (
            "es",
            "No se unen. Una persona no puede tener el DNI 12345678Z y el DNI 87654321X: no se unen, coincida lo que coincida.",
        ),
        (
            "en",
            "They are not joined. One person cannot have the DNI 12345678Z and the DNI 87654321X: they are not linked, whatever agrees.",
        ),
    ] {
        let page = browser
            .get(&format!(
                "/{lang}/decisions/new?kind=same&{}",
                query.join("&")
            ))
            .await
            .text;
        assert!(page.contains(says), "{page}");
    }
    drop(browser);
    server.close().await;
}
