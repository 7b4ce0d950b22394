//! The pages through the router, over a store in memory.

mod accounts; // organisations and households
mod consent_test; // of a source that takes events from some pages alone
mod developer; // what they copy and are told
mod fleet; // that nothing is missing, and what is
mod flow; // decisions, invitations, sources
mod html; // what every page must be
mod live; // what arrives, and the source it comes from
mod reading; // what people read
mod review; // questions
mod rules; // of identity
mod why; // what links a record and what speaks against it

use axum::{
    body::Body,
    http::{Request, header, request},
};
use serde_json::{Value, json};
use trenza_shared::store::{Batch, Durable};

use super::text::Lang;
use crate::{
    admin::secret,
    tables::{Role, USERS, UserRow},
    testing::{Answer, CORE, Server, WEB},
};

/// Password of every user of a test.
const PASSWORD: &str = "correct horse battery";

/// Somebody's browser, signed in.
struct Browser<'a> {
    server: &'a Server,
    cookie: String,
    csrf: String,
}

/// Adds a person who may sign in.
fn user(server: &Server, name: &str, role: Role) {
    let mut batch = Batch::new();
    let row = UserRow {
        password_hash: secret::password_hash(PASSWORD).unwrap(),
        role,
    };
    USERS.put(&mut batch, &name.to_owned(), &row).unwrap();
    server.app.store.commit(batch, Durable::Yes).unwrap();
}

/// A form's body.
fn form(fields: &[(&str, &str)]) -> String {
    fields
        .iter()
        .map(|(name, value)| format!("{name}={}", super::page::encoded(value)))
        .collect::<Vec<_>>()
        .join("&")
}

fn posted(path: &str) -> request::Builder {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "text/html")
}

async fn sign_in(server: &Server, name: &str, password: &str) -> Answer {
    let fields = [
        ("user", name),
        ("password", password),
        ("next", "/en/fleet"),
    ];
    server
        .send(
            posted("/en/sign-in")
                .body(Body::from(form(&fields)))
                .unwrap(),
        )
        .await
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let from = text.find(before)? + before.len();
    let rest = text.get(from..)?;
    rest.get(..rest.find(after)?)
}

impl<'a> Browser<'a> {
    async fn of(server: &'a Server, role: Role) -> Self {
        let name = format!("{role:?}").to_lowercase();
        user(server, &name, role);
        let answer = sign_in(server, &name, PASSWORD).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let cookie = answer.headers[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        let mut browser = Self {
            server,
            cookie,
            csrf: String::new(),
        };
        let page = browser.get("/en/find").await;
        browser.csrf = between(&page.text, "name=\"csrf\" value=\"", "\"")
            .unwrap()
            .to_owned();
        browser
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path)
            .header(header::COOKIE, &self.cookie)
            .header(header::ACCEPT, "text/html");
        self.server.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut fields = fields.to_vec();
        fields.push(("csrf", &self.csrf));
        self.post_bare(path, &fields).await
    }

    async fn post_bare(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = posted(path).header(header::COOKIE, &self.cookie);
        self.server
            .send(request.body(Body::from(form(fields))).unwrap())
            .await
    }

    /// The path of the first record that a search finds.
    async fn record(&self, q: &str) -> String {
        let page = self
            .get(&format!("/en/find?q={}", super::page::encoded(q)))
            .await;
        between(&page.text, "class=\"row\" href=\"", "\"")
            .unwrap_or_else(|| panic!("nobody for {q}: {}", page.text))
            .to_owned()
    }
}

/// An investor seen by web, fair and core system, and an unidentified visitor.
async fn investor() -> Server {
    let server = Server::start().await;
    let web = json!({"trenza": {"channel": "web"}});
    server
        .capture(
            WEB,
            &[
                json!({"type": "page", "anonymousId": "visitor-aaaa-0001", "messageId": "web-1", "timestamp": "2026-03-01T18:00:00Z", "properties": {"title": "Renta fija", "topic": "renta fija"}, "context": web}),
                json!({"type": "identify", "anonymousId": "visitor-aaaa-0001", "messageId": "web-2", "timestamp": "2026-03-03T18:05:00Z", "traits": {"email": "Ada@Example.org", "city": "Alcalá"}, "context": web}),
                json!({"type": "track", "event": "Badge Scanned", "messageId": "fair-1", "timestamp": "2026-03-14T09:59:00Z", "traits": {"badgeId": "B-7741", "email": "ada@example.org", "phone": "600 111 222"}, "properties": {"topic": "fondos"}, "context": {"trenza": {"channel": "event", "touchpoint": "Stand B"}}}),
                json!({"type": "page", "anonymousId": "visitor-bbbb-0002", "messageId": "web-3", "timestamp": "2026-03-01T18:00:00Z", "properties": {"title": "<script>alert(1)</script>"}, "context": web}),
            ],
        )
        .await;
    let account: Value = json!({"type": "identify", "messageId": "core-1", "timestamp": "2026-02-01T09:00:00Z",
        "traits": {"nationalId": "12345678Z", "phone": "+34600111222", "accountId": "ES-0001", "firstName": "Ada", "lastName": "Byron", "balance": 10000, "city": "Madrid"}});
    server.capture(CORE, &[account]).await;
    server
}

/// Every page that a signed-in admin can read without doing anything.
async fn pages(browser: &Browser<'_>, lang: Lang) -> Vec<String> {
    let code = lang.code();
    let record = browser
        .record("byron")
        .await
        .replacen("/en/", &format!("/{code}/"), 1);
    let mut paths: Vec<String> = [
        "find",
        "find?q=ada",
        "find?q=nobody",
        "decisions",
        "accounts",
        "accounts?q=byron",
        "review",
        "rules",
        "rules?version=1",
        "fleet",
        "fleet/invite",
        "live",
        "live?source=Website&show=problems&q=x",
        "first-steps",
        "sources",
        "sources/wk_web",
        "consent-test",
        "sign-in",
        "nowhere",
    ]
    .iter()
    .map(|path| format!("/{code}/{path}"))
    .collect();
    let stated = [
        ("name", "Byron"),
        ("kind", "household"),
        ("person", "ada@example.org"),
        ("role", "<b>"),
        ("decides", "1"),
    ];
    let made = browser.post(&format!("/{code}/accounts"), &stated).await;
    let account = made.headers[header::LOCATION].to_str().unwrap();
    paths.push(account.to_owned());
    let why = browser.get(&format!("{record}/why")).await;
    let options: Vec<&str> = why
        .text
        .split("<option value=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let (one, two) = (options[0], options[1]);
    let id = record.rsplit('/').next().unwrap();
    paths.push(format!("{record}?order=oldest"));
    paths.push(format!("{record}/why"));
    paths.push(format!("{record}/why?from={one}&to={two}"));
    paths.push(format!("{record}/why?from={one}&other=nobody@x.org"));
    paths.push(format!(
        "/{code}/decisions/new?kind=not_same&one={id}&one_value={one}&two={id}&two_value={two}"
    ));
    paths.push(record);
    paths
}
