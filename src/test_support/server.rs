//! A local server that keeps files in memory and misbehaves on request. Also used by `tests/suite`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Treatment of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// A normal response.
    None,
    /// This status code, with these headers (lines that end with `\r\n`).
    Status(u16, String),
    /// Cuts the connection after this many bytes of the body, with a correct content length. For a PUT: after this many
    /// bytes were received.
    Cut(usize),
    /// The whole file, ignoring the requested range.
    Whole,
    /// Stays silent this long.
    Stall(Duration),
}

type Decide = dyn Fn(&str, &str) -> Trick + Send + Sync;

struct State {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    log: Mutex<Vec<String>>,
    decide: Mutex<Box<Decide>>,
}

/// The server; it ends with the process.
#[derive(Clone)]
pub(crate) struct Server {
    state: Arc<State>,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            files: Mutex::default(),
            log: Mutex::default(),
            decide: Mutex::new(Box::new(|_, _| Trick::None)),
        });
        let server = Self { state, url };
        let serving = server.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(&mut stream));
            }
        });
        server
    }

    /// Answers requests until the client disconnects.
    pub(crate) fn serve(&self, stream: &mut (impl Read + Write)) {
        while self.state.answer(stream).is_some() {}
    }

    /// Sets the function that chooses the treatment of later requests, from method and path (with query).
    pub(crate) fn decide(&self, decide: impl Fn(&str, &str) -> Trick + Send + Sync + 'static) {
        *self.state.decide.lock().unwrap() = Box::new(decide);
    }

    /// Applies `tricks` in turn to the next requests with `method`.
    pub(crate) fn play(&self, method: &'static str, tricks: Vec<Trick>) {
        let left = Mutex::new(tricks.into_iter());
        self.decide(move |asked, _| match asked == method {
            true => left.lock().unwrap().next().unwrap_or(Trick::None),
            false => Trick::None,
        });
    }

    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        let mut files = self.state.files.lock().unwrap();
        files.insert(path.to_owned(), bytes.into());
    }

    pub(crate) fn remove(&self, path: &str) {
        self.state.files.lock().unwrap().remove(path);
    }

    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.files.lock().unwrap().clone()
    }

    /// `METHOD /path range` of each request so far, with any bearer token; the range is empty if none was requested.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.log.lock().unwrap())
    }
}

impl State {
    /// Answers one request; `None` if the connection ends.
    fn answer(&self, stream: &mut (impl Read + Write)) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let header = |name: &str| {
            head[1..].iter().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found
                    .eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
        };
        let mut words = head[0].split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let range = header("range").unwrap_or_default();
        let token = header("authorization").filter(|text| text.starts_with("Bearer "));
        let line = format!("{method} {path} {range} {}", token.unwrap_or_default());
        self.log
            .lock()
            .unwrap()
            .push(line.trim_end().replace("  ", " "));
        let trick = self.decide.lock().unwrap()(&method, &path);
        if header("expect").is_some() {
            let stream = reader.get_mut();
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let sent: usize = header("content-length").map_or(0, |text| text.parse().unwrap());
        let taken = match trick {
            Trick::Cut(bytes) if method == "PUT" => bytes.min(sent),
            _ => sent,
        };
        let mut body = vec![0; taken];
        reader.read_exact(&mut body).ok()?;
        let stream = reader.into_inner();
        if let Trick::Stall(time) = trick {
            std::thread::sleep(time);
        }
        let file = path.split('?').next().unwrap_or_default();
        let mut reply = |status: u16, headers: &str, length: usize, body: &[u8]| {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n");
            stream.write_all(head.as_bytes()).ok()?;
            stream.write_all(body).ok()?;
            stream.flush().ok()
        };
        if let Trick::Status(status, headers) = &trick {
            return reply(
                *status,
                headers,
                2,
                if method == "HEAD" { b"" } else { b"no" },
            );
        }
        if method == "PUT" {
            if taken < sent {
                return None;
            }
            self.files.lock().unwrap().insert(file.to_owned(), body);
            return reply(201, "", 0, b"");
        }
        let Some(found) = self.files.lock().unwrap().get(file).cloned() else {
            return reply(404, "", 0, b"");
        };
        let mark = format!("etag: \"{}-{:?}\"\r\n", found.len(), found.first());
        if method == "HEAD" {
            return reply(200, &mark, found.len(), b"");
        }
        let from = range
            .strip_prefix("bytes=")
            .and_then(|rest| rest.strip_suffix('-'));
        let from: usize = from.map_or(0, |text| text.parse().unwrap());
        let is_same = header("if-range").is_none_or(|asked| mark.contains(&asked));
        let (from, status) = match trick == Trick::Whole || !is_same || from == 0 {
            true => (0, 200),
            false if from >= found.len() => return reply(416, "", 0, b""),
            false => (from, 206),
        };
        let part = &found[from..];
        let headers = match status {
            206 => format!(
                "{mark}content-range: bytes {from}-{}/{}\r\n",
                found.len() - 1,
                found.len()
            ),
            _ => mark,
        };
        match trick {
            Trick::Cut(bytes) if bytes < part.len() => {
                reply(status, &headers, part.len(), &part[..bytes]);
                None
            }
            _ => reply(status, &headers, part.len(), part),
        }
    }
}
