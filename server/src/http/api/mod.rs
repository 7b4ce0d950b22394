//! The JSON API: what programs may ask of the customer record.
//!
//! Owns the list of calls, cursors and roles. A handler extracts, calls one read of `customer` or one step of the resolver, and
//! answers. No page of another origin may read the answers: there is no CORS here.

mod accounts; // organisations, households and who belongs to them
mod agents; // the fleet
mod changes; // what became of customers
mod customers; // one record, its timeline, its explanation
mod decisions; // what people decide about who is who
mod events; // where an event stands
pub mod live; // what arrives
pub mod openapi; // all of it, for programs
mod relate; // says that somebody belongs to an account
mod review; // whom to ask about
mod rules; // of identity

#[cfg(test)]
mod tests;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, StatusCode, Uri, header},
    middleware::map_response,
    response::Response,
    routing::{MethodRouter, get, post},
};
use trenza_shared::{
    identifier::Identifier,
    net::error::HttpError,
    store::{StoreError, View, snapshot},
};

pub use accounts::today;
pub use customers::customer_json;
pub use decisions::noted;
pub use relate::{Said, no_account, relate};

use crate::{app::App, customer::lookup::Scopes};

/// Longest body of a call. Unit: bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// One call of the API.
pub struct Call {
    /// As in the description.
    pub path: &'static str,
    /// Lower case, as in the description.
    #[allow(dead_code)] // read by the test that holds the description against the calls
    pub method: &'static str,
    serve: fn() -> MethodRouter<App>,
}

/// Every call. The description in `openapi/` has the same ones, which a test sees to.
pub const CALLS: [Call; 20] = [
    Call {
        path: "/v1/customers",
        method: "get",
        serve: || get(customers::find),
    },
    Call {
        path: "/v1/customers/{id}",
        method: "get",
        serve: || get(customers::one),
    },
    Call {
        path: "/v1/customers/{id}/timeline",
        method: "get",
        serve: || get(customers::timeline),
    },
    Call {
        path: "/v1/customers/{id}/why",
        method: "get",
        serve: || get(customers::why_within),
    },
    Call {
        path: "/v1/why",
        method: "get",
        serve: || get(customers::why),
    },
    Call {
        path: "/v1/accounts",
        method: "get",
        serve: || get(accounts::find),
    },
    Call {
        path: "/v1/accounts",
        method: "post",
        serve: || post(accounts::add),
    },
    Call {
        path: "/v1/accounts/{id}",
        method: "get",
        serve: || get(accounts::one),
    },
    Call {
        path: "/v1/events/{message_id}",
        method: "get",
        serve: || get(events::one),
    },
    Call {
        path: "/v1/live",
        method: "get",
        serve: || get(live::page),
    },
    Call {
        path: "/v1/changes",
        method: "get",
        serve: || get(changes::page),
    },
    Call {
        path: "/v1/decisions",
        method: "get",
        serve: || get(decisions::list),
    },
    Call {
        path: "/v1/decisions",
        method: "post",
        serve: || post(decisions::decide),
    },
    Call {
        path: "/v1/review",
        method: "get",
        serve: || get(review::page),
    },
    Call {
        path: "/v1/review/homes",
        method: "get",
        serve: || get(review::homes),
    },
    Call {
        path: "/v1/rules",
        method: "get",
        serve: || get(rules::show),
    },
    Call {
        path: "/v1/rules",
        method: "post",
        serve: || post(rules::publish).layer(DefaultBodyLimit::max(rules::BODY_BYTES_MAX)),
    },
    Call {
        path: "/v1/rules/simulate",
        method: "post",
        serve: || post(rules::simulate).layer(DefaultBodyLimit::max(rules::BODY_BYTES_MAX)),
    },
    Call {
        path: "/v1/agents",
        method: "get",
        serve: || get(agents::fleet),
    },
    Call {
        path: "/openapi.json",
        method: "get",
        serve: || get(openapi::show),
    },
];

/// Every call, served.
pub fn routes() -> Router<App> {
    let served = CALLS.iter().fold(Router::new(), |router, call| {
        router.route(call.path, (call.serve)())
    });
    served
        .route_layer(map_response(challenge))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Records are personal: nobody between keeps an answer. A refusal says how to prove who asks (RFC 9110, 11.6.1).
async fn challenge(mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"trenza\""),
        );
    }
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Runs a read over one state of the store, away from the threads that answer.
///
/// # Errors
/// 500 when the store cannot be read.
pub async fn read<T: Send + 'static>(
    app: &App,
    job: impl FnOnce(&App, &dyn View) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, HttpError> {
    let app = app.clone();
    let done =
        tokio::task::spawn_blocking(move || snapshot(&*app.store, |view| job(&app, view))).await;
    done.map_err(HttpError::internal)?
        .map_err(HttpError::internal)?
        .map_err(HttpError::internal)
}

/// What `KIND:VALUE` may mean here.
///
/// # Errors
/// 400 says in which parameter, and what is wrong with it.
pub fn identifiers(app: &App, parameter: &str, text: &str) -> Result<Vec<Identifier>, HttpError> {
    Scopes::of(&app.registry, &app.place())
        .identifiers(text)
        .map_err(|invalid| {
            let message = format!("{parameter}: {invalid}");
            HttpError::bad_request("bad_identifier", message)
                .hint("write KIND:VALUE, as email:ada@example.org or phone:+34600000000, or the id of a customer, customer:c_…")
        })
}

/// The query's `parameter`, read in both ways that clients write a plus sign: as itself, then as a space.
pub fn readings(uri: &Uri, parameter: &str) -> Result<Vec<String>, HttpError> {
    let query = uri.query().unwrap_or_default();
    let mut readings: Vec<String> = Vec::new();
    for query in [query.replace('+', "%2B"), query.to_owned()] {
        let read = format!("/?{query}")
            .parse::<Uri>()
            .map_err(|error| HttpError::bad_request("bad_query", error.to_string()))?;
        let axum::extract::Query(pairs) =
            axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&read)
                .map_err(|error| HttpError::bad_request("bad_query", error.body_text()))?;
        let found = pairs
            .into_iter()
            .find(|(name, _)| name == parameter)
            .map(|(_, value)| value);
        readings.extend(found.filter(|value| !readings.contains(value)));
    }
    Ok(readings)
}

/// What `KIND:VALUE` in a query may mean here; none where it is not given.
///
/// # Errors
/// 400 says in which parameter, and what is wrong with it.
pub fn queried(
    app: &App,
    uri: &Uri,
    parameter: &str,
) -> Result<Option<Vec<Identifier>>, HttpError> {
    let mut found = Vec::new();
    let mut wrong = None;
    for text in readings(uri, parameter)? {
        match identifiers(app, parameter, &text) {
            Ok(more) => found.extend(more),
            Err(error) => wrong = wrong.or(Some(error)),
        }
    }
    match wrong {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok((!found.is_empty()).then_some(found)),
    }
}
