//! Test support.

pub mod day;
