//! `specbook init`: writes a shipped spec to start from.

use super::args::Init;
use super::exit;
use super::failure::Failure;
use super::print::Printer;
use crate::fsx::{Fs as _, RealFs};
use std::path::{Path, PathBuf};

/// The shipped specs: name and text.
const SHIPPED: &[(&str, &str)] = &[
    (
        "epoch-frenzy",
        include_str!("../../specs/epoch-frenzy.yaml"),
    ),
    ("grid-search", include_str!("../../specs/grid-search.yaml")),
    (
        "loss-comparison",
        include_str!("../../specs/loss-comparison.yaml"),
    ),
    ("scale-up", include_str!("../../specs/scale-up.yaml")),
    (
        "sequence-handling",
        include_str!("../../specs/sequence-handling.yaml"),
    ),
];

/// Writes the spec, or lists what there is.
pub(crate) fn execute(args: &Init, printer: Printer) -> Result<u8, Failure> {
    let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    let Some(name) = &args.name else {
        if printer.json() {
            printer.json_result(&names)?;
        } else {
            printer.result(&names.join("\n"));
        }
        return Ok(exit::OK);
    };
    if !names.contains(&name.as_str()) {
        return Err(unknown(name, &names));
    }
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
    write(name, &path)?;
    printer.note(&format!(
        "wrote {}\nnext: specbook run {}",
        path.display(),
        path.display()
    ));
    Ok(exit::OK)
}

fn unknown(name: &str, names: &[&str]) -> Failure {
    Failure::usage(format!("no shipped spec is called `{name}`"))
        .hint(format!("there are: {}", names.join(", ")))
}

/// Writes the shipped spec `name`.
pub(crate) fn write(name: &str, path: &Path) -> Result<(), Failure> {
    let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) else {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        return Err(unknown(name, &names));
    };
    let fs = RealFs::new();
    if let Some(folder) = path.parent() {
        fs.create_dir_all(folder)?;
    }
    Ok(fs.write_atomic(path, text.as_bytes())?)
}
