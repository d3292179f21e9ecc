use super::*;
use crate::test_support::server::{Server, Trick};
use std::io;
use std::time::Duration;

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    restarts: usize,
    room: Option<usize>,
}

impl Sink for Kept {
    fn written(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        match self.room {
            Some(room) if self.bytes.len() > room => Err(io::Error::from_raw_os_error(28)),
            _ => Ok(()),
        }
    }

    fn restart(&mut self) -> io::Result<()> {
        self.restarts += 1;
        self.bytes.clear();
        Ok(())
    }
}

fn client() -> Client {
    let client = Client::new().unwrap();
    client.with_patience(3, Duration::from_millis(2))
}

fn text() -> Vec<u8> {
    (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect()
}

fn get(server: &Server, path: &str) -> Request {
    Request::new(Method::Get, format!("{}{path}", server.url))
}

#[test]
fn what_is_put_is_there_and_what_is_not_there_is_said_to_be_missing() {
    let (server, client) = (Server::start(), client());
    let put = Request::new(Method::Put, format!("{}/a/b", server.url));
    client.send(&put, Payload::Bytes(b"hello")).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text()).unwrap();
    let put = Request::new(Method::Put, format!("{}/a/file", server.url));
    client.send(&put, Payload::File(file.path())).unwrap();
    assert_eq!(server.files()["/a/file"], text());
    let mut answer = client.send(&get(&server, "/a/b"), Payload::None).unwrap();
    assert_eq!(answer.bytes(5).unwrap(), b"hello");
    let mut answer = client.send(&get(&server, "/a/b"), Payload::None).unwrap();
    assert!(answer.bytes(4).is_err(), "longer than it may be");
    let missing = client
        .send(&get(&server, "/no"), Payload::None)
        .unwrap_err();
    assert!(missing.is_missing() && !missing.is_refused());
    server.log();
    server.play("GET", vec![Trick::Status(403, String::new())]);
    let refused = client
        .send(&get(&server, "/a/b"), Payload::None)
        .unwrap_err();
    assert!(refused.is_refused());
    assert_eq!(
        refused.to_string(),
        format!("`{}/a/b`: 403 Forbidden: no", server.url)
    );
    assert_eq!(server.log().len(), 1, "asked once");
}

#[test]
fn a_busy_server_is_asked_again_and_a_post_never_is() {
    let (server, client) = (Server::start(), client());
    server.put("/x", "y");
    let busy = || Trick::Status(503, "retry-after: 0\r\n".to_owned());
    server.play("GET", vec![busy(), Trick::Status(429, String::new())]);
    client.send(&get(&server, "/x"), Payload::None).unwrap();
    assert_eq!(server.log().len(), 3);
    server.play("GET", vec![busy(), busy(), busy()]);
    let error = client.send(&get(&server, "/x"), Payload::None).unwrap_err();
    assert_eq!((error.status, server.log().len()), (Some(503), 3));
    server.play("POST", vec![busy()]);
    let post = Request::new(Method::Post, format!("{}/x", server.url));
    client.send(&post, Payload::Bytes(b"z")).unwrap_err();
    assert_eq!(server.log().len(), 1);
    server.play("PUT", vec![Trick::Cut(3), Trick::Cut(0)]);
    let put = Request::new(Method::Put, format!("{}/p", server.url));
    client.send(&put, Payload::Bytes(b"whole")).unwrap();
    assert_eq!(server.files()["/p"], b"whole");
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let (server, client) = (Server::start(), client());
    server.put("/big", text());
    // More interruptions than attempts: each makes progress.
    server.play("GET", vec![Trick::Cut(100_000); 7]);
    let mut kept = Kept::default();
    client.download(&get(&server, "/big"), &mut kept).unwrap();
    assert!(kept.bytes == text() && kept.restarts == 0);
    let log = server.log();
    assert_eq!(log.len(), 8, "{log:?}");
    assert_eq!(log[1], "GET /big bytes=100000-");
    // A download without progress is given up.
    server.play(
        "GET",
        vec![Trick::Cut(5), Trick::Cut(0), Trick::Cut(0), Trick::Cut(0)],
    );
    let mut kept = Kept::default();
    client
        .download(&get(&server, "/big"), &mut kept)
        .unwrap_err();
    assert_eq!((kept.bytes.len(), server.log().len()), (5, 4));
    // An earlier partial download is resumed.
    client.download(&get(&server, "/big"), &mut kept).unwrap();
    assert!(kept.bytes == text());
    assert_eq!(server.log(), ["GET /big bytes=5-"]);
}

#[test]
fn a_server_without_parts_and_a_changed_file_begin_anew() {
    let (server, client) = (Server::start(), client());
    server.put("/big", text());
    server.play("GET", vec![Trick::Cut(1000), Trick::Whole]);
    let mut kept = Kept::default();
    client.download(&get(&server, "/big"), &mut kept).unwrap();
    assert!(kept.bytes == text() && kept.restarts == 1);
    // The file changes between the interruption and the next attempt.
    let changing = server.clone();
    let count = std::sync::atomic::AtomicUsize::new(0);
    server.decide(
        move |_, _| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Trick::Cut(1000),
            1 => {
                changing.put("/big", vec![7; 2000]);
                Trick::None
            }
            _ => Trick::None,
        },
    );
    let mut kept = Kept::default();
    client.download(&get(&server, "/big"), &mut kept).unwrap();
    assert!(kept.bytes == [7; 2000] && kept.restarts == 1);
    // More bytes are present than the file has.
    let mut kept = Kept {
        bytes: vec![7; 3000],
        ..Kept::default()
    };
    client.download(&get(&server, "/big"), &mut kept).unwrap();
    assert!(kept.bytes == [7; 2000] && kept.restarts == 1);
}

#[test]
fn a_sink_without_room_ends_the_download() {
    let (server, client) = (Server::start(), client());
    server.put("/big", text());
    let mut kept = Kept {
        room: Some(1000),
        ..Kept::default()
    };
    client
        .download(&get(&server, "/big"), &mut kept)
        .unwrap_err();
    assert_eq!(server.log().len(), 1, "asked once");
}

#[test]
fn a_server_that_says_nothing_is_asked_again() {
    let server = Server::start();
    server.put("/x", "y");
    server.play("GET", vec![Trick::Stall(Duration::from_secs(5))]);
    let client = Client::with_silence(Duration::from_millis(200)).unwrap();
    let client = client.with_patience(2, Duration::from_millis(2));
    client.send(&get(&server, "/x"), Payload::None).unwrap();
    assert_eq!(server.log().len(), 2);
}

#[test]
fn passwords_are_never_shown() {
    let error = NetError::new("https://user:secret@host/path?x=1@2", None, "no");
    assert_eq!(error.to_string(), "`https://host/path?x=1@2`: no");
}
