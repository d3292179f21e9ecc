//! The shipped specs are valid in each of their profiles and match the schema.

use crate::spec::{LoadRequest, json_schema, load};
use std::path::Path;

#[test]
fn every_shipped_spec_is_read_under_each_profile() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    paths.sort();
    for path in paths {
        let read = |profile: &str| {
            let request = LoadRequest {
                profile: Some(profile.to_owned()),
                ..LoadRequest::default()
            };
            load(&path, &request).unwrap_or_else(|error| panic!("{profile}: {error}"))
        };
        for profile in read("desk").profiles {
            assert!(!read(&profile).runs.is_empty());
        }
    }
}

#[test]
fn the_schema_describes_the_file() {
    let schema = json_schema();
    let keys: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    insta::assert_snapshot!(format!("{keys:?}"), @r#"["specbook", "name", "title", "source", "summary", "finding", "labels", "bibliography", "theme", "base", "cases", "vary", "seeds", "exclude", "max_runs", "profiles", "claims", "cells"]"#);
    insta::assert_snapshot!(schema["$defs"]["ModelSettings"]["properties"]["dim"], @r#"{"type":"integer","format":"uint","minimum":0,"description":"Width of the residual stream (GPT-2: `n_embd`); a multiple of `n_heads`."}"#);
    insta::assert_snapshot!(schema["$defs"]["Slice"], @r##"{"description":"A number of documents, or a range.","anyOf":[{"type":"integer","minimum":0},{"$ref":"#/$defs/SliceMap"}]}"##);
}
