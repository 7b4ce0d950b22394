//! Nothing new costs little: counted where the bytes are, below TLS.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use trenza_shared::wire::pulse::{Digest, Heard, Pulse, Told, digest};

use super::*;

/// What a hello with nothing new may cost, both ways together, with TLS and HTTP. Unit: bytes.
const QUIET_BYTES_MAX: u64 = 400;

async fn count(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    sum: Arc<AtomicU64>,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        sum.fetch_add(read as u64, Ordering::SeqCst);
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// A cable to `to` on which every byte is counted.
async fn cable(to: SocketAddr) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, sum) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    let counted = sum.clone();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(count(near_in, far_out, counted.clone()));
            tokio::spawn(count(far_in, near_out, counted.clone()));
        }
    });
    (at, sum)
}

impl Device {
    /// Says hello; the digest of what both sides then know.
    async fn greets(&self, hello: &Hello) -> Digest {
        let answer = self.say(hello).await.unwrap();
        let welcome = Welcome::from_bytes(&answer.body).unwrap();
        let told = Told {
            generation: welcome.generation,
            lanes: &welcome.lanes,
            write_keys: &welcome.write_keys,
            origins: &welcome.origins,
            revoked: &welcome.revoked,
        };
        digest(hello, Some(told))
    }

    async fn pulse(&self, digest: Digest) -> Heard {
        let pulse = Pulse {
            digest,
            boottime_ms: 86_400_000,
            wall_ms: self.clock.wall_ms(),
            clock_offset_ms: Some(-1_000),
            disk_free_bytes: 1 << 36,
        };
        let answer = self.post("pulse", HeaderMap::new(), pulse.to_bytes()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.error());
        Heard::from_bytes(&answer.body).unwrap()
    }
}

#[tokio::test]
async fn a_hello_with_nothing_new_costs_at_most_400_bytes_in_all() {
    let site = Site::start().await;
    let to: SocketAddr = site.url.trim_start_matches("https://").parse().unwrap();
    let (at, bytes) = cable(to).await;
    let device = Device {
        url: format!("https://{at}"),
        ..site.device(1)
    };
    // As after a day of visits: two lanes with entries, in the second epoch.
    let head = |epoch, lane| LaneHead {
        epoch,
        lane,
        seq: 0,
        hash: CHAIN_START,
        oldest: 0,
    };
    let hello = Hello {
        lanes: [1, 2]
            .into_iter()
            .flat_map(|epoch| Lane::ALL.map(|lane| head(epoch, lane)))
            .collect(),
        ..device.hello_of(Some(1))
    };
    let known = device.greets(&hello).await;
    let same = |heard: Heard| matches!(heard, Heard::Same { .. });
    assert!(same(device.pulse(known).await));
    const TIMES: u64 = 20;
    let before = bytes.load(Ordering::SeqCst);
    for _ in 0..TIMES {
        site.server.clock.advance_ms(20_000);
        assert!(same(device.pulse(known).await));
    }
    let each = (bytes.load(Ordering::SeqCst) - before) / TIMES;
    println!("{each} bytes for a hello with nothing new");
    assert!(each <= QUIET_BYTES_MAX, "{each} bytes");
    let contact = CONTACTS.get(&*site.server.app.store, &device.agent);
    let contact = contact.unwrap().unwrap();
    assert_eq!(contact.at_ms, site.server.clock.wall_ms());
    assert_eq!(contact.hello.disk_free_bytes, 1 << 36);

    // Whatever is new asks for a hello: on the agent, on the server, another start of the program.
    assert_eq!(device.pulse(Digest([0; 16])).await, Heard::Hello);
    let source = site.server.app.registry.source(WEB).unwrap();
    site.server
        .app
        .registry
        .put_source("wk_new", &source)
        .unwrap();
    assert_eq!(device.pulse(known).await, Heard::Hello);
    let known = device.greets(&hello).await;
    assert!(same(device.pulse(known).await));
    assert_eq!(device.hello(2).await, None);
    assert_eq!(device.pulse(known).await, Heard::Hello);
    site.close().await;
}
