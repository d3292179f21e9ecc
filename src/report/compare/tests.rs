//! Comparisons of made-up runs.

use super::*;
use crate::report::tests::fixture;

/// Settings of a grid, each with the seeds 0, 1 and 2.
fn settings() -> Vec<(String, Vec<Compared>)> {
    let mut settings = by_setting(&fixture::grid(3).results);
    for (_, runs) in &mut settings {
        for (seed, run) in (0..).zip(runs) {
            run.seed = seed;
            run.key["train"]["seed"] = seed.into();
            if let Some(axes) = run.key["axes"].as_object_mut() {
                axes.remove("seed");
            }
        }
    }
    settings
}

#[test]
fn a_setting_compared_with_itself_is_equal() {
    let settings = settings();
    let comparison = compare(&settings[0].1, &settings[0].1).unwrap();
    assert!(comparison.settings.is_empty() && comparison.same_numerics);
    assert!(!comparison.metrics.is_empty() && !comparison.curves.is_empty());
    for metric in &comparison.metrics {
        assert_eq!(
            (metric.difference, metric.is_significant),
            (Some(0.0), Some(false))
        );
        assert_eq!(metric.method, Some(Method::Paired));
    }
    for curve in &comparison.curves {
        assert_eq!((curve.first_step, curve.largest), (None, Some(0.0)));
    }
}

#[test]
fn two_seeds_of_a_setting_are_compared_as_runs() {
    let mut runs = settings()[0].1.clone();
    runs[1].weights = Some(Sha256Hex::of(b"others"));
    let mut turned = runs.clone();
    turned.swap(0, 1);
    let comparison = compare(&runs, &turned).unwrap();
    assert_eq!(
        (comparison.a.id, comparison.b.id),
        (runs[0].id.clone(), runs[1].id.clone())
    );
    assert_eq!((comparison.a.seeds, comparison.b.seeds), (vec![0], vec![1]));
    assert_eq!(comparison.same_weights, runs[0].weights.map(|_| false));
    let paths: Vec<&str> = comparison
        .settings
        .iter()
        .map(|c| c.path.as_str())
        .collect();
    assert_eq!(paths, ["train.seed"]);
    assert!(
        comparison
            .metrics
            .iter()
            .all(|metric| metric.interval.is_none())
    );
}

#[test]
fn curves_part_at_the_first_bit_and_are_farthest_where_they_are() {
    let runs = &settings()[0].1;
    let mut other = runs.clone();
    other[0].series[4].train_loss = f64::from_bits(other[0].series[4].train_loss.to_bits() + 1);
    other[0].series[9].train_loss += 2.0;
    let comparison = compare(runs, &other).unwrap();
    let curve = &comparison.curves[0];
    assert_eq!(curve.name, "train/loss");
    assert_eq!(curve.first_step, Some(runs[0].series[4].step));
    assert_eq!(curve.largest_step, Some(runs[0].series[9].step));
    assert!((curve.largest.unwrap() - 2.0).abs() < 1e-12);
    // A curve that ends early differs from the step where it ends.
    other = runs.clone();
    let gone = other[0].series.pop().unwrap();
    let comparison = compare(runs, &other).unwrap();
    assert_eq!(comparison.curves[0].first_step, Some(gone.step));
    assert_eq!(comparison.curves[0].largest, Some(0.0));
}

#[test]
fn other_settings_differ_in_settings_and_metrics() {
    let settings = settings();
    let comparison = compare(&settings[0].1, &settings[1].1).unwrap();
    assert_eq!(comparison.a.seeds, [0, 1, 2]);
    assert!(!comparison.settings.is_empty());
    assert!(
        comparison
            .settings
            .iter()
            .all(|change| change.path != "train.seed")
    );
    let loss = comparison
        .metrics
        .iter()
        .find(|m| m.name == "val_loss")
        .unwrap();
    let ([low, high], difference) = (loss.interval.unwrap(), loss.difference.unwrap());
    assert!(low < difference && difference < high);
    let single = compare(&settings[0].1[..1], &settings[1].1).unwrap();
    assert!(
        single
            .metrics
            .iter()
            .all(|metric| metric.interval.is_none())
    );
    assert_eq!(compare(&[], &settings[0].1), None);
}

#[test]
fn replicates_differ_in_the_seed_alone() {
    let settings = settings();
    let key = |setting: usize, run: usize| &settings[setting].1[run].key;
    assert!(are_replicates(key(0, 0), key(0, 2)));
    assert!(!are_replicates(key(0, 0), key(1, 0)));
}

#[test]
fn the_second_sample_of_a_prompt_belongs_to_the_second() {
    let sample = |text: &str| Sample {
        prompt: "Once".into(),
        continuation: text.into(),
        new_tokens: 1,
        ended: false,
    };
    let pairs = samples(
        &[sample("a"), sample("b")],
        &[sample("c"), sample("d"), sample("e")],
    );
    let texts: Vec<(&str, &str)> = pairs.iter().map(|p| (p.a.as_str(), p.b.as_str())).collect();
    assert_eq!(texts, [("a", "c"), ("b", "d")]);
}
