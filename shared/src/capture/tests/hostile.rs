//! Whatever comes, an answer in the one form.

use axum::http::Method;
use proptest::prelude::*;

use super::*;

/// Statuses on which clients disagree.
const NEVER: [u16; 7] = [202, 204, 408, 410, 501, 505, 500];
const PATHS: [&str; 12] = [
    "/v1/track",
    "/v1/a/",
    "/v1/batch",
    "/v1/b",
    "/v1/import?wait=resolved",
    "/v1/m",
    "/api/s/batch",
    "/batch",
    "/e/?compression=gzip-js",
    "/flags/?v=2",
    "/com.snowplowanalytics.snowplow/tp2",
    "/com.example/v1",
];

fn check(path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Recorder, TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let recorder = Recorder::default();
    let answer = runtime.block_on(recorder.ask(request(Method::POST, path, headers, body)));
    let status = answer.status().as_u16();
    prop_assert!(
        !NEVER.contains(&status) && !answer.status().is_redirection(),
        "{status}"
    );
    let body = answer.json();
    if status == 200 {
        prop_assert!(
            body["success"] == true || body == "ok" || body["flags"].is_object(),
            "{}",
            body
        );
    } else {
        prop_assert!(
            body["code"].is_string() && body["message"].is_string(),
            "{}",
            body
        );
    }
    Ok(recorder)
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer_in_the_one_form(path in 0..PATHS.len(), bytes: Vec<u8>, packed: bool, authorization in "[ -~]{0,30}", encoding in "[a-z, ]{0,8}") {
        let body = if packed { gzip(&bytes) } else { bytes };
        check(PATHS[path], &[("authorization", &authorization), ("content-encoding", &encoding)], body)?;
    }

    #[test]
    fn any_text_in_a_batch_gets_an_answer_in_the_one_form(tail in "[\\[\\]{}\",:a-z0-9\\\\ é]{0,80}", close: bool) {
        let close = if close { "]}" } else { "" };
        check("/v1/batch", &[("authorization", BASIC)], format!("{{\"batch\":[{EVENT},{tail}{close}").into())?;
    }

    #[test]
    fn any_query_and_headers_get_an_answer_in_the_one_form(query in "[a-zA-Z0-9%&=+]{0,40}", header in "[ -~]{0,40}") {
        let headers = [("x-write-key", header.as_str()), ("origin", &header), ("sentat", &header), ("content-type", &header)];
        check(&format!("/v1/batch?{query}"), &headers, batch(&[EVENT]).into())?;
    }

    #[test]
    fn what_is_stored_can_be_read_back(members in "[\\[\\]{}\",:a-z0-9\\\\]{0,60}", context in "[\\[\\]{}\",:a-z0-9]{0,30}") {
        let body = format!("{{\"context\":{{{context}}},\"batch\":[{{\"type\":\"page\",\"userId\":\"u\"{members}}}]}}");
        let recorder = check("/v1/batch", &[("authorization", BASIC)], body.into())?;
        for event in recorder.taken().into_iter().flat_map(|taken| taken.events) {
            let read = Event::stored(event.text.clone());
            prop_assert_eq!(read.map(crate::event::Captured::from), Ok(event));
        }
    }
}
