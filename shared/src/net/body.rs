//! Reading of request bodies within a limit and at a minimum pace.
//!
//! Owns the two ways in which a body can be refused before it is whole. Never answers 408: half of the analytics SDKs drop
//! an event on it, while they all send again after 503.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::error::HttpError;

/// When a slow sender may try again, in seconds.
const SLOW_RETRY_S: u32 = 1;

/// How much of a refused body is still read and thrown away. A connection closed over unread bytes is reset, and the sender
/// would see the reset instead of the 413 and send for ever.
const REFUSED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How long that may take.
const REFUSED_WAIT: Duration = Duration::from_secs(5);

/// The least progress a body must make: `bytes_min` more in every `window`.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Fewest bytes in one window, unless the body ends in it.
    pub bytes_min: usize,
    /// Length of a window.
    pub window: Duration,
}

impl Default for Pace {
    /// 4 KiB in 10 s: half of what the slowest mobile networks manage.
    fn default() -> Self {
        Self {
            bytes_min: 4096,
            window: Duration::from_secs(10),
        }
    }
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It has, or announces, more bytes than allowed.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// It comes slower than the pace.
    #[error("the body came too slowly: {bytes} bytes so far")]
    TooSlow {
        /// Bytes read until then.
        bytes: usize,
    },
    /// The connection or stream broke.
    #[error("the body broke off after {bytes} bytes: {cause}")]
    Broken {
        /// Bytes read until then.
        bytes: usize,
        /// What the connection said.
        cause: String,
    },
}

impl From<BodyError> for HttpError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { bytes_max } => Self::too_large(bytes_max),
            BodyError::TooSlow { .. } => {
                Self::unavailable("body_too_slow", error.to_string(), SLOW_RETRY_S)
                    .hint("send it again, in smaller parts if the network is slow")
            }
            BodyError::Broken { .. } => {
                Self::bad_request("body_broken", error.to_string()).hint("send it again")
            }
        }
    }
}

/// Reads a body of at most `bytes_max` bytes. One that announces much more is refused before a byte of it is read.
///
/// # Errors
/// [`BodyError`], which turns into an answer by `?`.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    pace: Pace,
) -> Result<Bytes, BodyError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    let mut body = body;
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        if announced.is_some_and(|bytes| bytes <= REFUSED_BYTES_MAX) {
            discard(body).await;
        }
        return Err(BodyError::TooLarge { bytes_max });
    }
    // What is announced is not reserved: a lie would cost memory.
    let mut whole: Vec<u8> = Vec::new();
    let mut window_end = Instant::now() + pace.window;
    let mut window_bytes = 0;
    loop {
        let Ok(frame) = timeout_at(window_end, body.frame()).await else {
            if window_bytes < pace.bytes_min {
                return Err(BodyError::TooSlow { bytes: whole.len() });
            }
            (window_end, window_bytes) = (Instant::now() + pace.window, 0);
            continue;
        };
        let Some(frame) = frame else {
            return Ok(whole.into());
        };
        let frame = frame.map_err(|error| BodyError::Broken {
            bytes: whole.len(),
            cause: error.to_string(),
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > bytes_max {
            discard(body).await;
            return Err(BodyError::TooLarge { bytes_max });
        }
        window_bytes += data.len();
        whole.extend_from_slice(&data);
    }
}

/// Reads on for a while and keeps nothing.
async fn discard(mut body: Body) {
    let until = Instant::now() + REFUSED_WAIT;
    let mut bytes = 0;
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > REFUSED_BYTES_MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use std::convert::Infallible;

    const PACE: Pace = Pace {
        bytes_min: 10,
        window: Duration::from_secs(10),
    };

    /// A body that gives `bytes` every `seconds`, `times` times.
    fn drip(bytes: usize, seconds: u64, times: usize) -> Body {
        Body::from_stream(stream::iter(0..times).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, Infallible>(vec![b'x'; bytes])
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_body_may_take_as_long_as_it_needs() {
        let body = read(&HeaderMap::new(), drip(10, 3, 100), 1000, PACE)
            .await
            .unwrap();
        assert_eq!(body.len(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_refused_after_one_window() {
        let start = Instant::now();
        let error = read(&HeaderMap::new(), drip(1, 3, 1000), 1000, PACE)
            .await
            .unwrap_err();
        assert_eq!(error, BodyError::TooSlow { bytes: 3 });
        assert_eq!(start.elapsed(), PACE.window);
        assert_eq!(HttpError::from(error).status, 503);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_over_the_limit_is_refused_announced_or_not() {
        let error = read(&HeaderMap::new(), Body::from(vec![0; 11]), 10, PACE)
            .await
            .unwrap_err();
        assert_eq!(error, BodyError::TooLarge { bytes_max: 10 });
        let headers = [(header::CONTENT_LENGTH, "11".parse().unwrap())]
            .into_iter()
            .collect();
        let error = read(&headers, drip(1, 3600, 11), 10, PACE)
            .await
            .unwrap_err();
        assert_eq!(HttpError::from(error).status, 413);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_says_so() {
        let broken = Body::from_stream(stream::iter([
            Ok("abc"),
            Err(std::io::Error::other("reset")),
        ]));
        let error = read(&HeaderMap::new(), broken, 10, PACE).await.unwrap_err();
        assert!(
            matches!(error, BodyError::Broken { bytes: 3, .. }),
            "{error}"
        );
    }
}
