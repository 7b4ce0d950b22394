//! What the system says of a process and a folder.

use std::{fs, path::Path};

use anyhow::Context as _;

/// Memory in use. Unit: MiB.
///
/// # Errors
/// There is none such, or it says something else.
pub fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    Ok(number(&format!("/proc/{pid}/status"), "VmRSS:")? / 1024.0)
}

/// The most memory that was in use since this was asked last. Unit: MiB.
///
/// # Errors
/// There is none such, or it says something else.
pub fn peak_mib(pid: u32) -> anyhow::Result<f64> {
    let peak = number(&format!("/proc/{pid}/status"), "VmHWM:")? / 1024.0;
    // Begins anew from what is in use now, see proc_pid_clear_refs(5).
    fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    Ok(peak)
}

/// Bytes that a process made the system write to storage: whole pages, each time they are written.
///
/// # Errors
/// There is none such, or it says something else.
pub fn written_bytes(pid: u32) -> anyhow::Result<f64> {
    number(&format!("/proc/{pid}/io"), "write_bytes:")
}

fn number(file: &str, name: &str) -> anyhow::Result<f64> {
    let text = fs::read_to_string(file)?;
    let line = text
        .lines()
        .find(|line| line.starts_with(name))
        .with_context(|| format!("{name} in {file}"))?;
    let value = line.split_whitespace().nth(1).context("a number")?;
    Ok(value.parse()?)
}

/// User and system time of a process. Unit: ms.
///
/// # Errors
/// There is none such, or it says something else.
pub fn cpu_ms(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after) = stat.rsplit_once(')').context("stat")?;
    let ticks: Vec<f64> = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // Linux counts in hundredths of a second for every program that asks through /proc.
    Ok(ticks.iter().sum::<f64>() * 10.0)
}

/// Length of all files of a folder.
///
/// # Errors
/// There is none such, or it says something else.
pub fn folder_bytes(dir: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let data = match entry.metadata() {
            // It may be gone since it was named.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            data => data?,
        };
        sum += if data.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            data.len()
        };
    }
    Ok(sum)
}
