//! Counters and gauges of a process, and the address where operators look.
//!
//! Owns the one recorder and the ops routes `/livez`, `/readyz` and `/metrics`. Whoever counts uses the `metrics` macros.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Buckets of every histogram in seconds, from a fast disk's fsync to a hopeless wait.
const SECONDS_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A sum since the process started; it only grows.
    Counter,
    /// How it stands.
    Gauge,
}

/// A metric of a program: its name, what it is, and the sentence that `/metrics` says of it (`# HELP`).
pub type Metric = (&'static str, Kind, &'static str);

/// What the parts count that both programs have.
const SHARED: [Metric; 4] = [
    (
        "trenza_rejected_total",
        Kind::Counter,
        "Events that are none, by code: kept apart with the reason",
    ),
    (
        "trenza_requests_refused_total",
        Kind::Counter,
        "Requests to capture that were answered with an error, by its code",
    ),
    (
        "trenza_connections_refused_total",
        Kind::Counter,
        "Connections refused because too many were open",
    ),
    (
        "trenza_tls_failed_total",
        Kind::Counter,
        "Connections without a TLS session in the end",
    ),
];

/// What this process has counted. The facade knows one recorder for each process, so several programs in one (as in
/// tests) share it.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder at the first call, every later call gives the same one; and says what `metrics` are.
    pub fn install(metrics: &[Metric]) -> Self {
        static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
        let handle = RECORDER.get_or_init(|| {
            let builder = PrometheusBuilder::new();
            // The only refusal is of an empty list.
            let recorder = builder
                .set_buckets(&SECONDS_BUCKETS)
                .unwrap_or_default()
                .build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another recorder was installed before: /metrics stays empty");
            }
            handle
        });
        for (name, kind, help) in SHARED.iter().chain(metrics) {
            match kind {
                Kind::Counter => metrics::describe_counter!(*name, *help),
                Kind::Gauge => metrics::describe_gauge!(*name, *help),
            }
        }
        Self(handle.clone())
    }

    /// Everything in Prometheus' text form. Also tidies up, so ask now and then.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// The routes of the `ops` listener. `ready` is asked at each `/readyz`; its error is the reason in the answer. `measure` sets
/// the gauges that are looked up only when somebody asks for `/metrics`.
///
/// `/livez` answers as long as the process schedules tasks, so that a supervisor restarts only what hangs.
#[cfg(feature = "net")]
pub fn ops_router<M, Measured, F, Fut>(metrics: Metrics, measure: M, ready: F) -> axum::Router
where
    M: Fn() -> Measured + Clone + Send + Sync + 'static,
    Measured: Future<Output = ()> + Send + 'static,
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), String>> + Send + 'static,
{
    use crate::net::error::{HttpError, with_error_form};
    use axum::{http::header, routing::get};

    /// Seconds after which a supervisor may ask again.
    const RETRY_S: u32 = 5;

    let readyz = move || {
        let asked = ready();
        async move {
            match asked.await {
                Ok(()) => Ok("ok\n"),
                Err(reason) => Err(HttpError::unavailable("not_ready", reason, RETRY_S)
                    .hint("see the log of this process")),
            }
        }
    };
    let text = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    let measured = move || {
        let measuring = measure();
        async move {
            measuring.await;
            (text, metrics.render())
        }
    };
    let router = axum::Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(measured));
    with_error_form(router)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_shown_and_installing_twice_is_the_same() {
        let metrics = Metrics::install(&[("trenza_test_total", Kind::Counter, "What a test did")]);
        metrics::counter!("trenza_test_total").increment(3);
        assert!(metrics.render().contains("trenza_test_total 3"));
        assert!(
            metrics
                .render()
                .contains("# HELP trenza_test_total What a test did\n")
        );
        assert!(
            Metrics::install(&[])
                .render()
                .contains("trenza_test_total 3")
        );
    }

    #[cfg(feature = "net")]
    #[tokio::test]
    async fn readiness_gives_its_reason() {
        use http_body_util::BodyExt;
        use tower::ServiceExt;
        for (probe, status) in [(Ok(()), 200), (Err("the disk is full".to_owned()), 503)] {
            let measure = || async { metrics::gauge!("trenza_test_measured").set(7.0) };
            let router = ops_router(Metrics::install(&[]), measure, move || {
                let probe = probe.clone();
                async move { probe }
            });
            let request = |path: &str| {
                axum::extract::Request::get(path)
                    .body(axum::body::Body::empty())
                    .unwrap()
            };
            let live = router.clone().oneshot(request("/livez")).await.unwrap();
            assert_eq!(live.status(), 200);
            let answer = router.clone().oneshot(request("/readyz")).await.unwrap();
            assert_eq!(answer.status(), status);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(
                body.windows(16).any(|part| part == b"the disk is full"),
                status == 503
            );
            let answer = router.oneshot(request("/metrics")).await.unwrap();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(String::from_utf8_lossy(&body).contains("trenza_test_measured 7"));
        }
    }
}
