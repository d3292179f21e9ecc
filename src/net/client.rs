//! Requests and responses, with retries.

use super::NetError;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Timeout for connecting.
const CONNECT: Duration = Duration::from_secs(30);
/// Timeout for a silent server.
const SILENCE: Duration = Duration::from_secs(60);
/// Maximum pause for `Retry-After`.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Maximum error text shown, bytes.
const SHOWN: u64 = 400;

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads headers only.
    Head,
    /// Writes.
    Put,
    /// Any other action; never retried.
    Post,
}

impl Method {
    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Post => "POST",
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: String,
    /// Lower-case names, and values.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// A file, reread for every attempt.
    File(&'a Path),
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    response: Response<ureq::Body>,
}

impl Answer {
    /// Status code: 200, 206, ….
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Content length, if the server sends it.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// A reader of the body.
    pub fn reader(&mut self) -> impl Read + '_ {
        let body = self.response.body_mut().with_config();
        body.limit(u64::MAX).reader()
    }

    /// The whole body, at most `limit` bytes.
    pub fn bytes(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader().take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let text = format!("the answer is longer than {limit} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(bytes)
    }
}

/// Adds credentials to a request, for every attempt.
type Sign = dyn Fn(&mut Request) + Send + Sync;

/// An HTTP client.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    /// For this machine, without a proxy.
    direct: Agent,
    sign: Option<Arc<Sign>>,
    tries: u32,
    pause: Duration,
}

impl Client {
    /// A client with the proxies and certificates of the environment.
    ///
    /// # Errors
    /// Unreadable certificates named by `SSL_CERT_FILE` or `SSL_CERT_DIR`.
    pub fn new() -> Result<Self, NetError> {
        Self::with_silence(SILENCE)
    }

    /// As [`Self::new`], with another timeout for silent servers.
    pub(super) fn with_silence(silence: Duration) -> Result<Self, NetError> {
        let roots = roots()?;
        let config = || {
            Agent::config_builder()
                .http_status_as_error(false)
                .user_agent(concat!("specbook/", env!("CARGO_PKG_VERSION")))
                .timeout_connect(Some(CONNECT))
                .timeout_recv_response(Some(silence))
                .timeout_per_read(Some(silence))
                .timeout_per_write(Some(silence))
                .tls_config(TlsConfig::builder().root_certs(roots.clone()).build())
        };
        Ok(Self {
            agent: config().build().into(),
            direct: config().proxy(None).build().into(),
            sign: None,
            tries: 5,
            pause: Duration::from_millis(500),
        })
    }

    /// Lets `sign` modify every request before it is sent.
    #[must_use]
    pub fn signed(mut self, sign: impl Fn(&mut Request) + Send + Sync + 'static) -> Self {
        self.sign = Some(Arc::new(sign));
        self
    }

    /// Sets the number of attempts and the pause after the first.
    #[cfg(test)]
    pub fn with_patience(mut self, tries: u32, pause: Duration) -> Self {
        (self.tries, self.pause) = (tries, pause);
        self
    }

    /// Sends a request, with retries where that may help; returns a successful response.
    ///
    /// # Errors
    /// No connection, or a status other than success, which is in the error.
    pub fn send(&self, request: &Request, payload: Payload<'_>) -> Result<Answer, NetError> {
        let mut patience = self.patience();
        loop {
            match self.once(request, payload) {
                Ok(answer) => return Ok(answer),
                Err(failed) => {
                    if request.method == Method::Post || !patience.wait(&failed) {
                        return Err(failed.error);
                    }
                }
            }
        }
    }

    /// The retries of one request.
    pub(super) fn patience(&self) -> Patience {
        Patience {
            left: self.tries,
            pause: self.pause,
            first: self.pause,
            tries: self.tries,
        }
    }

    /// Sends a request once.
    pub(super) fn once(&self, request: &Request, payload: Payload<'_>) -> Result<Answer, Failed> {
        let mut signed = request.clone();
        if let Some(sign) = &self.sign {
            sign(&mut signed);
        }
        let mut built = ureq::http::Request::builder()
            .method(request.method.name())
            .uri(&signed.url);
        for (name, value) in &signed.headers {
            built = built.header(name, value);
        }
        let agent = if is_here(&signed.url) {
            &self.direct
        } else {
            &self.agent
        };
        let wrong = |error: ureq::http::Error| Failed::for_good(&request.url, error);
        let sent = match payload {
            Payload::None => agent.run(built.body(()).map_err(wrong)?),
            Payload::Bytes(bytes) => agent.run(built.body(bytes).map_err(wrong)?),
            Payload::File(path) => {
                let file = File::open(path).map_err(|error| {
                    let text = format!("cannot read `{}`: {error}", path.display());
                    Failed::for_good(&request.url, text)
                })?;
                agent.run(built.body(file).map_err(wrong)?)
            }
        };
        let response = sent.map_err(|error| Failed::of(&request.url, &error))?;
        let mut answer = Answer { response };
        if (200..300).contains(&answer.status()) {
            return Ok(answer);
        }
        Err(Failed::answered(&request.url, &mut answer))
    }
}

/// A failed attempt.
pub(super) struct Failed {
    pub(super) error: NetError,
    /// Whether a retry may succeed.
    may_pass: bool,
    /// The pause requested by the server.
    after: Option<Duration>,
}

impl Failed {
    /// A permanent failure.
    pub(super) fn for_good(url: &str, reason: impl ToString) -> Self {
        Self {
            error: NetError::new(url, None, reason),
            may_pass: false,
            after: None,
        }
    }

    /// A connection lost during the body.
    pub(super) fn cut(url: &str, reason: impl ToString) -> Self {
        Self {
            may_pass: true,
            ..Self::for_good(url, reason)
        }
    }

    fn of(url: &str, error: &ureq::Error) -> Self {
        use ureq::Error;
        let may_pass = match error {
            // A refused certificate would be refused again.
            Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
            Error::Timeout(_)
            | Error::HostNotFound
            | Error::ConnectionFailed
            | Error::Protocol(_) => true,
            _ => false,
        };
        Self {
            may_pass,
            ..Self::for_good(url, error)
        }
    }

    fn answered(url: &str, answer: &mut Answer) -> Self {
        let status = answer.status();
        let after = answer
            .header("retry-after")
            .and_then(|text| text.parse().ok());
        let mut said = Vec::new();
        // Only for display: a partial text is enough.
        let _ = answer.reader().take(SHOWN).read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut reason = answer.response.status().to_string();
        if !said.is_empty() {
            reason += ": ";
            reason += &said;
        }
        Self {
            error: NetError::new(url, Some(status), reason),
            may_pass: matches!(status, 408 | 429 | 500..),
            after: after.map(Duration::from_secs),
        }
    }
}

/// Number of retries of a request, and the pauses between them.
pub(super) struct Patience {
    left: u32,
    pause: Duration,
    first: Duration,
    tries: u32,
}

impl Patience {
    /// Waits before another attempt; `false` if none is left.
    pub(super) fn wait(&mut self, failed: &Failed) -> bool {
        self.left = self.left.saturating_sub(1);
        if !failed.may_pass || self.left == 0 {
            return false;
        }
        let asked = failed.after.unwrap_or_default().min(LONGEST_PAUSE);
        std::thread::sleep(self.pause.max(asked));
        self.pause *= 2;
        true
    }

    /// Resets the attempts after progress.
    pub(super) fn renew(&mut self) {
        (self.left, self.pause) = (self.tries + 1, self.first);
    }
}

/// Whether an address is on this machine.
fn is_here(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

/// The trusted certificates.
fn roots() -> Result<RootCerts, NetError> {
    let found = rustls_native_certs::load_native_certs();
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find_map(|name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(|value| (name, value))
        });
    if let (Some((name, value)), true) = (named, found.certs.is_empty()) {
        let path = PathBuf::from(value);
        let errors = found.errors.iter().map(|error| format!("; {error}"));
        let errors: String = errors.collect();
        let reason = format!("no certificate can be read from the path in {name}{errors}");
        return Err(NetError::new(&path.display().to_string(), None, reason));
    }
    if found.certs.is_empty() {
        return Ok(RootCerts::WebPki);
    }
    let certificates = found
        .certs
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    Ok(RootCerts::from(certificates.collect::<Vec<_>>()))
}
