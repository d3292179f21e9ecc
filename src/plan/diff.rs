//! Semantic differences between keys: which settings changed, from what to what.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One setting that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Dot path (`train.optimizer.adamw.learning_rate`).
    pub path: String,
    /// Value on the first side; `None` where the setting is absent.
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

/// The settings in which two keys differ, in the order of the first key, then those only the second has.
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

/// The key nearest to `key`: the one with the fewest changes; the first of several.
pub fn nearest<'a, T>(
    key: &Value,
    others: impl IntoIterator<Item = (T, &'a Value)>,
) -> Option<(T, Vec<Change>)> {
    others
        .into_iter()
        .map(|(tag, other)| (tag, changes(other, key)))
        .min_by_key(|(_, changes)| changes.len())
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
        let key = json!({"a": 1, "b": 2});
        let others = [json!({"a": 2, "b": 3}), json!({"a": 1, "b": 3})];
        let (index, changes) = nearest(&key, others.iter().enumerate()).unwrap();
        assert_eq!((index, changes.len()), (1, 1));
    }
}
