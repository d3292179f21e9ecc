//! HTTP: the one client of everything that uses the network, and downloads that go on where they were cut.
//!
//! Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (never for this machine itself), certificates from `SSL_CERT_FILE`
//! and `SSL_CERT_DIR`, else from the system, else from the list of Mozilla that is built in. What may be asked twice (all but POST) is asked
//! again after a cut connection, a time limit, and the answers 408, 429 and 5xx, each time after twice the pause, or what `Retry-After` says.
//!
//! Not here: what the bytes mean, and who may use the network at all: that is for commands to decide.

mod client;
mod download;
mod error;

pub use client::{Answer, Client, Method, Payload, Request};
pub use download::Sink;
pub use error::NetError;

#[cfg(test)]
mod tests;
