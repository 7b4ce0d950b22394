//! What every page must be: whole, inert, labelled, in one language.

use std::collections::BTreeSet;

use axum::http::header;

use super::{Browser, Lang, Role, investor, pages};

/// Tags with their attributes, in order; enough for pages that we write ourselves.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let from = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag.get(from..)?.split('"').next()
}

/// Elements that end with their start tag.
const VOID: [&str; 10] = [
    "meta", "link", "input", "img", "br", "!doctype", "path", "rect", "circle", "use",
];

fn well_formed(path: &str, html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut wanted: Vec<&str> = Vec::new();
    for tag in tags(html) {
        let name = tag.split([' ', '\n', '/']).next().unwrap_or_default();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop(),
                Some(closed),
                "{path}: </{closed}> closes nothing"
            );
        } else if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
        if let Some(id) = attribute(tag, "id") {
            assert!(ids.insert(id), "{path}: id {id} twice");
        }
        for list in ["for", "aria-labelledby", "aria-describedby"] {
            wanted.extend(
                attribute(tag, list)
                    .into_iter()
                    .flat_map(|value| value.split(' ')),
            );
        }
        assert!(
            attribute(tag, "style").is_none() && !tag.contains(" on"),
            "{path}: inline code or style in <{tag}>"
        );
        assert_ne!(name, "style", "{path}");
        assert!(
            name != "script" || attribute(tag, "src").is_some(),
            "{path}: a script in the page"
        );
        for place in ["href", "src", "action"] {
            if let Some(target) = attribute(tag, place) {
                assert!(
                    target.starts_with('/') && !target.starts_with("//") || target.starts_with('#'),
                    "{path}: {target} leaves the site"
                );
            }
        }
        if ["input", "select", "textarea"].contains(&name)
            && attribute(tag, "type") != Some("hidden")
        {
            let id = attribute(tag, "id").unwrap_or_else(|| panic!("{path}: <{tag}> has no id"));
            assert!(
                html.contains(&format!("<label for=\"{id}\"")),
                "{path}: {id} has no label"
            );
        }
    }
    assert!(open.is_empty(), "{path}: {open:?} stays open");
    for id in wanted {
        assert!(ids.contains(id), "{path}: nothing has the id {id}");
    }
    assert_eq!(html.matches("<h1").count(), 1, "{path}: one main heading");
    assert_eq!(html.matches("<main").count(), 1, "{path}");
}

#[tokio::test]
async fn every_page_is_whole_inert_and_labelled_in_every_language() {
    let server = investor().await;
    let browser = Browser::of(&server, Role::Admin).await;
    for lang in Lang::ALL {
        for path in pages(&browser, lang).await {
            let answer = browser.get(&path).await;
            if path.ends_with("/sign-in") {
                assert_eq!(answer.status, 303);
                continue;
            }
            assert_eq!(
                answer.status,
                if path.ends_with("/nowhere") { 404 } else { 200 },
                "{path}"
            );
            assert!(
                answer
                    .text
                    .contains(&format!("<html lang=\"{}\">", lang.code())),
                "{path}"
            );
            assert!(
                !answer.text.contains("<script>") && !answer.text.contains("alert(1)</"),
                "{path}"
            );
            well_formed(&path, &answer.text);
            // The switch keeps the page.
            let switched = path
                .replacen(lang.code(), lang.other().code(), 1)
                .replace('&', "&#38;");
            assert!(
                answer.text.contains(&format!("href=\"{switched}\"")),
                "{path}: no way to {switched}"
            );
            let policy = answer.headers[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap();
            assert!(
                policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
                "{policy}"
            );
            assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(answer.headers[header::REFERRER_POLICY], "no-referrer");
            assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        }
    }
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn the_style_sheet_is_served_under_the_name_of_its_content() {
    let server = investor().await;
    let browser = Browser::of(&server, Role::Reader).await;
    let page = browser.get("/es/find").await;
    let style = super::between(&page.text, "rel=\"stylesheet\" href=\"", "\"").unwrap();
    let answer = browser.get(style).await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.headers[header::CONTENT_TYPE].to_str().unwrap()
        ),
        (200, "text/css; charset=utf-8")
    );
    assert!(
        answer.headers[header::CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    assert_eq!(browser.get("/assets/other.css").await.status, 404);
    drop(browser);
    server.close().await;
}
