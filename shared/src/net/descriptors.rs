//! How many files and sockets the process may have open at a time.
//!
//! A process starts with a soft limit that is kept low (mostly 1,024) for programs that use select(2), and a hard one far above it.
//! Ours do not use select(2), so each raises the one to the other.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for the store, the listeners and local sockets beside all connections.
const BESIDE_CONNECTIONS: u64 = 512;

/// Raises the soft limit to the hard one; where even that is too low for so many connections, or the system refuses, a warning says
/// what to do. Connections beyond the limit are refused by the system, the program goes on.
pub fn make_room(connections_max: usize) {
    let allowed = raise().unwrap_or_else(|(error, allowed)| {
        tracing::warn!(%error, "the limit of open files cannot be raised");
        allowed
    });
    if let Some(needed) = short_of(allowed, connections_max) {
        tracing::warn!(
            files.allowed = allowed,
            files.needed = needed,
            "too few open files are allowed for all connections; raise the hard limit (systemd: LimitNOFILE=, a shell: ulimit -Hn)"
        );
    }
}

/// How many may be open now; `u64::MAX` where there is no limit.
#[must_use]
pub fn allowed() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The limit that holds then; `u64::MAX` where there is none.
fn raise() -> Result<u64, (rustix::io::Errno, u64)> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, raised).map_err(|error| (error, number(current)))?;
    }
    Ok(number(maximum))
}

/// How many would be needed, where fewer are allowed.
fn short_of(allowed: u64, connections_max: usize) -> Option<u64> {
    let needed = BESIDE_CONNECTIONS.saturating_add(connections_max as u64);
    (allowed < needed).then_some(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let hard = before.maximum.unwrap_or(1 << 20);
        let lower = Rlimit {
            current: Some(hard - 1),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, lower).unwrap();
        assert_eq!(raise(), Ok(before.maximum.unwrap_or(u64::MAX)));
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    }

    #[test]
    fn too_few_files_for_the_connections_are_noticed() {
        assert_eq!(short_of(1_024, 16_384), Some(16_896));
        assert_eq!(short_of(16_896, 16_384), None);
        assert_eq!(short_of(u64::MAX, usize::MAX), None);
    }
}
