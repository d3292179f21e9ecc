//! Problems of settings, as plain data.

use std::ops::RangeInclusive;

/// A problem of a run's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Dot path of the setting below `base`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What is allowed.
    pub allowed: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    /// Adds what is allowed.
    pub fn allowed(&mut self, text: impl Into<String>) -> &mut Self {
        self.allowed = Some(text.into());
        self
    }

    /// Adds what to do.
    pub fn hint(&mut self, text: impl Into<String>) -> &mut Self {
        self.hint = Some(text.into());
        self
    }
}

/// The problems of a run's settings, in the order they were found.
#[derive(Clone, Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Reports a problem of the setting at `path`.
    pub fn say(&mut self, path: impl Into<String>, message: impl Into<String>) -> &mut Finding {
        self.0.push(Finding {
            path: path.into(),
            message: message.into(),
            allowed: None,
            hint: None,
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// Requires a whole number in `range`.
    pub fn count(&mut self, path: &str, value: usize, range: RangeInclusive<usize>) {
        if value < *range.start() {
            let least = range.start();
            let message = format!("`{path}` is {value}; it has to be at least {least}");
            self.say(path, message);
        } else if value > *range.end() {
            let most = range.end();
            let message = format!("`{path}` is {value}; it may be at most {most}");
            self.say(path, message);
        }
    }

    /// Requires a finite number that satisfies `holds`; `range` is that condition in words.
    pub fn number(&mut self, path: &str, value: f64, holds: bool, range: &str) {
        if !holds || !value.is_finite() {
            let message = format!("`{path}` is {value}; it has to be {range}");
            self.say(path, message);
        }
    }
}
