//! Examples of settings, taken from the specs shipped with the program.

use crate::cli::init::shipped_specs;
pub(super) use crate::spec::flow;
use serde_json::Value as Json;
use std::sync::LazyLock;

static SPECS: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let specs = shipped_specs().filter_map(crate::spec::values);
    specs.collect()
});

/// The key at `path` as written in the first shipped spec that has it: a path in a spec file, below
/// `base`, in a cell or in a claim.
pub(super) fn of(path: &str) -> Option<String> {
    let key = path.rsplit('.').next()?;
    SPECS.iter().find_map(|spec| {
        let cells = spec["cells"].as_array().into_iter().flatten();
        let claims = spec["claims"].as_array().into_iter().flatten();
        let roots = [spec, &spec["base"]].into_iter().chain(cells).chain(claims);
        let value = roots.into_iter().find_map(|root| at(root, path))?;
        let text = flow(value);
        // Maps and long texts are shown through their own keys.
        let is_short = text.chars().count() <= 90 && !text.contains('\n');
        is_short.then(|| match value {
            Json::Null => key.to_owned(),
            _ => format!("{key}: {text}"),
        })
    })
}

fn at<'a>(root: &'a Json, path: &str) -> Option<&'a Json> {
    let mut value = root;
    for part in path.split('.') {
        value = match value {
            // The bare name of a choice.
            Json::String(name) if name == part => &Json::Null,
            value => value.get(part)?,
        };
    }
    Some(value)
}
