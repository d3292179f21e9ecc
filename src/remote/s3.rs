//! S3-compatible buckets, with requests signed by AWS Signature Version 4.
//!
//! Credentials come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; without them, requests
//! are not signed and only public objects can be read. `AWS_REGION` or `AWS_DEFAULT_REGION` names the region,
//! `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` another server. A file is sent in one request, of at most 5 GB.
//!
//! Source of the scheme and the test values: Amazon S3 API reference, “Signature calculations: transferring payload in
//! a single chunk”.

use super::web::Web;
use crate::digest::Sha256Hex;
use crate::ledger::day;
use crate::net::{Client, NetError, Request};
use std::time::SystemTime;

const REGION: &str = "us-east-1";
const HASH: &str = "x-amz-content-sha256";

/// Why a bucket cannot be used.
pub(super) enum Unusable {
    Address(String),
    Net(NetError),
}

/// Opens `bucket/folder`.
pub(super) fn open(rest: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Web, Unusable> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if bucket.is_empty() || !bucket.chars().all(plain) {
        return Err(Unusable::Address("it is `s3://bucket/folder`".to_owned()));
    }
    let folder = match folder {
        "" => String::new(),
        folder => format!("/{}", encoded(folder)),
    };
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
    let region = region.unwrap_or_else(|| REGION.to_owned());
    let endpoint = set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL"));
    let base = match endpoint {
        Some(endpoint) => format!("{}/{bucket}{folder}", endpoint.trim_end_matches('/')),
        // Certificates for `*.s3…` do not match names with dots.
        None if bucket.contains('.') => {
            format!("https://s3.{region}.amazonaws.com/{bucket}{folder}")
        }
        None => format!("https://{bucket}.s3.{region}.amazonaws.com{folder}"),
    };
    let client = Client::new().map_err(Unusable::Net)?;
    let keys = set("AWS_ACCESS_KEY_ID").zip(set("AWS_SECRET_ACCESS_KEY"));
    let Some((id, secret)) = keys else {
        return Ok(Web::signed(client, base, true));
    };
    let signer = Signer {
        id,
        secret,
        token: set("AWS_SESSION_TOKEN"),
        region,
    };
    let sign = move |request: &mut Request| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        signer.sign(request, now.map_or(0, |now| now.as_secs()));
    };
    Ok(Web::signed(client.signed(sign), base, false))
}

/// A percent-encoded path: all characters except letters, digits and `-._~/` as `%XX`.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let part = |byte: u8| match plain(byte) {
        true => (byte as char).to_string(),
        false => format!("%{byte:02X}"),
    };
    path.bytes().map(part).collect()
}

/// The credentials for signing.
struct Signer {
    id: String,
    secret: String,
    token: Option<String>,
    region: String,
}

impl Signer {
    /// Adds time, digest and signature to a request; `now` in seconds since 1970.
    fn sign(&self, request: &mut Request, now: u64) {
        let date = day(now).replace('-', "");
        let (hour, minute, second) = (now / 3600 % 24, now / 60 % 60, now % 60);
        let time = format!("{date}T{hour:02}{minute:02}{second:02}Z");
        let headers = &mut request.headers;
        if !headers.iter().any(|(name, _)| name == HASH) {
            // The receiver verifies payloads: blobs are named by their digest.
            headers.push((HASH.to_owned(), "UNSIGNED-PAYLOAD".to_owned()));
        }
        headers.push(("x-amz-date".to_owned(), time.clone()));
        if let Some(token) = &self.token {
            headers.push(("x-amz-security-token".to_owned(), token.clone()));
        }
        let rest = request.url.split_once("://").map_or("", |(_, rest)| rest);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut signed: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.trim()))
            .collect();
        signed.push(("host", host));
        signed.sort_unstable();
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String = signed
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let hash = signed
            .iter()
            .find(|(name, _)| *name == HASH)
            .map_or("", |(_, value)| value);
        let canonical = format!(
            "{}\n/{path}\n\n{lines}\n{names}\n{hash}",
            request.method.name()
        );
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            Sha256Hex::of(canonical.as_bytes())
        );
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [&date, &self.region, "s3", "aws4_request", &text] {
            key = Sha256Hex::hmac(&key, part.as_bytes()).bytes().to_vec();
        }
        let signature: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            self.id
        );
        request.headers.push(("authorization".to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Method;

    /// 2013-05-24 00:00:00.
    const NOW: u64 = 1_369_353_600;

    fn signature(mut request: Request) -> String {
        let signer = Signer {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
            region: "us-east-1".to_owned(),
        };
        signer.sign(&mut request, NOW);
        let (name, value) = request.headers.pop().unwrap();
        assert_eq!(name, "authorization");
        assert!(value.starts_with("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="), "{value}");
        value.rsplit_once('=').unwrap().1.to_owned()
    }

    #[test]
    fn the_published_examples() {
        let get = Request::new(
            Method::Get,
            "https://examplebucket.s3.amazonaws.com/test.txt",
        )
        .header("range", "bytes=0-9")
        .header(HASH, Sha256Hex::of(b"").to_string());
        assert_eq!(
            signature(get),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let path = encoded("test$file.text");
        let put = Request::new(
            Method::Put,
            format!("https://examplebucket.s3.amazonaws.com/{path}"),
        )
        .header("date", "Fri, 24 May 2013 00:00:00 GMT")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header(HASH, Sha256Hex::of(b"Welcome to Amazon S3.").to_string());
        assert_eq!(
            signature(put),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }
}
