//! The test server behind TLS, with a certificate trusted only in these tests.
//!
//! The key is public and offers no security. Certificate and key, valid for a hundred years, were made by `openssl req
//! -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=a server of the tests" -addext
//! subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out certificate.pem`.

use crate::server::Server;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::net::TcpListener;
use std::sync::Arc;

/// The certificate, PEM, for 127.0.0.1 but not `localhost`.
pub(crate) const CERTIFICATE: &str = include_str!("fixtures/certificate.pem");
const KEY: &str = include_str!("fixtures/key.pem");

/// Serves `server` with TLS until the process ends; returns `127.0.0.1:PORT`.
pub(crate) fn start(server: &Server) -> String {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (config, server) = (Arc::new(config), server.clone());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, server) = (Arc::clone(&config), server.clone());
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).unwrap();
                server.serve(&mut StreamOwned::new(connection, stream));
            });
        }
    });
    host
}
