//! Notices that the network changed: a cable was plugged in, an address or a route came.
//!
//! Owns the subscription to what the kernel tells of it (rtnetlink(7)). Where it cannot be had, back-off alone finds out.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, socket_with},
};
use tokio::{
    net::UnixDatagram,
    sync::{Notify, watch},
    time::sleep,
};

/// Links, and addresses and routes of both kinds: `RTMGRP_LINK`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV6_IFADDR`, `_IPV6_ROUTE`.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
/// A cable brings several messages: link, address, route. What comes within this time is one change.
const SETTLES: Duration = Duration::from_millis(200);
/// The devices behind one switch notice at the same time; they are spread over this.
const SPREAD: Duration = Duration::from_secs(1);

/// What the kernel tells. Datagrams on a socket of our own: the runtime's type for such is the one for local sockets.
struct Changes(UnixDatagram);

impl Changes {
    fn subscribe() -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // Its protocol is NETLINK_ROUTE, which is 0.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Self::of(socket)
    }

    fn of(socket: OwnedFd) -> io::Result<Self> {
        UnixDatagram::from_std(socket.into()).map(Self)
    }

    /// Waits for the next message, and takes all that are there. What they say does not matter: the next try finds out.
    async fn next(&self) -> io::Result<()> {
        let mut buffer = [0_u8; 8 * 1024];
        self.0.readable().await?;
        loop {
            match self.0.try_recv(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                // There were more messages than the kernel keeps.
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Tells whoever waits of every change, a little later than it came. `random` is in 0..1.
pub async fn run(changed: Arc<Notify>, random: fn() -> f64, mut stop: watch::Receiver<bool>) {
    let told = async {
        let changes = Changes::subscribe()?;
        loop {
            changes.next().await?;
            sleep(SETTLES + SPREAD.mul_f64(random().clamp(0.0, 1.0))).await;
            // Nobody waits while the server answers: then it means nothing.
            changed.notify_waiters();
        }
    };
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        ended = told => {
            let ended: io::Result<()> = ended;
            if let Err(error) = ended {
                tracing::info!(%error, "the system does not tell when the network changes; a server that comes back is found by trying");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram as Datagrams;

    use super::*;

    #[tokio::test]
    async fn a_burst_of_messages_is_one_change() {
        let (kernel, socket) = Datagrams::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let changes = Changes::of(socket.into()).unwrap();
        for _ in 0..3 {
            kernel.send(b"a route").unwrap();
        }
        changes.next().await.unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(20), changes.next());
        assert!(quiet.await.is_err());
        kernel.send(b"a link").unwrap();
        changes.next().await.unwrap();
    }

    #[tokio::test]
    async fn the_kernel_lets_anybody_listen() {
        assert!(Changes::subscribe().is_ok());
    }
}
