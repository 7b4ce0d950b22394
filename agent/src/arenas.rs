//! How the process keeps memory that it does not use.
//!
//! glibc gives nearly every thread an arena of its own, and each keeps a good part of the most that was ever in use in it; and the
//! larger a block was that was given back, the more it keeps. With two arenas the threads share what is free, and large blocks go back
//! to the system. One arena would keep less still, and costs half as much CPU again for an event of a post of 100.

use std::{env, os::unix::process::CommandExt as _, process::Command};

/// How many arenas glibc may make, from what size on a block is mapped on its own, and how much free memory stays at the end, see
/// mallopt(3). Units of the second and third: bytes. They are read before anything of this program runs.
const VARIABLES: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "262144"),
    ("MALLOC_TRIM_THRESHOLD_", "262144"),
];
/// The other way to say it, see ld.so(8).
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Begins this program anew, as the same process, with these, unless the environment has a say in it already. To be called before
/// anything else.
pub fn limit() {
    let mut names = VARIABLES.iter().map(|(name, _)| *name).chain([TUNABLES]);
    if cfg!(not(target_env = "gnu")) || names.any(|name| env::var_os(name).is_some()) {
        return;
    }
    let began = env::current_exe().map(|program| {
        Command::new(program)
            .args(env::args_os().skip(1))
            .envs(VARIABLES)
            .exec()
    });
    let (Ok(error) | Err(error)) = began;
    eprintln!(
        "trenza-agent: cannot say how memory is kept: {error}; it runs all the same, with more memory (set MALLOC_ARENA_MAX=2)"
    );
}
