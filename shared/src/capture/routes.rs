//! Every URL of the capture surface.
//!
//! Owns the table of paths. Which of them a client calls is in the README; what a vendor's bodies mean is in the vendor's file.

use axum::{
    Router,
    extract::{Path, Request, rejection::PathRejection},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};

use super::{
    Collector, Options, REQUEST_BYTES_MAX,
    answer::{self, Reply},
    cors, jitsu, posthog, rudder, segment,
    settings::{self, Protocol},
    snippet::{self, Snippet},
    snowplow,
    surface::{Door, Surface},
};
use crate::{
    event::EventType,
    net::{
        body::{self as wire, Pace},
        error::{unknown_route, wrong_method},
    },
};

const SNOWPLOW_POST: Door = Door::several(&snowplow::FORM).replying(Reply::Text);
const SNOWPLOW_GET: Door = Door::several(&snowplow::FORM).pixel(snowplow::of_query);

/// The capture surface: paths with and without a slash at their end, for any content type, with CORS by echo.
///
/// Merge it with the program's other routes; the CORS layer covers these paths alone.
pub fn router<C: Collector>(collector: C, options: Options) -> Router {
    let surface = Surface::new(collector);
    let through = |door| {
        let surface = surface.clone();
        move |request: Request| surface.answer(request, door)
    };
    let by_type = |door: fn(&str) -> Option<Door>| {
        let surface = surface.clone();
        move |kind: Result<Path<String>, PathRejection>, request: Request| {
            typed(surface, kind, door, request)
        }
    };

    // The Segment family. The short forms are what analytics-next sends: the first letter of the type.
    let mut router = Router::new();
    for kind in EventType::ALL {
        let take = post(through(Door::single(kind)));
        router = at(router, &format!("/v1/{}", kind.name()), take.clone());
        router = at(router, &format!("/v1/{}", &kind.name()[..1]), take);
    }
    for path in ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"] {
        router = at(router, path, post(through(Door::batch())));
    }
    router = at(router, "/v1/m", post(discard));
    for path in ["/v1/projects/{key}/settings", "/projects/{key}/settings"] {
        router = at(
            router,
            path,
            get(settings::show).with_state(Protocol(options.protocol)),
        );
    }
    router = at(
        router,
        "/analytics.js/v1/{key}/analytics.min.js",
        get(snippet::show).with_state(segment::script()),
    );

    // RudderStack
    router = at(router, "/sourceConfig", get(rudder::source_config));
    router = at(router, "/pixel/v1/{type}", get(by_type(rudder::pixel)));

    // Jitsu
    for path in ["/api/s/{type}", "/api/s/s2s/{type}"] {
        router = at(router, path, post(by_type(jitsu::door)));
    }
    router = at(
        router,
        "/p.js",
        get(snippet::show).with_state(jitsu::script()),
    );

    // PostHog
    for path in ["/batch", "/capture", "/e", "/i/v0/e"] {
        router = at(router, path, post(through(Door::several(&posthog::FORM))));
    }
    for path in ["/flags", "/decide"] {
        router = at(router, path, post(posthog::flags));
    }
    router = at(router, "/array/{token}/config", get(posthog::config));
    router = at(
        router,
        "/array/{token}/config.js",
        get(posthog::config_script),
    );

    // Snowplow
    let both = post(through(SNOWPLOW_POST)).get(through(SNOWPLOW_GET));
    router = at(router, "/com.snowplowanalytics.snowplow/tp2", both.clone());
    router = at(router, "/i", get(through(SNOWPLOW_GET)));

    // Ours
    let snippet = Snippet::new(options);
    let newest = get(snippet::newest).with_state(snippet.clone());
    let frozen = get(snippet::frozen).with_state(snippet);
    router
        .route("/t.js", newest.fallback(wrong_method))
        .route("/t/{file}", frozen.fallback(wrong_method))
        .route("/health", get(health).fallback(wrong_method))
        .route("/robots.txt", get(robots).fallback(wrong_method))
        .route_layer(middleware::from_fn(cors::by_echo))
        // What else Snowplow's trackers may be told to call; the layer says which of these paths are capture at all.
        .route(
            "/{vendor}/{version}",
            both.fallback(wrong_method)
                .layer(middleware::from_fn(cors::by_echo))
                .layer(middleware::from_fn(only_vendors)),
        )
}

fn at(router: Router, path: &str, methods: MethodRouter) -> Router {
    let methods = methods.fallback(wrong_method);
    router
        .route(path, methods.clone())
        .route(&format!("{path}/"), methods)
}

/// Answers a path whose last part is a type of event; `door` knows which there are.
async fn typed<C: Collector>(
    surface: Surface<C>,
    kind: Result<Path<String>, PathRejection>,
    door: fn(&str) -> Option<Door>,
    request: Request,
) -> Response {
    match kind.ok().and_then(|Path(kind)| door(&kind)) {
        Some(door) => surface.answer(request, door).await,
        None => unknown_route(request.uri().clone()).await.into_response(),
    }
}

/// Lets paths through that begin with a vendor, which is a host name backwards, as in `/com.example/track`; anything else of
/// that form is no path of ours.
async fn only_vendors(request: Request, next: Next) -> Response {
    let vendor = request.uri().path().split('/').nth(1).unwrap_or_default();
    if vendor.trim_matches('.').contains('.') {
        return next.run(request).await;
    }
    unknown_route(request.uri().clone()).await.into_response()
}

/// What some SDKs tell about themselves: nobody here wants it, but an error would be tried again.
async fn discard(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match wire::read(&parts.headers, body, REQUEST_BYTES_MAX, Pace::default()).await {
        Ok(_) => answer::stored(&[], None),
        Err(error) => answer::closing(answer::cut_off(error)),
    }
}

/// `GET /health`: whether there is somebody at all. Whether events can be stored is asked of the `ops` listener.
async fn health() -> Response {
    answer::stored(&[], None)
}

/// `GET /robots.txt`: nothing here is for search engines.
async fn robots() -> impl IntoResponse {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    (
        [(header::CONTENT_TYPE, text)],
        "User-agent: *\nDisallow: /\n",
    )
}
