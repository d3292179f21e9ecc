//! What goes wrong between this program and a server.

/// A request that failed for good.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{url}`: {reason}")]
pub struct NetError {
    /// The address, without a password.
    pub url: String,
    /// The server's answer, where there was one: 404, 503.
    pub status: Option<u16>,
    /// In words.
    pub reason: String,
}

impl NetError {
    /// The failure of a request to `url`.
    pub fn new(url: &str, status: Option<u16>, reason: impl ToString) -> Self {
        Self {
            url: without_password(url),
            status,
            reason: reason.to_string(),
        }
    }

    /// Whether the server says that there is no such thing.
    pub fn is_missing(&self) -> bool {
        matches!(self.status, Some(404 | 410))
    }

    /// Whether the server refuses who asks: no or wrong credentials, or nobody may.
    pub fn is_refused(&self) -> bool {
        matches!(self.status, Some(401 | 403 | 405))
    }
}

/// The address as it may be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    match host.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://{}", &rest[user.len() + 1..]),
        None => url.to_owned(),
    }
}
