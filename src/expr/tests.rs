use super::*;
use crate::record::RunStatus;
use insta::assert_snapshot;
use serde_json::json;

mod alone;
mod changed;
mod fixture;

pub(crate) use fixture::{grid, run};

/// Evaluates `expression` over `results` to a number.
fn number(expression: &str, results: &Results, at: Scope) -> Result<f64, ExprError> {
    let session = Session::new(results.clone());
    let measured = session.prepare(expression)?.measure(&[at])?;
    if measured[0].is_list {
        let reason = "the expression gives sequence instead of a number".to_owned();
        return Err(ExprError::Invalid { reason });
    }
    Ok(measured[0].values[0])
}

/// Fills the `{{ }}` of a Markdown text.
fn text(template: &str, results: &Results) -> Result<String, ExprError> {
    let filled = Session::new(results.clone()).text(template)?;
    assert_eq!(filled.missing, Vec::<String>::new());
    Ok(filled.text)
}

/// Checks the syntax of `expression` against the names of a grid without results.
fn check(expression: &str) -> Result<(), ExprError> {
    let mut names = grid(&[0, 1]);
    for run in &mut names.runs {
        run.metrics.clear();
        run.series.clear();
        run.record = None;
        run.document_tokens.clear();
    }
    Session::new(names).check_measure(expression, false, &[])
}

fn mean_of(expression: &str) -> f64 {
    number(expression, &grid(&[0, 1]), Scope::Mean)
        .unwrap_or_else(|error| panic!("{expression}: {error}"))
}

fn error_of(expression: &str) -> String {
    number(expression, &grid(&[0, 1]), Scope::Mean)
        .expect_err(expression)
        .to_string()
}

#[test]
fn single_runs_are_not_averaged_and_mathematics_takes_lists() {
    assert_eq!(mean_of("count(settings().val_loss)"), 6.0);
    assert_eq!(mean_of("count(runs().val_loss)"), 12.0);
    assert_eq!(mean_of("count(runs(dim=512).val_loss)"), 6.0);
    let seed = number("count(runs().val_loss)", &grid(&[0, 1]), Scope::Seed(1));
    assert_eq!(seed.unwrap(), 6.0);
    assert_eq!(mean_of("max(abs([-3, 2]))"), 3.0);
    assert_eq!(mean_of("max(sqrt([4, 9]))"), 3.0);
    assert!((mean_of("max(exp(log([4, 9])))") - 9.0).abs() < 1e-12);
    // The spread over the seeds of one setting: slopes 0.127 and 0.137, ten steps.
    let spread = mean_of("sd(runs(dim=128, n_layers=2).val_loss)");
    assert!((spread - 0.1 / 2.0_f64.sqrt()).abs() < 1e-12, "{spread}");
    assert_snapshot!(error_of("sd(settings(dim=128, n_layers=2).val_loss)"), @"`sd` needs two values or more, not 1");
    assert_eq!(mean_of("sorted([3, 1, 2])[0]"), 1.0);
    assert_snapshot!(error_of("settings('a')"), @"`settings` takes axis values, such as `settings(dim=512)`");
    assert_snapshot!(error_of("abs('x')"), @"`abs` takes numbers, not string");
    assert_snapshot!(error_of("abs([1, 'x'])"), @"`abs` takes numbers, not string");
    assert_snapshot!(error_of("abs(1, 2)"), @"`abs` takes one number or one list");
}

#[test]
fn lengths_of_training_documents_are_a_list() {
    assert_eq!(
        mean_of("mean(run('dim=128,n_layers=2').document_tokens)"),
        6.0
    );
}

/// The profile `desk` must have every run; others may lack some.
#[test]
fn a_run_that_another_profile_lacks_is_missing_and_no_mistake() {
    let mut part = grid(&[0]);
    part.profile = "search".to_owned();
    let error = number("run('base').val_loss", &part, Scope::Mean).unwrap_err();
    assert!(error.is_not_available());
    assert_eq!(error.to_string(), "the profile `search` has no run `base`");
    let error = number("run('base').val_loss", &grid(&[0]), Scope::Mean).unwrap_err();
    assert!(!error.is_not_available());
}

/// A setting with three seeds beside one with a single seed: only the seed that both have is compared.
#[test]
fn pairs_compare_common_seeds() {
    let mut results = grid(&[0, 1]);
    results
        .runs
        .retain(|run| run.axes.contains(&("dim".to_owned(), json!(128))) || run.seed == 0);
    let change = |expression: &str| number(expression, &results, Scope::Mean).unwrap();
    let pairs = change("mean(pairs('dim', 512, 128, n_layers=2).val_loss)");
    let seed_0 =
        change("run(dim=512, n_layers=2).val_loss - run('dim=128,n_layers=2,seed=0').val_loss");
    assert_eq!(pairs, seed_0);
    let all = change("run(dim=512, n_layers=2).val_loss - run(dim=128, n_layers=2).val_loss");
    assert!(all != seed_0);
}

#[test]
fn runs_metrics_and_series() {
    let close = |expression: &str, wanted: f64| {
        let got = mean_of(expression);
        assert!(
            (got - wanted).abs() < 1e-12,
            "{expression}: {got}, not {wanted}"
        );
    };
    // Slopes at dim 128, 2 layers: 0.127 and 0.137.
    close("run('dim=128,n_layers=2').val_loss", 10.5 - 1.32);
    close("run('dim=128,n_layers=2,seed=1').val_loss", 10.5 - 1.37);
    close("run(dim=128, n_layers=2).val_loss_first", 10.5 - 0.264);
    close("run(dim=128, n_layers=2).train_loss", 10.0 - 0.132 * 8.0);
    close(
        "run(dim=128, n_layers=2).series('val/loss')[1]",
        10.5 - 0.528,
    );
    close("run(dim=128, n_layers=2).steps('val/loss')[4]", 10.0);
    close(
        "run(dim=512, n_layers=8).dim * run(dim=512, n_layers=8).n_layers",
        4096.0,
    );
    close(
        "run(dim=512, n_layers=8).setting('train.optimizer.adamw.learning_rate')",
        0.001,
    );
    close("run(dim=128, n_layers=2).params", 1_234_567.0);
    close("count(settings(dim=512))", 3.0);
    close("count(settings().val_loss, below=8)", 3.0);
    close("count(pairs('dim', 512, 128).val_loss, below=0)", 3.0);
    close("mean(pairs('dim', 512, 128).val_loss)", -3.75);
    close("count(pairs('dim', 512, 128, n_layers=2))", 1.0);
    close("count(pairs('dim', max(runs().dim), min(runs().dim)))", 3.0);
    close(
        "first_step_below(run(dim=512, n_layers=2), 'val/loss', 1, never=99)",
        99.0,
    );
    close(
        "count(difference(settings(dim=512).val_loss, settings(dim=128).val_loss), below=0)",
        3.0,
    );
    close(
        "trend(run(dim=128, n_layers=2).series('val/loss')) + count(after_min([3, 1, 2, 5]))",
        2.0,
    );
    close(
        "mean(run(dim=128, n_layers=2).series('train/loss')[-2:])",
        10.0 - 0.132 * 9.5,
    );
    close(
        "first_step_below(run(dim=512, n_layers=2), 'val/loss', 8.0)",
        6.0,
    );
    close(
        "first_step_below(run(dim=512, n_layers=2), 'train/loss', drop=2.4)",
        6.0,
    );
    close("max(first_step_below(runs(dim=512), 'val/loss', 8.0))", 6.0);
    close(
        "at_step(run(dim=128, n_layers=2), 'val/loss', 5)",
        10.5 - 0.528,
    );
    close("spearman(settings(dim=128).val_loss, [3, 2, 1])", 1.0);
    close(
        "pow(sd([1, 3]), 2) + min(4, 2, 3) + max([1, 2]) + abs(-1) + log(exp(2)) + sqrt(4) + pow(2, 3)",
        19.0,
    );
    close("run(dim=128, n_layers=2).val_loss > 9", 1.0);
}

#[test]
fn scopes_choose_replicates() {
    let results = grid(&[0, 1]);
    let at = |scope| number("run(dim=128, n_layers=2).val_loss", &results, scope);
    let (mean, zero, one) = (at(Scope::Mean), at(Scope::Seed(0)), at(Scope::Seed(1)));
    assert_eq!(
        (zero, one),
        (Ok(10.5 - 0.127 * 10.0), Ok(10.5 - 0.137 * 10.0))
    );
    assert!((mean.unwrap() - 9.18).abs() < 1e-12);
    assert_snapshot!(at(Scope::Seed(7)).unwrap_err(), @"`dim=128,n_layers=2` has no run with seed 7");
}

#[test]
fn what_varies_is_noted() {
    let session = Session::new(grid(&[0, 1]));
    let varying = |expression: &str| {
        let prepared = session.prepare(expression).unwrap();
        prepared.measure(&[Scope::Mean]).unwrap().remove(0).varying
    };
    assert_eq!(varying("run(dim=128, n_layers=2).val_loss"), ["val_loss"]);
    let read = varying(
        "run(dim=128, n_layers=2).series('val/loss')[0] + run(dim=512, n_layers=2).perplexity",
    );
    assert_eq!(read, ["perplexity", "val/loss"]);
    assert!(varying("run(dim=128, n_layers=2).steps").is_empty());
}

/// One setting, two draws of documents and two seeds; the second draw lacks a seed.
#[test]
fn draws_and_seeds_vary_one_at_a_time() {
    let mut results = Results::default();
    for (draw, seed, loss) in [(0, 0, 1.0), (0, 1, 3.0), (1, 0, 6.0)] {
        let mut own = run("a", &[("draw", json!(draw))], seed, 0.1);
        own.metrics.insert("nll".to_owned(), loss);
        results.runs.push(own);
    }
    let at = |scope| number("run('a').nll", &results, scope).unwrap();
    // Mean over the seeds of each draw, then over the draws.
    assert_eq!(at(Scope::Mean), 4.0);
    assert_eq!([at(Scope::Seed(0)), at(Scope::Seed(1))], [1.0, 3.0]);
    assert_eq!([at(Scope::Draw(0)), at(Scope::Draw(1))], [1.0, 6.0]);
    assert_eq!(at(Scope::WithoutSeed(0)), 3.0);
    let session = Session::new(results.clone());
    let measured = session.prepare("run('a').nll").unwrap();
    let measured = measured.measure(&[Scope::Mean]).unwrap().remove(0);
    assert_eq!((measured.seeds, measured.draws), (vec![0, 1], vec![0, 1]));
    assert_eq!(number("count(runs().nll)", &results, Scope::Mean), Ok(3.0));
}

#[test]
fn documents_are_resampled_in_pairs() {
    let mut results = Results::default();
    for (group, shift) in [("a", 0.0), ("b", 0.5)] {
        let mut own = run(group, &[], 0, 0.1);
        let documents = (0..20).map(|document| crate::record::DocumentScore {
            document,
            tokens: 10,
            nll: 10.0 * (2.0 + (document * 7 % 5) as f64 + shift),
            perplexity: 1.0,
            hits: Some(document as u64 % 3),
            excerpt: String::new(),
        });
        own.eval = Some(crate::record::EvalResult {
            documents: documents.collect(),
            ..Default::default()
        });
        for (name, value) in [("nll", 4.0 + shift), ("accuracy", 0.095), ("ece", 0.1)] {
            own.metrics.insert(name.to_owned(), value);
        }
        results.runs.push(own);
    }
    let session = Session::new(results);
    let over = |expression: &str| {
        let scopes: Vec<Scope> = (0..50).map(Scope::Documents).collect();
        let values = session
            .prepare(expression)
            .unwrap()
            .measure(&scopes)
            .unwrap();
        let documents = values[0].documents;
        let values: Vec<f64> = values.iter().map(|value| value.values[0]).collect();
        (documents, crate::stats::sd(&values).unwrap())
    };
    // The shift is the same for every document: resampled in pairs, the difference does not move.
    let (documents, spread) = over("run('b').nll - run('a').nll");
    assert_eq!(documents.map(|all| all.count), Some(20));
    assert!(spread < 1e-12, "{spread}");
    assert!(over("run('a').nll").1 > 0.1 && over("run('a').accuracy").1 > 0.01);
    // Part of this does not follow from documents.
    assert_eq!(over("run('a').nll + run('a').ece").0, None);
}

#[test]
fn missing_results_have_their_own_error() {
    let mut results = grid(&[0]);
    results.runs[0].status = RunStatus::Missing;
    results.runs[1].status = RunStatus::Failed;
    let error = |expression: &str| {
        let error = number(expression, &results, Scope::Mean).unwrap_err();
        assert!(error.is_not_available(), "{error:?}");
        error.to_string()
    };
    assert_snapshot!(error("run(dim=128, n_layers=2).val_loss"), @"run `dim=128,n_layers=2,seed=0` has not been trained");
    assert_snapshot!(error("mean(runs(n_layers=4).val_loss)"), @"run `dim=128,n_layers=4,seed=0` failed");
    assert_snapshot!(error("run(dim=128, n_layers=8).accuracy"), @"run `dim=128,n_layers=8,seed=0` has no `accuracy`");
    assert_snapshot!(error("first_step_below(run(dim=512, n_layers=2), 'val/loss', 1)"), @"`val/loss` never falls below 1");
    assert_snapshot!(error("mean([])"), @"`mean` of no values");
    // A missing value is never hidden by `or`.
    assert_snapshot!(error("run(dim=128, n_layers=8).accuracy or 1"), @"run `dim=128,n_layers=8,seed=0` has no `accuracy`");
}

#[test]
fn mistakes_name_what_there_is() {
    assert_snapshot!(error_of("run('dim=129').val_loss"), @"unknown run `dim=129`, expected one of `dim=128,n_layers=2`, `dim=128,n_layers=4`, `dim=128,n_layers=8`, `dim=512,n_layers=2`, `dim=512,n_layers=4`, `dim=512,n_layers=8`");
    assert_snapshot!(error_of("run(dim=128, n_layers=2).val_los"), @"unknown metric `val_los`, the nearest names are `val_loss`, `val_loss_max`, `val_loss_min`");
    assert_snapshot!(error_of("run(dim=128).val_loss"), @"`run` needs one setting, these axis values have 3: use `runs`");
    assert_snapshot!(error_of("runs(dimm=128).val_loss"), @"unknown axis `dimm`, expected one of `dim`, `n_layers`");
    assert_snapshot!(error_of("run(dim=128, n_layers=2).series('loss')"), @"unknown series `loss`, the nearest names are `val/loss_batch_mean`, `val/loss`, `train/loss`");
    assert_snapshot!(error_of("runs().val_loss"), @"the expression gives sequence instead of a number");
    assert_snapshot!(error_of("mean(3)"), @"`mean` takes a list of numbers, not number");
    assert_snapshot!(error_of("1 +"), @"syntax error: unexpected end of input, expected expression");
    assert_snapshot!(error_of("avg([1])"), @"unknown function `avg`, the nearest names are `abs`, `log`, `pairs`");
    assert_snapshot!(check("1 | rnd(2)").unwrap_err(), @"unknown filter `rnd`, expected one of `round`, `thousands`, `pm`, `sign`, `percent`");
    assert_snapshot!(check("foo + 1").unwrap_err(), @"unknown value `foo`");
}

#[test]
fn right_expressions_are_never_refused() {
    let run = "run('dim=128,n_layers=2')";
    for expression in [
        "(mean(runs(dim=512).val_loss) - mean(runs(dim=128).val_loss)) / sd(runs().val_loss)",
        "1 / (RUN.val_loss - RUN.train_loss)",
        "log(RUN.val_loss - RUN.val_loss_min) if RUN.repetition > 0 else 0",
        "RUN.val_loss_min_step / RUN.train_mean25",
        "runs()[0].steps + runs()[-1].dim",
        "count(pairs('dim', 512, 128).first) + count(runs(), above=1)",
        "max(first_step_below(runs(dim=512), 'val/loss', 8.0, never=9))",
        "mean(RUN.series('val/loss')[-2:]) - RUN.setting('train.epochs')",
        "run(dim=128.0, n_layers=2).metric('nll') + run('dim=128.0,n_layers=2,seed=1').val_loss",
        "exp(abs(difference(runs(dim=512).nll, runs(dim=128).nll)))[0]",
        "RUN.params == 5 and not RUN.steps in [1, 2]",
    ] {
        let expression = expression.replace("RUN", run);
        assert_eq!(check(&expression), Ok(()), "{expression}");
    }
}

#[test]
fn mistakes_are_found_in_every_branch_without_results() {
    let error = |expression: &str| check(expression).expect_err(expression).to_string();
    for (expression, part) in [
        (
            "1 if 1 < 2 else run('dim=129').val_loss",
            "unknown run `dim=129`",
        ),
        ("1 or runs(dimm=1).nll", "unknown axis `dimm`"),
        ("pairs('dimm', 1, 2).nll[0]", "unknown axis `dimm`"),
        (
            "mean(runs().val_los) if 1 > 2 else 1",
            "unknown metric `val_los`",
        ),
        (
            "run(dim=128).val_loss",
            "these axis values have 3: use `runs`",
        ),
        (
            "at_step(runs()[0], 'val_loss', 3)",
            "unknown series `val_loss`",
        ),
        ("runs()[0].serie('val/loss')[0]", "unknown method `serie`"),
        ("runs()[0].metric('nl')", "unknown metric `nl`"),
        (
            "1 / runs(dim=512)",
            "several runs cannot be used in arithmetic",
        ),
        (
            "1 - runs()[0].nll | round(2)",
            "a text cannot be used in arithmetic",
        ),
        ("-runs()[0]", "a run cannot be used in arithmetic"),
        (
            "mean(run(dim=128, n_layers=2).nll)",
            "`mean` takes one list of numbers",
        ),
        ("runs().nll", "gives a list instead of a number"),
        ("runs().nll | round(2)", "takes a number, not a list"),
        ("foo", "unknown value `foo`"),
        ("1 is odd", "unknown test `odd`"),
    ] {
        let told = error(expression);
        assert!(told.contains(part), "{expression}: {told}");
    }
}

#[test]
fn a_value_without_a_number_costs_a_dash_and_no_more() {
    let mut results = grid(&[0]);
    results.runs[0].status = RunStatus::Failed;
    results.runs[1].metrics.insert("repetition".to_owned(), 0.0);
    let session = Session::new(results);
    let template = "{{ run(dim=128, n_layers=2).nll }}, {{ run(dim=128, n_layers=8).perplexity }}, \
        {{ (1 / run(dim=128, n_layers=4).repetition) | round(2) }}, {{ log(0) }}";
    let filled = session.text(template).unwrap();
    assert_eq!(filled.text, "–, 6.25, –, –");
    assert_snapshot!(filled.missing.join("\n"), @"
    run `dim=128,n_layers=2,seed=0` failed
    unable to calculate 1 / 0.0
    a value is -inf
    ");
}

#[test]
fn texts_are_filled() {
    let results = grid(&[0]);
    let template = "# {{ run(dim=128, n_layers=2).val_loss | round(2) }}\n{{ run(dim=128, n_layers=2).params | thousands }} \
        parameters, {{ 0.125 | percent(1) }}, {{ -0.0001 | round(1) }}, {{ 1/3 }}, {{ 0.00012 }}, {{ '}}' }}, {{ run(dim=128, n_layers=2).name }} { }";
    assert_snapshot!(text(template, &results).unwrap(), @"
    # 9.23
    1,234,567 parameters, 12.5 %, 0.0, 0.333333, 1.2e-4, }}, dim=128,n_layers=2,seed=0 { }
    ");
    let error = |template: &str| text(template, &results).unwrap_err().to_string();
    assert_snapshot!(error("one\ntwo {{ run('x').loss }}"), @"line 2 of the text: unknown run `x`, expected one of `dim=128,n_layers=2`, `dim=128,n_layers=4`, `dim=128,n_layers=8`, `dim=512,n_layers=2`, `dim=512,n_layers=4`, `dim=512,n_layers=8`");
    assert_snapshot!(error("a\n\n{{ 1 "), @"line 3 of the text: `{{` without `}}`");
    assert_snapshot!(error("a\n{% for x in y %}"), @"line 2 of the text: `{%` statements are not available in a text, only `{{ expressions }}`");
    assert_snapshot!(error("{{ runs().val_loss }}"), @"line 1 of the text: the expression gives sequence; a text shows numbers and texts");
}

#[test]
fn sample_texts_are_never_templates() {
    let mut results = grid(&[0]);
    results.runs[0].axes[0].1 = json!("{{ 7 * 7 }}");
    let text = text("{{ run(n_layers=2, dim='{{ 7 * 7 }}').dim }}", &results).unwrap();
    assert_eq!(text, "{{ 7 * 7 }}");
}

#[test]
fn hostile_expressions_end() {
    for expression in [
        "[x for x in range(10)]".to_owned(),
        "range(1000000000)".to_owned(),
        "mean([1] * 1000000000000)".to_owned(),
        "count([1] * 90000000, above=0)".to_owned(),
        format!("{}1", "1+".repeat(100_000)),
        format!("{}1{}", "(".repeat(1900), ")".repeat(1900)),
        "'x' * 1000000000000".to_owned(),
        "10 ** 400 ** 400".to_owned(),
        "1 / 0 * 'a'".to_owned(),
        "run.__class__".to_owned(),
        "{}[{}]".to_owned(),
    ] {
        let result = number(&expression, &grid(&[0]), Scope::Mean);
        assert!(
            result.is_err(),
            "{}: {result:?}",
            &expression[..expression.len().min(60)]
        );
    }
    // Deep, but short enough to be evaluated: an even number of signs.
    let signs = format!("{}1", "-".repeat(3900));
    assert_eq!(number(&signs, &grid(&[0]), Scope::Mean), Ok(1.0));
    let long = "{{ 'x' * 20000 }}";
    assert_snapshot!(text(long, &grid(&[0])).unwrap_err(), @"line 1 of the text: the expression is too costly: a value of more than 10000 bytes");
}

proptest::proptest! {
    #[test]
    fn no_expression_panics(expression in "[a-z0-9'(){}\\[\\]|.,+*/ %=-]{0,40}") {
        let results = grid(&[0]);
        let _ = number(&expression, &results, Scope::Mean);
        let _ = check(&expression);
        let _ = Session::new(results).text(&format!("{{{{{expression}"));
    }
}

/// The example of every function and filter is accepted by `check` and has a value.
#[test]
fn examples_of_the_functions_give_values() {
    let mut results = grid(&[0, 1]);
    for run in &mut results.runs {
        let losses = run.series.iter().filter_map(|point| point.val_loss);
        let lowest = losses.fold(f64::INFINITY, f64::min);
        run.metrics.insert("val_loss".to_owned(), lowest);
        run.metrics.insert("val_loss_min".to_owned(), lowest);
    }
    let session = Session::new(results);
    for function in FUNCTIONS {
        session
            .check_measure(function.example, false, &[])
            .unwrap_or_else(|error| panic!("{}: {error}", function.name));
        let value = session.prepare(function.example).unwrap();
        let value = value.measure(&[Scope::Mean]).unwrap();
        assert!(value[0].values[0].is_finite(), "{}", function.name);
    }
    for filter in FILTERS {
        let text = format!("{{{{ {} }}}}", filter.example);
        assert_eq!(session.check_text(&text), []);
        assert!(session.text(&text).unwrap().missing.is_empty(), "{text}");
    }
}

#[test]
fn a_spread_is_over_seeds_or_over_the_entries_of_a_list() {
    let runs = [0.1, 0.2, 0.3]
        .iter()
        .zip(0..)
        .map(|(slope, seed)| run("a", &[], seed, *slope));
    let results = Results {
        spec: "t".to_owned(),
        profile: "desk".to_owned(),
        runs: runs.collect(),
    };
    let shown = |template: &str| text(template, &results).unwrap();
    // 9.5, 8.5 and 7.5: one standard deviation is 1, and t(2) is 4.303.
    assert_eq!(shown("{{ run('a').val_loss | pm }}"), "8.5\u{a0}±\u{a0}2.5");
    assert_eq!(shown("{{ [1, 2, 3, 4, 5] | pm }}"), "3.0\u{a0}±\u{a0}2.0");
    assert_eq!(shown("{{ [1, 2] | pm }}"), "1.500", "two decide nothing");
    // A list of one varies as its entry does.
    assert_eq!(
        shown("{{ [run('a').val_loss] | pm }}"),
        "8.5\u{a0}±\u{a0}2.5"
    );
    // The same interval, in words.
    let sign = |number: &str| {
        shown(&format!(
            "{{{{ {number} | sign('up', 'down', 'no ' ~ 1) }}}}"
        ))
    };
    assert_eq!(sign("run('a').val_loss"), "up");
    assert_eq!(sign("0 - run('a').val_loss"), "down");
    assert_eq!(sign("run('a').val_loss - 6.1"), "no 1", "2.4 ± 2.5");
    assert_eq!(sign("[1, 2]"), "no 1", "two decide nothing");
    let two = text("{{ [1, 2, 3] | sign('up', 'down') }}", &results).unwrap_err();
    assert!(two.to_string().contains("three texts"), "{two}");
    let session = Session::new(results.clone());
    for (nested, name) in [("1 | pm", "pm"), ("1 | sign('a', 'b', 'c')", "sign")] {
        let nested = session
            .text(&format!("{{{{ [{nested}, 2][1] }}}}"))
            .unwrap();
        let expected = format!("`{name}` stands at the end");
        assert!(nested.missing[0].contains(&expected), "{nested:?}");
    }
}

#[test]
fn validation_losses_follow_from_their_documents() {
    let mut results = Results::default();
    for (group, shift) in [("a", 0.0), ("b", 0.5)] {
        let mut own = run(group, &[], 0, 0.1);
        own.key["train"]["batch_size"] = 2.into();
        // Documents alternate between 10 and 30 targets: the effective number of the 20 is 16.
        let validation = (0..20u32).map(|document| {
            let tokens = 10 + 20 * (document % 2);
            let loss = 2.0 + f64::from(document * 7 % 5) + shift;
            (u64::from(tokens), f64::from(tokens) * loss)
        });
        own.eval = Some(crate::record::EvalResult {
            validation: validation.collect(),
            ..Default::default()
        });
        own.metrics.insert("val_loss".to_owned(), 4.0 + shift);
        results.runs.push(own);
    }
    let session = Session::new(results);
    let measured = |expression: &str, scope: Scope| {
        let prepared = session.prepare(expression).unwrap();
        prepared.measure(&[scope]).unwrap().remove(0)
    };
    let difference = "run('b').val_loss - run('a').val_loss";
    let documents = measured(difference, Scope::Mean).documents.unwrap();
    assert_eq!((documents.count, documents.effective), (20, 16));
    assert_eq!(documents.degrees(), 15);
    let part = Scope::WithoutDocuments {
        part: 3,
        groups: 20,
    };
    for scope in [Scope::Documents(0), Scope::Documents(7), part] {
        let paired = measured(difference, scope).values[0];
        assert!((paired - 0.5).abs() < 1e-12, "{scope:?}: {paired}");
    }
    // Without the second document of losses 2, 4, 6, 3, 5, …: 400 targets with 1,600 nats minus 30 with
    // 120.
    let without = Scope::WithoutDocuments {
        part: 1,
        groups: 20,
    };
    let own = measured("run('a').val_loss", without).values[0];
    assert!((own - (1600.0 - 120.0) / 370.0).abs() < 1e-12, "{own}");
    // The minimum of a curve depends on more than the final scores.
    let minimum = measured("run('a').val_loss_min + run('a').val_loss", Scope::Mean);
    assert_eq!(minimum.documents, None);
}
