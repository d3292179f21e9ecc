//! A spec's theme: values for the variables of the page's style sheet.

use crate::spec::Spec;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// The style sheet of the page.
const STYLE: &str = include_str!("../../../templates/style.css");

/// The variables that the style sheet sets, in its order.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let (first, _) = STYLE.split_once('}').unwrap_or_default();
    let declarations = first.split(['{', ';', '\n']);
    let names = declarations.filter_map(|one| one.trim().strip_prefix("--")?.split_once(':'));
    names.map(|(name, _)| name).collect()
});

/// The variables that a theme may set.
pub(crate) fn theme_names() -> &'static [&'static str] {
    &NAMES
}

/// The rules of a spec's theme; empty where it has none. `check` has looked at the values.
pub(crate) fn theme(spec: &Spec) -> String {
    let (mut light, mut dark) = (String::new(), String::new());
    for (name, value) in &spec.theme {
        let _ = match name.strip_prefix("dark-") {
            Some(name) => write!(dark, "--{name}:{value};"),
            None => write!(light, "--{name}:{value};"),
        };
    }
    let mut out = String::new();
    if !light.is_empty() {
        let _ = writeln!(out, ":root{{{light}}}");
    }
    if !dark.is_empty() {
        let _ = writeln!(
            out,
            "@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::theme_names;

    #[test]
    fn variables_are_those_of_the_style_sheet() {
        for name in ["paper", "link", "s0", "serif", "sans", "holds"] {
            assert!(theme_names().contains(&name), "{name}");
        }
    }
}
