//! Resumable downloads.

use super::client::{Client, Failed, Method, Payload, Request};
use super::{Answer, NetError};
use std::io::{self, Read as _};

/// The destination of a download.
pub trait Sink {
    /// Bytes received so far.
    fn written(&self) -> u64;

    /// Takes the next bytes.
    ///
    /// # Errors
    /// A full disk or similar; the download ends.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Discards everything, because the server starts over.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn restart(&mut self) -> io::Result<()>;
}

impl Client {
    /// Downloads the target of `request` (a GET), from the current position of `sink`. After an interruption it
    /// requests the rest, as long as every attempt makes progress. If the server does not support ranges, or the file
    /// has changed, the whole file is downloaded again.
    ///
    /// # Errors
    /// As [`send`](Client::send); a sink that fails.
    pub fn download(&self, request: &Request, sink: &mut dyn Sink) -> Result<(), NetError> {
        let mut patience = self.patience();
        let mut version = None;
        loop {
            let before = sink.written();
            match self.rest(request, sink, &mut version) {
                Ok(()) => return Ok(()),
                Err(failed) if before > 0 && failed.error.status == Some(416) => {
                    // The received part is longer than the file, or of another file.
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

    /// One attempt to get the rest. `version` is the ETag of the file that the received bytes belong to.
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
        // A weak ETag does not identify bytes.
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

/// Whether a response is the range that begins at byte `from`.
fn goes_on_at(answer: &Answer, from: u64) -> bool {
    let range = answer.header("content-range").unwrap_or_default();
    let range = range.strip_prefix("bytes ").unwrap_or_default();
    let begin = range.split('-').next().and_then(|text| text.parse().ok());
    answer.status() == 206 && begin == Some(from)
}
