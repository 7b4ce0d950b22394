//! Ports that stay a program's own while it is down: one that it merely had before may be anybody's when it starts again.

use std::collections::BTreeMap;

use tokio::net::TcpSocket;

/// Any port of this machine, as a setting.
pub(super) const ANY: &str = "127.0.0.1:0";

/// Sockets that hold ports and never listen.
#[derive(Debug, Default)]
pub struct Ports(Vec<TcpSocket>);

impl Ports {
    /// Gives every setting that asks for any port one of its own. The system gives it to nobody else, and lets a program that names it listen.
    ///
    /// # Errors
    /// No port is free.
    pub(super) fn give(&mut self, env: &mut BTreeMap<String, String>) -> std::io::Result<()> {
        for address in env.values_mut().filter(|address| *address == ANY) {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(([127, 0, 0, 1], 0).into())?;
            *address = socket.local_addr()?.to_string();
            self.0.push(socket);
        }
        Ok(())
    }
}
