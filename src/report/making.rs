//! How a report was made, apart from spec and results; kept in `data/records.jsonl` so that a check
//! can reproduce the report.

use super::assets::Assets;
use super::export::TemplateFolder;
use serde::{Deserialize, Serialize};

/// The making of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Making {
    /// Version of the program.
    pub specbook: String,
    /// Folder of the previous report.
    #[serde(default)]
    pub before: Option<String>,
    /// Folder of the next report.
    #[serde(default)]
    pub after: Option<String>,
    /// The user's templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<TemplateFolder>,
    /// Pictures and bibliography, from the files beside the spec.
    #[serde(skip)]
    pub assets: Assets,
}

impl Default for Making {
    fn default() -> Self {
        Self {
            specbook: env!("CARGO_PKG_VERSION").to_owned(),
            before: None,
            after: None,
            templates: None,
            assets: Assets::default(),
        }
    }
}

impl Making {
    /// The making of the report in `folder`, one of the reports in `folders`.
    pub fn among(folder: &str, mut folders: Vec<String>) -> Self {
        folders.push(folder.to_owned());
        folders.sort();
        folders.dedup();
        let place = folders
            .iter()
            .position(|name| name == folder)
            .unwrap_or_default();
        Self {
            before: place.checked_sub(1).and_then(|at| folders.get(at).cloned()),
            after: folders.get(place + 1).cloned(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Making;

    #[test]
    fn a_report_stands_between_its_neighbours() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let making = Making::among("b", names(&["c", "a", "b"]));
        assert_eq!(
            (making.before.as_deref(), making.after.as_deref()),
            (Some("a"), Some("c"))
        );
        let alone = Making::among("b", Vec::new());
        assert_eq!((alone.before, alone.after), (None, None));
    }
}
