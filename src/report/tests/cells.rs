//! The figure cells besides curves and histograms, on numbers that can be added by hand.

use super::fixture::{self, Fixture, cells};
use super::{files, text};
use crate::report::chart::{Drawn as _, Figure, Series};
use crate::report::scope::{Scope, axis_value};
use crate::spec::{Cell, ClaimKind, Located};
use serde_json::{Value, json};

/// The grid of 12 settings and three seeds; `nll` is 9 − width / 100 − depth / 10 + heads / 1,000,
/// plus 0.01 per seed.
fn grid() -> Fixture {
    let mut fixture = fixture::grid(3);
    for run in &mut fixture.results.runs {
        let of = |axis: &str| axis_value(run, axis).and_then(|v| v.as_f64()).unwrap();
        let nll = 9.0 - of("dim") / 100.0 - of("n_layers") / 10.0
            + of("n_heads") / 1000.0
            + of("seed") / 100.0;
        run.metrics.insert("nll".to_owned(), nll);
        // Without document scores, only the seeds vary.
        run.eval = None;
    }
    fixture
}

fn figure(json: Value) -> Figure {
    let fixture = grid();
    let scope = Scope::new(&fixture.spec, &fixture.results);
    let made = match cells(json!([json])).remove(0) {
        Cell::Scatter(cell) => cell.figure(&scope, 1),
        Cell::Differences(cell) => cell.figure(&scope, 1),
        Cell::Bars(cell) => cell.figure(&scope, 1),
        Cell::Heat(cell) => cell.figure(&scope, 1),
        other => panic!("{other:?}"),
    };
    made.unwrap()
}

fn series(figure: &Figure) -> Vec<&Series> {
    figure
        .panels
        .iter()
        .flat_map(|panel| &panel.series)
        .collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// Half of the 95 % interval of three seeds 0.01 apart: 4.30265 · 0.01 / √3.
const HALF: f64 = 0.024_841_4;

#[test]
fn bars_reach_from_zero_to_the_mean_and_carry_its_interval() {
    let one = json!({"n_layers": 2, "n_heads": 2});
    let figure = figure(json!({"bars": {"metric": "nll", "rows": "dim", "filter": one}}));
    let bars = series(&figure)[0];
    assert_eq!(figure.y.names.len(), 2);
    let ends: Vec<f64> = bars.rects.iter().map(|rect| rect[2]).collect();
    // 9 − 1.28 − 0.2 + 0.002 + 0.01, and 9 − 5.12 − 0.2 + 0.012.
    assert!(close(ends[0], 7.532) && close(ends[1], 3.692), "{ends:?}");
    assert!(bars.rects.iter().all(|rect| rect[0] == 0.0));
    for (whisker, end) in bars.whiskers.iter().zip(ends) {
        let [low, high] = [whisker[0], whisker[2]];
        assert!((high - end - HALF).abs() < 1e-6 && (end - low - HALF).abs() < 1e-6);
    }
    // Several settings in one bar are not replicates.
    let all = self::figure(json!({"bars": {"metric": "nll", "rows": "dim"}}));
    assert!(series(&all)[0].whiskers.is_empty());
}

#[test]
fn differences_are_those_of_matched_settings() {
    let pairs =
        json!([{"axis": "dim"}, {"axis": "n_layers", "from": 8, "to": 2, "label": "shallow"}]);
    let figure = figure(json!({"differences": {"metric": "nll", "pairs": pairs}}));
    let [zero, pairs, means] = series(&figure)[..] else {
        panic!("three series")
    };
    assert_eq!(zero.whiskers[0][0], 0.0);
    // 6 pairs each: from a width of 128 to 512, and from 8 layers to 2.
    assert_eq!(pairs.points.len(), 12);
    assert!(pairs.points[..6].iter().all(|point| close(point[0], -3.84)));
    assert!(close(means.points[0][0], -3.84) && close(means.points[1][0], 0.6));
    assert!(figure.y.names[1] == "shallow" && means.remarks[0].text.ends_with("6 pairs"));
    assert!(figure.csv.unwrap().contains("shallow,"));
}

#[test]
fn a_scatter_has_a_point_for_each_setting() {
    let filter = json!({"n_layers": 2});
    let cell =
        json!({"x": "dim", "y": "nll", "colours": "n_heads", "join": true, "filter": filter});
    let figure = figure(json!({"scatter": cell}));
    let points: usize = series(&figure).iter().map(|one| one.points.len()).sum();
    // Two widths and three numbers of heads; one line per number of heads joins the widths.
    assert_eq!((points, series(&figure).len()), (6, 3));
    for (one, heads) in series(&figure).iter().zip([2.0, 4.0, 8.0]) {
        let wanted = |dim: f64| 9.0 - dim / 100.0 - 0.2 + heads / 1000.0 + 0.01;
        for [x, y] in &one.points {
            assert!(close(*y, wanted(*x)), "{x} {y}");
        }
        assert_eq!(
            one.whiskers.len(),
            2,
            "an interval over seeds at each point"
        );
    }
}

#[test]
fn a_heat_map_is_darkest_where_the_value_is_highest() {
    let figure = figure(json!({"heat": {"metric": "nll", "x": "dim", "y": "n_layers"}}));
    let cells = series(&figure);
    assert_eq!(cells.len(), 4);
    let text = |series: &Series| series.remarks[0].text.clone();
    // The mean over heads contributes 0.00467, the mean over seeds 0.01: 9 − 1.28 − 0.2 + 0.00467 +
    // 0.01, and so on.
    let mut texts: Vec<String> = cells.iter().map(|series| text(series)).collect();
    texts.sort();
    assert_eq!(texts, ["3.095", "3.695", "6.935", "7.535"]);
    let by = |wanted: &str| cells.iter().find(|series| text(series) == wanted).unwrap();
    assert_ne!(by("7.535").look.style, by("3.095").look.style);
    assert!(figure.notes.contains("up to 3 settings"));
}

/// The page of the grid with one table.
fn page(fixture: &mut Fixture, table: Value) -> String {
    fixture.spec.cells = cells(json!([{ "table": table }]))
        .into_iter()
        .map(|value| Located { value, line: 1 })
        .collect();
    text(&files(fixture), "index.html")
}

#[test]
fn best_is_what_beats_all_others_in_matched_runs() {
    let mut fixture = grid();
    let table = json!({"rows": "dim", "columns": ["nll"], "best": ["nll"]});
    let marked = |page: &str| page.matches("class=\"best\"").count();
    assert_eq!(marked(&page(&mut fixture, table.clone())), 1);
    // The wide models are far better on average, but not in every pair: the interval of the
    // differences contains 0.
    for (index, run) in fixture.results.runs.iter_mut().enumerate() {
        let is_wide = axis_value(run, "dim") == Some(json!(512));
        let noise = if is_wide && index % 5 == 0 { 20.0 } else { 0.0 };
        *run.metrics.get_mut("nll").unwrap() += noise - if is_wide { 4.0 } else { 0.0 };
    }
    assert_eq!(marked(&page(&mut fixture, table)), 0);
    // Two runs do not give an interval.
    let mut two = super::fixture::grid(1);
    two.results.runs.truncate(2);
    let table = json!({"rows": "max_seq_len", "columns": ["val_loss"], "best": ["val_loss"]});
    assert_eq!(marked(&page(&mut two, table)), 0);
}

#[test]
fn runs_that_learned_no_more_than_n_grams_are_marked() {
    let mut fixture = grid();
    for run in &mut fixture.results.runs {
        let is_wide = axis_value(run, "dim") == Some(json!(512));
        let beaten = if is_wide { 3.0 } else { 1.0 };
        run.metrics.insert("beats_ngrams".to_owned(), beaten);
    }
    let table = json!({"rows": "dim", "columns": ["nll"]});
    let page = page(&mut fixture, table);
    let narrow = 6 * 3 + 1;
    // In the table, in the list of all runs, and once in each caption.
    assert_eq!(page.matches('‡').count(), narrow + 2, "{page}");
    assert!(page.contains(
        "‡ learned no more than the frequencies of words and word pairs in its training text."
    ));
    assert!(!page.contains('†'));
}

#[test]
fn runs_have_the_words_of_the_spec() {
    let mut fixture = grid();
    let name = |fixture: &Fixture| {
        Scope::new(&fixture.spec, &fixture.results).run_name(&fixture.results.runs[1])
    };
    let plain = "dim=128,n_layers=2,n_heads=2,max_seq_len=512,seed=1";
    assert_eq!(name(&fixture), plain);
    let label = |fixture: &mut Fixture, name: &str, words: &str| {
        fixture
            .spec
            .labels
            .insert(name.to_owned(), words.to_owned());
    };
    label(&mut fixture, "dim", "width");
    label(&mut fixture, "max_seq_len", "length");
    let words = "width 128, n_layers = 2, n_heads = 2, length 512, seed 1";
    assert_eq!(name(&fixture), words);
    label(
        &mut fixture,
        plain.trim_end_matches(",seed=1"),
        "the smallest",
    );
    assert_eq!(name(&fixture), "the smallest, seed 1");
}

#[test]
fn the_samples_shown_first_are_of_models_that_had_room_to_write() {
    let mut fixture = fixture::grid(1);
    for run in &mut fixture.results.runs {
        let dim = axis_value(run, "dim").and_then(|v| v.as_f64()).unwrap();
        let heads = axis_value(run, "n_heads").and_then(|v| v.as_f64()).unwrap();
        run.metrics
            .insert("nll".to_owned(), 9.0 - dim / 512.0 + heads / 100.0);
        // The best and the worst run have no score.
        if let Some(eval) = run
            .eval
            .as_mut()
            .filter(|_| (dim == 512.0) == (heads == 2.0))
        {
            for sample in &mut eval.samples {
                sample.new_tokens = 0;
            }
        }
    }
    fixture.spec.cells = cells(json!([{"samples": {"runs": "all"}}]))
        .into_iter()
        .map(|value| Located { value, line: 1 })
        .collect();
    let page = text(&files(&fixture), "index.html");
    let (shown, _) = page.split_once("more for the same prompt").unwrap();
    assert_eq!(shown.matches("<article").count(), 2);
    assert!(!shown.contains("no room for a continuation"), "{shown}");
}

#[test]
fn constant_columns_do_not_repeat_each_other() {
    let mut fixture = grid();
    for run in &mut fixture.results.runs {
        run.metrics.insert("beats_ngrams".to_owned(), 0.0);
        run.metrics.insert("repetition".to_owned(), 0.0);
        run.metrics
            .insert("val_ce".to_owned(), run.metrics["val_loss"]);
    }
    let page = page(&mut fixture, json!({"rows": "dim", "columns": ["nll"]}));
    assert!(
        page.contains("<code>val_ce</code> (as <code>val_loss</code>)"),
        "{page}"
    );
    assert!(!page.contains("(as <code>beats_ngrams</code>)"), "{page}");
}

#[test]
fn the_plan_and_its_file_have_the_same_sizes() {
    let mut fixture = grid();
    fixture.spec.cells = cells(json!([{"plan": "all"}]))
        .into_iter()
        .map(|value| Located { value, line: 1 })
        .collect();
    let run = &fixture.results.runs[0];
    let counts = run.record.as_ref().unwrap().counts;
    assert_ne!(counts.tokens, run.estimate.tokens);
    let made = files(&fixture);
    let tokens = format!(",{},finished", counts.tokens);
    assert!(text(&made, "data/table-1.csv").contains(&tokens));
    assert!(text(&made, "index.html").contains(&crate::human::count(counts.tokens)));
}

#[test]
fn the_markdown_tells_how_every_claim_is_measured() {
    let mut fixture = fixture::three_runs();
    for (claim, kind) in fixture
        .claims
        .iter_mut()
        .zip([ClaimKind::Control, ClaimKind::Finding])
    {
        claim.kind = kind;
        claim.quantity = Some(format!("what {} measures", claim.id));
    }
    let markdown = text(&files(&fixture), "report.md");
    for claim in &fixture.claims {
        for part in [
            claim.quantity.as_deref(),
            claim.measure.as_deref(),
            claim.expect.as_deref(),
        ] {
            assert!(
                part.is_none_or(|part| markdown.contains(part)),
                "{part:?}: {markdown}"
            );
        }
    }
}

#[test]
fn the_only_script_is_the_one_that_sorts() {
    let page = page(&mut grid(), json!({"rows": "dim", "columns": ["nll"]}));
    let (_, script) = page.split_once("<script>").unwrap();
    let (script, _) = script.split_once("</script>").unwrap();
    let hash = base64::encode(crate::digest::Sha256Hex::of(script.as_bytes()).bytes());
    assert!(page.contains(&format!("script-src 'sha256-{hash}'")));
    assert_eq!(page.matches("<script").count(), 1);
}
