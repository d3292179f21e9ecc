//! Computable properties of how pages look: contrast of the style sheet's colours, order of
//! headings, names of figures.

use super::{files, fixture, text};
use std::collections::BTreeMap;

const STYLE: &str = include_str!("../../../templates/style.css");

/// The colours set by a block of the style sheet, by variable.
fn colours(block: &str) -> BTreeMap<String, [f64; 3]> {
    let block = &block[..block.find('}').unwrap()];
    let declarations = block.split(['{', ';', '\n']);
    declarations
        .filter_map(|declaration| declaration.trim().strip_prefix("--")?.split_once(":#"))
        .map(|(name, hex)| (name.to_owned(), rgb(hex)))
        .collect()
}

fn rgb(hex: &str) -> [f64; 3] {
    let wide: String = if hex.len() == 3 {
        hex.chars().flat_map(|digit| [digit, digit]).collect()
    } else {
        hex.to_owned()
    };
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&wide[at..at + 2], 16).unwrap()) / 255.0)
}

/// Contrast ratio of WCAG 2, from 1 to 21.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let [red, green, blue] = colour.map(|part| {
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn contrast_is_that_of_wcag() {
    assert!((contrast(rgb("000"), rgb("fff")) - 21.0).abs() < 1e-9);
    assert!((contrast(rgb("767676"), rgb("ffffff")) - 4.54).abs() < 0.01);
}

#[test]
fn colours_have_contrast() {
    let texts = [
        "ink",
        "soft",
        "muted",
        "link",
        "holds",
        "fails",
        "inconclusive",
        "unchecked",
        "inconsistent",
    ];
    let lines = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "published"];
    let (light, dark) = STYLE.split_once("(prefers-color-scheme:dark)").unwrap();
    let mut faint = Vec::new();
    for (scheme, block) in [("light", light), ("dark", dark)] {
        let colours = colours(block);
        let mut ask = |front: &str, back: &str, least: f64| {
            let found = contrast(colours[front], colours[back]);
            if found < least {
                faint.push(format!("{scheme}: {front} on {back}: {found:.2} < {least}"));
            }
        };
        for front in texts {
            ask(front, "paper", 4.5);
            ask(front, "raised", 4.5);
        }
        ask("ink", "mark", 4.5);
        for front in lines {
            ask(front, "paper", 3.0);
        }
    }
    assert_eq!(faint, Vec::<String>::new());
}

#[test]
fn headings_do_not_skip_a_level() {
    for fixture in [fixture::three_runs(), fixture::grid(1)] {
        let page = text(&files(&fixture), "index.html");
        let levels: Vec<u32> = page
            .split("<h")
            .skip(1)
            .filter_map(|rest| rest.chars().next()?.to_digit(10))
            .collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
        for pair in levels.windows(2) {
            assert!(pair[1] <= pair[0] + 1, "{levels:?}");
        }
    }
}

#[test]
fn every_figure_has_a_name_and_a_description() {
    let page = text(&files(&fixture::grid(1)), "index.html");
    let plots: Vec<&str> = page.split("<svg class=\"plot").skip(1).collect();
    assert!(!plots.is_empty());
    for plot in plots {
        let plot = &plot[..plot.find("</svg>").unwrap()];
        for part in ["role=\"img\"", "<title", "<desc"] {
            assert!(plot.contains(part), "no {part}: {plot:.300}");
        }
    }
    assert!(STYLE.contains("a:focus-visible"), "keyboard focus is shown");
    assert!(!STYLE.contains("outline:none") && !STYLE.contains("outline:0"));
}
