//! Listeners and clients together, over real loopback sockets.

mod neighbours;
mod tls;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode},
    routing::{get, post},
};
use futures_util::FutureExt as _;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::{
    body::{self, Pace},
    client::{self, Client, ClientError, ClientLimits},
    error::{HttpError, with_error_form},
    pki::{Ca, DeviceKey, IssuedCert, cert_fingerprint, parse_fingerprint, read_chain, read_key},
    serve::{Limits, ListenError, Listener, Peer, serve},
    tls::{
        CertCell, Identity, TlsTime, Trust, agents_server_config, client_config, web_server_config,
    },
};
use crate::{
    clock::{Clock, TestClock},
    id::{AgentId, to_hex},
};

const NOW: i64 = 1_768_472_430_456;
const DAY: i64 = 86_400_000;
const YEAR: i64 = 365 * DAY;
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const AGENT: AgentId = AgentId(*b"0123456789abcdef");

/// A program that serves until it is dropped or stopped.
struct Served {
    addr: SocketAddr,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<()>,
}

impl Served {
    async fn start(tls: Option<Arc<ServerConfig>>, router: Router, limits: Limits) -> Self {
        let listener = Listener::bind((LOCAL, 0).into(), tls, limits)
            .await
            .unwrap();
        let (addr, url) = (listener.local_addr(), listener.url());
        let (stop, stopped) = oneshot::channel::<()>();
        let done = tokio::spawn(serve(listener, with_error_form(router), async {
            let _ = stopped.await;
        }));
        Self {
            addr,
            url,
            stop: Some(stop),
            done,
        }
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

/// A CA, its web and agents listeners, at a time.
struct Site {
    ca: Ca,
    clock: Arc<TestClock>,
}

impl Site {
    fn new() -> Self {
        Self {
            ca: Ca::generate("Trenza test", NOW).unwrap(),
            clock: Arc::new(TestClock::at(NOW)),
        }
    }

    fn chain(
        &self,
    ) -> (
        Vec<CertificateDer<'static>>,
        rustls_pki_types::PrivateKeyDer<'static>,
    ) {
        let cert = self
            .ca
            .issue_server(&["localhost".into()], &[LOCAL], NOW, 397)
            .unwrap();
        (
            read_chain(&cert.chain_pem).unwrap(),
            read_key(&cert.key_pem).unwrap(),
        )
    }

    fn cell(&self) -> CertCell {
        let (chain, key) = self.chain();
        CertCell::holding(chain, key).unwrap()
    }

    async fn web(&self) -> Served {
        let cell = self.cell();
        Served::start(
            Some(web_server_config(cell, self.clock.clone()).unwrap()),
            whoami(),
            Limits::default(),
        )
        .await
    }

    async fn agents(&self, grace_ms: u64) -> Served {
        let (cell, ca) = (self.cell(), self.ca.cert_der());
        let config = agents_server_config(cell, ca, grace_ms, self.clock.clone()).unwrap();
        Served::start(Some(config), whoami(), Limits::default()).await
    }

    fn trust(&self) -> Trust {
        Trust::ca(self.ca.cert_der().clone())
    }

    fn agent(&self, days: u32) -> (IssuedCert, Identity) {
        let key = DeviceKey::generate().unwrap();
        let cert = self
            .ca
            .sign_agent(&key.csr_pem().unwrap(), AGENT, NOW, days)
            .unwrap();
        (cert.clone(), (vec![cert.der], key.to_der()))
    }
}

/// Answers with what the listener knows of the peer.
fn whoami() -> Router {
    Router::new().route(
        "/whoami",
        get(|Extension(peer): Extension<Peer>| async move {
            format!(
                "{} {}",
                peer.client_cert
                    .map_or("nobody".into(), |cert| to_hex(&cert)),
                peer.client_cert_expires_ms.unwrap_or(0)
            )
        }),
    )
}

fn client_at(trust: Trust, identity: Option<Identity>, clock_ms: i64, floor_ms: i64) -> Client {
    let clock: Arc<dyn Clock> = Arc::new(TestClock::at(clock_ms));
    let (tls, _) = client_config(trust, identity, TlsTime::new(clock, floor_ms)).unwrap();
    Client::new(tls, ClientLimits::default())
}

async fn whoami_of(client: &Client, server: &Served) -> Result<String, ClientError> {
    let answer = client
        .get(&format!("{}/whoami", server.url), HeaderMap::new())
        .await?;
    assert_eq!(answer.status, StatusCode::OK);
    Ok(String::from_utf8(answer.body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_peer_that_sends_half_a_head_is_closed() {
    let limits = Limits {
        head_read: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Served::start(None, whoami(), limits).await;
    for bytes in [
        "",
        "G",
        "GET /whoami HTTP/1.1\r\nHost: x\r\nX-A: ",
        "PRI * HTTP/2.0\r\n\r\nSM",
    ] {
        let mut tcp = TcpStream::connect(server.addr).await.unwrap();
        tcp.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Ends only when the listener closes; a reset is an end too.
        let _ = tcp.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{bytes:?}");
    }
}

/// Takes bodies of at most a thousand bytes.
fn taking() -> Router {
    Router::new().route(
        "/take",
        post(|headers: HeaderMap, body: Body| async move {
            let bytes = body::read(&headers, body, 1000, Pace::default()).await?;
            Ok::<_, HttpError>(bytes.len().to_string())
        }),
    )
}

#[tokio::test]
async fn over_http_2_a_body_of_100_mb_is_refused_and_the_answer_is_not_overtaken_by_a_reset() {
    let server = Served::start(None, taking(), Limits::default()).await;
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let (mut client, mut connection) = h2::client::handshake(tcp).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::post(format!("{}/take", server.url))
        .header("content-length", "100000000")
        .body(())
        .unwrap();
    let (answer, mut rest) = client.send_request(request, false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 413);
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        text.extend(piece.unwrap());
    }
    assert!(String::from_utf8(text).unwrap().contains("\"too_large\""));
    // Whatever the server sent with the answer is here before this is answered.
    pings.ping(h2::Ping::opaque()).await.unwrap();
    let reset = std::future::poll_fn(|cx| rest.poll_reset(cx));
    assert!(reset.now_or_never().is_none(), "the stream was reset");
    // In the end it is, and nothing more of it is taken.
    let reset = std::future::poll_fn(|cx| rest.poll_reset(cx)).await;
    assert_eq!(reset.unwrap(), h2::Reason::NO_ERROR);
    driver.abort();
}

#[tokio::test]
async fn a_body_of_100_mb_is_refused_before_it_is_read() {
    let server = Served::start(None, taking(), Limits::default()).await;
    let mut tcp = TcpStream::connect(server.addr).await.unwrap();
    tcp.write_all(
        b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nonly the beginning",
    )
    .await
    .unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("\"too_large\""),
        "{answer}"
    );
}

#[tokio::test]
async fn a_stop_finishes_requests_in_flight_and_takes_no_new_ones() {
    let (started, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (in_handler, in_handler_too) = (started.clone(), go_on.clone());
    let router = Router::new().route(
        "/slow",
        get(|| async move {
            in_handler.notify_one();
            in_handler_too.notified().await;
            "finished"
        }),
    );
    let mut server = Served::start(None, router, Limits::default()).await;
    let client = client_at(Trust::default(), None, NOW, NOW);
    let url = format!("{}/slow", server.url);
    let call = tokio::spawn(async move { client.get(&url, HeaderMap::new()).await });
    started.notified().await;
    server.stop();
    while TcpStream::connect(server.addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.done.is_finished());
    go_on.notify_one();
    assert_eq!(call.await.unwrap().unwrap().body, "finished");
    server.done.await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let started = Arc::new(Notify::new());
    let in_handler = started.clone();
    let router = Router::new().route(
        "/stuck",
        get(|| async move {
            in_handler.notify_one();
            std::future::pending::<&str>().await
        }),
    );
    let limits = Limits {
        drain: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut server = Served::start(None, router, limits).await;
    let client = client_at(Trust::default(), None, NOW, NOW);
    let url = format!("{}/stuck", server.url);
    let call = tokio::spawn(async move { client.get(&url, HeaderMap::new()).await });
    started.notified().await;
    server.stop();
    server.done.await.unwrap();
    assert!(matches!(
        call.await.unwrap(),
        Err(ClientError::Broken { .. })
    ));
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once() {
    let limits = Limits {
        connections_max: 1,
        ..Limits::default()
    };
    let server = Served::start(None, whoami(), limits).await;
    let mut first = TcpStream::connect(server.addr).await.unwrap();
    first
        .write_all(b"GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut head = [0; 12];
    first.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let mut second = TcpStream::connect(server.addr).await.unwrap();
    assert!(matches!(second.read(&mut head).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_client_stops_at_its_limits() {
    let router = Router::new()
        .route("/big", get(|| async { Bytes::from(vec![0; 5000]) }))
        .route(
            "/never",
            get(|| async { std::future::pending::<&str>().await }),
        );
    let mut server = Served::start(
        None,
        router,
        Limits {
            drain: Duration::ZERO,
            ..Limits::default()
        },
    )
    .await;
    let clock: Arc<dyn Clock> = Arc::new(TestClock::at(NOW));
    let (tls, _) = client_config(Trust::default(), None, TlsTime::new(clock, NOW)).unwrap();
    let limits = ClientLimits {
        response_bytes_max: 1000,
        ..ClientLimits::default()
    };
    let client = Client::new(tls, limits);
    let error = client
        .get(&format!("{}/big?key=secret", server.url), HeaderMap::new())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::TooLarge {
                bytes_max: 1000,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!error.to_string().contains("secret"), "{error}");
    let url = format!("{}/never", server.url);
    let error = client
        .send(
            Method::GET,
            &url,
            HeaderMap::new(),
            Bytes::new(),
            Duration::from_millis(20),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
    server.stop();
    server.done.await.unwrap();
    let error = client.get(&url, HeaderMap::new()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("is the server running"),
        "{error}"
    );
    for url in ["", "localhost:80", "ftp://x/", "/path"] {
        assert!(
            matches!(
                client.get(url, HeaderMap::new()).await,
                Err(ClientError::BadUrl { .. })
            ),
            "{url}"
        );
    }
}

#[tokio::test]
async fn the_local_socket_is_for_its_owner_and_streams() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    // A program that was killed leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = Listener::bind_unix(&path, Limits::default()).await.unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let pieces = || async {
        Body::from_stream(futures_util::stream::iter(
            ["one\n", "two\n"].map(Ok::<_, std::io::Error>),
        ))
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let done = tokio::spawn(serve(
        listener,
        with_error_form(Router::new().route("/lines", get(pieces))),
        async {
            let _ = stopped.await;
        },
    ));
    let local = client::unix(&path);
    let mut answer = local.get("/lines").await.unwrap();
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    assert_eq!(text, b"one\ntwo\n");
    let missing = local
        .post_json("/nothing", "{}")
        .await
        .unwrap()
        .whole(10_000)
        .await
        .unwrap();
    assert_eq!(missing.error().unwrap().code, "not_found");
    let second = Listener::bind_unix(&path, Limits::default()).await;
    assert!(matches!(second, Err(ListenError::UnixInUse { .. })));
    drop(answer);
    stop.send(()).unwrap();
    done.await.unwrap();
    assert!(!path.exists());
    let error = local.get("/lines").await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error:?}");
}
