//! One HTTP connection, from its first byte to its end.
//!
//! Owns idling, draining and stalls. Serves HTTP/1.1 and HTTP/2 alike, on any stream.

use std::{
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use axum::{Router, body::Body, extract::Request, http::Version};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{Semaphore, watch},
    time::{Duration, Instant, Sleep, sleep, sleep_until},
};
use tower::Service;

use super::serve::{Limits, Peer};

/// Most header fields of one request.
const HEADERS_MAX: usize = 100;
/// How long a connection that was asked to end may take for it.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How long the rest of a body that nobody reads is left alone over HTTP/2, so that the answer arrives before the stream is reset.
const UNREAD_WAIT: Duration = Duration::from_secs(2);
/// Most such bodies of one connection; what is more is reset at once.
const UNREAD_MAX: usize = 4;

/// Resolves when the listener wants its connections to end.
#[derive(Clone)]
pub(super) struct Drain(pub(super) watch::Receiver<bool>);

impl Drain {
    async fn wanted(&mut self) {
        // A closed channel means that the listener is gone: the same thing.
        let _ = self.0.wait_for(|wanted| *wanted).await;
    }
}

/// Serves one connection until the peer, the limits or `drain` end it.
pub(super) async fn run<IO>(
    io: IO,
    peer: Option<Peer>,
    router: Router,
    limits: &Limits,
    mut drain: Drain,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let use_of = Arc::new(Use::new());
    let unread = Arc::new(Semaphore::new(UNREAD_MAX));
    let service = {
        let use_of = use_of.clone();
        hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let busy = Busy::start(&use_of);
            let of_stream = request.version() == Version::HTTP_2;
            let mut request: Request = request.map(|body| match of_stream {
                true => Body::new(Unread::of(body, &unread)),
                false => Body::new(body),
            });
            if let Some(peer) = &peer {
                request.extensions_mut().insert(peer.clone());
            }
            let mut router = router.clone();
            async move {
                let response = router.call(request).await?;
                Ok::<_, std::convert::Infallible>(
                    response.map(|body| Tracked { body, _busy: busy }),
                )
            }
        })
    };
    let builder = builder(limits);
    let io = TokioIo::new(StallGuard::new(io, limits.write_stall));
    let mut connection = pin!(builder.serve_connection(io, service));
    // A peer that says nothing at all gets no longer than one that says half a head.
    let mut deadline = Instant::now() + limits.head_read;
    let mut closing = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(error = %error, "connection ended");
                }
                return;
            }
            () = drain.wanted(), if !closing => {
                closing = true;
                // From here the listener's own limit counts.
                deadline = Instant::now() + limits.drain;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(deadline) => match use_of.idle_since() {
                None => deadline = Instant::now() + limits.idle,
                Some(_) if closing => return,
                Some(since) if since + limits.idle > Instant::now() && use_of.was_used() => deadline = since + limits.idle,
                Some(_) => {
                    closing = true;
                    deadline = Instant::now() + CLOSE_WAIT;
                    connection.as_mut().graceful_shutdown();
                }
            },
        }
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_read)
        .max_buf_size(limits.head_bytes_max.max(8192))
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams_max)
        .initial_connection_window_size(limits.http2_window_bytes)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.http2_ping)
        .keep_alive_timeout(limits.http2_ping);
    builder
}

/// Whether a connection has requests in flight, and since when it has none.
struct Use(Mutex<UseState>);

struct UseState {
    in_flight: usize,
    idle_since: Instant,
    ever: bool,
}

impl Use {
    fn new() -> Self {
        Self(Mutex::new(UseState {
            in_flight: 0,
            idle_since: Instant::now(),
            ever: false,
        }))
    }

    fn with<T>(&self, f: impl FnOnce(&mut UseState) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn idle_since(&self) -> Option<Instant> {
        self.with(|state| (state.in_flight == 0).then_some(state.idle_since))
    }

    fn was_used(&self) -> bool {
        self.with(|state| state.ever)
    }
}

/// One request in flight, until its answer is sent or given up.
struct Busy(Arc<Use>);

impl Busy {
    fn start(use_of: &Arc<Use>) -> Self {
        use_of.with(|state| {
            state.in_flight += 1;
            state.ever = true;
        });
        Self(use_of.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.with(|state| {
            state.in_flight -= 1;
            state.idle_since = Instant::now();
        });
    }
}

/// An answer's body that keeps its request in flight.
struct Tracked {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body over HTTP/2. Where it is dropped before its end, its stream is reset a moment later: many clients forget the answer that
/// came before a reset (RFC 9113, section 8.1, asks them not to), and would send what was refused again.
struct Unread {
    body: Option<Incoming>,
    room: Arc<Semaphore>,
}

impl Unread {
    fn of(body: Incoming, room: &Arc<Semaphore>) -> Self {
        Self {
            body: Some(body),
            room: room.clone(),
        }
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let Some(body) = rest
            && let Ok(place) = self.room.clone().try_acquire_owned()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                sleep(UNREAD_WAIT).await;
                drop((body, place));
            });
        }
    }
}

/// A stream that fails when the peer takes nothing of what is written for too long.
struct StallGuard<IO> {
    io: IO,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<IO> StallGuard<IO> {
    fn new(io: IO, limit: Duration) -> Self {
        Self {
            io,
            limit,
            waiting: None,
        }
    }

    /// Passes on what a write said, and starts or stops the watch.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(self.limit)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer reads nothing",
        )))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for StallGuard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for StallGuard<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.io).poll_shutdown(cx);
        self.watch(cx, closed)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
