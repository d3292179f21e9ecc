//! Settings that no run would use. They are refused: no part of a spec is silently ignored.

use super::error::{Problem, Problems};
use super::experiment::{Case, Experiment, Varied};
use super::setting::{Setting, report_covered};
use super::tree::join_path;

/// Reports settings overridden in every run; `overrides` are those of the profile.
pub(crate) fn report_dead(experiment: &Experiment, overrides: &[Setting], problems: &mut Problems) {
    for (index, axis) in experiment.vary.iter().enumerate() {
        under_another_axis(axis, &experiment.vary[..index], problems);
        in_cases_and_axis(axis, &experiment.cases, problems);
        under_axis(axis, overrides, &experiment.sets, problems);
    }
    under_seeds(experiment, overrides, problems);
    for (index, setting) in overrides.iter().enumerate() {
        report_covered(&overrides[..index], setting, problems);
        under_all_cases(setting, &experiment.cases, problems);
    }
}

/// Whether one path is a prefix of the other.
fn overlap(a: &[String], b: &[String]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

fn under_another_axis(axis: &Varied, earlier: &[Varied], problems: &mut Problems) {
    for other in earlier
        .iter()
        .filter(|other| overlap(&axis.path, &other.path))
    {
        let (name, other) = (join_path(&axis.path), join_path(&other.path));
        let message = format!("the axes `{other}` and `{name}` set the same");
        problems.push(Problem::new(message).at(axis.place));
    }
}

fn in_cases_and_axis(axis: &Varied, cases: &[Case], problems: &mut Problems) {
    let settings = cases.iter().flat_map(|case| &case.settings);
    for setting in settings.filter(|setting| overlap(&setting.path, &axis.path)) {
        let message = format!(
            "the axis `{}` and a case set the same",
            join_path(&axis.path)
        );
        let problem = Problem::new(message).at(setting.place);
        problems.push(problem.note(format!("the axis is at line {}", axis.place.line)));
    }
}

fn under_axis(axis: &Varied, overrides: &[Setting], sets: &[Setting], problems: &mut Problems) {
    let name = join_path(&axis.path);
    for setting in overrides
        .iter()
        .filter(|one| one.path.starts_with(&axis.path))
    {
        let message = format!(
            "`{}` is an axis: every run sets it",
            join_path(&setting.path)
        );
        let hint = format!("override the axis: `vary.{name}: […]`");
        problems.push(Problem::new(message).at(setting.place).hint(hint));
    }
    for setting in sets.iter().filter(|one| overlap(&one.path, &axis.path)) {
        let message = format!("`{name}` is an axis: its runs are named by its values");
        let hint = format!("override the axis: `--set 'vary.{name}=[…]'`");
        problems.push(Problem::new(message).at(setting.place).hint(hint));
    }
}

fn under_seeds(experiment: &Experiment, overrides: &[Setting], problems: &mut Problems) {
    let Some((place, _)) = &experiment.seeds else {
        return;
    };
    let cases = experiment.cases.iter().flat_map(|case| &case.settings);
    let settings = cases.chain(overrides).chain(&experiment.sets);
    let axes = experiment.vary.iter().map(|axis| (&axis.path, axis.place));
    for (path, at) in settings.map(|one| (&one.path, one.place)).chain(axes) {
        if join_path(path) == "train.seed" {
            let problem = Problem::new("`train.seed` is never used: `seeds` sets it").at(at);
            let problem = problem.note(format!("`seeds` is at line {}", place.line));
            problems.push(problem.hint("override `seeds`"));
        }
    }
}

fn under_all_cases(setting: &Setting, cases: &[Case], problems: &mut Problems) {
    let covers = |case: &Case| {
        let mut own = case.settings.iter();
        own.any(|own| setting.path.starts_with(&own.path))
    };
    if let Some(first) = cases.first()
        && cases.iter().all(covers)
    {
        let path = join_path(&setting.path);
        let message = format!("`{path}` is set by every case: no run would use this");
        let case = join_path(&["cases", &first.name]);
        let hint = format!("override the cases: `{case}.{path}: …`");
        problems.push(Problem::new(message).at(setting.place).hint(hint));
    }
}
