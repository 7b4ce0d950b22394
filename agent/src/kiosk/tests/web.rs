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
