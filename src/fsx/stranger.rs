//! The owner of a path.

use std::path::Path;

/// The owner of `path` (or of a link's target), unless it is the user of this process or `trusted`.
#[cfg(unix)]
pub fn stranger(path: &Path, trusted: Option<u32>) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let own = nix::unistd::geteuid().as_raw();
    let looks = [std::fs::symlink_metadata(path), std::fs::metadata(path)];
    let mut owners = looks.into_iter().flatten().map(|found| found.uid());
    owners.find(|owner| *owner != own && Some(*owner) != trusted)
}

/// On systems without such users, nothing belongs to a stranger.
#[cfg(not(unix))]
pub fn stranger(_: &Path, _: Option<u32>) -> Option<u32> {
    None
}
