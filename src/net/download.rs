//! Downloads that go on where they were cut.

use super::client::{Client, Failed, Method, Payload, Request};
use super::{Answer, NetError};
use std::io::{self, Read as _};

/// Where a download goes.
pub trait Sink {
    /// Bytes that are there, from the beginning on.
    fn written(&self) -> u64;

    /// Takes the next bytes.
    ///
    /// # Errors
    /// A full disk and the like: the download ends.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Forgets everything: the server begins anew.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn restart(&mut self) -> io::Result<()>;
}

impl Client {
    /// Downloads what `request` (a GET) asks for, from where `sink` is on. After a cut it asks for the rest, as long as every try brings
    /// something. A server that cannot give parts, or whose file has changed, gives all of it anew.
    ///
    /// # Errors
    /// As [`send`](Client::send); a sink that takes no more.
    pub fn download(&self, request: &Request, sink: &mut dyn Sink) -> Result<(), NetError> {
        let mut patience = self.patience();
        let mut version = None;
        loop {
            let before = sink.written();
            match self.rest(request, sink, &mut version) {
                Ok(()) => return Ok(()),
                Err(failed) if before > 0 && failed.error.status == Some(416) => {
                    // What is there is longer than the file, or of another one.
                    let restarted = sink.restart();
                    restarted.map_err(|error| NetError::new(&request.url, None, error))?;
                    version = None;
                }
                Err(failed) => {
                    if sink.written() > before {
                        patience.renew();
                    }
                    if !patience.wait(&failed) {
                        return Err(failed.error);
                    }
                }
            }
        }
    }

    /// One try for what is missing. `version` is the mark of the file that the bytes so far are of.
    fn rest(
        &self,
        request: &Request,
        sink: &mut dyn Sink,
        version: &mut Option<String>,
    ) -> Result<(), Failed> {
        let mut asked = request.clone();
        debug_assert_eq!(asked.method, Method::Get);
        let from = sink.written();
        if from > 0 {
            asked = asked.header("range", format!("bytes={from}-"));
            if let Some(version) = version {
                asked = asked.header("if-range", version.as_str());
            }
        }
        let mut answer = self.once(&asked, Payload::None)?;
        if from > 0 && !goes_on_at(&answer, from) {
            let restarted = sink.restart();
            restarted.map_err(|error| Failed::for_good(&request.url, error))?;
        }
        // A weak mark says nothing about bytes.
        let mark = answer.header("etag").filter(|mark| !mark.starts_with("W/"));
        *version = mark.map(str::to_owned);
        let length = answer.length();
        let mut reader = answer.reader();
        let mut piece = vec![0; 1 << 16];
        let mut came = 0;
        loop {
            let count = reader.read(&mut piece);
            let count = count.map_err(|error| Failed::cut(&request.url, error))?;
            if count == 0 {
                break;
            }
            let taken = sink.write(&piece[..count]);
            taken.map_err(|error| Failed::for_good(&request.url, error))?;
            came += count as u64;
        }
        match length {
            Some(length) if came < length => {
                let text = format!("the connection was cut after {came} of {length} bytes");
                Err(Failed::cut(&request.url, text))
            }
            _ => Ok(()),
        }
    }
}

/// Whether an answer is the part that begins at byte `from`.
fn goes_on_at(answer: &Answer, from: u64) -> bool {
    let range = answer.header("content-range").unwrap_or_default();
    let range = range.strip_prefix("bytes ").unwrap_or_default();
    let begin = range.split('-').next().and_then(|text| text.parse().ok());
    answer.status() == 206 && begin == Some(from)
}
