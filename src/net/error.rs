//! Errors of requests to a server.

/// A request that finally failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{url}`: {reason}")]
pub struct NetError {
    /// The address, without a password.
    pub url: String,
    /// The status code, if there was a response: 404, 503.
    pub status: Option<u16>,
    /// The reason, in words.
    pub reason: String,
}

impl NetError {
    /// A failed request to `url`.
    pub fn new(url: &str, status: Option<u16>, reason: impl ToString) -> Self {
        Self {
            url: without_password(url),
            status,
            reason: reason.to_string(),
        }
    }

    /// Whether the server reports that the resource does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self.status, Some(404 | 410))
    }

    /// Whether the server refused access: missing or wrong credentials, or forbidden.
    pub fn is_refused(&self) -> bool {
        matches!(self.status, Some(401 | 403 | 405))
    }
}

/// The address without its password, for display.
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
