//! Names for files that were edited by hand and are about to be replaced.

/// The names under which an edited file `name` can be kept beside its replacement, in order: `NAME.changed`, `NAME.changed-2`, ….
pub fn aside(name: &str) -> impl Iterator<Item = String> {
    let first = std::iter::once(format!("{name}.changed"));
    first.chain((2..).map(move |number: u64| format!("{name}.changed-{number}")))
}
