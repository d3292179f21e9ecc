//! Available memory: the machine's free memory, further limited by the cgroups of this process.
//!
//! A cgroup's limit applies to all processes in it and below it, so every cgroup from that of this
//! process up to the root of the mount is considered (a container, its pod, a queue job, a systemd
//! slice). File pages that the kernel can drop count as free.

use std::path::{Path, PathBuf};

/// Amounts in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Available without swapping.
    pub(crate) free: u64,
    /// Total.
    pub(crate) total: u64,
}

impl Memory {
    /// Queries the system; `None` if it does not answer.
    pub(crate) fn look() -> Option<Self> {
        let mut system = sysinfo::System::new();
        system.refresh_memory();
        let machine = Self {
            free: system.available_memory(),
            total: system.total_memory(),
        };
        let machine = Some(machine).filter(|machine| machine.free > 0)?;
        Some(machine.within(cgroups(Path::new("/"))))
    }

    fn within(self, limits: Vec<Self>) -> Self {
        limits.into_iter().fold(self, |all, limit| Self {
            free: all.free.min(limit.free),
            total: all.total.min(limit.total),
        })
    }
}

/// File names in the two versions of cgroups.
struct Version {
    limit: &'static str,
    used: &'static str,
    /// Entries for file pages in `memory.stat`, which cover the cgroup and all below it.
    files: [&'static str; 2],
}

const V1: Version = Version {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    files: ["total_inactive_file", "total_active_file"],
};
const V2: Version = Version {
    limit: "memory.max",
    used: "memory.current",
    files: ["inactive_file", "active_file"],
};

/// The limits of the cgroups of this process. `root` is `/` except in tests.
fn cgroups(root: &Path) -> Vec<Memory> {
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_default();
    let (own, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let mut found = Vec::new();
    for line in own.lines() {
        // Number of the hierarchy, its controllers, path of the cgroup.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let version = match controllers {
            "" => V2,
            some if some.split(',').any(|name| name == "memory") => V1,
            _ => continue,
        };
        let mounts = mounts.lines().filter_map(|line| mount(line, &version));
        for (mounted, at) in mounts {
            // In a container that sees its host's paths, the mount shows only the container's part.
            let below = Path::new(path)
                .strip_prefix(&mounted)
                .unwrap_or(Path::new(""));
            let top = root.join(at.strip_prefix("/").unwrap_or(&at));
            let folders = top.join(below);
            let folders = folders
                .ancestors()
                .take_while(|folder| folder.starts_with(&top));
            found.extend(folders.filter_map(|folder| limit(folder, &version)));
        }
    }
    found
}

/// The cgroup mounted by a line of `mountinfo`, and the mount point; `None` for other file systems.
fn mount(line: &str, version: &Version) -> Option<(PathBuf, PathBuf)> {
    let (mount, system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (mounted, at) = (unescaped(mount.next()?), unescaped(mount.next()?));
    let mut system = system.split(' ');
    let (kind, options) = (system.next()?, system.nth(1)?);
    let wanted = match kind {
        "cgroup2" => version.limit == V2.limit,
        "cgroup" => version.limit == V1.limit && options.split(',').any(|o| o == "memory"),
        _ => false,
    };
    wanted.then(|| (mounted.into(), at.into()))
}

/// Decodes the octal escapes of spaces and the like in `mountinfo`.
fn unescaped(path: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    let plain = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
    escapes.iter().fold(path.to_owned(), plain)
}

/// The memory that one cgroup allows; `None` if it has no limit.
fn limit(folder: &Path, version: &Version) -> Option<Memory> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    // `max`, or a number close to the size of the address space, is no limit: the machine has less.
    let total = number(version.limit)?;
    let used = number(version.used)?;
    let stat = read("memory.stat").unwrap_or_default();
    let entries = stat.lines().filter_map(|line| line.split_once(' '));
    let files = entries.filter(|(name, _)| version.files.contains(name));
    let files: u64 = files
        .filter_map(|(_, bytes)| bytes.parse::<u64>().ok())
        .sum();
    Some(Memory {
        free: total.saturating_sub(used.saturating_sub(files)),
        total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A folder with the given files that stands in for `/`.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn within(files: &[(&str, &str)]) -> [u64; 2] {
        let machine = Memory {
            free: 20_000 * MIB,
            total: 24_000 * MIB,
        };
        let left = machine.within(cgroups(root(files).path()));
        [left.free / MIB, left.total / MIB]
    }

    #[test]
    fn the_tightest_of_nested_limits_counts() {
        let nested = |inner: &'static str, outer: &'static str| {
            within(&[
                ("proc/self/cgroup", "0::/user.slice/job.scope/step\n"),
                (
                    "proc/self/mountinfo",
                    "25 1 0:2 / / rw - ext4 /dev/sda rw\n30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
                ),
                ("sys/fs/cgroup/user.slice/job.scope/step/memory.max", inner),
                (
                    "sys/fs/cgroup/user.slice/job.scope/step/memory.current",
                    "104857600\n",
                ),
                (
                    "sys/fs/cgroup/user.slice/job.scope/step/memory.stat",
                    "anon 7\ninactive_file 10485760\nactive_file 10485760\n",
                ),
                ("sys/fs/cgroup/user.slice/job.scope/memory.max", outer),
                (
                    "sys/fs/cgroup/user.slice/job.scope/memory.current",
                    "209715200\n",
                ),
                ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
                ("sys/fs/cgroup/user.slice/memory.current", "1\n"),
            ])
        };
        assert_eq!(nested("max\n", "max\n"), [20_000, 24_000]);
        assert_eq!(nested("536870912\n", "max\n"), [512 - 80, 512]);
        assert_eq!(nested("536870912\n", "268435456\n"), [256 - 200, 256]);
        assert_eq!(nested("1\n", "max\n"), [0, 0], "more is used than may be");
    }

    #[test]
    fn a_container_that_sees_the_paths_of_its_host() {
        let files = [
            (
                "proc/self/cgroup",
                "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
            ),
            (
                "proc/self/mountinfo",
                "40 25 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n41 25 0:32 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "272629760\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "72351744\n"),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "total_rss 1\ntotal_inactive_file 10485760\n",
            ),
        ];
        assert_eq!(within(&files), [260 - 69 + 10, 260]);
    }

    #[test]
    fn a_system_without_cgroups_has_no_limit() {
        assert_eq!(within(&[]), [20_000, 24_000]);
        let odd = [
            ("proc/self/cgroup", "\n::\n0:\n0::/x\nmemory\n"),
            (
                "proc/self/mountinfo",
                "- \n1 2 3 - cgroup2\n30 25 0:26 / /c rw - cgroup2 c rw\n",
            ),
            ("c/x/memory.max", "many\n"),
        ];
        assert_eq!(within(&odd), [20_000, 24_000]);
    }
}
