//! Listeners: one accept loop for plain, TLS and local sockets.
//!
//! Owns every limit of a connection and the graceful stop. Knows no route; what it learnt of the peer is in the request's
//! extensions as [`Peer`].

use std::{
    io,
    net::SocketAddr,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    runtime,
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet, spawn_blocking},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    connection::{self, Drain},
    pki::{Owner, cert_expires_ms, cert_fingerprint, cert_owner},
};

/// First and longest wait after a failed accept, as when file descriptors run out. Unit: ms.
const ACCEPT_WAIT_MS: (u64, u64) = (10, 1000);

/// The limits of one listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most connections at a time; one more is closed at once.
    pub connections_max: usize,
    /// Longest TLS handshake.
    pub tls_handshake: Duration,
    /// Longest wait for a whole request head, the wait for it to start included (so also how long an HTTP/1.1 connection
    /// may idle).
    pub head_read: Duration,
    /// Largest request head, in bytes. At least 8192.
    pub head_bytes_max: usize,
    /// Most requests at a time on one HTTP/2 connection.
    pub http2_streams_max: u32,
    /// What an HTTP/2 peer may send on one connection before it is read: with the time of a round trip it bounds the speed. Unit: bytes.
    pub http2_window_bytes: u32,
    /// How often a quiet HTTP/2 peer is asked whether it is still there, and how long it may take to answer.
    pub http2_ping: Duration,
    /// How long a connection without a request stays open.
    pub idle: Duration,
    /// How long an answer may stand still because the peer does not read it.
    pub write_stall: Duration,
    /// How long a stop waits for requests in flight.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            tls_handshake: Duration::from_secs(10),
            head_read: Duration::from_secs(10),
            head_bytes_max: 32 * 1024,
            http2_streams_max: 128,
            http2_window_bytes: 1024 * 1024,
            http2_ping: Duration::from_secs(20),
            idle: Duration::from_secs(120),
            write_stall: Duration::from_secs(30),
            drain: Duration::from_secs(9),
        }
    }
}

/// Who is at the other end of a TCP connection; every request carries it in its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it connects from.
    pub addr: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// SHA-256 of its certificate's DER, when it authenticated itself.
    pub client_cert: Option<[u8; 32]>,
    /// The end of that certificate's validity, UTC milliseconds.
    pub client_cert_expires_ms: Option<i64>,
    /// The agent that the certificate names; the handshake has checked its issuer.
    pub client_owner: Option<Arc<Owner>>,
}

/// Why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {addr}: {cause}; is another instance running, or is the address wrong in [listen]?"
    )]
    Tcp {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// Somebody answers on the local socket.
    #[error("{} is in use; is another instance running?", path.display())]
    UnixInUse {
        /// The socket.
        path: PathBuf,
    },
    /// The local socket cannot be made.
    #[error("cannot make the local socket {}: {cause}; check the directory's owner and that its path is short", path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// A bound socket that does not yet answer.
pub struct Listener {
    socket: Socket,
    addr: SocketAddr,
    terms: Terms,
}

/// What a connection needs to know of its listener.
#[derive(Clone)]
struct Terms {
    tls: Option<TlsAcceptor>,
    limits: Arc<Limits>,
}

impl Listener {
    /// Binds a TCP address; port 0 takes any free one.
    ///
    /// # Errors
    /// [`ListenError::Tcp`].
    pub async fn bind(
        addr: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        limits: Limits,
    ) -> Result<Self, ListenError> {
        let failed = |cause| ListenError::Tcp { addr, cause };
        let tcp = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = tcp.local_addr().map_err(failed)?;
        Ok(Self {
            socket: Socket::Tcp(tcp),
            addr,
            terms: Terms {
                tls: tls.map(TlsAcceptor::from),
                limits: Arc::new(limits),
            },
        })
    }

    /// Makes a local socket that only its owner may use. A stale file is replaced, a live one is not.
    ///
    /// # Errors
    /// [`ListenError::UnixInUse`], [`ListenError::Unix`].
    pub async fn bind_unix(path: &Path, limits: Limits) -> Result<Self, ListenError> {
        let failed = |cause| ListenError::Unix {
            path: path.to_owned(),
            cause,
        };
        if path.exists() {
            if UnixStream::connect(path).await.is_ok() {
                return Err(ListenError::UnixInUse {
                    path: path.to_owned(),
                });
            }
            std::fs::remove_file(path).map_err(failed)?;
        }
        let unix = bind_private(path).map_err(failed)?;
        let addr = SocketAddr::from(([0, 0, 0, 0], 0));
        Ok(Self {
            socket: Socket::Unix(unix, path.to_owned()),
            addr,
            terms: Terms {
                tls: None,
                limits: Arc::new(limits),
            },
        })
    }

    /// The address that is really bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The listener as a URL, for the ready line.
    pub fn url(&self) -> String {
        let scheme = if self.terms.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.addr)
    }

    /// The same TCP socket once more, for what answers until the program itself can: a connection that nobody has accepted yet goes to
    /// whoever accepts next.
    ///
    /// # Errors
    /// What the system said; a local socket is bound to one listener alone.
    pub fn again(&self) -> io::Result<Self> {
        let Socket::Tcp(tcp) = &self.socket else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let same = std::net::TcpListener::from(tcp.as_fd().try_clone_to_owned()?);
        Ok(Self {
            socket: Socket::Tcp(TcpListener::from_std(same)?),
            addr: self.addr,
            terms: self.terms.clone(),
        })
    }

    async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(tcp) => tcp
                .accept()
                .await
                .map(|(stream, addr)| Stream::Tcp(stream, addr)),
            Socket::Unix(unix, _) => unix.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// Binds inside a directory that nobody else can enter and moves the socket into place with its mode set, so that there
/// is no moment in which another user could connect.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let parent = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let dir = parent.join(format!(".{}", std::process::id()));
    let inside = dir.join("s");
    let _ = std::fs::remove_file(&inside);
    let _ = std::fs::remove_dir(&dir);
    std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
    let bound = UnixListener::bind(&inside).and_then(|unix| {
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&inside, path)?;
        Ok(unix)
    });
    let _ = std::fs::remove_file(&inside);
    std::fs::remove_dir(&dir)?;
    bound
}

/// Answers requests by `router` until `shutdown` is done, then lets those in flight finish, for [`Limits::drain`] at most.
pub async fn serve(listener: Listener, router: Router, shutdown: impl Future<Output = ()> + Send) {
    let (drain, draining) = watch::channel(false);
    let free = Arc::new(Semaphore::new(listener.terms.limits.connections_max));
    let mut connections = JoinSet::new();
    let mut wait_ms = ACCEPT_WAIT_MS.0;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                wait_ms = ACCEPT_WAIT_MS.0;
                let Ok(permit) = free.clone().try_acquire_owned() else {
                    metrics::counter!("trenza_connections_refused_total").increment(1);
                    continue;
                };
                let (terms, router, drain) = (
                    listener.terms.clone(),
                    router.clone(),
                    Drain(draining.clone()),
                );
                connections.spawn(async move {
                    let _permit = permit;
                    connection(&terms, stream, router, drain).await;
                });
            }
            // The peer went away between its SYN and our accept: nothing of ours.
            Err(error) if is_of_peer(&error) => {}
            Err(error) => {
                tracing::warn!(listen.addr = %listener.addr, error = %error, "accept failed");
                tokio::select! {
                    () = &mut shutdown => break,
                    () = sleep(Duration::from_millis(wait_ms)) => {}
                }
                wait_ms = (wait_ms * 2).min(ACCEPT_WAIT_MS.1);
            }
        }
    }
    let limit = listener.terms.limits.drain;
    if let Socket::Unix(_, path) = &listener.socket {
        let _ = std::fs::remove_file(path);
    }
    // Closing the socket first: new connections are refused instead of waiting in its queue.
    drop(listener);
    let _ = drain.send(true);
    let finished = timeout(limit, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    if finished.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "stopped with requests in flight"
        );
        connections.shutdown().await;
    }
}

/// The same on a thread of its own, for what must answer while a disk that hangs holds the threads of the program.
pub fn serve_apart(
    listener: Listener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    spawn_blocking(move || {
        let done = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|apart| {
                let served = apart.block_on(async {
                    let own = listener.again()?;
                    drop(listener);
                    serve(own, router, shutdown).await;
                    Ok(())
                });
                // What still waits for the disk holds up no stop.
                apart.shutdown_background();
                served
            });
        if let Err(error) = done {
            tracing::error!(error = %error, "a listener could not be served");
        }
    })
}

async fn connection(terms: &Terms, stream: Stream, router: Router, drain: Drain) {
    let limits = &*terms.limits;
    match stream {
        Stream::Unix(unix) => connection::run(unix, None, router, limits, drain).await,
        Stream::Tcp(tcp, addr) => {
            // Answers are small and latency matters more than packets.
            let _ = tcp.set_nodelay(true);
            let mut peer = Peer {
                addr,
                tls: false,
                client_cert: None,
                client_cert_expires_ms: None,
                client_owner: None,
            };
            let Some(acceptor) = &terms.tls else {
                return connection::run(tcp, Some(peer), router, limits, drain).await;
            };
            let tls = match timeout(limits.tls_handshake, acceptor.accept(tcp)).await {
                Ok(Ok(tls)) => tls,
                Ok(Err(error)) => {
                    metrics::counter!("trenza_tls_failed_total").increment(1);
                    return tracing::debug!(peer.addr = %addr, error = %error, "TLS handshake failed");
                }
                Err(_) => return tracing::debug!(peer.addr = %addr, "TLS handshake took too long"),
            };
            peer.tls = true;
            if let Some(cert) = tls.get_ref().1.peer_certificates().and_then(<[_]>::first) {
                peer.client_cert = Some(cert_fingerprint(cert));
                peer.client_cert_expires_ms = cert_expires_ms(cert);
                peer.client_owner = cert_owner(cert).map(Arc::new);
            }
            connection::run(tls, Some(peer), router, limits, drain).await;
        }
    }
}

fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// Serves a local socket; [`Listener::bind_unix`] and [`serve`] in one.
///
/// # Errors
/// [`ListenError`] when the socket cannot be made.
pub async fn serve_unix(
    path: &Path,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ListenError> {
    serve(
        Listener::bind_unix(path, Limits::default()).await?,
        router,
        shutdown,
    )
    .await;
    Ok(())
}
