//! Mutated expressions and texts are either read or refused; nothing worse happens.

use super::*;

/// The measures and texts of the repository's specs, and the examples of all functions.
fn written() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let (mut measures, mut texts) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let measure = |line: &str| {
            line.trim()
                .strip_prefix("measure: ")
                .map(|text| text.as_bytes().to_vec())
        };
        measures.extend(text.lines().filter_map(measure));
        let pieces = text
            .split("{{")
            .skip(1)
            .filter_map(|piece| piece.split_once("}}"));
        texts.extend(pieces.map(|(inner, _)| format!("Loss {{{{{inner}}}}} here.").into_bytes()));
    }
    measures.extend(
        FUNCTIONS
            .iter()
            .map(|function| function.example.as_bytes().to_vec()),
    );
    texts.extend(
        FILTERS
            .iter()
            .map(|filter| format!("{{{{ {} }}}}", filter.example).into_bytes()),
    );
    (measures, texts)
}

#[test]
fn changed_expressions_and_texts_are_read_or_refused() {
    let (measures, texts) = written();
    assert!(
        measures.len() > 40 && texts.len() > 20,
        "{} {}",
        measures.len(),
        texts.len()
    );
    let session = Session::new(grid(&[0, 1]));
    let words = [
        "run('a')",
        "runs()",
        ".val_loss",
        "mean(",
        "sd(",
        "pairs(",
        "at_step(",
        " if ",
        " else ",
        " or ",
        "**",
        "//",
        " % ",
        "range(9999999999)",
        "'a' * 99999999",
        "[0] * 99999999",
        "{% for x in range(99999) %}",
        "{% endfor %}",
        "{{",
        "}}",
        "| round(",
        "| sort",
        "| join('",
        "(",
        ")",
        "[",
        "]",
        "-",
        "1e308",
        "loop",
        "{% set a = a %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ];
    crate::test_support::fuzz("expressions", &measures, &words, 300, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = session.check_measure(&text, true, &[]);
        let _ = session
            .prepare(&text)
            .and_then(|prepared| prepared.measure(&[Scope::Mean]));
    });
    crate::test_support::fuzz("texts", &texts, &words, 300, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = session.check_text(&text);
        let _ = session.text(&text);
    });
}
