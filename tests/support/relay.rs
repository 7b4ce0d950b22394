//! A TCP relay with a switch: a network cable that can be pulled or thin, and that counts what passes.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
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
    connections: Arc<AtomicU64>,
    /// Unit: bytes a second in each direction; 0 = without limit.
    limit: Arc<AtomicU64>,
    /// What the target says arrives so much later. Unit: ms.
    delay: Arc<AtomicU64>,
    /// When the first byte passed since the cable was plugged in last.
    began: Arc<Mutex<Option<Instant>>>,
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
        let (delay, began) = (Arc::new(AtomicU64::new(0)), Arc::default());
        let line = Line {
            passed: passed.clone(),
            limit: limit.clone(),
            delay: delay.clone(),
            began: Arc::clone(&began),
        };
        let connections = Arc::new(AtomicU64::new(0));
        let accepted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                // An unplugged cable: the connection dies at once.
                if *state.borrow() {
                    tokio::spawn(relay(
                        client,
                        target,
                        state.clone(),
                        swallow.clone(),
                        line.clone(),
                    ));
                }
            }
        });
        Ok(Self {
            addr,
            plugged,
            swallows,
            passed,
            connections,
            limit,
            delay,
            began,
            _task: task,
        })
    }

    /// Pulls or plugs the cable; pulling cuts what is open.
    pub fn plug(&self, plugged: bool) {
        if plugged {
            *self.began.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
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

    /// From now on what the target says arrives so much later; how much it says at a time does not change.
    pub fn delay(&self, answers: Duration) {
        let ms = u64::try_from(answers.as_millis()).unwrap_or(u64::MAX);
        self.delay.store(ms, Ordering::Relaxed);
    }

    /// How often anybody connected.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// When the first byte passed since the cable was plugged in last.
    pub fn began(&self) -> Option<Instant> {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that passed in both directions.
    pub fn bytes(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

/// What all connections share.
#[derive(Clone)]
struct Line {
    passed: Arc<AtomicU64>,
    limit: Arc<AtomicU64>,
    delay: Arc<AtomicU64>,
    began: Arc<Mutex<Option<Instant>>>,
}

/// Most chunks of one connection that are on their way back at a time.
const DELAYED_MAX: usize = 256;

async fn relay(
    client: TcpStream,
    target: SocketAddr,
    mut plugged: watch::Receiver<bool>,
    swallow: watch::Receiver<Swallow>,
    line: Line,
) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let asking = || *swallow.borrow() == Swallow::All;
    let answering = || *swallow.borrow() != Swallow::Nothing;
    let (later, due) = mpsc::channel(DELAYED_MAX);
    // What the target said before it closed still arrives.
    let answers = async {
        tokio::join!(
            pump(server_in, Way::Later(later), &line, answering),
            deliver(due, client_out)
        )
    };
    tokio::select! {
        () = pump(client_in, Way::Now(server_out), &line, asking) => {}
        ((), ()) = answers => {}
        _ = plugged.wait_for(|plugged| !plugged) => {}
    }
}

enum Way {
    Now(OwnedWriteHalf),
    Later(mpsc::Sender<(Instant, Vec<u8>)>),
}

async fn pump(mut from: OwnedReadHalf, mut to: Way, line: &Line, swallows: impl Fn() -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    let mut silent = false;
    while let Ok(count) = from.read(&mut buffer).await {
        silent |= count > 0 && swallows();
        if silent && count > 0 {
            continue;
        }
        if count == 0 {
            return;
        }
        line.began
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(Instant::now);
        let gone = match &mut to {
            Way::Now(to) => to.write_all(&buffer[..count]).await.is_err(),
            Way::Later(to) => {
                let delay = Duration::from_millis(line.delay.load(Ordering::Relaxed));
                let chunk = (Instant::now() + delay, buffer[..count].to_vec());
                to.send(chunk).await.is_err()
            }
        };
        if gone {
            return;
        }
        line.passed.fetch_add(count as u64, Ordering::Relaxed);
        let limit = line.limit.load(Ordering::Relaxed);
        if limit > 0 {
            tokio::time::sleep(Duration::from_secs_f64(count as f64 / limit as f64)).await;
        }
    }
}

async fn deliver(mut due: mpsc::Receiver<(Instant, Vec<u8>)>, mut to: OwnedWriteHalf) {
    while let Some((at, chunk)) = due.recv().await {
        tokio::time::sleep_until(at.into()).await;
        if to.write_all(&chunk).await.is_err() {
            return;
        }
    }
}
