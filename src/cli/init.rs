//! `specbook init`: writes a spec to start from and the files that a project needs beside it.

use super::args::Init;
use super::failure::Failure;
use super::print::{self, Printer};
use super::{exit, project};
use crate::fsx::{Fs as _, RealFs};
use crate::shell;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A spec shipped with the program.
#[derive(Serialize)]
struct Shipped {
    name: &'static str,
    about: &'static str,
    #[serde(skip)]
    text: &'static str,
}

/// The specs; those meant as starting points come first.
const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "minimal",
        about: "one small model on embedded text; half a minute",
        text: include_str!("starters/minimal.yaml"),
    },
    Shipped {
        name: "compare",
        about: "two settings with three seeds each, and a claim that decides",
        text: include_str!("starters/compare.yaml"),
    },
    Shipped {
        name: "sweep",
        about: "two axes and three seeds, in a table and a figure",
        text: include_str!("starters/sweep.yaml"),
    },
    Shipped {
        name: "epoch-frenzy",
        about: "study: many passes over little text, or one pass over much?",
        text: include_str!("../../specs/epoch-frenzy.yaml"),
    },
    Shipped {
        name: "grid-search",
        about: "study: which sizes help a small LLaMA most?",
        text: include_str!("../../specs/grid-search.yaml"),
    },
    Shipped {
        name: "loss-comparison",
        about: "study: cross-entropy, square losses and squentropy",
        text: include_str!("../../specs/loss-comparison.yaml"),
    },
    Shipped {
        name: "scale-up",
        about: "study: the grid's largest model on more text",
        text: include_str!("../../specs/scale-up.yaml"),
    },
    Shipped {
        name: "sequence-handling",
        about: "study: documents that are too short or too long",
        text: include_str!("../../specs/sequence-handling.yaml"),
    },
];

pub(crate) fn shipped_specs() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|spec| spec.text)
}

/// Maximum length of a file that is read before it is changed, in bytes.
const LIMIT: u64 = 16 << 20;

/// The JSON Schema for editors, written beside the spec.
const SCHEMA: &str = "specbook.schema.json";

/// The beginning of the comment that tells an editor where the schema of a spec is.
const EDITOR: &str = "# yaml-language-server: $schema=";

/// Writes the spec, or lists the available ones.
pub(crate) fn execute(args: &Init, printer: Printer) -> Result<u8, Failure> {
    let Some(name) = &args.name else {
        if printer.json() {
            printer.json_result(&SHIPPED)?;
        } else {
            let rows = SHIPPED
                .iter()
                .map(|spec| vec![spec.name.to_owned(), spec.about.to_owned()]);
            printer.result(&print::table(&["name", "about"], &rows.collect::<Vec<_>>()));
        }
        return Ok(exit::OK);
    };
    let spec = find(name)?;
    let path = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("specs").join(format!("{name}.yaml")));
    if path.exists() {
        return Err(
            Failure::usage(format!("`{}` exists already", path.display()))
                .hint("name another file with `--out`"),
        );
    }
    let fs = RealFs::new();
    let folder = path.parent().unwrap_or(Path::new(""));
    let schema = crate::spec::json_schema_of(true);
    refuse_foreign(&fs, &folder.join(SCHEMA))?;
    fs.create_dir_all(folder)?;
    let text = serde_json::to_vec_pretty(&schema)?;
    fs.write_atomic(&folder.join(SCHEMA), &text)?;
    let own = spec.text.lines().filter(|line| !line.starts_with(EDITOR));
    let text = own.fold(format!("{EDITOR}{SCHEMA}\n"), |text, line| {
        text + line + "\n"
    });
    fs.write_atomic(&path, text.as_bytes())?;
    ignore_store(&project::project(&path), &fs, printer)?;
    let word = shell::path(&path);
    printer.note(&format!(
        "wrote {}\nnext: specbook run {word}",
        path.display()
    ));
    Ok(exit::OK)
}

/// Refuses to overwrite anything at `path` that is not our schema.
fn refuse_foreign(fs: &RealFs, path: &Path) -> Result<(), Failure> {
    let is_ours = match fs.read(path, LIMIT) {
        Ok(text) => serde_json::from_slice::<Value>(&text)
            .is_ok_and(|found| found.pointer("/properties/specbook").is_some()),
        Err(error) => error.is_not_found(),
    };
    if is_ours {
        return Ok(());
    }
    let message = format!("`{}` is not a schema written by specbook", path.display());
    Err(Failure::usage(message).hint("move it away, or name another folder with `--out`"))
}

/// Keeps the store out of version control: adds `.specbook/` to the project's `.gitignore`. A
/// `.gitignore` that is not plain text is left alone.
fn ignore_store(project: &Path, fs: &RealFs, printer: Printer) -> Result<(), Failure> {
    let file = project.join(".gitignore");
    let text = match fs.read(&file, LIMIT) {
        Err(error) if error.is_not_found() => Ok(String::new()),
        Err(error) => Err(error.source.to_string()),
        Ok(bytes) => String::from_utf8(bytes).map_err(|error| error.to_string()),
    };
    let text = match text {
        Ok(text) => text,
        Err(reason) => {
            let file = file.display();
            printer.warning(&format!("`{file}` should name `.specbook/`: {reason}"));
            return Ok(());
        }
    };
    let names_it = |line: &str| line.trim().trim_matches('/') == ".specbook";
    if text.lines().any(names_it) {
        return Ok(());
    }
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    Ok(fs.write_atomic(&file, format!("{text}{end}.specbook/\n").as_bytes())?)
}

fn find(name: &str) -> Result<&'static Shipped, Failure> {
    SHIPPED
        .iter()
        .find(|spec| spec.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = SHIPPED.iter().map(|spec| spec.name).collect();
            Failure::usage(format!("no shipped spec is called `{name}`"))
                .hint(format!("there are: {}", names.join(", ")))
        })
}

/// Writes only the shipped spec `name`, unchanged.
pub(crate) fn write(name: &str, path: &Path) -> Result<(), Failure> {
    let fs = RealFs::new();
    if let Some(folder) = path.parent() {
        fs.create_dir_all(folder)?;
    }
    Ok(fs.write_atomic(path, find(name)?.text.as_bytes())?)
}
