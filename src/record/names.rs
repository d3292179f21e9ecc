//! Names and values as users write them: numbers are compared as numbers.

use serde_json::Value;

/// Whether `written` means the axis value `own`: the same text or the same number (`1e-3` and `0.001`).
pub fn same_value(own: &Value, written: &str) -> bool {
    match own {
        Value::String(own) => same_label(own, written),
        own => same_label(&own.to_string(), written),
    }
}

/// Whether `written` means the run or setting `name`: the same parts, with numbers compared as numbers.
pub fn same_run(name: &str, written: &str) -> bool {
    let same_part = |(own, written): (&str, &str)| {
        own == written
            || match (own.split_once('='), written.split_once('=')) {
                (Some((axis, own)), Some((other, written))) => {
                    axis == other.trim() && same_label(own, written)
                }
                _ => false,
            }
    };
    let parts = || name.split(',').zip(written.split(','));
    name == written
        || name.split(',').count() == written.split(',').count() && parts().all(same_part)
}

/// The setting of the replicate `name`: its name without document draw and seed.
pub fn setting_of(name: &str, draw: usize, seed: u64) -> &str {
    let strip = |name: &'_ str, last: String| name.strip_suffix(&last).map(str::len);
    let length = strip(name, format!("seed={seed}")).unwrap_or(name.len());
    let name = name[..length].trim_end_matches(',');
    let length = strip(name, format!("draw={draw}")).unwrap_or(name.len());
    name[..length].trim_end_matches(',')
}

fn same_label(own: &str, written: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    own == written || number(own).is_some_and(|own| number(written) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_setting_is_the_name_without_replicates() {
        assert_eq!(setting_of("25x100,draw=1,seed=12", 1, 12), "25x100");
        assert_eq!(setting_of("dim=8,seed=2", 0, 2), "dim=8");
        assert_eq!(setting_of("base", 0, 0), "base");
        assert_eq!(setting_of("x,seed=12", 0, 2), "x,seed=12");
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(same_value(&json!(0.001), "1e-3") && same_value(&json!(1000.0), "1000"));
        assert!(same_value(&json!("a=b"), "a=b") && !same_value(&json!("1a"), "1"));
        assert!(same_run(
            "learning_rate=1000.0,dim=8",
            "learning_rate=1e3,dim=8"
        ));
        assert!(same_run("25x100,seed=1", "25x100,seed=1") && same_run("base", "base"));
        assert!(!same_run("dim=8,n_layers=2", "dim=8") && !same_run("dim=8", "din=8"));
    }
}
