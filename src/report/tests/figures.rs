//! Figures as data, before they are drawn.

use super::fixture::{self, Fixture, Shape, cells, run};
use crate::report::chart::{self, Drawn as _, Figure, reduce};
use crate::report::scope::{Scope, axis_value};
use crate::spec::{Cell, HistogramCell, HistogramOf, PlotAxis, PlotCell};
use serde_json::json;

fn plot(json: serde_json::Value) -> PlotCell {
    match cells(json!([{ "plot": json }])).remove(0) {
        Cell::Plot(plot) => plot,
        other => panic!("{other:?}"),
    }
}

fn curves(fixture: &Fixture, json: serde_json::Value) -> Figure {
    let scope = Scope::new(&fixture.spec, &fixture.results);
    plot(json).figure(&scope, 1).unwrap()
}

/// Two seeds of one setting, with four steps each.
fn small() -> Fixture {
    let mut fixture = fixture::three_runs();
    fixture.results.runs = (0..2)
        .map(|seed| {
            let mut run = run(&Shape {
                name: format!("25x100,seed={seed}"),
                group: "25x100".into(),
                axes: vec![
                    ("case".into(), "25x100".into()),
                    ("seed".into(), seed.into()),
                ],
                seed,
                steps: 4,
                epochs: 2.0,
                validate_every: 2,
                floor: 1.0,
                rise: 0.0,
            });
            for point in &mut run.series {
                point.train_loss = 5.0 - point.step as f64 + seed as f64 / 2.0;
                point.val_loss = point.val_loss.map(|_| 6.0 - 0.5 * point.step as f64);
            }
            run
        })
        .collect();
    fixture
}

#[test]
fn seeds_make_a_mean_and_a_band() {
    let figure = curves(
        &small(),
        json!({"curves": ["train/loss", "val/loss"], "x": "epoch", "panels": "case",
            "published": [{"label": "as printed", "points": [[0.0, 6.0], [2.0, 3.0]]}]}),
    );
    insta::assert_json_snapshot!(figure);
}

#[test]
fn colours_are_those_of_the_axis_whatever_is_filtered() {
    let fixture = fixture::grid(1);
    let scope = Scope::new(&fixture.spec, &fixture.results);
    let colours = |json| {
        let figure = plot(json).figure(&scope, 1).unwrap();
        let keys = figure.legend.iter();
        keys.map(|key| format!("{} {}", key.label, key.look.colour.class()))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let all = json!({"curves": ["val/loss"], "panels": "dim", "colours": "n_heads"});
    insta::assert_snapshot!(colours(all), @"n_heads = 2 s2; n_heads = 4 s3; n_heads = 8 s4");
    let two =
        json!({"curves": ["val/loss"], "colours": "n_heads", "filter": {"n_heads": [8, 4.0]}});
    insta::assert_snapshot!(colours(two), @"n_heads = 4 s3; n_heads = 8 s4");
}

#[test]
fn lines_of_one_colour_stand_for_the_axis_that_is_left() {
    let fixture = fixture::grid(1);
    let json = |filter| json!({"curves": ["val/loss"], "panels": "max_seq_len", "colours": "dim", "filter": filter});
    let figure = curves(&fixture, json(json!({"n_heads": 8})));
    for panel in &figure.panels {
        let mut looks: Vec<String> = panel.series.iter().map(|one| one.look.class()).collect();
        looks.sort();
        looks.dedup();
        assert_eq!((panel.series.len(), looks.len()), (4, 4), "{looks:?}");
    }
    let keys = figure.legend.iter().map(|key| key.label.as_str());
    assert_eq!(keys.collect::<Vec<_>>(), ["n_layers = 2", "n_layers = 8"]);
    // With two axes left over, line styles cannot distinguish both.
    let crowded = curves(&fixture, json(json!({})));
    assert!(
        crowded
            .legend
            .iter()
            .all(|key| !key.label.contains("n_layers"))
    );
}

#[test]
fn a_smoothed_curve_keeps_the_raw_one_behind() {
    let figure = curves(
        &fixture::three_runs(),
        json!({"curves": ["train/loss"], "smooth": 9, "filter": {"case": "250x10"}}),
    );
    let styles: Vec<&str> = figure.panels[0]
        .series
        .iter()
        .map(|s| s.look.style.class())
        .collect();
    assert_eq!(styles, ["raw", "line"]);
    let roughness = |index: usize| -> f64 {
        let points = &figure.panels[0].series[index].points;
        points
            .windows(2)
            .map(|pair| (pair[1][1] - pair[0][1]).abs())
            .sum()
    };
    assert!(
        roughness(1) < 0.8 * roughness(0),
        "{} {}",
        roughness(1),
        roughness(0)
    );
    assert!(figure.notes.contains("moving means over 9 points"));
}

#[test]
fn reduction_keeps_ends_and_extremes() {
    let mut points: Vec<[f64; 2]> = (0..10_000).map(|i| [f64::from(i), 1.0]).collect();
    points[4321][1] = 9.0;
    points[4322][1] = -9.0;
    let kept = reduce(&points, 50);
    assert!(kept.len() <= 200, "{}", kept.len());
    for index in [0, 4321, 4322, 9_999] {
        assert!(kept.contains(&index), "{index}");
    }
    assert!(kept.is_sorted_by(|a, b| a < b));
    assert_eq!(reduce(&points[..100], 50).len(), 100);
}

#[test]
fn filters_know_the_ends_of_an_axis_of_numbers() {
    let fixture = fixture::grid(1);
    let scope = Scope::new(&fixture.spec, &fixture.results);
    let shown = |filter: serde_json::Value| -> Vec<u64> {
        let filter = serde_json::from_value(filter).unwrap();
        let runs = scope.filtered(&filter, 1).unwrap();
        let mut widths: Vec<u64> = runs
            .iter()
            .filter_map(|run| axis_value(run, "dim")?.as_u64())
            .collect();
        widths.sort_unstable();
        widths.dedup();
        widths
    };
    let all = shown(json!({}));
    assert!(all.len() > 1, "{all:?}");
    assert_eq!(shown(json!({"dim": "max"})), all[all.len() - 1..]);
    assert_eq!(shown(json!({"dim": ["min", "max"]})).len(), 2);
    assert_eq!(shown(json!({"dim": "min"})), all[..1]);
}

#[test]
fn a_published_curve_is_scaled_to_our_steps() {
    let mut figure = curves(
        &small(),
        json!({"curves": ["train/loss"],
            "published": [{"label": "as printed", "of_steps": 40, "points": [[0, 6.0], [20, 3.0]]}]}),
    );
    let published = figure.panels.remove(0).series.remove(0);
    assert_eq!(published.points, [[0.0, 6.0], [2.0, 3.0]]);
}

#[test]
fn histograms_count_every_document_once() {
    let fixture = fixture::three_runs();
    let scope = Scope::new(&fixture.spec, &fixture.results);
    let runs: Vec<_> = fixture.results.runs.iter().collect();
    let cell = |of, bins| HistogramCell {
        of,
        first: Vec::new(),
        bins,
        log: Vec::new(),
        caption: None,
        id: None,
    };
    for log in [vec![], vec![PlotAxis::X]] {
        let cell = HistogramCell {
            log,
            ..cell(HistogramOf::Perplexity, 30)
        };
        let figure = chart::perplexity(&scope, &runs, &cell);
        assert_eq!(figure.panels.len(), 3);
        for panel in &figure.panels {
            let counted: f64 = panel.series[0].bars.iter().map(|bar| bar[2]).sum();
            assert_eq!(counted, 100.0);
        }
    }
    // Two of the three made-up runs were trained on the same documents and share one panel.
    let titles = |figure: &chart::Figure| -> Vec<String> {
        let panels = figure.panels.iter();
        panels.map(|panel| panel.title.clone()).collect()
    };
    let mut cell = cell(HistogramOf::DocumentTokens, 10);
    let lengths = chart::document_tokens(&scope, &runs, &cell);
    assert_eq!(titles(&lengths), ["25x100", "250x10, 2500x1"]);
    // The first few of one set of documents; a number beyond its size means all of them.
    cell.first = vec![1_000_000, 5];
    let lengths = chart::document_tokens(&scope, &runs[..1], &cell);
    let all = runs[0].document_tokens.len();
    assert_eq!(
        titles(&lengths),
        [
            format!("first {all} documents"),
            "first 5 documents".to_owned()
        ]
    );
    let counted: f64 = lengths.panels[1].series[0]
        .bars
        .iter()
        .map(|bar| bar[2])
        .sum();
    assert_eq!(counted, 5.0);
}

#[test]
fn many_values_have_lines_of_their_own_or_are_told() {
    let with_values = |count: u64| {
        let mut fixture = small();
        let run = fixture.results.runs[0].clone();
        fixture.results.runs = (0..count)
            .map(|number| {
                let mut run = run.clone();
                run.name = format!("rate={number}");
                run.group.clone_from(&run.name);
                run.axes = vec![("rate".into(), number.into())];
                run
            })
            .collect();
        fixture.spec.axes[0].name = "rate".into();
        curves(&fixture, json!({"curves": ["val/loss"], "colours": "rate"}))
    };
    let figure = with_values(18);
    let mut looks: Vec<String> = figure.legend.iter().map(|key| key.look.class()).collect();
    looks.sort();
    looks.dedup();
    assert_eq!(looks.len(), 18, "{looks:?}");
    assert!(!figure.notes.contains("look like"), "{}", figure.notes);
    assert!(
        with_values(33)
            .notes
            .contains("Lines that look like an earlier one: rate = 32.")
    );
}

#[test]
fn captions_count_what_is_not_drawn() {
    let figure = |json| curves(&small(), json).notes;
    let notes = figure(json!({"curves": ["train/loss"], "log": ["y"]}));
    assert!(!notes.contains("Not drawn"), "{notes}");
    let mut fixture = small();
    for run in &mut fixture.results.runs {
        run.series[3].train_loss = -1.0;
    }
    let notes = curves(&fixture, json!({"curves": ["train/loss"], "log": ["y"]})).notes;
    assert!(
        notes.contains("Not drawn: 1 value at or below 0"),
        "{notes}"
    );
    let notes = figure(json!({"curves": ["train/loss"], "y_range": [2.0, 9.0]}));
    assert!(
        notes.contains("The vertical axis shows 2 to 9; 1 value outside it"),
        "{notes}"
    );
    // Documents without tokens cannot be placed on a logarithmic axis.
    let mut fixture = small();
    fixture.results.runs.truncate(1);
    fixture.results.runs[0].document_tokens = vec![0, 0, 0, 5, 7];
    let scope = Scope::new(&fixture.spec, &fixture.results);
    let cell = HistogramCell {
        of: HistogramOf::DocumentTokens,
        first: Vec::new(),
        bins: 4,
        log: vec![PlotAxis::X],
        caption: None,
        id: None,
    };
    let runs: Vec<_> = fixture.results.runs.iter().collect();
    let notes = chart::document_tokens(&scope, &runs, &cell).notes;
    assert!(notes.contains("Not drawn: 3 of 5 documents"), "{notes}");
}
