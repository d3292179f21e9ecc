//! A spec's theme: values for the variables of the page's style sheet.

use crate::spec::Spec;
use std::fmt::Write as _;

/// The rules of a spec's theme; empty if it has none. `check` has validated the values.
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
    use crate::spec::THEME;

    #[test]
    fn variables_are_those_of_the_style_sheet() {
        let style = include_str!("../../../templates/style.css");
        let (first, _) = style.split_once('}').unwrap();
        let declarations = first.split(['{', ';', '\n']);
        let names = declarations.filter_map(|one| one.trim().strip_prefix("--")?.split_once(':'));
        let names: Vec<&str> = names.map(|(name, _)| name).collect();
        assert_eq!(names, THEME);
    }
}
