use super::*;
use crate::test_support::server::{Server, Trick};
use crate::text::Corpus;
use crate::text::remote::Lock;
use std::time::Duration;

struct Place {
    folder: tempfile::TempDir,
    surroundings: Surroundings,
    fetched: Fetched,
}

impl Place {
    fn new(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fetched = Fetched {
            hub: Some(folder.path().join("hub")),
            downloads: Some(folder.path().join("downloads")),
            ..Fetched::default()
        };
        let surroundings = Surroundings {
            endpoint: server.url.clone(),
            token: None,
            is_offline: false,
        };
        Self {
            folder,
            surroundings,
            fetched,
        }
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Fetcher<'_>) -> T) -> T {
        let client = Client::new()
            .unwrap()
            .with_patience(4, Duration::from_millis(1));
        let mut told = |_: &str, _, _| {};
        ask(&mut Fetcher::new(
            client,
            &self.surroundings,
            &self.fetched,
            &mut told,
        ))
    }

    fn fetch(&self, address: &str, known: Option<&[Pin]>) -> Result<Vec<Pin>, FetchError> {
        self.with(|fetcher| fetcher.address(address, known))
    }

    fn text(&self, pin: &Pin) -> Vec<u8> {
        std::fs::read(self.fetched.find(pin).unwrap()).unwrap()
    }
}

fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n * 7 + n / 251) as u8 ^ seed)
        .collect()
}

#[test]
fn a_file_survives_what_servers_do() {
    let contents = bytes(1, 300_000);
    let after = "retry-after: 0\r\n".to_owned();
    for (name, tricks) in [
        ("nothing", vec![]),
        ("cut twice", vec![Trick::Cut(100_000), Trick::Cut(50_000)]),
        ("too many requests", vec![Trick::Status(429, after.clone())]),
        (
            "cut, then parts are not given",
            vec![Trick::Cut(1000), Trick::Whole],
        ),
        (
            "silent for a while",
            vec![Trick::Stall(Duration::from_millis(50))],
        ),
        (
            "cut, then broken",
            vec![Trick::Cut(10), Trick::Status(503, after)],
        ),
        (
            "cut, then a range that is not there",
            vec![Trick::Cut(10), Trick::Status(416, String::new())],
        ),
    ] {
        let server = Server::start();
        server.put("/a/text.txt", contents.clone());
        server.play("GET", tricks);
        let place = Place::new(&server);
        let url = format!("{}/a/text.txt", server.url);
        let pins = place
            .fetch(&url, None)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((pins.len(), pins[0].size), (1, 300_000), "{name}");
        assert_eq!(place.text(&pins[0]), contents, "{name}");
        // Once fetched, a pinned file needs no further request.
        server.log();
        assert_eq!(place.fetch(&url, Some(&pins)).unwrap(), pins, "{name}");
        assert_eq!(server.log(), [""; 0], "{name}");
    }
}

#[test]
fn what_came_before_a_crash_is_gone_on_with() {
    let server = Server::start();
    let contents = bytes(2, 200_000);
    server.put("/big", contents.clone());
    server.decide(|method, _| match method {
        "GET" => Trick::Cut(0),
        _ => Trick::None,
    });
    let place = Place::new(&server);
    let url = format!("{}/big", server.url);
    let left = std::sync::atomic::AtomicBool::new(true);
    server.decide(move |method, _| match method == "GET" {
        true if left.swap(false, std::sync::atomic::Ordering::Relaxed) => Trick::Cut(120_000),
        true => Trick::Status(403, String::new()),
        false => Trick::None,
    });
    assert!(matches!(place.fetch(&url, None), Err(FetchError::Net(_))));
    server.decide(|_, _| Trick::None);
    server.log();
    let pins = place.fetch(&url, None).unwrap();
    assert_eq!(place.text(&pins[0]), contents);
    assert_eq!(server.log(), ["HEAD /big", "GET /big bytes=120000-"]);
    // The file changes: it no longer matches its pin.
    server.put("/big", bytes(3, 200_000));
    std::fs::remove_dir_all(place.folder.path().join("downloads")).unwrap();
    let error = place.fetch(&url, Some(&pins)).unwrap_err();
    assert!(matches!(error, FetchError::Other { .. }), "{error}");
    let error = place
        .fetch(&format!("{}/none", server.url), None)
        .unwrap_err();
    assert!(
        matches!(&error, FetchError::Net(net) if net.is_missing()),
        "{error}"
    );
}

#[test]
fn redirects_are_followed_and_a_server_without_head_will_do() {
    let server = Server::start();
    server.put("/real", "text");
    let target = format!("location: {}/real\r\n", server.url);
    server.decide(move |method, path| match (method, path) {
        ("HEAD", _) => Trick::Status(405, String::new()),
        (_, "/moved") => Trick::Status(302, target.clone()),
        _ => Trick::None,
    });
    let place = Place::new(&server);
    let pins = place.fetch(&format!("{}/moved", server.url), None).unwrap();
    assert_eq!(place.text(&pins[0]), b"text");
}

#[test]
fn a_length_that_was_a_lie_is_told() {
    let server = Server::start();
    server.put("/a", "text");
    server.decide(|method, _| match method {
        "HEAD" => Trick::Status(200, "x: y\r\n".to_owned()),
        _ => Trick::None,
    });
    // This server then announces 2 bytes for a HEAD.
    let place = Place::new(&server);
    let error = place.fetch(&format!("{}/a", server.url), None).unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Length {
                told: 2,
                came: 4,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_hub_is_asked_once_and_its_cache_is_shared() {
    let server = Server::start();
    let large = bytes(4, 5000);
    let list = serde_json::json!({"sha": "c0ffee", "siblings": [
        {"rfilename": "README.md", "size": 2, "blobId": "b0"},
        {"rfilename": "data/b.txt", "size": 5000, "blobId": "b1",
            "lfs": {"sha256": Sha256Hex::of(&large), "size": 5000}},
        {"rfilename": "data/a.txt", "size": 5, "blobId": "b2"},
    ]});
    server.put("/api/datasets/org/name/revision/main", list.to_string());
    server.put("/datasets/org/name/resolve/c0ffee/data/a.txt", "small");
    server.put(
        "/datasets/org/name/resolve/c0ffee/data/b.txt",
        large.clone(),
    );
    let mut place = Place::new(&server);
    let address = "hf://datasets/org/name@main/data/*.txt";
    let pins = place.fetch(address, None).unwrap();
    let urls: Vec<&str> = pins.iter().map(|pin| pin.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "hf://datasets/org/name@c0ffee/data/a.txt",
            "hf://datasets/org/name@c0ffee/data/b.txt"
        ]
    );
    assert_eq!(
        (place.text(&pins[0]), place.text(&pins[1])),
        (b"small".to_vec(), large)
    );
    let hub = place.folder.path().join("hub/datasets--org--name");
    assert!(hub.join("blobs").join(pins[1].sha256.to_string()).is_file());
    assert_eq!(
        std::fs::read_to_string(hub.join("refs/main")).unwrap(),
        "c0ffee"
    );
    #[cfg(unix)]
    assert!(hub.join("snapshots/c0ffee/data/a.txt").is_symlink());
    // Offline, the cache is enough for both the pins and the address.
    server.log();
    place.surroundings.is_offline = true;
    assert_eq!(place.fetch(address, None).unwrap(), pins);
    assert_eq!(place.fetch(address, Some(&pins)).unwrap(), pins);
    assert!(place.fetch("hf://datasets/org/other/a.txt", None).is_err());
    assert_eq!(server.log(), [""; 0]);
    // A file that differs from the hub's description.
    place.surroundings.is_offline = false;
    server.put(
        "/datasets/org/name/resolve/c0ffee/data/b.txt",
        bytes(5, 5000),
    );
    std::fs::remove_dir_all(place.folder.path().join("hub")).unwrap();
    let error = place.fetch(address, None).unwrap_err();
    assert!(matches!(error, FetchError::Other { .. }), "{error}");
    let error = place
        .fetch("hf://datasets/org/name@main/*.bin", None)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no file of the repository matches"),
        "{error}"
    );
}

#[test]
fn of_a_compressed_file_only_what_is_needed_comes() {
    let server = Server::start();
    // Digits that hardly compress: 4 MB.
    let mut state = 1_u64;
    let mut line = |n: usize| {
        let digits: String = (0..500)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                char::from(b'!' + ((state >> 33) % 90) as u8)
            })
            .collect();
        serde_json::json!({"text": format!("{n} {digits}")}).to_string() + "\n"
    };
    let lines: String = (0..8000).map(&mut line).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, lines.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    assert!(packed.len() > 3 << 20);
    server.put("/shard.jsonl.gz", packed.clone());
    server.play(
        "GET",
        vec![Trick::Cut(100_000), Trick::Status(503, String::new())],
    );
    let address = format!("{}/shard.jsonl.gz", server.url);
    let corpus: Corpus =
        crate::text::test_support::yaml(&format!("{{jsonl: {{path: \"{address}\"}}}}"));
    let mut place = Place::new(&server);
    let wanted = |documents| Wanted {
        corpus: &corpus,
        address: &address,
        documents,
    };
    let found = place
        .with(|fetcher| fetcher.beginning(wanted(100)))
        .unwrap();
    assert_eq!(found.documents, 100);
    // The first mebibyte was enough, and only the documents are stored.
    let log = server.log();
    assert_eq!(log.len(), 3, "{log:?}");
    let kept = place.fetched.of_beginning(&found).unwrap();
    assert!(std::fs::metadata(&kept).unwrap().len() < 80_000);
    let parts = std::fs::read_dir(place.folder.path().join("downloads/parts")).unwrap();
    assert_eq!(parts.count(), 0);
    // The spec's source reads them as it would read the whole file.
    place.fetched.lock = Lock {
        beginnings: [(address.clone(), found)].into(),
        ..Lock::default()
    };
    let context = crate::text::DataContext {
        fetched: std::sync::Arc::new(place.fetched.clone()),
        ..crate::text::DataContext::default()
    };
    let texts = crate::text::source::read_all(&corpus, &context).unwrap();
    assert_eq!((texts.len(), texts[99].starts_with("99 ")), (100, true));
    // More documents than available.
    let error = place
        .with(|fetcher| fetcher.beginning(wanted(8001)))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it has 8000 documents, and 8001 are needed"),
        "{error}"
    );
}
