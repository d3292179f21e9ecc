use super::*;
use std::sync::Arc;

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn an_atomic_write_leaves_the_old_file_or_the_new_one_at_every_fault() {
    let count = {
        let dir = temp();
        let fs = FaultFs::counting(Arc::new(RealFs::without_sync()));
        fs.write_atomic(&dir.path().join("a"), b"new").unwrap();
        fs.operations()
    };
    assert_eq!(count, 5, "create, write, sync, rename, sync of the folder");
    for at in 0..count {
        for fault in [
            Fault::Kill,
            Fault::Fail(5),
            Fault::FailFrom(28),
            Fault::ShortWrite,
        ] {
            let dir = temp();
            let path = dir.path().join("a");
            std::fs::write(&path, "old").unwrap();
            let fs = FaultFs::new(Arc::new(RealFs::without_sync()), at, fault);
            let result = fs.write_atomic(&path, b"new");
            let now = std::fs::read_to_string(&path).unwrap();
            assert!(now == "old" || now == "new", "{at} {fault:?}: `{now}`");
            if result.is_ok() {
                assert_eq!(now, "new");
            }
            if matches!(fault, Fault::Fail(_)) {
                assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
            }
        }
    }
}

#[test]
fn errors_name_operation_and_path() {
    let fs = FaultFs::new(Arc::new(RealFs::without_sync()), 0, Fault::Fail(28));
    let error = fs.write_atomic(Path::new("/x/y"), b"").unwrap_err();
    let start = format!("cannot create `/x{}.tmp-", std::path::MAIN_SEPARATOR);
    assert!(error.to_string().starts_with(&start), "{error}");
    assert_eq!(error.source.raw_os_error(), Some(28));
    let error = RealFs::new()
        .read(Path::new("/no/such/file"), 1)
        .unwrap_err();
    insta::assert_snapshot!(error, @"cannot read `/no/such/file`");
    assert!(error.is_not_found());
}

#[test]
fn reading_is_bounded() {
    let dir = temp();
    let path = dir.path().join("long");
    std::fs::write(&path, [7; 100]).unwrap();
    let fs = RealFs::new();
    assert_eq!(fs.read(&path, 100).unwrap().len(), 100);
    insta::assert_snapshot!(fs.read(&path, 99).unwrap_err().source, @"it is longer than the 99 bytes that such a file may have");
    assert_eq!(fs.read_tail(&path, 10).unwrap(), [7; 10]);
    assert_eq!(fs.read_tail(&path, 1000).unwrap().len(), 100);
}

#[test]
fn of_several_that_create_or_move_one_wins() {
    let dir = temp();
    let fs = RealFs::new();
    let path = dir.path().join("claim");
    assert!(fs.create_new(&path, b"a").unwrap());
    assert!(!fs.create_new(&path, b"b").unwrap());
    for name in ["one", "two"] {
        fs.create_dir_all(&dir.path().join(name)).unwrap();
        fs.write_atomic(&dir.path().join(name).join("f"), b"")
            .unwrap();
    }
    let target = dir.path().join("target");
    assert!(fs.rename_dir_new(&dir.path().join("one"), &target).unwrap());
    assert!(!fs.rename_dir_new(&dir.path().join("two"), &target).unwrap());
}

/// A folder on a device other than the usual one; `None` if there is none.
#[cfg(unix)]
fn elsewhere() -> Option<tempfile::TempDir> {
    use std::os::unix::fs::MetadataExt as _;
    let other = tempfile::tempdir_in("/dev/shm").ok()?;
    let device = |dir: &tempfile::TempDir| dir.path().metadata().map(|found| found.dev()).ok();
    (device(&other) != device(&temp())).then_some(other)
}

#[cfg(unix)]
#[test]
fn a_rename_onto_another_device_copies() {
    let Some(other) = elsewhere() else {
        println!("skipped: one device");
        return;
    };
    let (dir, fs) = (temp(), RealFs::new());
    let (from, to) = (dir.path().join("entry"), other.path().join("there"));
    std::fs::create_dir_all(from.join("inner")).unwrap();
    std::fs::write(from.join("a"), "1").unwrap();
    std::fs::write(from.join("inner/b"), "2").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", from.join("inner/link")).unwrap();
    assert!(fs.rename_dir_new(&from, &to).unwrap());
    assert!(!from.exists());
    assert_eq!(std::fs::read_to_string(to.join("inner/b")).unwrap(), "2");
    assert_eq!(
        std::fs::read_dir(to.join("inner")).unwrap().count(),
        1,
        "no link"
    );
    // Whatever is there already is not replaced, and the attempt leaves no traces.
    std::fs::create_dir(&from).unwrap();
    std::fs::write(from.join("a"), "3").unwrap();
    assert!(!fs.rename_dir_new(&from, &to).unwrap());
    assert_eq!(std::fs::read_to_string(from.join("a")).unwrap(), "3");
    assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), "1");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 1);
    // A file may replace a file.
    fs.rename(&from.join("a"), &to.join("a")).unwrap();
    assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), "3");
}

/// Whatever a lease contains, taking it is never an error, and it is taken at once only if its
/// owner is known to be dead.
#[test]
fn changed_leases_are_waited_for() {
    let dir = temp();
    let fs: Arc<dyn Fs> = Arc::new(RealFs::without_sync());
    let (folder, stem) = (dir.path().to_path_buf(), "run".to_owned());
    let name = LeaseName { folder, stem };
    let own = Owner::new();
    let dead = own
        .process
        .replace(&std::process::id().to_string(), "4194305");
    let line = |process: &str| format!("{} {process} {:020}\n", own.token, 7).into_bytes();
    let seeds = [line(&own.process), line(&dead), line("-"), Vec::new()];
    let words = [":", " ", "\n", "-1", "0", "4194305", &own.process, &dead];
    let process = |bytes: &[u8]| -> Option<String> {
        let text = std::str::from_utf8(bytes).ok()?;
        text.split_ascii_whitespace().nth(1).map(str::to_owned)
    };
    crate::test_support::fuzz("leases", &seeds, &words, 300, |bytes| {
        let path = name.path(3);
        std::fs::write(&path, bytes).unwrap();
        let observed = Observed::default();
        let timing = LeaseTiming::default();
        let watching = Judge::Watching(&observed);
        let taken = Lease::acquire(&fs, &name, timing, watching, 0).unwrap();
        // A longer lease is not read, so it ages.
        let read = Some(bytes).filter(|bytes| bytes.len() <= 4 << 10);
        let is_dead = read.and_then(process).is_some_and(|process| {
            let token = String::new();
            let owner = Owner {
                token,
                process,
                ..Owner::new()
            };
            owner.is_dead()
        });
        assert_eq!(taken.is_some(), is_dead);
        let later = Judge::Clock(SystemTime::now() + 5 * timing.stale);
        assert!(taken.is_some() || !name.is_held(fs.as_ref(), timing.stale, later).unwrap());
        drop(taken);
        let _ = std::fs::remove_file(path);
    });
}

#[test]
fn only_an_empty_folder_is_removed() {
    let (dir, fs) = (temp(), RealFs::new());
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("mine"), "").unwrap();
    assert!(!fs.remove_dir(&folder).unwrap());
    std::fs::remove_file(folder.join("mine")).unwrap();
    assert!(fs.remove_dir(&folder).unwrap() && !folder.exists());
    assert!(fs.remove_dir(&folder).unwrap(), "absent");
}
