//! Somebody who comes from the website with a code.

use super::*;

#[tokio::test]
async fn a_code_of_the_website_carries_on_and_asks_for_nothing_twice() {
    let stand = stand();
    let code = |end: i64| {
        format!("email%3Dada%2540example.org%26firstName%3DAda%26a%3Dweb-7%26u%3Du-7%26x%3D{end}")
    };
    let (response, page) = stand
        .fill("/es/scan", &format!("code={}", code(NOW + 60_000)))
        .await;
    assert_eq!(response.status(), 200);
    for part in [
        "Sigue de la web",
        "value=\"ada@example.org\"",
        "value=\"Ada\"",
        "name=\"web_visitor\" value=\"web-7\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(stand.events().is_empty());
    let fields = "contact=ada%40example.org&first_name=Ada&web_visitor=web-7&web_user=u-7";
    let form = format!("{}&{fields}", hidden(&page));
    assert_eq!(
        location(&stand.post("/es/quick", &form).await.0),
        "/es/saved/visit"
    );
    let events = stand.events();
    for event in &events {
        let id = |name| event.text_at(&[name]);
        assert_eq!(
            (id("anonymousId"), id("userId")),
            (Some("web-7"), Some("u-7"))
        );
    }
    assert_eq!(
        events[0].text_at(&["traits", "email"]),
        Some("ada@example.org")
    );
    // Nothing personal is kept: then their id on the website is not either.
    let (_, page) = stand
        .fill("/en/scan", &format!("code={}", code(NOW + 60_000)))
        .await;
    let form = format!("{}&{fields}&without=1", hidden(&page));
    assert_eq!(
        location(&stand.post("/en/quick", &form).await.0),
        "/en/saved/without"
    );
    let last = stand.events().pop().unwrap();
    assert!(last.text_at(&["anonymousId"]) != Some("web-7") && last.text_at(&["userId"]).is_none());
    let (response, page) = stand
        .fill("/en/scan", &format!("code={}", code(NOW - 1)))
        .await;
    assert!(
        response.status() == 422 && page.contains("That code has ended"),
        "{page}"
    );
}

#[tokio::test]
async fn what_is_no_whole_code_is_refused_with_what_to_do_and_never_saved() {
    let stand = stand();
    let late = NOW + 365 * 86_400_000;
    let long = "1".repeat(2_048);
    let refused = [
        (
            "email=h2@example.org&firstNa".to_owned(),
            "no ha llegado entero",
            "did not come whole",
        ),
        (
            "email=h2@example.org&a=web-7".to_owned(),
            "muestre otra vez",
            "show it again",
        ),
        (
            "email=h2@example.org&a=web-7&x=abc".to_owned(),
            "muestre otra vez",
            "show it again",
        ),
        (
            format!("email=h2@example.org&a=web-7&x={late}"),
            "más de un día",
            "over a day",
        ),
        (
            format!("email=h2@example.org&a={long}"),
            "2.048 caracteres",
            "2,048 characters",
        ),
    ];
    for (code, es, en) in refused {
        let code: String = form_urlencoded::byte_serialize(code.as_bytes()).collect();
        for (lang, says) in [("es", es), ("en", en)] {
            let (response, page) = stand
                .fill(&format!("/{lang}/scan"), &format!("code={code}"))
                .await;
            assert_eq!(response.status(), 422, "{code}");
            assert!(page.contains(says), "{says}: {page}");
            assert!(!page.contains("h2@example.org"), "{page}");
        }
    }
    assert!(stand.events().is_empty());
    assert!(stand.get("/es/scan").await.1.contains("maxlength=\"2049\""));
}
