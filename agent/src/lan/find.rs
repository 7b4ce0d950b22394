//! Finding neighbours on the local network by multicast DNS (RFC 6762, RFC 6763), and being found.
//!
//! What is announced: an address, the agent's id, and a mark of the venue, so that agents of other venues are not called. Nothing
//! that is found is believed: who answers at an address has to show its certificate.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use mdns_sd::{Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use trenza_shared::id::{AgentId, to_hex};

/// Name of the service.
const SERVICE: &str = "_trenza._tcp.local.";
/// Property that holds the mark of the venue.
const VENUE: &str = "venue";
/// Most addresses of one agent that are called: a device has several interfaces, and not all of them lead here.
const ADDRESSES_MAX: usize = 4;

/// The announcement and the search; both end when it is dropped.
pub struct Finder {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    me: AgentId,
    mark: String,
    found: BTreeMap<String, BTreeSet<String>>,
}

/// The same for agents of one venue, and says nothing of its name.
fn mark(venue: &str) -> String {
    let key = blake3::derive_key("trenza-agent 2026 venue on the network", venue.as_bytes());
    to_hex(&key[..8])
}

impl Finder {
    /// Announces that `me` of `venue` listens at `addr`, and looks for others. An address of the loopback alone is not announced.
    ///
    /// # Errors
    /// The system has no multicast.
    pub fn start(
        me: AgentId,
        venue: &str,
        addr: SocketAddr,
    ) -> Result<Option<Self>, mdns_sd::Error> {
        if addr.ip().is_loopback() || venue.is_empty() {
            return Ok(None);
        }
        let (daemon, mark) = (ServiceDaemon::new()?, mark(venue));
        // A name of an instance has 63 bytes at most.
        let name = me.to_string().replace('_', "-");
        let properties = [(VENUE, mark.as_str())];
        let host = format!("{name}.local.");
        let info = if addr.ip().is_unspecified() {
            ServiceInfo::new(SERVICE, &name, &host, "", addr.port(), &properties[..])?
                .enable_addr_auto()
        } else {
            ServiceInfo::new(
                SERVICE,
                &name,
                &host,
                addr.ip(),
                addr.port(),
                &properties[..],
            )?
        };
        daemon.register(info)?;
        let events = daemon.browse(SERVICE)?;
        Ok(Some(Self {
            daemon,
            events,
            me,
            mark,
            found: BTreeMap::new(),
        }))
    }

    /// Waits for news; every address that is known now, or none when the search has ended.
    pub async fn next(&mut self) -> Option<BTreeSet<String>> {
        loop {
            match self.events.recv_async().await.ok()? {
                ServiceEvent::ServiceResolved(service) => {
                    let urls = urls(&service, self.me, &self.mark);
                    self.found.insert(service.fullname.clone(), urls);
                }
                ServiceEvent::ServiceRemoved(_, name) => {
                    self.found.remove(&name);
                }
                _ => continue,
            }
            return Some(self.found.values().flatten().cloned().collect());
        }
    }
}

impl Drop for Finder {
    fn drop(&mut self) {
        // The process may be ending: then the others notice by themselves.
        let _ending = self.daemon.shutdown();
    }
}

/// Where another agent of the venue is reached; nowhere for this one and for agents of other venues.
fn urls(service: &ResolvedService, me: AgentId, mark: &str) -> BTreeSet<String> {
    let own = service
        .fullname
        .starts_with(&me.to_string().replace('_', "-"));
    if own || service.get_property_val_str(VENUE) != Some(mark) {
        return BTreeSet::new();
    }
    let mut addresses: Vec<IpAddr> = service
        .addresses
        .iter()
        .map(|address| address.to_ip_addr())
        .filter(|ip| !ip.is_loopback() && !is_link_local(ip))
        .collect();
    // IPv4 first: it is what every such network has.
    addresses.sort();
    let addresses = addresses.into_iter().take(ADDRESSES_MAX);
    addresses
        .map(|ip| format!("https://{}", SocketAddr::new(ip, service.port)))
        .collect()
}

/// Needs the name of an interface to be reached.
fn is_link_local(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(agent: AgentId, venue: &str, addresses: &str) -> ResolvedService {
        let name = agent.to_string().replace('_', "-");
        let mark = mark(venue);
        let properties = [(VENUE, mark.as_str())];
        ServiceInfo::new(SERVICE, &name, "x.local.", addresses, 8323, &properties[..])
            .unwrap()
            .as_resolved_service()
    }

    #[test]
    fn only_other_agents_of_the_venue_are_called() {
        let (me, other) = (AgentId([1; 16]), AgentId([2; 16]));
        let found = |agent, venue, addresses| {
            urls(&service(agent, venue, addresses), me, &mark("Feria"))
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            found(other, "Feria", "192.168.1.7,127.0.0.1,fe80::1"),
            ["https://192.168.1.7:8323"]
        );
        assert!(found(me, "Feria", "192.168.1.7").is_empty());
        assert!(found(other, "Otra", "192.168.1.7").is_empty());
        assert_eq!(
            found(
                other,
                "Feria",
                "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5"
            )
            .len(),
            4
        );
        assert_ne!(mark("Feria"), mark("feria"));
    }
}
