//! Few memory arenas for the process.
//!
//! glibc gives nearly every thread an arena of its own, and each keeps a good part of the most that was ever in use in it. With two
//! the threads share what is free.

use std::{env, os::unix::process::CommandExt as _, process::Command};

/// How many arenas glibc may make, see mallopt(3). It is read before anything of this program runs.
const VARIABLE: &str = "MALLOC_ARENA_MAX";
const ARENAS: &str = "2";
/// The other way to say it, see ld.so(8).
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Begins this program anew, as the same process, with few arenas, unless the environment has a say in it already. To be called before
/// anything else.
pub fn limit() {
    let decided = [VARIABLE, TUNABLES].map(|name| env::var_os(name).is_some());
    if cfg!(not(target_env = "gnu")) || decided.contains(&true) {
        return;
    }
    let began = env::current_exe().map(|program| {
        Command::new(program)
            .args(env::args_os().skip(1))
            .env(VARIABLE, ARENAS)
            .exec()
    });
    let (Ok(error) | Err(error)) = began;
    eprintln!(
        "trenza-agent: cannot limit the memory arenas: {error}; it runs all the same, with more memory (set {VARIABLE}={ARENAS})"
    );
}
