//! A web server that takes GET, HEAD and PUT.

use super::place::{Place, RemoteError};
use crate::net::{Client, Method, NetError, Payload, Request, Sink};

pub(super) struct Web {
    client: Client,
    /// Without a trailing slash.
    base: String,
    /// Authorization header from `user:password@` in the address.
    authorization: Option<String>,
    /// Whether there are no credentials, although such servers accept files only with them.
    anonymous: bool,
}

impl Web {
    pub(super) fn new(url: &str) -> Result<Self, NetError> {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (host, path) = rest
            .split_once('/')
            .map_or((rest, String::new()), |(host, path)| {
                (host, format!("/{path}"))
            });
        let (user, host) = match host.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, host),
        };
        Ok(Self {
            client: Client::new()?,
            base: format!("{scheme}://{host}{path}"),
            authorization: user.map(|user| format!("Basic {}", base64::encode(user))),
            anonymous: false,
        })
    }

    /// A server whose requests `client` signs.
    pub(super) fn signed(client: Client, base: String, anonymous: bool) -> Self {
        Self {
            client,
            base,
            authorization: None,
            anonymous,
        }
    }

    fn request(&self, method: Method, name: &str) -> Request {
        let request = Request::new(method, format!("{}/{name}", self.base));
        match &self.authorization {
            Some(value) => request.header("authorization", value.as_str()),
            None => request,
        }
    }

    /// Whether a response means that the file does not exist. A public bucket without permission to list answers
    /// “forbidden” instead.
    fn is_missing(&self, error: &NetError) -> bool {
        error.is_missing() || self.anonymous && error.status == Some(403)
    }
}

impl Place for Web {
    fn length(&self, name: &str) -> Result<Option<u64>, RemoteError> {
        match self
            .client
            .send(&self.request(Method::Head, name), Payload::None)
        {
            Ok(answer) => Ok(Some(answer.length().unwrap_or(0))),
            Err(error) if self.is_missing(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn get(&self, name: &str, sink: &mut dyn Sink) -> Result<bool, RemoteError> {
        match self.client.download(&self.request(Method::Get, name), sink) {
            Ok(()) => Ok(true),
            Err(error) if self.is_missing(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn put(&self, name: &str, payload: Payload<'_>) -> Result<(), RemoteError> {
        self.client
            .send(&self.request(Method::Put, name), payload)?;
        Ok(())
    }

    fn is_read_only(&self) -> bool {
        self.anonymous
    }
}
