//! Logs of a process: for people on a terminal, as JSON lines otherwise, always to stderr.
//!
//! Owns the one subscriber. What is logged, and that no secret is, is up to whoever logs.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

/// The variable that outranks the level in the settings, as `info` or `info,sync=debug`.
pub const LOG_VARIABLE: &str = "TRENZA_LOG";
/// The level where nothing says otherwise.
pub const LEVEL_DEFAULT: &str = "info";

/// Why logs cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none.
    #[error(
        "{text:?} is not a log level: {cause}; write error, warn, info, debug or trace, or MODULE=LEVEL, in TRENZA_LOG or the settings"
    )]
    BadLevel {
        /// What was given.
        text: String,
        /// What the parser said.
        cause: String,
    },
    /// Somebody started logs before.
    #[error("logs were started twice: {0}")]
    Twice(String),
}

/// Starts the logs of this process. `level` comes from the settings; `TRENZA_LOG` outranks it.
///
/// # Errors
/// [`TelemetryError`].
pub fn start(level: Option<&str>) -> Result<(), TelemetryError> {
    let env = std::env::var(LOG_VARIABLE)
        .ok()
        .filter(|text| !text.trim().is_empty());
    let filter = filter(env.as_deref().or(level).unwrap_or(LEVEL_DEFAULT))?;
    let people = std::io::stderr().is_terminal();
    let twice =
        |error: tracing_subscriber::util::TryInitError| TelemetryError::Twice(error.to_string());
    if people {
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false);
        tracing_subscriber::registry()
            .with(filter)
            .with(layer)
            .try_init()
            .map_err(twice)
    } else {
        tracing_subscriber::registry()
            .with(filter)
            .with(json(std::io::stderr))
            .try_init()
            .map_err(twice)
    }
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| TelemetryError::BadLevel {
            text: text.into(),
            cause: error.to_string(),
        })
}

/// One flat JSON object a line.
fn json<S, W>(writer: W) -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_line_is_one_flat_json_object() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::registry()
            .with(filter("info").unwrap())
            .with(json(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(batch.events = 3, "batch accepted");
            tracing::debug!("not shown");
        });
        let bytes = lines.0.lock().unwrap().clone();
        let line: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(line["message"], "batch accepted");
        assert_eq!(line["batch.events"].to_string(), "3");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn a_wrong_level_says_what_to_write() {
        let error = filter("trenza=loudly").unwrap_err().to_string();
        assert!(
            error.contains("loudly") && error.contains("TRENZA_LOG"),
            "{error}"
        );
        assert!(filter("warn,sync=trace").is_ok());
    }
}
