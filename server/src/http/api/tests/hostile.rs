use axum::{body::Body, http::Request};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};

use super::investor;
use crate::{http::api::CALLS, tables::Role, testing::Server};

/// Asked of every call.
const CASES: usize = 60;

fn escaped(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b':' | b'@' | b'+' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    bytes.collect()
}

#[tokio::test]
async fn no_path_query_or_body_brings_a_call_down() {
    let server = Server::start().await;
    for (key, events) in investor() {
        server.capture(key, &events).await;
    }
    let token = server.token(Role::Admin);
    let text = prop_oneof![
        any::<String>(),
        "(email|phone|userId|nationalId|anonymousId|shoe)?:[ -~]{0,12}",
        "c_[0-9a-f]{0,40}",
        "-?[0-9]{0,22}",
        "[0-9a-f]{80}",
        Just("email:ada@example.org".to_owned()),
    ];
    let body = prop_oneof![
        any::<String>(),
        r#"\{"(kind|undoes|subjects|reason)":("same"|\["email:a@b.es"\]|null|[0-9]{1,3})\}"#
    ];
    let names = ["identifier", "q", "after", "limit", "from", "to", "preview"];
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let mut draw = |strategy: &dyn Fn(&mut TestRunner) -> String| strategy(&mut runner);
    for call in &CALLS {
        for _ in 0..CASES {
            let word = |runner: &mut TestRunner| text.new_tree(runner).unwrap().current();
            let path = call.path.split(['{', '}']).enumerate().map(|(at, part)| {
                if at % 2 == 1 {
                    escaped(&draw(&word))
                } else {
                    part.to_owned()
                }
            });
            let path: String = path.collect();
            let query: Vec<String> = names
                .iter()
                .map(|name| (name, draw(&word)))
                .filter(|(_, value)| value.len() % 2 == 0)
                .map(|(name, value)| format!("{name}={}", escaped(&value)))
                .collect();
            let uri = format!("{path}?{}", query.join("&"));
            let body = draw(&|runner| body.new_tree(runner).unwrap().current());
            let request = Request::builder()
                .method(call.method.to_uppercase().as_str())
                .uri(&uri);
            let request = request
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json");
            let Ok(request) = request.body(Body::from(body)) else {
                continue;
            };
            let answer = server.send(request).await;
            assert!(!answer.status.is_server_error(), "{uri}: {}", answer.text);
            if !answer.status.is_success() && !answer.status.is_redirection() {
                assert!(
                    answer.json["code"].is_string()
                        && answer.json["message"].is_string()
                        && answer.json["hint"].is_string(),
                    "{uri}: {}",
                    answer.text
                );
            }
        }
    }
    server.close().await;
}
