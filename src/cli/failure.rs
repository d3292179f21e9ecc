//! A command that ends with a message and an exit code.

use super::exit;
use super::print::Printer;
use crate::error::{Error, ErrorKind};

/// The reason why a command ends.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) code: u8,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// Wrong usage.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: exit::USAGE,
            message: message.into(),
            hint: None,
        }
    }

    /// Missing or damaged input.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self {
            code: exit::INPUT,
            message: message.into(),
            hint: None,
        }
    }

    /// A run that cannot be trained.
    pub(crate) fn run(message: impl Into<String>) -> Self {
        Self {
            code: exit::RUN_FAILED,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The hint, if any.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Adds a hint on what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prefixes a spec's problems with a header.
    pub(crate) fn invalid_spec(mut self, path: &std::path::Path) -> Self {
        if self.code == exit::USAGE {
            self.message = format!("invalid spec `{}`\n\n{}", path.display(), self.message);
        }
        self
    }

    /// The same for problems of a single profile.
    pub(crate) fn invalid_profile(mut self, path: &std::path::Path, profile: &str) -> Self {
        self.message = format!(
            "invalid spec `{}` (profile {profile})\n\n{}",
            path.display(),
            self.message
        );
        self
    }

    /// Names the file concerned.
    pub(crate) fn at(mut self, path: &std::path::Path) -> Self {
        self.message = format!("`{}`: {}", path.display(), self.message);
        self
    }

    pub(crate) fn print(&self, printer: Printer) {
        printer.error(&self.message, self.hint.as_deref());
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let code = match error.kind() {
            ErrorKind::Usage | ErrorKind::Spec => exit::USAGE,
            ErrorKind::Input => exit::INPUT,
            ErrorKind::Run => exit::RUN_FAILED,
            ErrorKind::Store | ErrorKind::Internal => exit::UNEXPECTED,
        };
        Self {
            code,
            message: error.chain(),
            hint: error.hint(),
        }
    }
}
