//! HTTP: the client for all network access, and resumable downloads.
//!
//! Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (never for this machine itself),
//! certificates from `SSL_CERT_FILE` and `SSL_CERT_DIR`, otherwise from the system, otherwise from the built-in Mozilla
//! list. Idempotent requests (all but POST) are retried after a lost connection, a timeout, and the status codes 408,
//! 429 and 5xx, with a pause that doubles each time or follows `Retry-After`.
//!
//! This module does not interpret the data, and commands decide whether the network may be used at all.

mod client;
mod download;
mod error;

pub use client::{Answer, Client, Method, Payload, Request};
pub use download::Sink;
pub use error::NetError;

#[cfg(test)]
mod tests;
