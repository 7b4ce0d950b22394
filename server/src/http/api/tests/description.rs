use std::collections::BTreeSet;

use axum::{body::Body, http::Request};
use serde_json::Value;

use crate::{
    http::{
        self,
        api::{CALLS, openapi::document},
    },
    testing::Server,
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub fn described() -> BTreeSet<(String, String)> {
    let document = document().unwrap();
    let mut out = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            assert!(METHODS.contains(&method.as_str()), "{path}: {method}");
            out.insert((path.clone(), method.clone()));
        }
    }
    out
}

/// The paths of a router, out of its debug form, which is all that axum tells of them.
fn paths(router: &axum::Router) -> BTreeSet<String> {
    let text = format!("{router:?}");
    let quoted = text.split('"').filter(|part| part.starts_with('/'));
    // The fallback has paths of its own: the root, which is a page's, and a wildcard.
    let named = quoted.filter(|path| *path != "/" && !path.starts_with("/{*"));
    named
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect()
}

#[tokio::test]
async fn the_description_has_every_public_url_and_no_other() {
    let server = Server::start().await;
    let served = paths(&http::public_routes(server.app.clone(), "http"));
    let described: BTreeSet<String> = described().into_iter().map(|(path, _)| path).collect();
    assert_eq!(described, served);
    server.close().await;
}

#[tokio::test]
async fn every_described_method_is_served_and_every_call_is_described() {
    let server = Server::start().await;
    let described = described();
    for call in &CALLS {
        assert!(
            described.contains(&(call.path.into(), call.method.into())),
            "{} {}",
            call.method,
            call.path
        );
    }
    for (path, method) in &described {
        let uri = path
            .replace("{id}", "c_0")
            .replace("{message_id}", "m")
            .replace("{key}", "k")
            .replace("{type}", "track")
            .replace("{token}", "k")
            .replace("{vendor}", "com.example")
            .replace("{version}", "v1")
            .replace("{file}", "f");
        for other in METHODS
            .iter()
            .filter(|other| !described.contains(&(path.clone(), (**other).to_owned())))
        {
            let request = Request::builder()
                .method(other.to_uppercase().as_str())
                .uri(&uri);
            assert_eq!(
                server
                    .send(request.body(Body::empty()).unwrap())
                    .await
                    .status,
                405,
                "{other} {path}"
            );
        }
        let request = Request::builder()
            .method(method.to_uppercase().as_str())
            .uri(&uri);
        assert_ne!(
            server
                .send(request.body(Body::empty()).unwrap())
                .await
                .status,
            405,
            "{method} {path}"
        );
    }
    server.close().await;
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_is_whole() {
    let document = document().unwrap();
    fn walk(value: &Value, whole: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(whole.pointer(pointer).is_some(), "{reference}");
                }
                members.values().for_each(|value| walk(value, whole));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, whole)),
            _ => {}
        }
    }
    walk(&document, &document);
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{path}"
            );
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path}");
            assert!(operation["responses"]["200"].is_object(), "{path}");
            let in_path: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
            let named: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|parameter| match parameter["$ref"].as_str() {
                    Some(reference) => document.pointer(&reference[1..]).unwrap(),
                    None => parameter,
                })
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            assert_eq!(in_path, named, "{path}");
        }
    }
}

#[tokio::test]
async fn the_description_is_public() {
    let server = Server::start().await;
    let answer = server
        .send(Request::get("/openapi.json").body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json, document().unwrap());
    server.close().await;
}
