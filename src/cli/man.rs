//! `specbook man`: the manual pages, generated from the same descriptions as `--help`.

use super::args::{Cli, ManArgs};
use super::exit;
use super::failure::Failure;
use super::print::Printer;
use crate::fsx::{Fs as _, RealFs};
use clap::CommandFactory;
use clap_mangen::Man;
use std::path::Path;

/// The date of the pages: the last major change of the command line.
const DATE: &str = "2026-11-30";

/// Maximum length of an existing page that is read before it is replaced, in bytes.
const LIMIT: u64 = 1 << 20;

/// Maximum length of a text line in the source of a page.
const WIDTH: usize = 80;

/// Prints the page of the program, or writes the pages of all its commands.
pub(crate) fn execute(args: &ManArgs, printer: Printer) -> Result<u8, Failure> {
    let program = described();
    let Some(folder) = &args.out else {
        printer.result(&page(program).1);
        return Ok(exit::OK);
    };
    let fs = RealFs::new();
    let pages = pages(program);
    for (name, _) in &pages {
        refuse_foreign(&fs, &folder.join(name))?;
    }
    fs.create_dir_all(folder)?;
    for (name, text) in &pages {
        fs.write_atomic(&folder.join(name), text.as_bytes())?;
    }
    printer.note(&format!(
        "wrote {} pages to {}",
        pages.len(),
        folder.display()
    ));
    Ok(exit::OK)
}

/// Refuses to overwrite anything at `path` that is not one of our pages.
fn refuse_foreign(fs: &RealFs, path: &Path) -> Result<(), Failure> {
    let is_ours = match fs.read(path, LIMIT) {
        Ok(text) => String::from_utf8_lossy(&text).contains("\n.TH SPECBOOK"),
        Err(error) => error.is_not_found(),
    };
    if is_ours {
        return Ok(());
    }
    let message = format!("`{}` is not a page written by specbook", path.display());
    Err(Failure::usage(message).hint("move it away, or name another folder"))
}

/// The command line without `help`, which every command has and which needs no page.
fn described() -> clap::Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}

/// File name and text of every page: that of the command and those of its visible subcommands.
fn pages(command: clap::Command) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        found.extend(pages(below.clone()));
    }
    found.push(page(command));
    found
}

fn page(command: clap::Command) -> (String, String) {
    let page = Man::new(command);
    let name = page.get_filename();
    let mut text = Vec::new();
    page.render(&mut text)
        .expect("a vector takes what is written");
    let text = tidy(&name, &String::from_utf8_lossy(&text));
    (name, text)
}

/// Adapts a page to `mandoc -Tlint`: a full title, a single macro for paragraphs, short lines
/// without trailing spaces.
fn tidy(name: &str, page: &str) -> String {
    let name = name.trim_end_matches(".1").to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    let title = format!(".TH {name} 1 {DATE} \"specbook {version}\"");
    let page = page.replace(".br\n\n.br\n", ".sp\n");
    let page = page.replace(".SH EXTRA\nExit codes: ", ".SH \"EXIT STATUS\"\n");
    let mut tidy = String::new();
    for line in page.lines() {
        if line.starts_with(".TH ") {
            tidy += &title;
        } else if line.starts_with('.') {
            tidy += line.trim_end();
        } else {
            tidy += &wrapped(line);
        }
        tidy.push('\n');
    }
    tidy
}

/// Wraps a line of text; no resulting line begins like a macro.
fn wrapped(line: &str) -> String {
    let (mut whole, mut used) = (String::new(), 0);
    for word in line.split_whitespace() {
        let room = used + 1 + word.len() <= WIDTH;
        let safe = if word.starts_with(['.', '\'']) {
            "\\&"
        } else {
            ""
        };
        match used {
            0 => used = word.len(),
            _ if room => {
                whole.push(' ');
                used += 1 + word.len();
            }
            _ => {
                whole.push('\n');
                whole += safe;
                used = safe.len() + word.len();
            }
        }
        whole += word;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_hidden_ones_have_none() {
        let pages = pages(described());
        let text = |name: &str| {
            let found = pages.iter().find(|(file, _)| file == name);
            &found.unwrap_or_else(|| panic!("no page {name}")).1
        };
        assert!(text("specbook.1").contains("specbook\\-run(1)"));
        assert!(text("specbook-run.1").contains("\\-\\-strict\\-claims"));
        assert!(text("specbook-store-gc.1").contains("Remove without asking"));
        assert!(!pages.iter().any(|(file, _)| file.contains("acceptance")));
    }

    #[test]
    fn text_is_wrapped_and_never_a_macro() {
        let line = format!("{} 'quoted' and .dotted words ", "a".repeat(78));
        assert_eq!(
            wrapped(&line),
            format!("{}\n\\&'quoted' and .dotted words", "a".repeat(78))
        );
    }

    #[test]
    fn the_title_is_whole() {
        let page = tidy(
            "specbook-run.1",
            ".TH specbook-run 1  \"x\" \nA \n.br\n\n.br\nB\n",
        );
        let version = env!("CARGO_PKG_VERSION");
        let title = format!(".TH SPECBOOK-RUN 1 {DATE} \"specbook {version}\"");
        assert_eq!(page, format!("{title}\nA\n.sp\nB\n"));
    }
}
