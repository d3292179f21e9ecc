//! `specbook help`: the reference in the terminal, and the help of commands.

use super::args::{Cli, Help};
use super::exit;
use super::failure::Failure;
use super::print::Printer;
use super::reference::{Entry, TOPICS, Topic, page, terminal};
use clap::CommandFactory as _;

/// Prints a topic, the meaning of a name, or the help of a command.
pub(crate) fn execute(args: &Help, printer: Printer) -> Result<u8, Failure> {
    let Some(word) = &args.topic else {
        printer.result(&Cli::command().render_long_help().to_string());
        let names: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
        printer.result(&format!(
            "\nTopics of `specbook help`: {}.",
            names.join(", ")
        ));
        return Ok(exit::OK);
    };
    let word = word.as_str();
    if let Some(topic) = TOPICS.iter().find(|topic| topic.name == word) {
        if args.markdown {
            printer.result(&page(topic));
            return Ok(exit::OK);
        }
        let entries = match &args.name {
            None => topic.entries(),
            Some(name) => named(topic, name)?,
        };
        if printer.json() {
            printer.json_result(&entries)?;
        } else {
            printer.result(&terminal(&entries, width()));
        }
        return Ok(exit::OK);
    }
    let mut command = Cli::command();
    if let Some(found) = command.find_subcommand_mut(word) {
        printer.result(&found.render_long_help().to_string());
        return Ok(exit::OK);
    }
    // A name alone is searched for in all topics.
    let meant = crate::spec::meant_by(word);
    if let [setting, ..] = &meant[..] {
        printer.note(&format!("`{word}` is another name of `{setting}`"));
    }
    let names = meant.iter().map(String::as_str).chain([word]);
    let found: Vec<Entry> = names
        .flat_map(|name| TOPICS.iter().map(move |topic| (topic, name)))
        .flat_map(|(topic, name)| fits(topic.entries(), name))
        .collect();
    if found.is_empty() {
        return Err(unknown(
            word,
            TOPICS
                .iter()
                .flat_map(Topic::entries)
                .map(|entry| entry.name),
        ));
    }
    printer.result(&terminal(&found, width()));
    Ok(exit::OK)
}

/// The entry `name` and those below it.
fn named(topic: &Topic, name: &str) -> Result<Vec<Entry>, Failure> {
    let found = fits(topic.entries(), name);
    if found.is_empty() {
        let names = topic.entries().into_iter().map(|entry| entry.name);
        return Err(unknown(name, names));
    }
    Ok(found)
}

/// The setting that a user probably meant by a non-existent option: `--epochs`, `--lr`.
pub(crate) fn setting_of_option(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let is_unknown = error.kind() == ErrorKind::UnknownArgument;
    let Some(ContextValue::String(written)) =
        error.get(ContextKind::InvalidArg).filter(|_| is_unknown)
    else {
        return None;
    };
    let name = written.trim_start_matches('-').replace('-', "_");
    if name == "seed" {
        return Some("seeds".to_owned()); // Other settings end with this word too.
    }
    let meant = crate::spec::meant_by(&name);
    let settings = TOPICS.iter().find(|topic| topic.name == "settings")?;
    let own = || settings.entries().into_iter().map(|entry| entry.name);
    let last = format!(".{name}");
    meant
        .into_iter()
        .next()
        .or_else(|| own().find(|setting| setting.ends_with(&last)))
}

/// Entries whose name is `name` or begins with it; otherwise, those whose last part is `name`.
fn fits(entries: Vec<Entry>, name: &str) -> Vec<Entry> {
    let name = name.strip_prefix("base.").unwrap_or(name);
    let below = format!("{name}.");
    let last = format!(".{name}");
    let exact = |entry: &&Entry| entry.name == name || entry.name.starts_with(&below);
    let found: Vec<Entry> = entries.iter().filter(exact).cloned().collect();
    if !found.is_empty() {
        return found;
    }
    let is_last =
        |entry: &Entry| entry.name.ends_with(&last) || entry.name.contains(&format!("{last}."));
    entries.into_iter().filter(is_last).collect()
}

fn unknown(name: &str, known: impl Iterator<Item = String>) -> Failure {
    let mut known: Vec<String> = known.collect();
    known.sort_unstable();
    known.dedup();
    crate::human::likest_first(&mut known, name);
    known.truncate(4);
    Failure::usage(format!("nothing is called `{name}`"))
        .hint(format!("the nearest names are {}", known.join(", ")))
}

/// Columns of the terminal; 80 if there is none.
fn width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0).min(100))
}
