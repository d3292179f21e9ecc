//! Semantic differences between keys: changed settings with their old and new values.

use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// One setting that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Dot path (`train.optimizer.adamw.learning_rate`).
    pub path: String,
    /// Value on the first side; `None` if the setting is absent.
    pub from: Option<Value>,
    /// Value on the second side.
    pub to: Option<Value>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |value: &Option<Value>| match value {
            None => "(none)".to_owned(),
            Some(Value::String(text)) if is_digest(text) => text[..12].to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        write!(f, "{} {} → {}", self.path, show(&self.from), show(&self.to))
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The settings in which two keys differ, in the order of the first key, followed by those that only the second has.
pub fn changes(from: &Value, to: &Value) -> Vec<Change> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    flatten("", from, &mut before);
    flatten("", to, &mut after);
    let new: BTreeMap<&str, &Value> = after
        .iter()
        .map(|(path, value)| (path.as_str(), *value))
        .collect();
    let old: BTreeMap<&str, &Value> = before
        .iter()
        .map(|(path, value)| (path.as_str(), *value))
        .collect();
    let changed = before.iter().filter_map(|(path, value)| {
        let other = new.get(path.as_str()).copied();
        (other != Some(*value)).then(|| Change {
            path: path.clone(),
            from: Some((*value).clone()),
            to: other.cloned(),
        })
    });
    let added = after
        .iter()
        .filter(|(path, _)| !old.contains_key(path.as_str()));
    let added = added.map(|(path, value)| Change {
        path: path.clone(),
        from: None,
        to: Some((*value).clone()),
    });
    changed.chain(added).collect()
}

fn flatten<'a>(path: &str, value: &'a Value, into: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                flatten(&path, value, into);
            }
        }
        value => into.push((path.to_owned(), value)),
    }
}

/// Keys to compare others with. Each setting is a column and each of its values a number, so that the nearest
/// neighbours of 10,000 keys among 10,000 are found in seconds.
#[derive(Debug, Default)]
pub struct Nearest {
    /// By path: the column and the number of each value (from 1; 0: the key lacks the setting).
    columns: HashMap<String, (usize, HashMap<String, u32>)>,
    /// One row per key.
    rows: Vec<Vec<u32>>,
}

impl Nearest {
    /// Prepares `keys`.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut all = Self::default();
        for key in keys {
            let mut settings = Vec::new();
            flatten("", key, &mut settings);
            let mut row = vec![0; all.columns.len()];
            for (path, value) in settings {
                let next = all.columns.len();
                let (column, values) = all.columns.entry(path).or_insert((next, HashMap::new()));
                let number = values.len() as u32 + 1;
                if *column == row.len() {
                    row.push(0);
                }
                row[*column] = *values.entry(value.to_string()).or_insert(number);
            }
            all.rows.push(row);
        }
        for row in &mut all.rows {
            row.resize(all.columns.len(), 0);
        }
        all
    }

    /// Index of the key with the fewest [`changes`] from `key`; the first if there are several.
    pub fn of(&self, key: &Value) -> Option<usize> {
        let mut settings = Vec::new();
        flatten("", key, &mut settings);
        let mut wanted = vec![0; self.columns.len()];
        // A setting that no key has differs from all of them.
        for (path, value) in settings {
            if let Some((column, values)) = self.columns.get(&path) {
                let number = values.get(&value.to_string()).copied();
                wanted[*column] = number.unwrap_or(u32::MAX);
            }
        }
        let differences = |row: &[u32]| row.iter().zip(&wanted).filter(|(a, b)| a != b).count();
        let rows = self.rows.iter().enumerate();
        let nearest = rows.min_by_key(|(_, row)| differences(row));
        nearest.map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_name_the_setting_and_both_values() {
        let from = json!({"train": {"lr": 0.001, "seed": 0, "loss": "cross_entropy"}, "model": {"betas": [0.9, 0.999]}});
        let to = json!({"train": {"lr": 0.0003, "seed": 0, "loss": {"square": {"k": 1.0}}}, "model": {"betas": [0.9, 0.999]}});
        let shown: Vec<String> = changes(&from, &to)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "train.lr 0.001 → 0.0003",
                "train.loss cross_entropy → (none)",
                "train.loss.square.k (none) → 1.0"
            ]
        );
        assert!(changes(&to, &to).is_empty());
    }

    #[test]
    fn the_nearest_key_has_the_fewest_changes() {
        let others = [
            json!({"a": 2, "b": 3, "only": {"here": true}}),
            json!({"a": 1, "b": 3}),
            json!({"a": 1.0, "b": 2, "c": [1]}),
            json!({"a": 1, "b": 3}),
            json!({}),
        ];
        let prepared = Nearest::new(&others);
        let more = [
            json!({"a": 1, "b": 2}),
            json!({"a": 1, "b": 2, "c": [1], "new": 5}),
            json!({"a": 9, "b": 9, "only": {"here": true}}),
            json!({"x": 1}),
        ];
        for key in more.iter().chain(&others) {
            let counts = others.iter().map(|other| changes(other, key).len());
            let expected = counts.enumerate().min_by_key(|(_, count)| *count);
            assert_eq!(prepared.of(key), expected.map(|(index, _)| index), "{key}");
        }
        assert_eq!(Nearest::default().of(&more[0]), None);
    }
}
