//! `specbook store push` and `pull`, and `run --remote`.

use super::args::{RemoteArgs, SpecArgs};
use super::exit;
use super::failure::Failure;
use super::print::Printer;
use super::workspace::{self, Listed, Opened};
use crate::error::Error;
use crate::human;
use crate::remote::{self, Place, Pulled, Pushed, RemoteError};
use crate::spec::Spec;
use crate::store::{Manifest, ManifestRun, Store};
use serde_json::json;

/// Opens the remote place at `url`.
pub(crate) fn open(url: &str) -> Result<Box<dyn Place>, Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    Ok(remote::open(url, &variable).map_err(Error::from)?)
}

/// Pushes what the arguments name.
pub(crate) fn push(args: &RemoteArgs, store: &Store, printer: Printer) -> Result<u8, Failure> {
    let place = writable(open(&args.url)?, &args.url)?;
    let plans = match args.specs.is_empty() {
        true => store.plans()?,
        false => specs(args, store, None, printer)?,
    };
    let pushed =
        remote::push(store, place.as_ref(), &plans, args.filter.is_empty()).map_err(Error::from)?;
    told(store, &pushed.damaged, printer);
    let Pushed {
        runs,
        evals,
        bytes,
        there,
        missing,
        damaged,
    } = &pushed;
    if printer.json() {
        printer.json_result(&json!({"format": 1, "runs": runs, "evaluations": evals, "bytes": bytes, "there": there, "missing": missing, "damaged": damaged}))?;
    } else {
        let text = format!(
            "{runs} runs and {evals} evaluations pushed ({}), {there} were there",
            human::bytes(*bytes)
        );
        printer.result(&match missing {
            0 => text,
            missing => format!("{text}, {missing} are not finished here"),
        });
    }
    Ok(code(damaged))
}

/// Pulls what the arguments name.
pub(crate) fn pull(args: &RemoteArgs, store: &Store, printer: Printer) -> Result<u8, Failure> {
    let place = open(&args.url)?;
    let plans = match args.specs.is_empty() {
        true => store.plans()?,
        false => specs(args, store, Some(place.as_ref()), printer)?,
    };
    if plans.is_empty() {
        return Err(
            Failure::input("this store has no plan, so it is not known what to pull")
                .hint("name a spec: `specbook store pull URL SPEC`"),
        );
    }
    if !args.specs.is_empty() && args.filter.is_empty() {
        for plan in &plans {
            store.put_plan(plan)?;
        }
    }
    let runs: Vec<ManifestRun> = plans.into_iter().flat_map(|plan| plan.runs).collect();
    let pulled = remote::pull(store, place.as_ref(), &runs).map_err(Error::from)?;
    told(store, &pulled.damaged, printer);
    if printer.json() {
        let Pulled {
            runs,
            evals,
            bytes,
            there,
            missing,
            busy,
            damaged,
        } = &pulled;
        printer.json_result(&json!({"format": 1, "runs": runs, "evaluations": evals, "bytes": bytes, "there": there, "missing": missing, "busy": busy, "damaged": damaged}))?;
    } else {
        printer.result(&sentence(&pulled));
    }
    Ok(code(&pulled.damaged))
}

/// Before a `run`: pulls the runs of the plan that the store lacks.
pub(crate) fn before(
    place: &dyn Place,
    opened: &Opened,
    store: &Store,
    printer: Printer,
) -> Result<(), Failure> {
    let open = opened.plan.runs.iter().map(|run| ManifestRun {
        name: run.name.clone(),
        id: run.id,
        eval: run.eval_id,
    });
    let open: Vec<_> = open.collect();
    let pulled = remote::pull(store, place, &open).map_err(Error::from)?;
    told(store, &pulled.damaged, printer);
    printer.note(&format!("{}: {}", opened.plan.spec, sentence(&pulled)));
    Ok(())
}

/// After a `run`: pushes new results; without write access, they are only kept locally.
pub(crate) fn after(
    place: &dyn Place,
    opened: &Opened,
    store: &Store,
    printer: Printer,
) -> Result<(), Failure> {
    let note = |text: &str| printer.note(&format!("{}: {text}", opened.plan.spec));
    if place.is_read_only() {
        note("nothing pushed: there are no credentials to write with");
        return Ok(());
    }
    match remote::push(store, place, std::slice::from_ref(&opened.manifest), true) {
        Ok(pushed) => {
            told(store, &pushed.damaged, printer);
            note(&format!(
                "{} runs pushed ({})",
                pushed.runs,
                human::bytes(pushed.bytes)
            ));
            Ok(())
        }
        Err(error) if error.is_refused() => {
            note(&format!("nothing pushed: {error}"));
            Ok(())
        }
        Err(error) => Err(Error::from(error).into()),
    }
}

fn writable(place: Box<dyn Place>, url: &str) -> Result<Box<dyn Place>, Failure> {
    if !place.is_read_only() {
        return Ok(place);
    }
    let message = format!("`{url}` cannot be written to without credentials");
    Err(Failure::input(message).hint("set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`"))
}

fn sentence(pulled: &Pulled) -> String {
    let Pulled {
        runs,
        evals,
        bytes,
        there,
        missing,
        busy,
        ..
    } = pulled;
    let mut parts = vec![
        format!(
            "{runs} runs and {evals} evaluations pulled ({})",
            human::bytes(*bytes)
        ),
        format!("{there} were here"),
    ];
    let others = [(missing, "are not there"), (busy, "are being made here")];
    let others = others.iter().filter(|(count, _)| **count > 0);
    parts.extend(others.map(|(count, what)| format!("{count} {what}")));
    parts.join(", ")
}

/// Reports the problems encountered.
fn told(store: &Store, damaged: &[String], printer: Printer) {
    store
        .take_warnings()
        .iter()
        .for_each(|warning| printer.warning(warning));
    damaged.iter().for_each(|text| printer.error(text, None));
}

fn code(damaged: &[String]) -> u8 {
    match damaged.is_empty() {
        true => exit::OK,
        false => exit::INPUT,
    }
}

/// The plans of the specs. If the input of a spec is missing, its runs are taken from the last plan
/// here or from the pushed one.
fn specs(
    args: &RemoteArgs,
    store: &Store,
    place: Option<&dyn Place>,
    printer: Printer,
) -> Result<Vec<Manifest>, Failure> {
    let specs = SpecArgs {
        specs: args.specs.clone(),
        profile: args.profile.clone(),
        overrides: args.overrides.clone(),
        filter: args.filter.clone(),
        paranoid: false,
    };
    let mut plans = Vec::new();
    for listed in workspace::list(&specs, store, printer)? {
        match listed {
            Listed::Opened(opened) => {
                let mut manifest = opened.manifest;
                let kept: std::collections::BTreeSet<_> =
                    opened.plan.runs.iter().map(|run| run.id).collect();
                manifest.runs.retain(|run| kept.contains(&run.id));
                plans.push(manifest);
            }
            Listed::Outlined(outline) => {
                let missing = outline.missing.join("; ");
                let Some(place) = place else {
                    return Err(Failure::input(missing));
                };
                let spec = workspace::load(&specs, printer)?
                    .into_iter()
                    .find(|spec| spec.name == outline.spec);
                let known = spec
                    .map(|spec| pushed(&spec, store, place))
                    .transpose()
                    .map_err(Error::from)?;
                let Some(found) = known.flatten() else {
                    return Err(Failure::input(format!(
                        "{missing}; and no plan of `{}` as it is was pushed to `{}`",
                        outline.spec, args.url
                    )));
                };
                plans.push(found);
            }
        }
    }
    Ok(plans)
}

/// The pushed plan for a spec in its current form.
fn pushed(spec: &Spec, store: &Store, place: &dyn Place) -> Result<Option<Manifest>, RemoteError> {
    let like = Manifest {
        format: 1,
        place: None,
        spec: spec.name.clone(),
        spec_digest: spec.digest,
        profile: spec.profile.clone(),
        overrides: spec.overrides.clone(),
        runs: Vec::new(),
        models: None,
        data: crate::plan::KnownPlan::new(),
    };
    let found = remote::manifest(place, &like)?;
    Ok(found.map(|found| Manifest {
        place: store.place_of(&spec.path),
        ..found
    }))
}
