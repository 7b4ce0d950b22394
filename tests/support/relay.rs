//! A TCP relay with a switch: a network cable that can be pulled or thin, and that counts what passes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What a relay reads and does not pass on, while every connection stays open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swallow {
    /// Everything passes.
    Nothing,
    /// What the target says.
    Answers,
    /// What either side says.
    All,
}

/// A relay on loopback. Dropping it cuts every connection.
pub struct Relay {
    /// Where clients connect.
    pub addr: SocketAddr,
    plugged: watch::Sender<bool>,
    swallows: watch::Sender<Swallow>,
    passed: Arc<AtomicU64>,
    /// Unit: bytes a second in each direction; 0 = without limit.
    limit: Arc<AtomicU64>,
    _task: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Starts a plugged relay to `target`.
    ///
    /// # Errors
    /// No free port.
    pub async fn to(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let (plugged, state) = watch::channel(true);
        let (swallows, swallow) = watch::channel(Swallow::Nothing);
        let passed = Arc::new(AtomicU64::new(0));
        let limit = Arc::new(AtomicU64::new(0));
        let (count, slow) = (passed.clone(), limit.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // An unplugged cable: the connection dies at once.
                if *state.borrow() {
                    tokio::spawn(relay(
                        client,
                        target,
                        state.clone(),
                        swallow.clone(),
                        count.clone(),
                        slow.clone(),
                    ));
                }
            }
        });
        Ok(Self {
            addr,
            plugged,
            swallows,
            passed,
            limit,
            _task: task,
        })
    }

    /// Pulls or plugs the cable; pulling cuts what is open.
    pub fn plug(&self, plugged: bool) {
        self.plugged.send_replace(plugged);
    }

    /// Begins or ends swallowing. A connection that lost a byte stays silent for ever, as half-open ones do.
    pub fn swallow(&self, what: Swallow) {
        self.swallows.send_replace(what);
    }

    /// From now on so many bytes a second pass in each direction of each connection; 0 = without limit.
    pub fn limit(&self, bytes_per_s: u64) {
        self.limit.store(bytes_per_s, Ordering::Relaxed);
    }

    /// Bytes that passed in both directions.
    pub fn bytes(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

async fn relay(
    client: TcpStream,
    target: SocketAddr,
    mut plugged: watch::Receiver<bool>,
    swallow: watch::Receiver<Swallow>,
    passed: Arc<AtomicU64>,
    limit: Arc<AtomicU64>,
) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let asking = || *swallow.borrow() == Swallow::All;
    let answering = || *swallow.borrow() != Swallow::Nothing;
    tokio::select! {
        () = pump(client_in, server_out, &passed, &limit, asking) => {}
        () = pump(server_in, client_out, &passed, &limit, answering) => {}
        _ = plugged.wait_for(|plugged| !plugged) => {}
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    passed: &AtomicU64,
    limit: &AtomicU64,
    swallows: impl Fn() -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut silent = false;
    while let Ok(count) = from.read(&mut buffer).await {
        silent |= count > 0 && swallows();
        if silent && count > 0 {
            continue;
        }
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        passed.fetch_add(count as u64, Ordering::Relaxed);
        let limit = limit.load(Ordering::Relaxed);
        if limit > 0 {
            tokio::time::sleep(Duration::from_secs_f64(count as f64 / limit as f64)).await;
        }
    }
}
