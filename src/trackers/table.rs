//! The table of runs, one line per run with all settings and results, shared by all table formats.

use super::{Tracked, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// A column of the table of runs.
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its values, one per run.
    pub values: Values,
}

/// Values of a column.
pub enum Values {
    /// Strings.
    Texts(Vec<Option<String>>),
    /// Booleans.
    Booleans(Vec<Option<bool>>),
    /// Integers.
    Integers(Vec<Option<i64>>),
    /// Numbers.
    Numbers(Vec<Option<f64>>),
}

impl Column {
    /// A cell as text; empty if the run has no such value.
    pub fn cell(&self, row: usize) -> String {
        match &self.values {
            Values::Texts(texts) => texts[row].clone().unwrap_or_default(),
            Values::Booleans(values) => values[row].map_or(String::new(), |yes| yes.to_string()),
            Values::Integers(numbers) => {
                numbers[row].map_or(String::new(), |number| number.to_string())
            }
            Values::Numbers(numbers) => {
                numbers[row].map_or(String::new(), |number| number.to_string())
            }
        }
    }
}

/// The table of runs: id, spec, profile, name, settings in order of first occurrence, metrics by name.
pub fn runs_table(runs: &[Tracked]) -> Vec<Column> {
    let texts = |name: &str, of: &dyn Fn(&Tracked) -> Option<String>| Column {
        name: name.to_owned(),
        values: Values::Texts(runs.iter().map(of).collect()),
    };
    let mut table = vec![
        texts("id", &|run| Some(run.id.clone())),
        texts("spec", &|run| Some(run.spec.clone())),
        texts("profile", &|run| Some(run.profile.clone())),
        texts("name", &|run| Some(run.name.clone())),
    ];
    let mut seen = BTreeSet::new();
    let settings = runs.iter().flat_map(|run| &run.settings);
    for (path, _) in settings.filter(|(path, _)| seen.insert(path.as_str())) {
        let of = |run: &Tracked| {
            run.settings
                .iter()
                .find(|(name, _)| name == path)
                .map(|(_, value)| value.clone())
        };
        let values: Vec<_> = runs.iter().map(of).collect();
        let all = |is: fn(&Value) -> bool| values.iter().flatten().all(is);
        let name = path.clone();
        let values = if all(Value::is_boolean) {
            let yes = |value: &Option<Value>| value.as_ref()?.as_bool();
            Values::Booleans(values.iter().map(yes).collect())
        } else if all(Value::is_i64) {
            let number = |value: &Option<Value>| value.as_ref()?.as_i64();
            Values::Integers(values.iter().map(number).collect())
        } else if all(Value::is_number) {
            let number = |value: &Option<Value>| value.as_ref()?.as_f64();
            Values::Numbers(values.iter().map(number).collect())
        } else {
            let word = |value: &Option<Value>| value.as_ref().map(text);
            Values::Texts(values.iter().map(word).collect())
        };
        table.push(Column { name, values });
    }
    let metrics: BTreeSet<&String> = runs.iter().flat_map(|run| run.metrics.keys()).collect();
    for metric in metrics {
        // A setting and a metric may share a name.
        let is_taken = table.iter().any(|column| column.name == *metric);
        table.push(Column {
            name: if is_taken {
                format!("metrics.{metric}")
            } else {
                metric.clone()
            },
            values: Values::Numbers(
                runs.iter()
                    .map(|run| run.metrics.get(metric).copied())
                    .collect(),
            ),
        });
    }
    table
}
