//! Texts with files beside the spec: pictures, references, citations and footnotes; the user's
//! templates and themes; papers.

use super::fixture::{self, Fixture, cells};
use super::text;
use crate::fsx::RealFs;
use crate::report::{Assets, Making, Paper, Report, ReportError, TemplateFolder};
use crate::spec::Located;
use serde_json::json;

/// A PNG of one pixel.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89,
];

/// Three runs with a spec in `folder` that has a text and a figure to which the text refers.
fn fixture(folder: &std::path::Path, words: &str) -> Fixture {
    let mut fixture = fixture::three_runs();
    fixture.spec.path = folder.join("exp.yaml");
    let all = json!([
        {"text": words},
        {"bars": {"metric": "val_loss", "rows": "case", "id": "ends"}},
        {"claims": "all"}
    ]);
    let located = |value| Located { value, line: 7 };
    fixture.spec.cells = cells(all).into_iter().map(located).collect();
    fixture
}

fn built(fixture: &Fixture) -> Result<Report, ReportError> {
    let assets = Assets::load(&fixture.spec, &RealFs::new())?;
    let making = Making {
        assets,
        ..Making::default()
    };
    Report::build(&fixture.spec, &fixture.results, &fixture.claims, &making)
}

#[test]
fn texts_have_pictures_formulas_references_and_footnotes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rig.png"), PIXEL).unwrap();
    std::fs::write(
        folder.path().join("works.bib"),
        "@misc{lee, author = {Ada Lee}, title = {On rigs}, year = {2020}, url = {https://example.org/rigs}}",
    )
    .unwrap();
    let words = "![the rig](rig.png)  \nas in @fig-ends and @claim-EF-3 [@lee], $\\sqrt{d_k}$.[^1]\n\n[^1]: A note.";
    let mut fixture = fixture(folder.path(), words);
    fixture.spec.bibliography = "works.bib".to_owned();
    let report = built(&fixture).unwrap();
    for paper in [Paper::Tex, Paper::Typst] {
        let files = report.paper(paper).unwrap();
        let picture = |file: &&crate::report::ReportFile| file.path.ends_with(".png");
        assert_eq!(files.iter().filter(picture).count(), 1, "{paper:?}");
    }
    let files = report.files().unwrap();
    let page = text(&files, "index.html");
    for part in [
        "<img src=\"data:image/png;base64,iVBOR",
        "alt=\"the rig\"",
        "<br />",
        "<a href=\"#figure-1\">Figure 1</a>",
        "<a href=\"#claim-ef-3\">EF-3</a>",
        "(<a href=\"#ref-lee\">Lee 2020</a>)",
        "<msqrt>",
        "<li id=\"ref-lee\">Ada Lee. On rigs. 2020. <a href=\"https://example.org/rigs\">",
    ] {
        assert!(page.contains(part), "no {part}");
    }
    let markdown = text(&files, "report.md");
    let picture = files
        .iter()
        .find(|file| file.path.starts_with("figures/picture-"))
        .unwrap();
    assert_eq!(picture.bytes, PIXEL);
    assert!(
        markdown.contains(&format!("![the rig]({})  \n", picture.path)),
        "{markdown:.2000}"
    );
    for part in [
        "[Figure 1](#figure-1)",
        "$\\sqrt{d_k}$",
        "[^cell-1-1]: A note.",
        "- <a id=\"ref-lee\"></a>",
    ] {
        assert!(markdown.contains(part), "no {part}: {markdown:.3000}");
    }
}

#[test]
fn what_cannot_be_taken_in_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let message = |words: &str| match built(&fixture(folder.path(), words)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    insta::assert_snapshot!(message("![x](../rig.png)"), @"`../rig.png` cannot be taken into the report: it lies outside the spec's folder");
    assert!(message("![x](none.png)").starts_with("`none.png` cannot be taken into the report"));
    std::fs::write(folder.path().join("a.png"), "no picture").unwrap();
    insta::assert_snapshot!(message("![x](a.png)"), @"`a.png` cannot be taken into the report: it is no PNG, JPEG, GIF, WebP or SVG");
    insta::assert_snapshot!(message("See @fig-none."), @"line 7: unknown reference `@fig-none`, expected one of `@claim-D-3`, `@claim-EF-1`, `@claim-EF-10`, `@claim-EF-11`, `@claim-EF-3`, `@claim-EF-6`, `@fig-ends`");
    assert_eq!(
        message("![far](https://example.org/x.png) and mail@fig-none"),
        "",
        "links stay links"
    );
    #[cfg(unix)]
    {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), PIXEL).unwrap();
        std::os::unix::fs::symlink(secret.path(), folder.path().join("b.png")).unwrap();
        assert!(
            message("![x](b.png)").contains("link"),
            "{}",
            message("![x](b.png)")
        );
    }
}

#[test]
fn templates_and_themes_of_the_user_change_the_page() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("head.md.j2"),
        "# Own {{ report.title|md }}\n",
    )
    .unwrap();
    let mut fixture = fixture(folder.path(), "Text.");
    fixture
        .spec
        .theme
        .insert("link".to_owned(), "#800000".to_owned());
    fixture
        .spec
        .theme
        .insert("dark-link".to_owned(), "#ff8080".to_owned());
    let read = || TemplateFolder::read(folder.path(), &RealFs::new()).unwrap();
    let making = Making {
        templates: Some(read()),
        ..Making::default()
    };
    let report = Report::build(&fixture.spec, &fixture.results, &[], &making).unwrap();
    let files = report.files().unwrap();
    assert!(text(&files, "report.md").starts_with("# Own Epoch frenzy"));
    assert!(text(&files, "index.html").contains(":root{--link:#800000;}\n@media"));
    let before = text(&files, "data/records.jsonl");
    assert!(
        before.contains("\"head.md.j2\":"),
        "the digest is in the record"
    );
    std::fs::write(folder.path().join("head.md.j2"), "# Other\n").unwrap();
    assert_ne!(Some(read()), making.templates);
    std::fs::remove_file(folder.path().join("head.md.j2")).unwrap();
    assert!(TemplateFolder::read(folder.path(), &RealFs::new()).is_err());
}

#[test]
fn papers_have_a_macro_for_every_number() {
    for fixture in [fixture::three_runs(), fixture::grid(3)] {
        let report = super::report(&fixture);
        let tex = report.paper(Paper::Tex).unwrap();
        let numbers = text(&tex, "numbers.tex");
        let whole = text(&tex, "report.tex");
        for claim in fixture.claims.iter().filter(|claim| claim.ours.is_some()) {
            assert!(numbers.contains(&format!("specbook@{}\\endcsname", claim.id)));
        }
        assert!(whole.contains("\\toprule") && whole.contains("\\input{figures/figure-1}"));
        for file in &tex {
            let text = String::from_utf8(file.bytes.clone()).unwrap();
            assert!(
                text.starts_with("% Made by specbook.") && !text.contains("NaN"),
                "{}",
                file.path
            );
            // Braces that TeX counts: those without a backslash.
            let bare = text.replace("\\{", "").replace("\\}", "");
            assert_eq!(
                bare.matches('{').count(),
                bare.matches('}').count(),
                "{}",
                file.path
            );
            assert_eq!(
                text.matches("\\begin{").count(),
                text.matches("\\end{").count(),
                "{}",
                file.path
            );
        }
        let typst = report.paper(Paper::Typst).unwrap();
        let whole = text(&typst, "report.typ");
        assert!(
            whole.contains("<figure-1>") && whole.contains("table.header("),
            "{whole:.3000}"
        );
        assert!(text(&typst, "numbers.typ").contains("/val_loss\": \""));
    }
}

#[test]
fn references_are_checked_before_anything_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let check = |words: &str| {
        let fixture = fixture(folder.path(), words);
        let assets = Assets::load(&fixture.spec, &RealFs::new()).unwrap();
        Report::check_references(&fixture.spec, &assets)
    };
    check("As @fig-ends and @claim-EF-3 show, {{ 1 + 1 }} times.").unwrap();
    for (words, part) in [
        ("As @fig-end shows.", "unknown reference `@fig-end`"),
        ("As @tbl-ends shows.", "unknown reference `@tbl-ends`"),
        ("As @claim-EF-99 shows.", "unknown reference `@claim-EF-99`"),
    ] {
        let error = check(words).unwrap_err().to_string();
        assert!(
            error.starts_with("line 7: ") && error.contains(part),
            "{error}"
        );
    }
}

#[test]
fn words_beside_marks_stay_inside_of_the_picture() {
    let mut fixture = fixture::grid(3);
    for run in &mut fixture.results.runs {
        let axis = |name| crate::report::scope::axis_value(run, name).and_then(|v| v.as_f64());
        let nll = 9.0 - axis("dim").unwrap() / 100.0 + axis("n_heads").unwrap() / 100.0;
        run.metrics
            .insert("nll".to_owned(), nll + run.seed as f64 / 1e7);
        run.eval = None;
    }
    let pairs = json!([{"axis": "dim"}, {"axis": "n_heads"}]);
    fixture.spec.cells = cells(json!([{"differences": {"metric": "nll", "pairs": pairs}}]))
        .into_iter()
        .map(|value| Located { value, line: 1 })
        .collect();
    let tex = super::report(&fixture).paper(Paper::Tex).unwrap();
    let picture = text(&tex, "figures/figure-1.tex");
    let sides: Vec<bool> = picture
        .lines()
        .filter(|line| line.starts_with("\\node["))
        .map(|line| line.starts_with("\\node[left,"))
        .collect();
    // Width lowers the loss by 3.84, and heads raise it by 0.06: only the first label would extend
    // beyond the right edge.
    assert_eq!(sides, [false, true], "{picture}");
}

#[test]
fn tables_of_texts_are_numbered_with_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let words = "Before.\n\nTable: Two values of *ours*.\n\n| A | B |\n|---|---|\n| 1 | 2 |\n";
    let files = built(&fixture(folder.path(), words))
        .unwrap()
        .files()
        .unwrap();
    let markdown = text(&files, "report.md");
    assert!(
        markdown.contains("**Table 1.** Two values of *ours*.\n\n| A | B |"),
        "{markdown}"
    );
    assert!(
        markdown.contains("**Table 2.** Published findings"),
        "{markdown}"
    );
    let page = text(&files, "index.html");
    assert!(
        page.contains("<strong>Table 1.</strong> Two values of <em>ours</em>."),
        "{page}"
    );
    assert!(
        page.contains(">Table 1. Two values of *ours*</a>"),
        "{page}"
    );
}

/// Names, files and settings are never interpreted as Markdown or shell code.
#[test]
fn captions_and_commands_hold_names_as_they_are() {
    let mut fixture = fixture::three_runs();
    let odd = "2*dim*_x_";
    for run in &mut fixture.results.runs {
        if run.name == "25x100" {
            (run.name, run.group) = (odd.to_owned(), odd.to_owned());
            run.axes = vec![("case".to_owned(), odd.into())];
        }
        if let Some(eval) = &mut run.eval {
            eval.samples[0].new_tokens = 8;
        }
    }
    fixture.spec.axes[0].values[0] = odd.into();
    fixture.spec.path = "my exps/First try.yaml".into();
    fixture.spec.overrides = vec!["eval.samples.prompts=[\"it's a `cat`\"]".to_owned()];
    let all = json!([
        {"plot": {"curves": ["train/loss"], "panels": "case"}},
        {"samples": {"runs": "all"}}
    ]);
    let located = |value| Located { value, line: 7 };
    fixture.spec.cells = cells(all).into_iter().map(located).collect();
    let files = super::files(&fixture);
    let command =
        r#"specbook run 'my exps/First try.yaml' --set 'eval.samples.prompts=["it'\''s a `cat`"]'"#;
    let markdown = text(&files, "report.md");
    assert!(markdown.contains(&format!("`` {command} ``")), "{markdown}");
    assert!(markdown.contains(r"2\*dim\*\_x\_"), "{markdown}");
    let page = text(&files, "index.html");
    assert!(page.contains(odd) && !page.contains("<em>dim</em>"));
    // The limit was 64 tokens.
    assert!(markdown.contains("8 tokens, stopped at the end of the model's context"));
}
