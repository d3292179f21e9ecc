//! Memory of this process, as reported by the system.

/// Peak resident set of this process (in a sweep, since the last run ended); 0 if the system does not report it.
pub fn peak_rss_bytes() -> u64 {
    // On Linux, `getrusage` may include the peak of the parent process, since it survives `exec`.
    #[cfg(target_os = "linux")]
    if let Some(bytes) = high_water_mark() {
        return bytes;
    }
    #[cfg(unix)]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        // Linux counts in KiB, macOS in bytes.
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss() as u64 * unit)
    }
    #[cfg(not(unix))]
    {
        0
    }
}

/// Resets the peak after a run, if the system can, so that the next run does not inherit it.
pub(super) fn forget_peak() {
    // Only Linux can; elsewhere, a record holds the peak of the process so far.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// `VmHWM` of this process, which the kernel counts in KiB.
#[cfg(target_os = "linux")]
fn high_water_mark() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
