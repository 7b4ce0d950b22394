//! How many files of the store are open at a time.

use trenza_shared::net::descriptors::allowed;

/// The most: those of 128 GiB. One that is closed for another is opened and read anew by the next read, which takes a millisecond.
pub const STORE_FILES_MAX: usize = 2_048;

/// How many where the system allows few: half is left for connections.
pub(super) fn most() -> i32 {
    of(allowed())
}

fn of(allowed: u64) -> i32 {
    let half = usize::try_from(allowed / 2).unwrap_or(usize::MAX);
    i32::try_from(half.min(STORE_FILES_MAX)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_allowed_is_left_for_connections() {
        assert_eq!((of(1_024), of(20_000), of(u64::MAX)), (512, 2_048, 2_048));
    }
}
