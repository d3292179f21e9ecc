//! Malicious and random text: refused quickly, never a panic.

use super::{FRENZY, edit, set, told, with};
use crate::spec::error::Problems;
use crate::spec::load::{Origin, parse_tree};
use crate::spec::tree::{Node, Value};
use crate::spec::{LoadRequest, SpecError, load, parse};
use crate::test_support::worked;
use insta::assert_snapshot;
use proptest::prelude::*;
use std::path::Path;

/// The first line of the message, within ten seconds of CPU time, without optimisation.
fn quickly(text: &str) -> String {
    let (told, taken) = worked(|| told(text, None, &[]));
    let seconds = taken.as_secs_f64();
    println!("{seconds:.3} s: {}", &told[..told.len().min(80)]);
    assert!(seconds < 10.0, "{seconds} s");
    told.lines().next().unwrap_or_default().to_owned()
}

#[test]
#[cfg_attr(
    windows,
    ignore = "without the processor time of a thread, other load decides"
)]
fn bombs_are_refused_quickly() {
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        aliases = format!("{aliases}a{level}: &a{level} [{items}]\n");
    }
    assert_snapshot!(quickly(&aliases), @"aliases repeat more than 100000 values");
    assert_snapshot!(quickly("a: &a [*a]"), @"this alias is inside the value it refers to");
    assert_snapshot!(quickly(&"[".repeat(100_000)), @"nested more than 32 levels deep");
    assert_snapshot!(quickly(&"- ".repeat(100_000)), @"nested more than 32 levels deep");
    assert_snapshot!(quickly(&"{a: ".repeat(100_000)), @"nested more than 32 levels deep");
    let blocks: String = (0..500)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    assert_snapshot!(quickly(&blocks), @"nested more than 32 levels deep");
    let nested: String = (0..30).map(|depth| format!("&a{depth} [")).collect();
    let wide = format!("a: {nested}{}{}", "1, ".repeat(150_000), "]".repeat(30));
    assert_snapshot!(quickly(&wide), @"anchors and aliases repeat more than 100000 values");
    assert_snapshot!(quickly(&format!("a: {}", "x".repeat(2 << 20))), @"`s.yaml` is too large: a spec has at most 1048576 bytes");
    let huge = vec!["1"; 400_000].join(",");
    assert_snapshot!(quickly(&FRENZY.replace("seeds: [0, 1, 2]", &format!("seeds: [{huge}]"))), @"the axes multiply to 1200000 runs; at most 10000 are allowed");
    let bad = vec!["x"; 200_000].join(",");
    assert_snapshot!(quickly(&FRENZY.replace("seeds: [0, 1, 2]", &format!("vary: {{model.dim: [{bad}]}}"))), @"`model.dim` has to be a whole number of at least 0, not the text `x`");
    assert_snapshot!(quickly(&FRENZY.replace("dim: 128", &format!("{}: 128", "d".repeat(100_000)))).len(), @"48");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "without the processor time of a thread, other load decides"
)]
fn many_of_everything_is_refused_quickly() {
    let list = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join("\n")
    };
    let cases = list(30_000, &|n| format!("  c{n}: {{train.epochs: 1}}"));
    assert_snapshot!(quickly(&FRENZY.replace("cases:", &format!("cases:\n{cases}"))), @"the axes multiply to 90009 runs; at most 10000 are allowed");
    let profiles = list(30_000, &|n| format!("  p{n}: {{seeds: [{n}]}}"));
    assert_snapshot!(quickly(&FRENZY.replace("profiles:", &format!("profiles:\n{profiles}"))), @"a spec has at most 64 profiles");
    let names = vec!["none"; 100_000].join(",");
    let many = FRENZY.replace(
        "seeds: [0, 1, 2]",
        &format!(
            "seeds: [{}]",
            (0..3000)
                .map(|n| n.to_string())
                .collect::<Vec<_>>()
                .join(",")
        ),
    );
    assert_snapshot!(quickly(&many.replace("runs: all", &format!("runs: [{names}]"))), @"there is no run `none`");
    let claims = list(10_000, &|n| {
        format!("  - {{id: C{n}, says: x, needs: {{profiles: [n{n}]}}}}")
    });
    assert_snapshot!(quickly(&FRENZY.replace("claims:\n", &format!("claims:\n{claims}\n"))), @"the claim `C0` needs a profile `n0`, which does not exist");
    let keys = list(40_000, &|n| format!("key{n}: 1"));
    assert_snapshot!(quickly(&format!("{FRENZY}{keys}\n")), @"unknown key `key0` in the spec");
}

#[test]
fn empty_and_odd_texts() {
    assert_snapshot!(told("", None, &[]), @"
    there is nothing in it
     --> s.yaml:1:1
    1 | 
      | ^
    ");
    assert_snapshot!(told("[1]", None, &[]), @"
    a spec is a map, not a list
     --> s.yaml:1:1
    1 | [1]
      | ^
      = hint: begin with `specbook: 1`
    ");
    assert_snapshot!(told("specbook: 1\n", None, &[]), @"
    the spec lacks the key `name`
     --> s.yaml:1:1
    1 | specbook: 1
      | ^
      = allowed: text

    the spec lacks the key `base`
     --> s.yaml:1:1
    1 | specbook: 1
      | ^
      = allowed: a map with the keys `data`, `model`, `train`, `eval`

    `base` lacks the section `data`
     --> s.yaml:1:1
    1 | specbook: 1
      | ^

    `base` lacks the section `model`
     --> s.yaml:1:1
    1 | specbook: 1
      | ^

    `base` lacks the section `train`
     --> s.yaml:1:1
    1 | specbook: 1
      | ^
    ");
    assert_snapshot!(told(&FRENZY.replace("model:", "modle:"), None, &[]), @"
    unknown key `modle` in `base`
      --> s.yaml:13:3
    13 |   modle: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |   ^^^^^
       = allowed: `data`, `model`, `train`, `eval`
       = hint: did you mean `model`?
    ");
}

#[test]
fn windows_lines_and_a_byte_order_mark_are_read() {
    let windows = format!("\u{feff}{}", FRENZY.replace('\n', "\r\n"));
    assert_eq!(
        with(&windows, None, &[]).unwrap().runs,
        with(FRENZY, None, &[]).unwrap().runs
    );
    let wrong = windows.replace("dim: 128", "dmi: 128");
    assert!(
        told(&wrong, None, &[]).contains("s.yaml:13:24"),
        "{}",
        told(&wrong, None, &[])
    );
}

#[test]
fn control_characters_have_a_place() {
    assert_snapshot!(edit("name: epoch-frenzy", "name: epoch\u{1b}frenzy"), @r"
    not valid YAML: the control character U+001B
     --> s.yaml:2:12
    2 | name: epoch frenzy
      |            ^
      = hint: remove it; in a text with double quotes it can be written `\u001b`
    ");
    assert!(set(&["model.dim=\u{7}64"]).contains("U+0007"));
    assert!(edit("name: epoch-frenzy", "name: epoch-frenzy # \u{9b}").contains("U+009B"));
}

#[test]
fn files_that_cannot_be_read() {
    let request = LoadRequest::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.yaml");
    assert!(matches!(load(&path, &request), Err(SpecError::Read { .. })));
    std::fs::write(&path, b"specbook: 1\nname: \xff\xfe\n").unwrap();
    assert!(matches!(
        load(&path, &request),
        Err(SpecError::NotText { line: 2, .. })
    ));
    std::fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
    assert!(matches!(
        load(&path, &request),
        Err(SpecError::TooLarge { .. })
    ));
    // An endless device that reports a size of 0 bytes.
    #[cfg(unix)]
    assert!(matches!(
        load(Path::new("/dev/zero"), &request),
        Err(SpecError::TooLarge { .. })
    ));
    std::fs::write(&path, "specbook: 3\n").unwrap();
    assert!(matches!(
        load(&path, &request),
        Err(SpecError::Format { found: 3, .. })
    ));
    std::fs::write(&path, FRENZY).unwrap();
    let spec = load(&path, &request).unwrap();
    assert_eq!(
        (spec.path, spec.digest),
        (path, crate::digest::Sha256Hex::of(FRENZY.as_bytes()))
    );
}

/// The specs of the repository, and this module's own.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let specs = std::fs::read_dir(folder).unwrap();
    let specs = specs.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    specs.chain([FRENZY.as_bytes().to_vec()]).collect()
}

#[test]
fn changed_specs_are_read_or_refused() {
    let words = [
        "&a ",
        "*a",
        "<<: ",
        "!!binary ",
        "|\n",
        "- ",
        "? ",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "~",
        "\t",
        "---\n",
        "%YAML 1.1\n",
        "vary:\n",
        "seeds: [0]\n",
        "cases:\n",
        "exclude:\n",
        "profiles:\n",
        "train.epochs",
        "model.dim",
        "{{ run('x') }}",
        "\u{feff}",
        "\u{0}",
    ];
    crate::test_support::fuzz("specs", &seeds(), &words, 60, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for profile in [None, Some("smoke".to_owned())] {
            let request = LoadRequest {
                profile,
                overrides: Vec::new(),
            };
            if let Ok(spec) = parse(&text, Path::new("s.yaml"), &request) {
                let _ = crate::mistakes::mistakes(&spec);
            }
        }
    });
}

/// A tree and its written form.
#[derive(Clone, Debug)]
enum Tree {
    Scalar(&'static str, serde_json::Value),
    List(Vec<Self>, bool),
    Map(Vec<Self>, bool),
}

fn trees() -> impl Strategy<Value = Tree> {
    let scalars = prop::sample::select(vec![
        "3",
        "-4",
        "0.5",
        "1e-3",
        "true",
        "null",
        "~",
        "word",
        "two words",
        "'it''s'",
        "\"a\\nb\"",
        "no",
        "1.10x",
        "0x10",
        "12:30",
        "\"\u{e9}\u{1f600}\"",
        "a#b",
        "\"#\"",
        "-",
        "'- x'",
        "1_000",
        "+5",
        "0o7",
        "''",
        "2023-01-01",
    ]);
    let leaf = scalars
        .prop_filter("a lone dash opens a list", |text| *text != "-")
        .prop_map(|text| Tree::Scalar(text, meaning(text)));
    leaf.prop_recursive(4, 40, 5, |inner| {
        let list = (prop::collection::vec(inner.clone(), 0..5), any::<bool>());
        let map = (prop::collection::vec(inner, 0..5), any::<bool>());
        prop_oneof![
            list.prop_map(|(items, flow)| Tree::List(items, flow)),
            map.prop_map(|(items, flow)| Tree::Map(items, flow)),
        ]
    })
}

/// The meaning of a scalar, computed by hand instead of by the parser under test.
fn meaning(text: &str) -> serde_json::Value {
    use serde_json::json;
    match text {
        "3" => json!(3),
        "-4" => json!(-4),
        "+5" => json!(5),
        "0x10" => json!(16),
        "0o7" => json!(7),
        "0.5" => json!(0.5),
        "1e-3" => json!(0.001),
        "true" => json!(true),
        "null" | "~" => json!(null),
        "'it''s'" => json!("it's"),
        "\"a\\nb\"" => json!("a\nb"),
        "''" => json!(""),
        text => json!(text.trim_matches(['"', '\''])),
    }
}

impl Tree {
    fn write(&self, indent: usize, flow: bool) -> String {
        let pad = "  ".repeat(indent);
        match self {
            Self::Scalar(text, _) => (*text).to_owned(),
            Self::List(items, own) if flow || *own || items.is_empty() => {
                let items: Vec<String> = items.iter().map(|item| item.write(0, true)).collect();
                format!("[{}]", items.join(", "))
            }
            Self::List(items, _) => {
                let line = |item: &Self| format!("\n{pad}- {}", item.write(indent + 1, false));
                items.iter().map(line).collect()
            }
            Self::Map(items, own) if flow || *own || items.is_empty() => {
                let entry =
                    |(index, item): (usize, &Self)| format!("k{index}: {}", item.write(0, true));
                let entries: Vec<String> = items.iter().enumerate().map(entry).collect();
                format!("{{{}}}", entries.join(", "))
            }
            Self::Map(items, _) => {
                let line = |(index, item): (usize, &Self)| {
                    format!("\n{pad}k{index}: {}", item.write(indent + 1, false))
                };
                items.iter().enumerate().map(line).collect()
            }
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Scalar(_, value) => value.clone(),
            Self::List(items, _) => items.iter().map(Self::json).collect(),
            Self::Map(items, _) => {
                let entry = |(index, item): (usize, &Self)| (format!("k{index}"), item.json());
                items
                    .iter()
                    .enumerate()
                    .map(entry)
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }
        }
    }

    /// Checks that every scalar is at its mark.
    fn marks(&self, node: &Node, lines: &[&str]) {
        match (self, &node.value) {
            (Self::Scalar(text, _), _) => {
                let line = lines[node.span.line as usize - 1];
                let there: String = line
                    .chars()
                    .skip(node.span.column as usize - 1)
                    .take(node.span.len as usize)
                    .collect();
                assert_eq!(&there, text);
            }
            (Self::List(trees, _), Value::List(nodes)) => {
                trees
                    .iter()
                    .zip(nodes)
                    .for_each(|(tree, node)| tree.marks(node, lines));
            }
            (Self::Map(trees, _), Value::Map(entries)) => {
                for (index, (tree, (key, node))) in trees.iter().zip(entries).enumerate() {
                    let line = lines[key.span.line as usize - 1];
                    let there: String = line
                        .chars()
                        .skip(key.span.column as usize - 1)
                        .take(key.span.len as usize)
                        .collect();
                    assert_eq!(there, format!("k{index}"));
                    tree.marks(node, lines);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn tree_of(text: &str) -> (Option<Node>, Problems) {
    let mut problems = Problems::default();
    let node = parse_tree(text, Origin::default(), &mut problems);
    (node, problems)
}

proptest! {
    #![proptest_config(crate::test_support::cases(200))]

    #[test]
    fn values_and_marks_are_one_tree(tree in trees()) {
        let text = tree.write(0, false);
        let (node, problems) = tree_of(&text);
        prop_assert!(problems.is_empty(), "{text}\n{problems:?}");
        let node = node.unwrap();
        prop_assert_eq!(node.to_json(), tree.json(), "{}", text);
        let lines: Vec<&str> = text.lines().collect();
        tree.marks(&node, &lines);
    }

    #[test]
    fn mutated_specs_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, "[ -~\n\t\u{e9}]{0,6}"), 1..6),
        sets in prop::collection::vec("[a-z.\"=\\[\\]{}: 0-9]{0,20}", 0..3),
        profile in prop::option::of(prop::sample::select(vec!["smoke", "paper", "x"])),
    ) {
        let mut text: Vec<char> = FRENZY.chars().collect();
        for (at, remove, insert) in edits {
            let at = at.index(text.len());
            let end = (at + remove).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        let request = LoadRequest { profile: profile.map(str::to_owned), overrides: sets };
        if let Err(error) = parse(&text, Path::new("s.yaml"), &request) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}|[-:\\[\\]{}&*!|>'\"%@`#, a-c\n\t]{0,80}") {
        let (node, problems) = tree_of(&text);
        prop_assert!(node.is_some() || !problems.is_empty());
        let _ = told(&text, None, &[&text]);
    }

    #[test]
    fn swapped_lines_never_panic(pairs in prop::collection::vec((0usize..48, 0usize..48), 1..4)) {
        let mut lines: Vec<&str> = FRENZY.lines().collect();
        pairs.into_iter().for_each(|(a, b)| lines.swap(a, b));
        let _ = told(&lines.join("\n"), None, &[]);
    }
}
