//! Mistakes in a spec that can be found before training: unknown names in claims and cells.
//!
//! Nothing is evaluated: expressions are checked by syntax alone ([`Session::check_measure`]), so that no valid one is
//! refused.

use crate::digest::Sha256Hex;
use crate::expr::{ExprError, Session};
use crate::record::{Estimate, Results, RunId, RunResult, RunStatus, Timing, setting_of};
use crate::report::{Report, ReportError};
use crate::spec::{Claim, Problem, Problems, Sources, Span, Spec, SpecProblems, SpecRun};
use std::collections::BTreeMap;

/// Checks the measures and cells of `spec` in its profile; returns the first mistake in each expression and cell.
pub fn mistakes(spec: &Spec) -> SpecProblems {
    let names = names(spec, &spec.profile, &spec.runs);
    let session = session(spec, names.clone());
    let decided = |claim: &Claim| applies(claim, &spec.profile);
    let mut found = measures(spec, decided, &session);
    for error in Report::look_up(spec, &names, &session) {
        found.push(in_cell(error, &spec.text));
    }
    told(spec, found)
}

/// Checks the measures that need `profile`, with these runs, and that the spec's own profile does not decide.
pub fn mistakes_elsewhere(spec: &Spec, profile: &str, runs: &[SpecRun]) -> SpecProblems {
    let decided = |claim: &Claim| applies(claim, profile) && !applies(claim, &spec.profile);
    let session = session(spec, names(spec, profile, runs));
    told(spec, measures(spec, decided, &session))
}

fn told(spec: &Spec, found: Problems) -> SpecProblems {
    let file = spec.path.display().to_string();
    found.finish(&Sources::new(file, &spec.text, &[]))
}

fn applies(claim: &Claim, profile: &str) -> bool {
    let needed = &claim.needs.profiles;
    needed.is_empty() || needed.iter().any(|name| name == profile)
}

fn measures(spec: &Spec, decided: impl Fn(&Claim) -> bool, session: &Session) -> Problems {
    let times: Vec<&str> = Timing::default()
        .metrics()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let mut found = Problems::default();
    for claim in spec.claims.iter().filter(|claim| decided(claim)) {
        // Only claims about wall-clock time can use times.
        let more = if claim.needs.timing { &times[..] } else { &[] };
        let lists = claim.test.takes_lists();
        if let Some(measure) = &claim.measure
            && let Err(error) = session.check_measure(measure, lists, more)
        {
            let problem = of(&error, measure, claim.line, &spec.text);
            found.push(problem.note(format!("in claim `{}`", claim.id)));
        }
    }
    found
}

/// The problem in a cell, with its place.
fn in_cell(error: ReportError, text: &str) -> Problem {
    match error {
        ReportError::Text {
            line,
            expression,
            error,
        } => of(&error, &expression, line, text),
        ReportError::Unknown {
            line,
            what,
            name,
            known,
        } => Problem::new(format!("there is no {what} `{name}`"))
            .choices(&name, known.iter().map(String::as_str))
            .at(place(text, line, &name)),
        ReportError::Reference { line, ref message } => {
            Problem::new(message).at(place(text, line, ""))
        }
        other => Problem::new(other.to_string()),
    }
}

/// The problem in `expression`, which begins on `line` or below.
fn of(error: &ExprError, expression: &str, line: usize, text: &str) -> Problem {
    let first = expression.lines().next().unwrap_or_default().trim();
    let whole = place(text, line, first);
    match error {
        ExprError::Unknown {
            kind,
            name,
            near,
            all,
        } => {
            let problem = Problem::new(format!("there is no {kind} `{name}`"));
            let names = near.iter().map(String::as_str);
            let problem = problem.choices_of(name, names, !all);
            let problem = match *kind {
                "function" | "value" => {
                    problem.or_hint("`specbook help functions` lists what an expression may hold")
                }
                "metric" => problem.or_hint("`specbook help metrics` explains all of them"),
                _ => problem,
            };
            problem.at(place(text, whole.line as usize, name))
        }
        ExprError::Alone { name, advice } => Problem::new(format!("`{name}` alone is not a value"))
            .hint(advice)
            .at(place(text, whole.line as usize, name)),
        other => Problem::new(other.to_string()).at(whole),
    }
}

/// First occurrence of `word`, on `line` or below; the whole line if it is written differently (folded, escaped).
fn place(text: &str, line: usize, word: &str) -> Span {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let stands_at = |text: &str| {
        let mut found = text.match_indices(word).map(|(at, _)| at);
        found.find(|at| {
            let (before, after) = (&text[..*at], &text[at + word.len()..]);
            !before.ends_with(part_of_name) && !after.starts_with(part_of_name)
        })
    };
    let mut lines = text.lines().zip(1..).skip(line.saturating_sub(1));
    let written = lines.clone().find_map(|(text, number)| {
        let at = stands_at(text).filter(|_| !word.is_empty())?;
        Some((number, text[..at].chars().count(), word.chars().count()))
    });
    let (line, before, len) = written.unwrap_or_else(|| {
        let whole = lines.next().map_or("", |(text, _)| text);
        let indent = whole.len() - whole.trim_start().len();
        (line as u32, indent, whole.trim().chars().count())
    });
    Span {
        source: 0,
        line,
        column: before as u32 + 1,
        len: len as u32,
    }
}

fn session(spec: &Spec, names: Results) -> Session {
    let all = spec.run_names.clone();
    Session::new(names).with_all_names(move || all.all())
}

/// The runs as named by cells and expressions, without results.
fn names(spec: &Spec, profile: &str, runs: &[SpecRun]) -> Results {
    let id = RunId(Sha256Hex::of(b""));
    Results {
        spec: spec.name.clone(),
        profile: profile.to_owned(),
        runs: runs.iter().map(|run| named(run, id)).collect(),
    }
}

fn named(run: &SpecRun, id: RunId) -> RunResult {
    RunResult {
        id,
        name: run.name.clone(),
        group: setting_of(&run.name, run.settings.data.draw, run.settings.train.seed).to_owned(),
        axes: run.axes.clone(),
        seed: run.settings.train.seed,
        estimate: Estimate::default(),
        key: serde_json::Value::Null,
        status: RunStatus::Cached,
        record: None,
        metrics: BTreeMap::new(),
        series: Vec::new(),
        eval: None,
        document_tokens: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LoadRequest, parse};
    use std::path::Path;

    const SPEC: &str = include_str!("../specs/epoch-frenzy.yaml");

    fn checked(text: &str, profile: &str) -> Result<(), String> {
        let profile = Some(profile.to_owned()).filter(|profile| profile != "desk");
        let request = LoadRequest {
            profile,
            overrides: Vec::new(),
        };
        let spec =
            parse(text, Path::new("spec.yaml"), &request).map_err(|error| error.to_string())?;
        let found = super::mistakes(&spec);
        if found.problems.is_empty() {
            return Ok(());
        }
        Err(found.to_string())
    }

    #[test]
    fn the_shipped_spec_has_no_mistakes_in_any_profile() {
        for profile in ["desk", "smoke", "paper"] {
            assert_eq!(checked(SPEC, profile), Ok(()), "{profile}");
        }
    }

    /// All mistakes of the shipped spec with `from` replaced, in a profile; and those of claims that need another one.
    fn mistakes(from: &str, to: &str, profile: &str) -> String {
        let text = SPEC.replacen(from, to, 1);
        assert_ne!(text, SPEC);
        let read = crate::spec::SpecText::new(text, Path::new("spec.yaml")).unwrap();
        let request = LoadRequest {
            profile: Some(profile.to_owned()),
            overrides: Vec::new(),
        };
        let (spec, profiles) = read.with_profiles(&request).unwrap();
        let mut found = super::mistakes(&spec).problems;
        for other in spec.profiles.iter().filter(|other| *other != profile) {
            let runs = profiles.runs(other).unwrap();
            found.extend(mistakes_elsewhere(&spec, other, &runs).problems);
        }
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        found.join("\n\n")
    }

    const CELL: &str = "cells:\n";

    #[test]
    fn every_cell_with_a_mistake_is_told() {
        let cells = "cells:\n  - text: \"{{ run('25x10').val_loss }}\"\n  - text: \"{{ meen(2) }} {{ men(2) }}\"\n";
        insta::assert_snapshot!(mistakes(CELL, cells, "desk"), @r#"
        there is no run `25x10`
           --> spec.yaml:339:20
        339 |   - text: "{{ run('25x10').val_loss }}"
            |                    ^^^^^
            = allowed: `25x100`, `25x100-vocabulary-2048`, `by-tokens-25x100` and others
            = hint: did you mean `25x100`?

        there is no function `meen`
           --> spec.yaml:340:15
        340 |   - text: "{{ meen(2) }} {{ men(2) }}"
            |               ^^^^
            = allowed: `mean`, `min`, `difference` and others
            = hint: did you mean `mean`?

        there is no function `men`
           --> spec.yaml:340:29
        340 |   - text: "{{ meen(2) }} {{ men(2) }}"
            |                             ^^^
            = allowed: `mean`, `min`, `trend` and others
            = hint: did you mean `mean`?
        "#);
    }

    #[test]
    fn what_is_not_reached_is_looked_at_too() {
        for branch in [
            "run('25x100').val_loss if 1 < 2 else run('25x10').val_loss",
            "1 if run('25x100').val_loss > 0 or run('25x100').val_los > 0 else 2",
            "(meen(2) if 2 < 1 else 3) | round(1)",
            "0 if 1 < 2 else max(2, 1 if run('25x100').val_loss < 0 and run('25x100').epoch else 4)",
        ] {
            let cell = format!("cells:\n  - text: \"{{{{ {branch} }}}}\"\n");
            let told = mistakes(CELL, &cell, "desk");
            assert!(
                told.matches("there is no ").count() == 1,
                "{branch}: {told}"
            );
        }
        let fine = "cells:\n  - text: \"{{ run('25x100').val_loss / 0 if 1 > 2 else 'no' }}\"\n";
        assert_eq!(mistakes(CELL, fine, "desk"), "");
    }

    #[test]
    fn a_run_that_no_profile_has_is_a_mistake_in_every_profile() {
        let claim = |measure: &str| {
            format!(
                "claims:\n  - {{id: X-1, says: Something., measure: \"{measure}\", expect: {{above: 0}}, needs: {{profiles: [paper]}}}}\n"
            )
        };
        let typo = claim("run('25x10').val_loss");
        insta::assert_snapshot!(mistakes("claims:\n", &typo, "desk"), @r#"
        there is no run `25x10`
           --> spec.yaml:114:48
        114 |   - {id: X-1, says: Something., measure: "run('25x10').val_loss", expect: {above: 0}, needs: {profiles: [paper]}}
            |                                                ^^^^^
            = allowed: `25x100`, `25x100,seed=0`, `25x100,seed=1` and others
            = note: in claim `X-1`
            = hint: did you mean `25x100`?
        "#);
        assert_eq!(
            mistakes("claims:\n", &typo, "desk"),
            mistakes("claims:\n", &typo, "paper")
        );
        // A run that only another profile has is merely missing.
        let elsewhere = claim("run('25x100,seed=2').val_loss");
        assert_eq!(mistakes("claims:\n", &elsewhere, "paper"), "");
    }

    #[test]
    fn a_misspelled_metric_is_found_in_claims_and_in_text() {
        let claim = SPEC.replace(
            "run('25x100').val_loss - run('25x100').val_loss_min",
            "run('25x100').val_loss - run('25x100').val_los_min",
        );
        assert!(checked(&claim, "desk").unwrap_err().contains("val_los_min"));
        let text = SPEC.replace(
            "minimum of {{ mean(runs(case='25x100').val_loss_min)",
            "minimum of {{ mean(runs(case='25x100').val_los_min)",
        );
        assert_ne!(text, SPEC);
        assert!(checked(&text, "desk").unwrap_err().contains("val_los"));
    }
}
