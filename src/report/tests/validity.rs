//! The pages parsed by the rules of the HTML5 standard, without a single parse error.

use super::{files, fixture, text};
use html5ever::tendril::TendrilSink;
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::RcDom;

/// Errors reported by the parser.
fn errors(html: &str) -> Vec<String> {
    let options = ParseOpts {
        tree_builder: TreeBuilderOpts {
            exact_errors: true,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let dom = parse_document(RcDom::default(), options).one(html);
    let errors = dom.errors.borrow();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn pages_are_valid_html() {
    let mut entries = Vec::new();
    for fixture in [fixture::three_runs(), fixture::grid(1), fixture::grid(3)] {
        let files = files(&fixture);
        let page = text(&files, "index.html");
        assert_eq!(errors(&page), Vec::<String>::new());
        assert_eq!(
            twice(&page),
            Vec::<String>::new(),
            "ids that are used twice"
        );
        let records = text(&files, "data/records.jsonl");
        let entry = crate::report::IndexEntry::from_records("one", records.as_bytes());
        entries.push(entry.unwrap());
    }
    let index = crate::report::index(&entries).unwrap();
    let index = String::from_utf8(index.bytes).unwrap();
    assert_eq!(errors(&index), Vec::<String>::new());
}

#[test]
fn the_parser_finds_faults() {
    assert!(!errors("<!doctype html><title>x</title><p><b>open</p></div>").is_empty());
    assert_eq!(twice("<p id=\"a\"><p id=\"b\"><p id=\"a\">"), ["a"]);
}

/// Ids that a page uses for more than one element.
fn twice(page: &str) -> Vec<String> {
    let mut ids: Vec<&str> = page
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    ids.sort_unstable();
    let mut twice: Vec<String> = ids
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0].to_owned())
        .collect();
    twice.dedup();
    twice
}
