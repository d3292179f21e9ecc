//! `specbook store`: checks the store, lists what can be removed, and shows disk usage.

use super::args::{GcArgs, Global, RmArgs, SpecArgs, StoreCommand};
use super::failure::Failure;
use super::print::{self, Printer};
use super::{exit, jobs, project, remote, workspace};
use crate::data::{self, TrainedOn};
use crate::digest::Sha256Hex;
use crate::fsx::AnyPath;
use crate::human;
use crate::plan::{Run, RunKey};
use crate::store::{
    self, Garbage, GarbageKind, GcOptions, Grace, Problem, Store, StoreError, Verification,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Executes the subcommand.
pub(crate) fn execute(
    command: &StoreCommand,
    global: &Global,
    printer: Printer,
) -> Result<u8, Failure> {
    let near = match command {
        StoreCommand::Gc(args) => args.specs.first().map_or(Path::new("."), |spec| spec),
        StoreCommand::Push(args) | StoreCommand::Pull(args) => {
            args.specs.first().map_or(Path::new("."), |spec| spec)
        }
        StoreCommand::Verify | StoreCommand::Rm(_) | StoreCommand::Du => Path::new("."),
    };
    let store = match command {
        // `pull` may create a store.
        StoreCommand::Pull(_) => project::store(global, near)?,
        _ => project::store_that_exists(global, near)?,
    };
    match command {
        StoreCommand::Verify => verify(&store, printer),
        StoreCommand::Du => du(&store, printer),
        StoreCommand::Gc(args) => gc(args, &store, printer),
        StoreCommand::Rm(args) => rm(args, &store, printer),
        StoreCommand::Push(args) => remote::push(args, &store, printer),
        StoreCommand::Pull(args) => remote::pull(args, &store, printer),
    }
}

fn verify(store: &Store, printer: Printer) -> Result<u8, Failure> {
    let mut found = store::verify(store)?;
    verify_tokens(store, &mut found)?;
    if printer.json() {
        let problems: Vec<Value> = found
            .problems
            .iter()
            .map(|problem| json!({"path": AnyPath::from(&problem.path), "reason": problem.reason, "run": problem.run}))
            .collect();
        printer.json_result(&json!({
            "format": 1, "runs": found.runs, "evals": found.evals, "files": found.files, "bytes": found.bytes, "problems": problems,
        }))?;
    } else {
        for problem in &found.problems {
            printer.result(&format!("{}: {}", problem.path.display(), problem.reason));
        }
        let verdict = match found.problems.len() {
            0 => "all sound".to_owned(),
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        };
        printer.result(&format!(
            "{}, {}, {}, {}: {verdict}",
            human::counted(found.runs as u64, "run"),
            human::counted(found.evals as u64, "evaluation"),
            human::counted(found.files as u64, "file"),
            human::bytes(found.bytes),
        ));
        if !found.problems.is_empty() {
            printer.note(
                "`specbook run SPEC --paranoid` moves damaged entries of its runs to `damaged/`, and makes them and its tokens again",
            );
        }
    }
    Ok(if found.problems.is_empty() {
        exit::OK
    } else {
        exit::INPUT
    })
}

/// Adds the contents of the token cache, compared with what the runs were trained on.
fn verify_tokens(store: &Store, found: &mut Verification) -> Result<(), Failure> {
    let known = store.collect(|record| {
        let key: RunKey = serde_json::from_value(record.key).ok()?;
        Some(TrainedOn {
            run: format!("{}/{}", record.spec, record.name),
            data: key.data,
            ids: record.digests.ids,
            tokenizer: record.digests.tokenizer,
        })
    })?;
    // Unreadable records were reported above.
    store.take_warnings();
    let folder = store.root().join("tokens-v1");
    let tokens = match data::audit(&folder, store.fs(), &known) {
        // Already reported.
        Err(error) if error.is_damage() => return Ok(()),
        other => other.map_err(StoreError::from)?,
    };
    found.files += tokens.files;
    found.bytes += tokens.bytes;
    found
        .problems
        .extend(tokens.problems.into_iter().map(|(path, reason)| Problem {
            path,
            reason,
            run: None,
        }));
    Ok(())
}

fn du(store: &Store, printer: Printer) -> Result<u8, Failure> {
    let usage = store::du(store)?;
    if printer.json() {
        let kinds: serde_json::Map<String, Value> = usage
            .iter()
            .map(|(kind, used)| {
                let value = json!({"entries": used.entries, "bytes": used.bytes});
                ((*kind).to_owned(), value)
            })
            .collect();
        printer.json_result(
            &json!({"format": 1, "root": AnyPath::from(store.root()), "usage": kinds}),
        )?;
        return Ok(exit::OK);
    }
    // Weights and checkpoints are part of runs.
    let within = |kind: &str| matches!(kind, "weights" | "checkpoints");
    let row = |name: String, entries: u64, bytes: u64| {
        vec![name, human::count(entries), human::bytes(bytes)]
    };
    let mut rows = Vec::new();
    for (kind, used) in usage.iter().filter(|(kind, _)| !within(kind)) {
        rows.push(row((*kind).to_owned(), used.entries, used.bytes));
        if *kind == "runs" {
            for (part, used) in usage.iter().filter(|(part, _)| within(part)) {
                rows.push(row(format!("  {part}"), used.entries, used.bytes));
            }
        }
    }
    let all = usage.iter().filter(|(kind, _)| !within(kind));
    let bytes = all.map(|(_, used)| used.bytes).sum();
    printer.result(&print::table(&["kind", "entries", "size"], &rows));
    printer.result(&format!(
        "{} in {}",
        human::bytes(bytes),
        store.root().display()
    ));
    Ok(exit::OK)
}

fn gc(args: &GcArgs, store: &Store, printer: Printer) -> Result<u8, Failure> {
    let mut options = GcOptions {
        damaged: args.damaged,
        unused_for: args.unused_for,
        imported: args.models,
        sweeps: jobs::idle(store, args.damaged, printer)?,
        ..GcOptions::default()
    };
    // One by one, because an older text of a spec may exist beside it under the same name.
    for file in workspace::spec_files(&args.specs)? {
        let specs = SpecArgs {
            specs: vec![file],
            profile: args.profile.clone(),
            overrides: args.overrides.clone(),
            filter: Vec::new(),
            paranoid: false,
        };
        for opened in workspace::open(&specs, store, printer)? {
            let runs = opened.plan.runs.iter();
            options.runs.extend(runs.clone().map(|run| run.id));
            options
                .models
                .extend(runs.clone().filter_map(Run::init_from));
            options.evals.extend(runs.map(|run| run.eval_id));
        }
    }
    let garbage = store::gc(store, &options)?;
    remove(&options, &garbage, args.yes, store, printer)
}

/// Removes the named imported models, whatever their age. A model that a plan needs stays.
fn rm(args: &RmArgs, store: &Store, printer: Printer) -> Result<u8, Failure> {
    let mut named = BTreeMap::new();
    for text in &args.models {
        let Some(model) = store.resolve_model(text)? else {
            let all = store.models()?;
            let all: Vec<String> = all
                .iter()
                .map(|model| format!("`{}`", model.name))
                .collect();
            let failure = Failure::input(format!("no imported model is called `{text}`"));
            return Err(match all.is_empty() {
                true => failure.hint("`store rm` removes what `import` put into the store, and this one holds nothing of it"),
                false => failure.hint(format!("there are {}", all.join(", "))),
            });
        };
        named.insert(model.id, model.name);
    }
    for plan in store.plans()? {
        let needs = |id| {
            plan.models
                .as_ref()
                .is_none_or(|models| models.contains(id))
        };
        if let Some((_, name)) = named.iter().find(|(id, _)| needs(id)) {
            let why = match plan.models {
                Some(_) => "runs of this plan begin with it",
                None => {
                    "an older specbook wrote this plan, which does not say whether its runs begin with it"
                }
            };
            let message = format!("`{name}` stays: {why}: {}", plan.title());
            return Err(
                Failure::input(message).hint("`store gc --unused-for DAYS` lets go of plans")
            );
        }
    }
    let options = GcOptions {
        imported: true,
        grace: Grace {
            finished: Duration::ZERO,
            ..Grace::default()
        },
        ..GcOptions::default()
    };
    let mut garbage = store::gc(store, &options)?;
    garbage.retain(|item| {
        let id = item
            .path
            .file_name()
            .and_then(|name| Sha256Hex::parse(name.to_str()?));
        item.kind == GarbageKind::Model && id.is_some_and(|id| named.contains_key(&id))
    });
    remove(&options, &garbage, args.yes, store, printer)
}

/// Lists what will be removed, asks, and removes it.
fn remove(
    options: &GcOptions,
    garbage: &[Garbage],
    yes: bool,
    store: &Store,
    printer: Printer,
) -> Result<u8, Failure> {
    let tell = || {
        for warning in store.take_warnings() {
            printer.warning(&warning);
        }
    };
    tell();
    let bytes: u64 = garbage.iter().map(|item| item.bytes).sum();
    if !printer.json() {
        list(store, garbage, printer);
    }
    let question = format!(
        "remove these {} ({})?",
        human::count(garbage.len() as u64),
        human::bytes(bytes)
    );
    let agreed = yes || (!garbage.is_empty() && printer.ask(&question) == Some(true));
    let removed = match agreed {
        true => Some(store::remove_garbage(store, options, garbage)?),
        false => None,
    };
    tell();
    let freed = removed.as_ref().map(|removed| removed.bytes);
    let failed = removed.map_or_else(Vec::new, |removed| removed.failed);
    failed.iter().for_each(|error| printer.error(error, None));
    let code = if failed.is_empty() {
        exit::OK
    } else {
        exit::UNEXPECTED
    };
    if printer.json() {
        let entries: Vec<Value> = garbage
            .iter()
            .map(|item| json!({"path": AnyPath::from(&item.path), "kind": word(item.kind), "name": item.name, "bytes": item.bytes}))
            .collect();
        printer.json_result(
            &json!({"format": 1, "garbage": entries, "bytes": bytes, "freed_bytes": freed}),
        )?;
        return Ok(code);
    }
    match freed {
        Some(freed) => printer.result(&format!("{} freed", human::bytes(freed))),
        None if garbage.is_empty() => printer.result("nothing to remove"),
        None => printer.note("nothing is removed; `--yes` removes without asking"),
    }
    Ok(code)
}

/// Prints one line per entry and the total per kind.
fn list(store: &Store, garbage: &[Garbage], printer: Printer) {
    let mut sums: BTreeMap<GarbageKind, (u64, u64)> = BTreeMap::new();
    let mut rows = Vec::new();
    for item in garbage {
        let sum = sums.entry(item.kind).or_default();
        *sum = (sum.0 + 1, sum.1 + item.bytes);
        let path = item.path.strip_prefix(store.root()).unwrap_or(&item.path);
        rows.push(vec![
            path.display().to_string(),
            word(item.kind).to_owned(),
            item.name.clone().unwrap_or_default(),
            human::bytes(item.bytes),
        ]);
    }
    if rows.is_empty() {
        return;
    }
    printer.result(&print::table(&["entry", "kind", "name", "size"], &rows));
    let sums: Vec<String> = sums
        .iter()
        .map(|(kind, (count, bytes))| {
            format!("{} {} ({})", count, word(*kind), human::bytes(*bytes))
        })
        .collect();
    printer.result(&sums.join(", "));
}

fn word(kind: GarbageKind) -> &'static str {
    match kind {
        GarbageKind::Plan => "plan",
        GarbageKind::Run => "run",
        GarbageKind::Unfinished => "unfinished",
        GarbageKind::Eval => "evaluation",
        GarbageKind::Model => "model",
        GarbageKind::Sweep => "sweep",
        GarbageKind::Temporary => "temporary",
        GarbageKind::Damaged => "damaged",
    }
}
