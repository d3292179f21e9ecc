//! `specbook diff`: compares two runs, or the runs of two record files.

use super::args::{DiffArgs, Global};
use super::failure::Failure;
use super::print::{self, Printer};
use super::{exit, project};
use crate::fsx::{Fs, RealFs};
use crate::record::{MetricPoint, RunId, RunRecord, RunStatus};
use crate::report::compare::{self, Compared, Comparison, CurveDifference, MetricDifference};
use crate::store::Store;
use serde_json::json;
use std::ffi::OsStr;
use std::io::BufReader;
use std::path::Path;

/// Maximum size of a record file that is read, in bytes.
const LIMIT: u64 = 256 << 20;

/// Settings by name, each with its runs.
type Settings = Vec<(String, Vec<Compared>)>;

/// Prints the differences in settings, metrics, curves and samples.
pub(crate) fn execute(args: &DiffArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let (a, b) = (open(&args.a, global)?, open(&args.b, global)?);
    let is_single = a.len() == 1 && b.len() == 1;
    let mut comparisons = Vec::new();
    for (name, runs) in &a {
        // If each side has a single setting, they are compared regardless of their names.
        let other = b.iter().find(|(other, _)| is_single || other == name);
        comparisons.extend(other.and_then(|(_, others)| compare::compare(runs, others)));
    }
    let names = |side: &Settings, other: &Settings| -> Vec<String> {
        let alone = side
            .iter()
            .filter(|(name, _)| !is_single && other.iter().all(|(n, _)| n != name));
        alone.map(|(name, _)| name.clone()).collect()
    };
    let (only_a, only_b) = (names(&a, &b), names(&b, &a));
    if printer.json() {
        printer.json_result(&json!({
            "format": compare::COMPARISON_FORMAT,
            "comparisons": comparisons,
            "only_a": only_a,
            "only_b": only_b,
        }))?;
        return Ok(exit::OK);
    }
    let texts: Vec<String> = comparisons.iter().map(text).collect();
    printer.result(&texts.join("\n\n"));
    for (side, names) in [("a", only_a), ("b", only_b)] {
        if !names.is_empty() {
            printer.note(&format!("only in {side}: {}", names.join(", ")));
        }
    }
    Ok(exit::OK)
}

/// Resolves `name`: a report folder, a record file of a report or store, or else a run of the
/// store.
fn open(name: &OsStr, global: &Global) -> Result<Settings, Failure> {
    let path = Path::new(name);
    let in_folder = path.join("data/records.jsonl");
    let file = if in_folder.is_file() {
        Some(in_folder)
    } else {
        path.is_file().then(|| path.to_path_buf())
    };
    if let Some(file) = file {
        return records(&file);
    }
    let store = project::store_here(global)?;
    let name = name.to_string_lossy();
    Ok(vec![(name.to_string(), stored(&store, &name)?)])
}

/// The runs of a record file.
fn records(path: &Path) -> Result<Settings, Failure> {
    let fs = RealFs::new();
    if path
        .extension()
        .is_some_and(|extension| extension == "jsonl")
    {
        let source = BufReader::new(fs.open_read(path)?);
        let records = crate::report::read_records(source)?;
        return Ok(compare::by_setting(&records.results));
    }
    let bytes = fs.read(path, LIMIT)?;
    let damaged = |path: &Path, error: &serde_json::Error| {
        Failure::input(format!("`{}`: {error}", path.display())).hint(
            "`diff` takes runs of the store, report folders, `records.jsonl` and `record.json`",
        )
    };
    let record: RunRecord = serde_json::from_slice(&bytes).map_err(|e| damaged(path, &e))?;
    // In a store, the steps are in a file beside the record.
    let beside = path.with_file_name("metrics.jsonl");
    let mut points: Vec<MetricPoint> = Vec::new();
    if beside.is_file() {
        let bytes = fs.read(&beside, LIMIT)?;
        for point in serde_json::Deserializer::from_slice(&bytes).into_iter() {
            points.push(point.map_err(|e| damaged(&beside, &e))?);
        }
    }
    Ok(vec![(
        record.name.clone(),
        vec![Compared::new(&record, points, None)],
    )])
}

/// A run of the store. Unless it was named by its id, the finished runs that differ from it only in
/// the seed follow it.
fn stored(store: &Store, name: &str) -> Result<Vec<Compared>, Failure> {
    let id = match store.resolve(name) {
        Ok(id) => id,
        Err(error) => {
            // Not a run but a setting: compare its finished runs.
            let runs = store.setting(name)?.into_iter();
            let records: Vec<Option<RunRecord>> = runs
                .map(|id| finished(store, &id))
                .collect::<Result<_, _>>()?;
            let records: Vec<RunRecord> = records.into_iter().flatten().collect();
            if records.is_empty() {
                return Err(error.into());
            }
            return records.iter().map(|record| whole(store, record)).collect();
        }
    };
    let Some(record) = finished(store, &id)? else {
        return Err(Failure::input(format!("run `{name}` is not finished")));
    };
    let mut runs = vec![whole(store, &record)?];
    let is_id = !name.is_empty() && id.to_string().starts_with(&name.to_ascii_lowercase());
    let names_seed = name.contains("seed=");
    if is_id || names_seed {
        return Ok(runs);
    }
    for other in store.list()? {
        let is_finished = other.status == RunStatus::Cached && other.id != id;
        if is_finished
            && other.numerics.agrees_with(&record.numerics)
            && compare::are_replicates(&record.key, &other.key)
        {
            runs.push(whole(store, &other)?);
        }
    }
    Ok(runs)
}

fn finished(store: &Store, id: &RunId) -> Result<Option<RunRecord>, Failure> {
    Ok(store
        .record(id)?
        .filter(|record| record.status == RunStatus::Cached))
}

fn whole(store: &Store, record: &RunRecord) -> Result<Compared, Failure> {
    let eval = super::eval::stored(store, &record.id)?;
    Ok(Compared::new(record, store.metrics(&record.id)?, eval))
}

fn text(comparison: &Comparison) -> String {
    let side = |letter: &str, side: &compare::Side| {
        let id: String = side.id.chars().take(12).collect();
        let (seed, setting): (Vec<&str>, Vec<&str>) =
            (side.name.split(',')).partition(|part| part.starts_with("seed="));
        match side.seeds.len() {
            0 | 1 => format!("{letter}: {} ({id})\n", side.name),
            n => format!(
                "{letter}: {} (means over {n} seeds; curves and samples of {} {id})\n",
                setting.join(","),
                seed.join(",")
            ),
        }
    };
    let mut out = side("a", &comparison.a) + &side("b", &comparison.b);
    if !comparison.same_numerics {
        out.push_str("computed differently: the bits of the sides are not comparable\n");
    }
    out.push_str("\nsettings: ");
    if comparison.settings.is_empty() {
        out.push_str("equal\n");
    } else {
        out.push_str("a → b\n");
    }
    for change in &comparison.settings {
        out.push_str("  ");
        out.push_str(&change.to_string());
        out.push('\n');
    }
    let head = ["metric", "a", "b", "b − a", "95 % interval", ""];
    let rows: Vec<Vec<String>> = comparison.metrics.iter().map(metric_row).collect();
    out.push('\n');
    out.push_str(&print::table(&head, &rows));
    let head = [
        "curve",
        "steps",
        "first differs at",
        "largest difference",
        "at step",
    ];
    let rows: Vec<Vec<String>> = comparison.curves.iter().map(curve_row).collect();
    if !rows.is_empty() {
        out.push_str("\n\n");
        out.push_str(&print::table(&head, &rows));
    }
    out.push_str(match comparison.same_weights {
        Some(true) => "\n\nweights: equal bit for bit",
        Some(false) => "\n\nweights: differ",
        None => "\n\nweights: not known",
    });
    for pair in &comparison.samples {
        out.push_str(&format_sample(pair));
    }
    out
}

fn format_sample(pair: &compare::SamplePair) -> String {
    let inner = |text: &str| text.trim_end().replace('\n', "\n     ");
    let (a, b) = (inner(&pair.a), inner(&pair.b));
    format!("\n\nprompt: {}\n  a: {a}\n  b: {b}", inner(&pair.prompt))
}

fn metric_row(metric: &MetricDifference) -> Vec<String> {
    let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.4}"));
    let sign = |value: f64| format!("{value:+.4}");
    vec![
        metric.name.clone(),
        show(metric.a),
        show(metric.b),
        metric.difference.map_or_else(|| "–".to_owned(), sign),
        metric.interval.map_or_else(
            || "–".to_owned(),
            |[low, high]| format!("{low:+.4} to {high:+.4}"),
        ),
        match (metric.is_significant, metric.method) {
            (Some(true), Some(compare::Method::Paired)) => "differs (paired t)".to_owned(),
            (Some(true), _) => "differs (Welch's t)".to_owned(),
            (Some(false), _) if metric.interval == Some([0.0, 0.0]) => "equal".to_owned(),
            (Some(false), _) => "within the seeds' spread".to_owned(),
            (None, _) => String::new(),
        },
    ]
}

fn curve_row(curve: &CurveDifference) -> Vec<String> {
    let step = |step: Option<u64>| step.map_or_else(|| "–".to_owned(), |step| step.to_string());
    let is_equal = curve.first_step.is_none();
    vec![
        curve.name.clone(),
        curve.common.to_string(),
        if is_equal {
            "equal bit for bit".to_owned()
        } else {
            step(curve.first_step)
        },
        curve.largest.map_or_else(
            || "–".to_owned(),
            |value| {
                if value == 0.0 || value >= 1e-3 {
                    format!("{value:.4}")
                } else {
                    format!("{value:.2e}")
                }
            },
        ),
        if is_equal {
            "–".to_owned()
        } else {
            step(curve.largest_step)
        },
    ]
}
