//! Extractors that refuse in the one form of error.
//!
//! Owns nothing but the way from axum's rejections to [`HttpError`]. From the head: [`Path`], [`Query`], any number. From
//! the body: [`Json`], once and last, within axum's body limit.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{StatusCode, request::Parts};
use serde::de::DeserializeOwned;

use super::error::HttpError;

/// The variable parts of the path.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let axum::extract::Path(value) = axum::extract::Path::from_request_parts(parts, state)
            .await
            .map_err(|error| HttpError::bad_request("bad_path", error.body_text()))?;
        Ok(Self(value))
    }
}

/// The query string; unknown keys are ignored unless `T` denies them.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let axum::extract::Query(value) = axum::extract::Query::from_request_parts(parts, state)
            .await
            .map_err(|error| {
                let said = error.body_text();
                let what = said
                    .rsplit_once("query string: ")
                    .map_or(&*said, |(_, what)| what);
                HttpError::bad_request(
                    "bad_query",
                    format!("the query is not what this call takes: {what}"),
                )
                .hint("the server's GET /openapi.json describes the parameters of every call")
            })?;
        Ok(Self(value))
    }
}

/// A JSON body; the content type must say so, which keeps plain cross-site forms out.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        // Whatever the body is marked as: what is JSON is taken, as on the capture paths.
        match Bytes::from_request(request, state).await {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Self).map_err(|error| {
                let said = in_terms_of_json(&error.to_string());
                HttpError::bad_request(
                    "bad_json",
                    format!("the body is not what this call takes: {said}"),
                )
                .hint("GET /openapi.json describes every call")
            }),
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(HttpError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is larger than this route accepts",
            )),
            Err(error) => Err(HttpError::bad_request("bad_body", error.body_text())),
        }
    }
}

/// What is wrong with a body, without the names that its types have in this program.
fn in_terms_of_json(said: &str) -> String {
    match said.split_once("expected struct ") {
        Some((before, rest)) => {
            let end = rest.find(' ').unwrap_or(rest.len());
            format!("{before}expected an object{}", &rest[end..])
        }
        None => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, routing::post};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    #[tokio::test]
    async fn what_does_not_parse_is_refused_in_the_one_form() {
        let handler = |Path(_): Path<u8>, Query(_): Query<Vec<(String, u8)>>, Json(_): Json<u8>| async {
            "ok"
        };
        let router = Router::new().route("/n/{n}", post(handler));
        let cases = [
            ("/n/1?a=1", "application/json", "1", 200, None),
            ("/n/300", "application/json", "1", 400, Some("bad_path")),
            ("/n/1?a=x", "application/json", "1", 400, Some("bad_query")),
            ("/n/1", "text/plain", "1", 200, None),
            ("/n/1", "application/json", "{", 400, Some("bad_json")),
        ];
        for (uri, kind, body, status, code) in cases {
            let request = Request::post(uri)
                .header("content-type", kind)
                .body(Body::from(body))
                .unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{uri}");
            let bytes = answer.into_body().collect().await.unwrap().to_bytes();
            let error: Option<crate::net::error::ErrorBody> = serde_json::from_slice(&bytes).ok();
            assert_eq!(error.map(|error| error.code).as_deref(), code, "{uri}");
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_told_in_terms_of_json() {
        #[derive(Debug, serde::Deserialize)]
        struct Asked {
            #[expect(dead_code, reason = "only its shape counts")]
            name: String,
        }
        let error = serde_json::from_str::<Asked>("[]").unwrap_err().to_string();
        let said = in_terms_of_json(&error);
        assert!(
            said.contains("invalid type: sequence, expected an object at line 1")
                || said.contains("invalid length"),
            "{said}"
        );
    }
}
