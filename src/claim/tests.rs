use super::*;
use crate::expr::tests::{grid, run};
use crate::record::{Results, RunStatus};
use crate::spec::{Claim, Expect, Mark, Needs, Published};
use insta::assert_snapshot;

fn claim(measure: &str, expect: Expect) -> Claim {
    Claim {
        id: "T-1".to_owned(),
        says: "A statement.".to_owned(),
        kind: None,
        place: "figure 1".to_owned(),
        published: Some(Published {
            value: "1".to_owned(),
            mark: Mark::Printed,
        }),
        measure: Some(measure.to_owned()),
        expect: Some(expect),
        needs: Needs::default(),
        inconsistent: None,
        note: None,
        show: None,
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
        "{} | {} | ours {} margin {} interval {interval} seeds {}",
        judged.verdict,
        judged.reason,
        number(judged.ours),
        number(judged.margin),
        judged.per_seed.len()
    )
}

#[test]
fn three_seeds_decide_by_their_interval() {
    let results = seeds(&[0.30, 0.31, 0.29]);
    let verdict = |expect| shown(claim("run('a').val_loss", expect), &results);
    assert_snapshot!(verdict(Expect::Below(8.0)), @"holds | 7.5 is below 8 (over 3 seeds) | ours 7.500 margin 0.500 interval [7.252, 7.748] seeds 3");
    assert_snapshot!(verdict(Expect::Above(8.0)), @"fails | 7.5 is not above 8 (over 3 seeds) | ours 7.500 margin -0.500 interval [7.252, 7.748] seeds 3");
    assert_snapshot!(verdict(Expect::Below(7.6)), @"inconclusive | the 95 % interval over 3 seeds contains 7.6 | ours 7.500 margin 0.100 interval [7.252, 7.748] seeds 3");
    assert_snapshot!(verdict(Expect::Within([7.5, 0.5])), @"holds | 7.5 is within 0.5 of 7.5 (over 3 seeds) | ours 7.500 margin 0.500 interval [7.252, 7.748] seeds 3");
    assert_snapshot!(verdict(Expect::Within([7.5, 0.2])), @"inconclusive | the 95 % interval over 3 seeds contains 7.3 | ours 7.500 margin 0.200 interval [7.252, 7.748] seeds 3");
}

#[test]
fn few_seeds_do_not_decide_single_runs() {
    let results = seeds(&[0.3]);
    let verdict = |measure: &str, expect| shown(claim(measure, expect), &results);
    assert_snapshot!(verdict("run('a').val_loss", Expect::Below(8.0)), @"inconclusive | too few seeds (1, three decide); the value is on the expected side | ours 7.500 margin 0.500 interval - seeds 1");
    assert_snapshot!(verdict("run('a').val_loss", Expect::Above(8.0)), @"inconclusive | too few seeds (1, three decide); the value is on the other side | ours 7.500 margin -0.500 interval - seeds 1");
    assert_snapshot!(verdict("run('a').steps", Expect::Equals(10.0)), @"holds | 10 is equal to 10 (a count, formula or many runs: seeds do not decide it) | ours 10.000 margin 0.000 interval - seeds 1");
    assert_snapshot!(verdict("run('a').steps", Expect::Equals(11.0)), @"fails | 10 is not equal to 11 (a count, formula or many runs: seeds do not decide it) | ours 10.000 margin -1.000 interval - seeds 1");
    assert_snapshot!(shown(claim("count(runs().val_loss, below=8)", Expect::Equals(3.0)), &grid(&[0])), @"holds | 3 is equal to 3 (a count, formula or many runs: seeds do not decide it) | ours 3.000 margin 0.000 interval - seeds 1");
    let two = seeds(&[0.3, 0.2]);
    assert_snapshot!(shown(claim("formula(run('a').val_loss)", Expect::Below(8.2)), &two), @"inconclusive | the 2 seeds disagree | ours 8.000 margin 0.200 interval - seeds 2");
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
    assert_snapshot!(shown(claim.clone(), &results), @"not checkable here | wall-clock time is no result; `timing.json` has the measure of these runs | ours - margin - interval - seeds 0");
    let judged = judge_times(&[claim.clone()], "desk", &results).remove(0);
    assert_eq!((judged.verdict, judged.ours), (Verdict::Holds, Some(5.0)));
    // Elsewhere nobody sees the time.
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
    assert_snapshot!(bare(&results, |claim| claim.needs.reading = true), @"not checkable here | needs a reader | ours 7.500 margin 0.500 interval - seeds 1");
    assert_snapshot!(bare(&results, |claim| claim.needs.profiles = vec!["paper".to_owned()]), @"not checkable here | needs the profile `paper`, this is `desk` | ours 7.500 margin 0.500 interval - seeds 1");
    assert_snapshot!(bare(&results, |claim| claim.needs.data = Some("files".to_owned())), @"not checkable here | needs the data `files`, these runs have `unknown` | ours 7.500 margin 0.500 interval - seeds 1");
    assert_snapshot!(bare(&results, |claim| claim.inconsistent = Some("3.8 is not exp(1.826)".to_owned())), @"source inconsistent | 3.8 is not exp(1.826) | ours 7.500 margin 0.500 interval - seeds 1");
    assert_snapshot!(bare(&results, |claim| claim.measure = None), @"not checkable here | the spec gives no measure and expectation | ours - margin - interval - seeds 0");
    assert_snapshot!(bare(&results, |claim| claim.measure = Some("run('b').val_loss".to_owned())), @"not checkable here | the measure cannot be evaluated: unknown run `b`, expected one of `a` | ours - margin - interval - seeds 0");
    results.runs[0]
        .metrics
        .insert("val_loss".to_owned(), f64::NAN);
    assert_snapshot!(bare(&results, |_| {}), @"not checkable here | the measure is NaN | ours - margin - interval - seeds 0");
    results.runs[0].status = RunStatus::Failed;
    assert_snapshot!(bare(&results, |_| {}), @"not checkable here | run `a,seed=0` failed | ours - margin - interval - seeds 0");
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
    // As the spec's loader does: through JSON values, where a one-key map names a choice.
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
    EF-1 holds 0.000: 0 is equal to 0 (over 3 seeds)
    EF-2 holds 0.000: 0 is equal to 0 (over 3 seeds)
    EF-3 holds 0.600: 0.6 is above 0.1 (over 3 seeds)
    EF-4 holds 1.000: 1 is above 0 (over 3 seeds)
    EF-5 holds 0.002: 0.002 is below 0.05 (over 3 seeds)
    EF-5b not checkable here 0.015: needs the profile `paper`, this is `desk`
    EF-6 fails -0.175: -0.1752 is not above 0 (over 3 seeds)
    EF-7 holds 0.069: 0.0686 is above 0 (over 3 seeds)
    EF-8 holds 0.050: 0.05 is above 0 (over 3 seeds)
    EF-9 holds 0.600: 0.6 is above 0 (over 3 seeds)
    EF-10a not checkable here 5.885: needs the profile `paper`, this is `desk`
    EF-10b not checkable here 3.847: needs the profile `paper`, this is `desk`
    EF-10c holds 0.002: 0.002 is within 0.03 of 0 (over 3 seeds)
    EF-11 not checkable here -: wall-clock time is no result; `timing.json` has the measure of these runs
    EF-12 not checkable here -: the measure cannot be evaluated: unknown run `by-tokens-25x100`, expected one of `25x100`, `250x10`, `2500x1`
    ");
}

/// Training falls faster the fewer documents there are; validation of 25 documents turns at a third.
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
                ..Default::default()
            }
        })
        .collect();
    let counts = &mut own.record.as_mut().unwrap().counts;
    (counts.docs, counts.steps) = (docs, steps);
    own
}
