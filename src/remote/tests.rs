use super::file::Folder;
use super::web::Web;
use super::*;
use crate::net::Client;
use crate::plan::Plan;
use crate::scheduler::testing::{files, fingerprint, go, plan, store};
use crate::store::{Manifest, ManifestRun, Store, verify};
use crate::test_support::server::{Server, Trick};
use std::path::Path;
use std::time::Duration;

fn web(server: &Server) -> Web {
    let client = Client::new().unwrap();
    let client = client.with_patience(3, Duration::from_millis(2));
    Web::signed(client, format!("{}/cache", server.url), false)
}

/// A store with all runs of a plan trained.
fn made(dir: &Path, plan: &Plan) -> Store {
    let store = store(dir);
    go(&store, plan).unwrap();
    store.put_tokenizer(b"tokenizer").unwrap();
    store
}

fn runs(plan: &Plan) -> Vec<ManifestRun> {
    of(plan).runs
}

fn of(plan: &Plan) -> Manifest {
    Manifest::new(plan, None, Sha256Hex::of(b"spec"), Vec::new())
}

fn sound(store: &Store) {
    assert_eq!(verify(store).unwrap().problems, []);
}

#[test]
fn what_is_pushed_can_be_pulled_and_nothing_is_sent_twice() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let plan = plan(3, 2);
    let from = made(folders[0].path(), &plan);
    let server = Server::start();
    let places: [Box<dyn Place>; 2] = [
        Box::new(web(&server)),
        Box::new(Folder::new(folders[1].path().join("cache"))),
    ];
    for (number, place) in places.iter().enumerate() {
        let place = place.as_ref();
        let pushed = push(&from, place, &[of(&plan)], true).unwrap();
        assert_eq!((pushed.runs, pushed.evals, pushed.there), (3, 3, 0));
        let again = push(&from, place, &[of(&plan)], true).unwrap();
        assert_eq!(
            (again.runs, again.evals, again.there, again.bytes),
            (0, 0, 3, 0)
        );
        let to = store(&folders[2].path().join(number.to_string()));
        let pulled = pull(&to, place, &runs(&plan)).unwrap();
        assert_eq!((pulled.runs, pulled.evals, pulled.missing), (3, 3, 0));
        assert_eq!(fingerprint(&to, &plan), fingerprint(&from, &plan));
        assert_eq!(
            to.tokenizer(&Sha256Hex::of(b"tokenizer")).unwrap().unwrap(),
            b"tokenizer"
        );
        assert_eq!(
            manifest(place, &of(&plan)).unwrap().unwrap().runs,
            runs(&plan)
        );
        sound(&to);
        let again = pull(&to, place, &runs(&plan)).unwrap();
        assert_eq!(
            (again.runs, again.evals, again.there, again.bytes),
            (0, 0, 3, 0)
        );
    }
    // A record is written last, so all files it lists exist.
    let log = server.log();
    let puts: Vec<&str> = log
        .iter()
        .filter_map(|line| line.strip_prefix("PUT /cache/"))
        .collect();
    // All runs have this tokenizer, and are pushed by several threads.
    let shared = blob(&Sha256Hex::of(b"tokenizer"));
    assert_eq!(puts.iter().filter(|put| **put == shared).count(), 1);
    for run in &plan.runs {
        let place = |name: &str| puts.iter().position(|put| *put == name);
        let last = place(&record(&run.id)).unwrap();
        let listed = from.listed_run(&run.id).unwrap().unwrap();
        for file in listed.files.values() {
            assert!(place(&blob(&file.sha256)).unwrap() < last);
        }
    }
}

#[test]
fn only_what_a_plan_needs_comes() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (all, wanted) = (plan(5, 2), plan(2, 2));
    let from = made(folders[0].path(), &all);
    let server = Server::start();
    push(&from, &web(&server), &[of(&all)], true).unwrap();
    server.log();
    let to = store(folders[1].path());
    let pulled = pull(&to, &web(&server), &runs(&wanted)).unwrap();
    assert_eq!((pulled.runs, to.ids(true).unwrap().len()), (2, 2));
    let gets = server
        .log()
        .into_iter()
        .filter(|line| line.contains("record.json"));
    assert_eq!(gets.count(), 2);
    let none = pull(&to, &web(&server), &runs(&plan(2, 9))).unwrap();
    assert_eq!((none.runs, none.missing), (0, 2));
}

#[test]
fn cut_connections_cost_only_what_was_cut() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let plan = plan(2, 2);
    let from = made(folders[0].path(), &plan);
    let server = Server::start();
    server.play(
        "PUT",
        vec![
            Trick::Cut(1),
            Trick::Cut(10),
            Trick::Status(503, String::new()),
        ],
    );
    let pushed = push(&from, &web(&server), &[of(&plan)], true).unwrap();
    assert_eq!(pushed.runs, 2);
    // Every file is cut in the middle, and the first pull is given up, since no attempt makes
    // progress.
    let weights = from.listed_run(&plan.runs[0].id).unwrap().unwrap().files["model.safetensors"];
    let name = format!("/cache/{}", blob(&weights.sha256));
    let cut = name.clone();
    let first = std::sync::atomic::AtomicBool::new(true);
    server.decide(move |_, path| match path == cut {
        true if first.swap(false, std::sync::atomic::Ordering::SeqCst) => Trick::Cut(100),
        true => Trick::Cut(0),
        false => Trick::None,
    });
    let to = store(folders[1].path());
    pull(&to, &web(&server), &runs(&plan)).unwrap_err();
    assert!(!to.has_run(&plan.runs[0].id));
    server.decide(|_, _| Trick::None);
    server.log();
    pull(&to, &web(&server), &runs(&plan)).unwrap();
    assert!(
        server.log().contains(&format!("GET {name} bytes=100-")),
        "it goes on"
    );
    assert_eq!(fingerprint(&to, &plan), fingerprint(&from, &plan));
    sound(&to);
}

#[test]
fn what_is_damaged_there_does_not_come_in() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let plan = plan(7, 2);
    let from = made(folders[0].path(), &plan);
    let server = Server::start();
    push(&from, &web(&server), &[of(&plan)], true).unwrap();
    let blob_of = |run: usize, file: &str| {
        let listed = from.listed_run(&plan.runs[run].id).unwrap().unwrap();
        format!("/cache/{}", blob(&listed.files[file].sha256))
    };
    let record_of = |run: usize| format!("/cache/{}", record(&plan.runs[run].id));
    let sound_files = server.files();
    let mut flipped = sound_files[&blob_of(0, "model.safetensors")].clone();
    flipped[40] ^= 1;
    server.put(&blob_of(0, "model.safetensors"), flipped);
    let longer = [&sound_files[&blob_of(1, "model.safetensors")][..], b"more"].concat();
    server.put(&blob_of(1, "model.safetensors"), longer);
    server.remove(&blob_of(2, "model.safetensors"));
    // The record of another run, a truncated one, and a modified one.
    server.put(&record_of(3), sound_files[&record_of(4)].clone());
    server.put(&record_of(4), &sound_files[&record_of(4)][..100]);
    let mut changed = sound_files[&record_of(5)].clone();
    changed[60] ^= 1;
    server.put(&record_of(5), changed);
    let to = store(folders[1].path());
    let pulled = pull(&to, &web(&server), &runs(&plan)).unwrap();
    assert_eq!(
        (pulled.runs, pulled.damaged.len()),
        (1, 6),
        "{:#?}",
        pulled.damaged
    );
    let came: Vec<bool> = plan.runs.iter().map(|run| to.has_run(&run.id)).collect();
    assert_eq!(came, [false, false, false, false, false, false, true]);
    sound(&to);
    // Once the place is repaired, everything is pulled.
    for (name, bytes) in sound_files {
        server.put(&name, bytes);
    }
    let pulled = pull(&to, &web(&server), &runs(&plan)).unwrap();
    assert_eq!((pulled.runs, pulled.there), (6, 1));
    assert_eq!(fingerprint(&to, &plan), fingerprint(&from, &plan));
}

#[test]
fn what_is_damaged_here_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(2, 2);
    let from = made(dir.path(), &plan);
    let path = from.run_dir(&plan.runs[0].id).join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let server = Server::start();
    let pushed = push(&from, &web(&server), &[of(&plan)], true).unwrap();
    assert_eq!((pushed.runs, pushed.damaged.len()), (1, 1));
    assert!(
        !server
            .files()
            .contains_key(&format!("/cache/{}", record(&plan.runs[0].id)))
    );
}

#[test]
fn two_who_push_at_a_time_leave_one_whole_cache() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let plan = plan(4, 2);
    let stores = [0, 1].map(|number: usize| made(folders[number].path(), &plan));
    let server = Server::start();
    std::thread::scope(|scope| {
        for from in &stores {
            scope.spawn(|| push(from, &web(&server), &[of(&plan)], true).unwrap());
        }
    });
    let to = store(folders[2].path());
    let pulled = pull(&to, &web(&server), &runs(&plan)).unwrap();
    assert_eq!((pulled.runs, pulled.damaged.len()), (4, 0));
    assert_eq!(fingerprint(&to, &plan), fingerprint(&stores[0], &plan));
    sound(&to);
    let left = files(folders[2].path());
    assert!(
        !left
            .iter()
            .any(|path| path.to_string_lossy().ends_with(".part")),
        "{left:?}"
    );
}

#[test]
fn a_cache_that_may_only_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(1, 2);
    let from = made(dir.path(), &plan);
    let server = Server::start();
    server.decide(|method, _| match method {
        "PUT" => Trick::Status(403, String::new()),
        _ => Trick::None,
    });
    let error = push(&from, &web(&server), &[of(&plan)], true).unwrap_err();
    assert!(error.is_refused(), "{error}");
}

#[test]
fn addresses() {
    let none = |_: &str| None;
    for bad in [
        "/tmp/x",
        "ftp://host/x",
        "file://x",
        "s3://",
        "s3://bu cket/x",
        "https://host/x?y",
    ] {
        let error = open(bad, &none).err().unwrap();
        assert!(
            matches!(error, RemoteError::Address { .. }),
            "{bad}: {error}"
        );
    }
    let keys = |name: &str| name.starts_with("AWS_").then(|| "x".to_owned());
    assert!(open("s3://bucket/a b", &none).unwrap().is_read_only());
    assert!(!open("s3://bucket/a", &keys).unwrap().is_read_only());
}
