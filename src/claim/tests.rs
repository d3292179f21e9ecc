use super::*;
use crate::expr::tests::{grid, run};
use crate::record::{Results, RunStatus};
use crate::rng::{Purpose, Stream};
use crate::spec::{Claim, ClaimKind, ClaimType, Expect, Mark, Needs, Published};
use insta::assert_snapshot;

fn claim(measure: &str, expect: Expect) -> Claim {
    Claim {
        id: "T-1".to_owned(),
        says: "A statement.".to_owned(),
        kind: ClaimKind::Finding,
        test: ClaimType::Difference,
        place: "figure 1".to_owned(),
        published: Some(Published {
            value: "1".to_owned(),
            mark: Mark::Printed,
        }),
        quantity: None,
        unit: String::new(),
        measure: Some(measure.to_owned()),
        expect: Some(expect),
        needs: Needs::default(),
        inconsistent: None,
        note: None,
        show: None,
        line: 1,
    }
}

/// Seeds with these slopes: the final validation loss is 10.5 − 10 · slope.
fn seeds(slopes: &[f64]) -> Results {
    let runs = slopes
        .iter()
        .enumerate()
        .map(|(seed, slope)| run("a", &[], seed as u64, *slope))
        .collect();
    Results {
        spec: "test".to_owned(),
        profile: "desk".to_owned(),
        runs,
    }
}

fn shown(claim: Claim, results: &Results) -> String {
    let judged = judge(&[claim], "desk", results).remove(0);
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let interval = judged.interval.map_or("-".to_owned(), |[low, high]| {
        format!("[{low:.3}, {high:.3}]")
    });
    format!(
        "{} | {} | ours {} margin {} interval {interval} p {}",
        judged.verdict,
        judged.reason,
        number(judged.ours),
        number(judged.margin),
        number(judged.p)
    )
}

fn of_type(test: ClaimType, measure: &str, expect: Expect) -> Claim {
    Claim {
        test,
        ..claim(measure, expect)
    }
}

#[test]
fn three_seeds_decide_by_their_interval() {
    let results = seeds(&[0.30, 0.31, 0.29]);
    let verdict = |expect| shown(claim("run('a').val_loss", expect), &results);
    assert_snapshot!(verdict(Expect::Below(8.0)), @"holds | 7.5 is below 8 (over 3 seeds) | ours 7.500 margin 0.500 interval [7.252, 7.748] p 0.013");
    assert_snapshot!(verdict(Expect::Above(8.0)), @"fails | 7.5 is not above 8 (over 3 seeds) | ours 7.500 margin -0.500 interval [7.252, 7.748] p 0.013");
    assert_snapshot!(verdict(Expect::Below(7.6)), @"inconclusive | 7.5 is below 7.6: the interval over 3 seeds reaches from 7.2516 to 7.7484 | ours 7.500 margin 0.100 interval [7.252, 7.748] p 0.225");
    let within = |test, bound| {
        let expect = Expect::Within([7.5, bound]);
        shown(of_type(test, "run('a').val_loss", expect), &results)
    };
    assert_snapshot!(within(ClaimType::Within, 0.5), @"holds | 7.5 is within 0.5 of 7.5 (over 3 seeds) | ours 7.500 margin 0.500 interval [7.252, 7.748] p 0.013");
    assert_snapshot!(within(ClaimType::Within, 0.2), @"inconclusive | 7.5 is within 0.2 of 7.5: the interval over 3 seeds reaches from 7.2516 to 7.7484 | ours 7.500 margin 0.200 interval [7.252, 7.748] p 0.074");
    // Two one-sided tests require less than the whole 95 % interval.
    assert_snapshot!(within(ClaimType::Within, 0.22), @"inconclusive | 7.5 is within 0.22 of 7.5: the interval over 3 seeds reaches from 7.2516 to 7.7484 | ours 7.500 margin 0.220 interval [7.252, 7.748] p 0.062");
    assert_snapshot!(within(ClaimType::Equivalence, 0.22), @"holds | 7.5 is within 0.22 of 7.5 (over 3 seeds) | ours 7.500 margin 0.220 interval [7.331, 7.669] p 0.031");
    let outside = Expect::Within([6.0, 0.5]);
    assert_snapshot!(shown(of_type(ClaimType::Equivalence, "run('a').val_loss", outside), &results), @"fails | 7.5 is not within 0.5 of 6 (over 3 seeds) | ours 7.500 margin -1.000 interval [7.331, 7.669] p 0.003");
}

#[test]
fn one_run_tells_the_size_of_its_effect() {
    let mut results = seeds(&[0.3, 0.31, 0.29]);
    let mut lone = run("b", &[], 0, 0.2);
    lone.metrics.insert("val_loss".to_owned(), 8.5);
    for run in &mut results.runs {
        let last = run
            .series
            .iter()
            .filter_map(|point| point.val_loss)
            .next_back();
        run.metrics.insert("val_loss".to_owned(), last.unwrap());
    }
    results.runs.push(lone);
    let verdict = |measure: &str, expect| shown(claim(measure, expect), &results);
    assert_snapshot!(verdict("run('b').val_loss - run('a').val_loss", Expect::Above(0.0)), @"inconclusive | too few seeds to test (1, three are needed); the value is on the expected side; its distance from the bound is 10 times the standard deviation of `val_loss` over seeds (0.10, from one setting of this spec) | ours 1.000 margin 1.000 interval - p -");
    assert_snapshot!(verdict("run('b').perplexity", Expect::Above(7.0)), @"inconclusive | too few seeds to test (1, three are needed); the value is on the other side | ours 6.250 margin -0.750 interval - p -");
    // Counts do not vary.
    assert_snapshot!(verdict("run('b').steps", Expect::Equals(10.0)), @"holds | 10 is equal to 10 (a count or an identity, compared) | ours 10.000 margin 0.000 interval - p -");
    assert_snapshot!(verdict("run('b').steps", Expect::Equals(11.0)), @"fails | 10 is not equal to 11 (a count or an identity, compared) | ours 10.000 margin -1.000 interval - p -");
    let exact = of_type(
        ClaimType::Exact,
        "count(settings().val_loss, below=8)",
        Expect::Equals(1.0),
    );
    assert_snapshot!(shown(exact, &results), @"holds | 1 is equal to 1 (a count or an identity, compared) | ours 1.000 margin 0.000 interval - p -");
}

/// Runs of three settings; the loss of setting g with seed s is given by the formula.
fn three(loss: impl Fn(usize, u64) -> f64, seeds: u64) -> Results {
    let mut results = Results {
        spec: "test".to_owned(),
        profile: "desk".to_owned(),
        runs: Vec::new(),
    };
    for (place, group) in ["a", "b", "c"].into_iter().enumerate() {
        for seed in 0..seeds {
            let mut own = run(group, &[], seed, 0.1);
            own.metrics.insert("nll".to_owned(), loss(place, seed));
            results.runs.push(own);
        }
    }
    results
}

#[test]
fn an_order_is_all_of_its_pairs() {
    let measure = "[run('a').nll, run('b').nll, run('c').nll]";
    let order = |expect| of_type(ClaimType::Order, measure, expect);
    let noise = |place: usize, seed: u64| 0.01 * ((seed * 7 + 3 * place as u64) % 5) as f64;
    let falls = three(|place, seed| 5.0 - place as f64 + noise(place, seed), 3);
    assert_snapshot!(shown(order(Expect::Decreasing(0.0)), &falls), @"holds | -1.0033 is each below the one before (over 3 seeds, the narrowest of 3 gaps) | ours -1.003 margin 1.003 interval [-1.075, -0.932] p 0.000");
    assert_snapshot!(shown(order(Expect::Increasing(0.0)), &falls), @"fails | -2.0067 is not each above the one before (over 3 seeds, the narrowest of 3 gaps) | ours -2.007 margin -2.007 interval [-2.078, -1.935] p 0.000");
    // The middle setting equals the last one, so one of the three gaps is undecided.
    let level = three(
        |place, seed| 5.0 - place.min(1) as f64 + noise(place, seed),
        3,
    );
    assert_snapshot!(shown(order(Expect::Decreasing(0.0)), &level), @"inconclusive | -0.0033 is each below the one before: the interval over 3 seeds reaches from -0.075 to 0.0684 | ours -0.003 margin 0.003 interval [-0.075, 0.068] p 0.860");
}

#[test]
fn a_trend_is_a_correlation_with_the_place() {
    let falls = three(|place, seed| 5.0 - place as f64 + 0.01 * seed as f64, 3);
    let trend = of_type(
        ClaimType::Trend,
        "[run('a').nll, run('b').nll, run('c').nll]",
        Expect::Below(0.0),
    );
    assert_snapshot!(shown(trend, &falls), @"holds | -1 is below 0 (over 3 seeds) | ours -1.000 margin 1.000 interval [-1.693, -0.307] p 0.025");
}

#[test]
fn matched_pairs_are_tested_by_their_spread() {
    let results = grid(&[0]);
    let pairs = |test, expect| {
        let measure = "pairs('n_layers', 4, 2).val_loss";
        shown(of_type(test, measure, expect), &results)
    };
    // Two pairs are too few; the five of a wider grid suffice.
    assert_snapshot!(pairs(ClaimType::Difference, Expect::Below(0.0)), @"inconclusive | too few seeds to test (1, three are needed); the value is on the expected side | ours -0.020 margin 0.020 interval - p -");
    let mut wide = Results::default();
    for dim in 0..6 {
        for layers in [1, 4] {
            let axes = [
                ("dim", serde_json::json!(dim)),
                ("n_layers", serde_json::json!(layers)),
            ];
            let mut own = run(&format!("dim={dim},n_layers={layers}"), &axes, 0, 0.1);
            let loss =
                5.0 - 0.1 * f64::from(dim) - 0.05 * f64::from(layers) + 0.01 * f64::from(dim % 3);
            own.metrics
                .insert("nll".to_owned(), loss + 0.004 * f64::from(dim * layers % 5));
            wide.runs.push(own);
        }
    }
    let verdict = |test, expect| shown(of_type(test, "pairs('n_layers', 4, 1).nll", expect), &wide);
    assert_snapshot!(verdict(ClaimType::Difference, Expect::Below(0.0)), @"holds | -0.15 is below 0 (over 6 matched pairs) | ours -0.150 margin 0.150 interval [-0.158, -0.142] p 0.000");
    assert_snapshot!(verdict(ClaimType::Equivalence, Expect::Within([0.0, 0.05])), @"fails | -0.15 is not within 0.05 of 0 (over 6 matched pairs) | ours -0.150 margin -0.100 interval [-0.157, -0.143] p 0.000");
    assert_snapshot!(verdict(ClaimType::Equivalence, Expect::Within([0.0, 0.5])), @"holds | -0.15 is within 0.5 of 0 (over 6 matched pairs) | ours -0.150 margin 0.350 interval [-0.157, -0.143] p 0.000");
}

#[test]
fn the_spread_over_seeds_is_tested_by_the_jackknife() {
    let results = three(
        |place, seed| {
            5.0 + [1.0, 0.05, 0.05][place] * ((seed as f64 + 2.5 * place as f64) * 2.399).sin()
        },
        8,
    );
    let mut results = results;
    for run in &mut results.runs {
        run.axes
            .push(("case".to_owned(), run.group.as_str().into()));
    }
    let ratio = |a: &str, b: &str| {
        let measure = format!("log(sd(runs(case='{a}').nll)) - log(sd(runs(case='{b}').nll))");
        shown(
            of_type(ClaimType::Spread, &measure, Expect::Above(0.0)),
            &results,
        )
    };
    assert_snapshot!(ratio("a", "b"), @"holds | 2.9838 is above 0 (over 8 seeds) | ours 2.984 margin 2.984 interval [0.968, 5.004] p 0.010");
    assert_snapshot!(ratio("b", "c"), @"inconclusive | -0.0037 is not above 0: the interval over 8 seeds reaches from -0.2047 to 0.199 | ours -0.004 margin -0.004 interval [-0.205, 0.199] p 0.974");
}

#[test]
fn findings_are_corrected_for_their_number() {
    let results = seeds(&[0.30, 0.31, 0.29]);
    let mut claims: Vec<Claim> = [8.0, 7.755, 7.757, 7.76]
        .map(|bound| claim("run('a').val_loss", Expect::Below(bound)))
        .into();
    claims[3].kind = ClaimKind::Control;
    let judged = judge(&claims, "desk", &results);
    let told: Vec<String> = judged
        .iter()
        .map(|one| match one.adjusted {
            Some(adjusted) => format!(
                "{} {:.4} -> {} {:.4}",
                one.verdict,
                one.p.unwrap(),
                adjusted.verdict,
                adjusted.p
            ),
            None => format!("{} {:.4}", one.verdict, one.p.unwrap()),
        })
        .collect();
    assert_snapshot!(told.join("\n"), @"
    holds 0.0131 -> holds 0.0392
    holds 0.0476 -> inconclusive 0.0939
    holds 0.0469 -> inconclusive 0.0939
    holds 0.0459
    ");
}

/// A standard normal number from a stream (Box and Muller).
fn normal(draws: &Stream, index: u64) -> f64 {
    let uniform = |index: u64| (draws.below(index, 1 << 40) as f64 + 0.5) / (1u64 << 40) as f64;
    let (radius, angle) = (uniform(2 * index), uniform(2 * index + 1));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// Skewed noise: the jackknife alone mistook 100 of 1,000 such nulls for a difference in spread.
fn exponential(draws: &Stream, index: u64) -> f64 {
    let both = [normal(draws, 2 * index), normal(draws, 2 * index + 1)];
    both.iter().map(|normal| normal * normal / 2.0).sum()
}

fn log_normal(draws: &Stream, index: u64) -> f64 {
    libm::exp(normal(draws, index))
}

/// How often a claim over simulated runs holds and fails in 1,000 simulations. `effect` is in
/// standard deviations over seeds.
fn simulated(test: ClaimType, expect: Expect, effect: f64, count: u64) -> [usize; 2] {
    simulated_with(normal, test, expect, effect, count)
}

/// The same with other noise.
fn simulated_with(
    noise: fn(&Stream, u64) -> f64,
    test: ClaimType,
    expect: Expect,
    effect: f64,
    count: u64,
) -> [usize; 2] {
    let mut counts = [0, 0];
    for simulation in 0..1000 {
        let draws = Stream::new(simulation, Purpose::Sample, 77);
        let mut results = three(
            |place, seed| {
                let noise = noise(&draws, 16 * place as u64 + seed);
                match test {
                    // The spread of the first is larger.
                    ClaimType::Spread if place == 0 => 5.0 + libm::exp(effect) * noise,
                    ClaimType::Spread => 5.0 + noise,
                    _ => 5.0 + effect * (2 - place) as f64 + noise,
                }
            },
            count,
        );
        for run in &mut results.runs {
            run.axes
                .push(("case".to_owned(), run.group.as_str().into()));
        }
        let measure = match test {
            ClaimType::Order => "[run('a').nll, run('b').nll, run('c').nll]",
            ClaimType::Trend => "[run('a').nll, run('b').nll, run('c').nll]",
            ClaimType::Spread => "log(sd(runs(case='a').nll)) - log(sd(runs(case='b').nll))",
            _ => "run('a').nll - run('b').nll",
        };
        match judge(&[of_type(test, measure, expect)], "desk", &results)[0].verdict {
            Verdict::Holds => counts[0] += 1,
            Verdict::Fails => counts[1] += 1,
            _ => {}
        }
    }
    eprintln!("{test} by {effect}: {counts:?} of 1000 hold and fail");
    counts
}

/// At most 5 % of false claims may hold and at most 5 % of true ones may fail, in 1,000 simulations
/// each. The tests use claims on the border between true and false, where errors are most frequent,
/// and check that planted effects are found.
#[test]
fn error_rates_and_power_of_the_tests() {
    // With p = 0.05, a binomial count exceeds 71 of 1,000 once in a thousand times; with 0.025, it
    // exceeds 44.
    let [holds, fails] = simulated(ClaimType::Difference, Expect::Above(0.0), 0.0, 3);
    assert!(holds <= 44 && fails <= 44, "difference: {holds} {fails}");
    let [holds, _] = simulated(ClaimType::Order, Expect::Decreasing(0.0), 0.0, 3);
    assert!(holds <= 44, "order: {holds}");
    let [holds, _] = simulated(ClaimType::Equivalence, Expect::Within([0.0, 1.0]), 1.0, 3);
    assert!(holds <= 71, "equivalence: {holds}");
    let [holds, _] = simulated(ClaimType::Within, Expect::Within([0.0, 1.0]), 1.0, 3);
    assert!(holds <= 44, "within: {holds}");
    let [holds, fails] = simulated(ClaimType::Trend, Expect::Above(0.0), 0.0, 3);
    assert!(holds <= 44 && fails <= 44, "trend: {holds} {fails}");
    let [holds, fails] = simulated(ClaimType::Trend, Expect::Above(0.0), 0.0, 8);
    assert!(holds <= 44 && fails <= 44, "trend of 8: {holds} {fails}");
    let [holds, fails] = simulated(ClaimType::Spread, Expect::Above(0.0), 0.0, 8);
    assert!(holds <= 44 && fails <= 44, "spread: {holds} {fails}");
    for (name, noise) in [
        ("exponential", exponential as fn(&Stream, u64) -> f64),
        ("log-normal", log_normal),
    ] {
        let [holds, fails] = simulated_with(noise, ClaimType::Spread, Expect::Above(0.0), 0.0, 8);
        assert!(
            holds <= 44 && fails <= 44,
            "spread, {name}: {holds} {fails}"
        );
    }
    // A planted difference of ten standard deviations between neighbours; equivalence within four
    // of zero, where there is no difference.
    let [holds, fails] = simulated(ClaimType::Difference, Expect::Above(0.0), 10.0, 3);
    assert!(holds >= 900 && fails == 0, "difference: {holds} {fails}");
    let [holds, fails] = simulated(ClaimType::Order, Expect::Decreasing(0.0), 12.0, 3);
    assert!(holds >= 900 && fails == 0, "order: {holds} {fails}");
    let [holds, fails] = simulated(ClaimType::Equivalence, Expect::Within([0.0, 9.0]), 0.0, 3);
    assert!(holds >= 900 && fails == 0, "equivalence: {holds} {fails}");
    let [holds, fails] = simulated(ClaimType::Trend, Expect::Below(0.0), 10.0, 8);
    assert!(holds >= 900 && fails == 0, "trend: {holds} {fails}");
    let [holds, fails] = simulated(ClaimType::Spread, Expect::Above(0.0), 3.0, 8);
    assert!(holds >= 900 && fails == 0, "spread: {holds} {fails}");
}

/// Two runs with equal means and different documents: over resampled documents, a difference is
/// found in at most 5 % of cases.
#[test]
fn error_rate_and_power_of_the_bootstrap() {
    let found = |effect: f64, simulations: u64| {
        let mut found = 0;
        for simulation in 0..simulations {
            let draws = Stream::new(simulation, Purpose::Sample, 78);
            let mut results = three(|_, _| 0.0, 1);
            for (place, run) in results.runs.iter_mut().enumerate() {
                let shift = effect * place as f64;
                let documents = (0..24).map(|document| {
                    // A document's own difficulty is common to all runs.
                    let common = normal(&draws, document as u64);
                    let own = normal(&draws, 100 + 50 * place as u64 + document as u64);
                    let tokens = 50 + draws.below(500 + document as u64, 200);
                    crate::record::DocumentScore {
                        document,
                        tokens,
                        nll: tokens as f64 * (5.0 + 2.0 * common + 0.2 * own + shift),
                        perplexity: 1.0,
                        hits: None,
                        excerpt: String::new(),
                    }
                });
                let documents: Vec<_> = documents.collect();
                let tokens: u64 = documents.iter().map(|document| document.tokens).sum();
                let sum: f64 = documents.iter().map(|document| document.nll).sum();
                run.metrics.insert("nll".to_owned(), sum / tokens as f64);
                run.eval = Some(crate::record::EvalResult {
                    documents,
                    ..Default::default()
                });
            }
            let difference = claim("run('b').nll - run('a').nll", Expect::Above(0.0));
            let judged = judge(&[difference], "desk", &results).remove(0);
            assert_eq!(
                judged.verdict,
                Verdict::Inconclusive,
                "documents alone decide nothing"
            );
            found += usize::from(judged.intervals[0].p <= 0.05);
        }
        found
    };
    let null = found(0.0, 1000);
    eprintln!("documents alone: {null} of 1000");
    assert!(null <= 71, "{null}");
    let planted = found(0.4, 100);
    assert!(planted >= 95, "{planted}");
}

#[test]
fn wall_clock_time_is_judged_apart() {
    let mut results = seeds(&[0.3, 0.3, 0.3]);
    for (run, seconds) in results.runs.iter_mut().zip([4.0, 5.0, 6.0]) {
        let record = run.record.as_mut().unwrap();
        record.timing.train_seconds = seconds;
        record.timing.validation_seconds = 1.0;
    }
    let measure = "run('a').train_seconds / run('a').validation_seconds";
    let mut claim = claim(measure, Expect::Below(20.0));
    claim.needs.timing = true;
    assert_snapshot!(shown(claim.clone(), &results), @"not checkable here | wall-clock time is not reproducible; see `timing.json` | ours - margin - interval - p -");
    let judged = judge_times(&[claim.clone()], "desk", &results).remove(0);
    assert_eq!((judged.verdict, judged.ours), (Verdict::Holds, Some(5.0)));
    // No other code sees the time.
    claim.needs.timing = false;
    assert!(judge_times(&[claim.clone()], "desk", &results).is_empty());
    assert!(shown(claim, &results).contains("unknown metric `train_seconds`"));
}

#[test]
fn what_is_not_here_is_not_checkable() {
    let mut results = seeds(&[0.3]);
    let bare = |results: &Results, change: fn(&mut Claim)| {
        let mut claim = claim("run('a').val_loss", Expect::Below(8.0));
        change(&mut claim);
        shown(claim, results)
    };
    assert_snapshot!(bare(&results, |claim| claim.needs.reading = true), @"not checkable here | needs a reader | ours 7.500 margin 0.500 interval - p -");
    assert_snapshot!(bare(&results, |claim| claim.needs.profiles = vec!["paper".to_owned()]), @"not checkable here | needs the profile `paper`, this is `desk` | ours 7.500 margin 0.500 interval - p -");
    assert_snapshot!(bare(&results, |claim| claim.needs.data = Some("files".to_owned())), @"not checkable here | needs the data `files`, these runs have `unknown` | ours 7.500 margin 0.500 interval - p -");
    results.runs[0].key =
        serde_json::json!({"data": {"train": {"documents": {"sha256": "ab".repeat(32)}}}});
    assert_snapshot!(bare(&results, |claim| claim.needs.data = Some("cd".repeat(32))), @"not checkable here | needs the data `cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd`, these runs have `abababababababababababababababababababababababababababababababab` | ours 7.500 margin 0.500 interval - p -");
    assert_snapshot!(bare(&results, |claim| claim.needs.data = Some("ab".repeat(32))), @"inconclusive | too few seeds to test (1, three are needed); the value is on the expected side | ours 7.500 margin 0.500 interval - p -");
    assert_snapshot!(bare(&results, |claim| claim.needs.data = Some("files".to_owned())), @"inconclusive | too few seeds to test (1, three are needed); the value is on the expected side; the claim names no digest of its data, so these files need not be those of the study | ours 7.500 margin 0.500 interval - p -");
    assert_snapshot!(bare(&results, |claim| claim.inconsistent = Some("3.8 is not exp(1.826)".to_owned())), @"source inconsistent | 3.8 is not exp(1.826) | ours 7.500 margin 0.500 interval - p -");
    assert_snapshot!(bare(&results, |claim| claim.measure = None), @"not checkable here | the spec gives no measure and expectation | ours - margin - interval - p -");
    assert_snapshot!(bare(&results, |claim| claim.measure = Some("run('b').val_loss".to_owned())), @"not checkable here | the measure cannot be evaluated: unknown run `b`, expected one of `a` | ours - margin - interval - p -");
    results.runs[0]
        .metrics
        .insert("val_loss".to_owned(), f64::NAN);
    assert_snapshot!(bare(&results, |_| {}), @"not checkable here | the measure is NaN | ours - margin - interval - p -");
    results.runs[0].status = RunStatus::Failed;
    assert_snapshot!(bare(&results, |_| {}), @"not checkable here | run `a,seed=0` failed | ours - margin - interval - p -");
}

#[test]
fn verdicts_are_written_in_snake_case() {
    let results = seeds(&[0.3]);
    let judged = judge(
        &[claim("run('a').steps", Expect::Equals(10.0))],
        "desk",
        &results,
    );
    let json = serde_json::to_value(&judged[0]).unwrap();
    assert_eq!(json["verdict"], "holds");
    assert_eq!(
        serde_json::to_value(Verdict::NotCheckableHere).unwrap(),
        "not_checkable_here"
    );
}

/// The claims of the epoch-frenzy study, on curves that show its effect.
#[test]
fn a_whole_study_is_judged() {
    let yaml = include_str!("../../specs/epoch-frenzy.yaml");
    // Deserialised as in the spec's loader: through JSON values, where a one-key map names a
    // choice.
    let mut tree: serde_json::Value = serde_yaml::from_str(yaml).unwrap();
    let claims: Vec<Claim> = serde_json::from_value(tree["claims"].take()).unwrap();
    let claims = &claims;
    let mut results = Results {
        spec: "epoch-frenzy".to_owned(),
        profile: "desk".to_owned(),
        runs: Vec::new(),
    };
    for (group, docs, epochs, steps) in [
        ("25x100", 25, 100, 300),
        ("250x10", 250, 10, 250),
        ("2500x1", 2500, 1, 250),
    ] {
        for seed in 0..3 {
            results
                .runs
                .push(study_run(group, docs, epochs, steps, seed));
        }
    }
    let judged = judge(claims, "desk", &results);
    let line = |judged: &Judged| {
        let ours = judged
            .ours
            .map_or("-".to_owned(), |ours| format!("{ours:.3}"));
        format!("{} {} {ours}: {}", judged.id, judged.verdict, judged.reason)
    };
    assert_snapshot!(judged.iter().map(line).collect::<Vec<_>>().join("\n"), @"
    EF-1 holds 0.000: 0 is equal to 0 (a count or an identity, compared)
    EF-2 holds 0.000: 0 is equal to 0 (a count or an identity, compared)
    EF-3 holds -0.600: -0.6 is each below the one before (over 3 seeds, the narrowest of 3 gaps)
    EF-3b not checkable here -: run `25x100,seed=0` has no `nll`
    EF-4 holds 1.680: 1.68 is above 0.5 (over 3 seeds)
    EF-4b holds 1.000: 1 is above 0 (over 3 seeds)
    EF-4c not checkable here -: the measure cannot be evaluated: unknown run `25x100-vocabulary-2048`, expected one of `25x100`, `250x10`, `2500x1`
    EF-5 holds 0.002: 0.002 is below 0.05 (over 3 seeds)
    EF-5b not checkable here 0.015: needs the profile `paper`, this is `desk`
    EF-6 fails -0.175: -0.1752 is not above 0 (over 3 seeds)
    EF-7 holds 0.069: 0.0686 is each above the one before (over 3 seeds, the narrowest of 3 gaps)
    EF-8 holds -0.446: -0.4464 is each below the one before (over 3 seeds, the narrowest of 6 gaps)
    EF-8b holds 0.000: 0 is below 0.05 (over 3 seeds)
    EF-9 holds 0.600: 0.6 is above 0 (over 3 seeds)
    EF-10a not checkable here 5.885: needs the profile `paper`, this is `desk`
    EF-10b not checkable here 3.847: needs the profile `paper`, this is `desk`
    EF-10c holds 0.002: 0.002 is within 0.03 of 0 (over 3 seeds)
    EF-11 not checkable here -: wall-clock time is not reproducible; see `timing.json`
    EF-12 not checkable here -: the measure cannot be evaluated: unknown run `by-tokens-25x100`, expected one of `25x100`, `250x10`, `2500x1`
    ");
}

/// Training loss falls faster with fewer documents; the validation loss for 25 documents turns at a
/// third of the run.
fn study_run(
    group: &str,
    docs: u64,
    epochs: u64,
    steps: u64,
    seed: u64,
) -> crate::record::RunResult {
    let mut own = run(group, &[], seed, 0.0);
    let start = libm::log(2048.0) + 128.0 / 2176.0;
    let jitter = 0.002 * seed as f64;
    own.key = serde_json::json!({
        "train": {"epochs": epochs},
        "model": {"vocab_size": 2048, "dim": 128},
        "data": {"train": {"embedded": {"generator": "documents"}}},
    });
    own.series = (1..=steps)
        .map(|step| {
            let done = step as f64 / steps as f64;
            let before = (step - 1) as f64 / steps as f64;
            let rise = if docs == 25 {
                3.0 * (done - 0.3).max(0.0)
            } else {
                0.0
            };
            let depth = [3.2, 2.4, 0.8][(docs.ilog10() - 1) as usize];
            crate::record::MetricPoint {
                step,
                epoch: done * epochs as f64,
                train_loss: start * libm::exp(-depth * 2.0 * before) + jitter,
                val_loss: Some(start - 0.6 * docs.ilog10() as f64 * done + rise + jitter),
                val_loss_batch_mean: Some(
                    start - 0.6 * docs.ilog10() as f64 * done + rise + jitter,
                ),
                ..Default::default()
            }
        })
        .collect();
    let counts = &mut own.record.as_mut().unwrap().counts;
    (counts.docs, counts.steps) = (docs, steps);
    own
}
