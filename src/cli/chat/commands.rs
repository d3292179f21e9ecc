//! The input lines of a chat: texts, and commands that begin with `/`.

use crate::cli::args::DrawArgs;

/// What `/help` shows.
pub(super) const HELP: &str = "\
/temperature T   0 always takes the most likely token
/top_p P         draw from the smallest set of tokens whose total probability exceeds P; `/top_p off`
/top_k K         draw from the K most likely tokens; `/top_k off`
/seed N          seed of the random numbers; `/seed` takes the next one
/tokens N        longest continuation
/both [RUN]      two models side by side, with the same random numbers; `/both` again shows one
/quit            end; so does Ctrl-D
A line that begins with `//` is a text that begins with `/`.";

/// A parsed line.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    Empty,
    /// A text to continue.
    Text(&'a str),
    Set(Change),
    /// Another model to show beside the first, or the choice between one and two.
    Both(Option<&'a str>),
    Help,
    End,
}

/// A changed setting.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    Temperature(f64),
    TopP(Option<f64>),
    TopK(Option<usize>),
    /// `None`: the next seed.
    Seed(Option<u64>),
    Tokens(usize),
}

impl Change {
    /// Applies the setting to `draw`.
    pub(super) fn apply(&self, draw: &mut DrawArgs) {
        match *self {
            Self::Temperature(value) => draw.temperature = value,
            Self::TopP(value) => draw.top_p = value,
            Self::TopK(value) => draw.top_k = value,
            Self::Seed(value) => draw.seed = value.unwrap_or(draw.seed.wrapping_add(1)),
            Self::Tokens(value) => draw.max_new_tokens = value,
        }
    }
}

/// Parses a line.
///
/// # Errors
/// A message that describes what is wrong with a command.
pub(super) fn parse(line: &str) -> Result<Line<'_>, String> {
    let line = line.trim_end_matches(['\n', '\r']);
    if line.trim().is_empty() {
        return Ok(Line::Empty);
    }
    let Some(command) = line.strip_prefix('/') else {
        return Ok(Line::Text(line));
    };
    if command.starts_with('/') {
        return Ok(Line::Text(command));
    }
    let (name, rest) = command
        .split_once(char::is_whitespace)
        .unwrap_or((command, ""));
    let rest = rest.trim();
    let number = |what: &str| format!("`/{name}` takes {what}, not `{rest}`");
    let change = match name {
        "help" | "?" => return Ok(Line::Help),
        "quit" | "exit" | "q" => return Ok(Line::End),
        "both" => return Ok(Line::Both(Some(rest).filter(|rest| !rest.is_empty()))),
        "temperature" | "temp" => {
            let value = rest
                .parse()
                .ok()
                .filter(|value: &f64| *value >= 0.0 && value.is_finite());
            Change::Temperature(value.ok_or_else(|| number("a number from 0"))?)
        }
        "top_p" | "top-p" if rest == "off" => Change::TopP(None),
        "top_p" | "top-p" => {
            let value = rest
                .parse()
                .ok()
                .filter(|value: &f64| *value > 0.0 && *value <= 1.0);
            Change::TopP(Some(
                value.ok_or_else(|| number("a number above 0, at most 1, or `off`"))?,
            ))
        }
        "top_k" | "top-k" if rest == "off" => Change::TopK(None),
        "top_k" | "top-k" => {
            let value = rest.parse().ok().filter(|value| *value > 0);
            Change::TopK(Some(
                value.ok_or_else(|| number("a whole number from 1, or `off`"))?,
            ))
        }
        "seed" if rest.is_empty() => Change::Seed(None),
        "seed" => Change::Seed(Some(rest.parse().map_err(|_| number("a whole number"))?)),
        "tokens" => Change::Tokens(rest.parse().map_err(|_| number("a whole number"))?),
        _ => return Err(format!("there is no command `/{name}`; `/help` lists them")),
    };
    Ok(Line::Set(change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_or_commands() {
        assert_eq!(parse("  \n"), Ok(Line::Empty));
        assert_eq!(parse(" Once \r\n"), Ok(Line::Text(" Once ")));
        assert_eq!(parse("//etc"), Ok(Line::Text("/etc")));
        assert_eq!(
            parse("/temperature 0.5"),
            Ok(Line::Set(Change::Temperature(0.5)))
        );
        assert_eq!(parse("/top_p off"), Ok(Line::Set(Change::TopP(None))));
        assert_eq!(parse("/seed"), Ok(Line::Set(Change::Seed(None))));
        assert_eq!(parse("/both"), Ok(Line::Both(None)));
        assert_eq!(parse("/both spec/a b"), Ok(Line::Both(Some("spec/a b"))));
        for bad in [
            "/temperature -1",
            "/temperature x",
            "/top_p 0",
            "/top_p 2",
            "/top_k 0",
            "/seed x",
            "/tokens",
            "/nothing",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
