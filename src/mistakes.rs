//! The mistakes of a spec that show before anything is trained: names in claims and cells that nothing has.
//!
//! Nothing is evaluated: an expression is read from its syntax ([`Session::check_measure`]), so that no right one is refused.

use crate::digest::Sha256Hex;
use crate::expr::{ExprError, Session};
use crate::record::{Estimate, Results, RunId, RunResult, RunStatus, Timing, setting_of};
use crate::report::{Report, ReportError};
use crate::spec::{Claim, Spec, SpecRun};
use std::collections::BTreeMap;

/// What is wrong with a claim or a cell.
#[derive(Debug, thiserror::Error)]
pub enum Mistake {
    /// A claim's measure cannot be evaluated.
    #[error("claim `{claim}`: {source}")]
    Measure {
        /// Id of the claim.
        claim: String,
        /// Why not.
        source: ExprError,
    },
    /// A cell cannot be made.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Checks the measures and the cells of `spec` in its profile; gives the first mistake of each claim and cell.
pub fn mistakes(spec: &Spec) -> Vec<Mistake> {
    let names = names(spec, &spec.profile, &spec.runs);
    let session = session(spec, names.clone());
    let claims = spec.claims.iter();
    let mut found = measures(
        claims.filter(|claim| applies(claim, &spec.profile)),
        &session,
    );
    let cells = Report::look_up(spec, &names, &session);
    found.extend(cells.into_iter().map(Mistake::from));
    found
}

/// Checks the measures that need `profile`, which has these runs, and that the spec's own profile does not decide.
pub fn mistakes_elsewhere(spec: &Spec, profile: &str, runs: &[SpecRun]) -> Vec<Mistake> {
    let decided = |claim: &&Claim| applies(claim, profile) && !applies(claim, &spec.profile);
    let session = session(spec, names(spec, profile, runs));
    measures(spec.claims.iter().filter(decided), &session)
}

fn applies(claim: &Claim, profile: &str) -> bool {
    let needed = &claim.needs.profiles;
    needed.is_empty() || needed.iter().any(|name| name == profile)
}

fn measures<'a>(claims: impl Iterator<Item = &'a Claim>, session: &Session) -> Vec<Mistake> {
    let times: Vec<&str> = Timing::default()
        .metrics()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let mistake = |claim: &Claim| {
        // Only claims over wall-clock time see times.
        let more = if claim.needs.timing { &times[..] } else { &[] };
        let lists = claim.test.takes_lists();
        let source = session
            .check_measure(claim.measure.as_ref()?, lists, more)
            .err()?;
        let claim = claim.id.clone();
        Some(Mistake::Measure { claim, source })
    };
    claims.filter_map(mistake).collect()
}

fn session(spec: &Spec, names: Results) -> Session {
    let all = spec.run_names.clone();
    Session::new(names).with_all_names(move || all.all())
}

/// The runs as cells and expressions name them: without results.
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
        match super::mistakes(&spec).first() {
            Some(mistake) => Err(mistake.to_string()),
            None => Ok(()),
        }
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
        let mut found = super::mistakes(&spec);
        for other in spec.profiles.iter().filter(|other| *other != profile) {
            let runs = profiles.runs(other).unwrap();
            found.extend(mistakes_elsewhere(&spec, other, &runs));
        }
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        found.join("\n")
    }

    const CELL: &str = "cells:\n";

    #[test]
    fn every_cell_with_a_mistake_is_told() {
        let cells = "cells:\n  - text: \"{{ run('25x10').val_loss }}\"\n  - text: \"{{ meen(2) }} {{ men(2) }}\"\n";
        insta::assert_snapshot!(mistakes(CELL, cells, "desk"), @"
        line 306: unknown run `25x10`, the nearest names are `25x100`, `25x100-vocabulary-2048`, `by-tokens-25x100`
        line 307: unknown function `meen`, the nearest names are `mean`, `min`, `difference`
        ");
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
                told.contains("unknown ") && told.lines().count() == 1,
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
        insta::assert_snapshot!(mistakes("claims:\n", &typo, "desk"), @"claim `X-1`: unknown run `25x10`, the nearest names are `25x100`, `25x100,seed=0`, `25x100,seed=1`");
        assert_eq!(
            mistakes("claims:\n", &typo, "desk"),
            mistakes("claims:\n", &typo, "paper")
        );
        // A run that only another profile has is missing, and no more.
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
