//! Whose a path is.

use std::path::Path;

/// The user whom `path` belongs to, or what it links to, where that is neither the user of this process nor `trusted`.
#[cfg(unix)]
pub fn stranger(path: &Path, trusted: Option<u32>) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let own = nix::unistd::geteuid().as_raw();
    let looks = [std::fs::symlink_metadata(path), std::fs::metadata(path)];
    let mut owners = looks.into_iter().flatten().map(|found| found.uid());
    owners.find(|owner| *owner != own && Some(*owner) != trusted)
}

/// Where the system has no such users, nothing is a stranger's.
#[cfg(not(unix))]
pub fn stranger(_: &Path, _: Option<u32>) -> Option<u32> {
    None
}
