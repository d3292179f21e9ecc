//! `specbook bench`: speed and memory of training steps.

use super::args::{BenchArgs, BenchDtype, Global, SpecArgs};
use super::failure::Failure;
use super::print::{self, Printer};
use super::{check, exit, project, workspace};
use crate::bench::{self, Case, Extent, Measurement, Shape, measure};
use crate::error::Error;
use crate::human;
use crate::scheduler::peak_rss_bytes;
use crate::spec::Dtype;
use crate::store::{Calibration, Store};
use crate::train::{Engine, Part, engine};
use std::path::Path;
use std::process::{Command, Stdio};

/// Measures the shapes, or a run of a spec.
pub(crate) fn execute(args: &BenchArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    known_parts(&args.part)?;
    if let Some(isa) = &args.isa {
        engine::use_instruction_set(isa)?;
    }
    let shapes = bench::shapes();
    if let ([spec], []) = (&args.targets[..], &args.shape[..])
        && (args.run.is_some() || workspace::is_spec(Path::new(spec)))
    {
        if args.dtype != BenchDtype::F32 {
            return Err(Failure::usage("`--dtype` is for shapes")
                .hint("of a spec, set it: `--set train.dtype=bf16`"));
        }
        return Session::new(args, printer)?.spec(Path::new(spec), global);
    }
    if args.run.is_some() || args.profile.is_some() || !args.overrides.is_empty() {
        return Err(Failure::usage(
            "`--run`, `--profile` and `--set` need one spec file",
        ));
    }
    let words: Vec<_> = args
        .targets
        .iter()
        .map(|name| name.to_string_lossy())
        .collect();
    let words = words.iter().map(AsRef::as_ref);
    let mut targets: Vec<&str> = words.chain(args.shape.iter().map(String::as_str)).collect();
    let named = |name: &str| shapes.iter().find(|shape| shape.name == name);
    if let Some(unknown) = targets.iter().find(|name| named(name).is_none()) {
        return Err(unknown_shape(unknown, &shapes));
    }
    if targets.is_empty() {
        targets = shapes.iter().map(|shape| shape.name.as_str()).collect();
    }
    match targets[..] {
        [name] => {
            let shape = named(name).ok_or_else(|| unknown_shape(name, &shapes))?;
            let store = project::store_here(global)?;
            let store = store.root().is_dir().then_some(&store);
            let mut case = Case::of_shape(shape);
            case.train.dtype = match args.dtype {
                BenchDtype::F32 => Dtype::F32,
                BenchDtype::Bf16 => Dtype::Bf16,
            };
            Session::new(args, printer)?.one(&case, store)
        }
        _ => each_alone(&targets, args, printer),
    }
}

fn unknown_shape(name: &str, shapes: &[Shape]) -> Failure {
    let names: Vec<String> = shapes
        .iter()
        .map(|shape| format!("`{}`", shape.name))
        .collect();
    Failure::usage(format!("no shape is called `{name}`")).hint(format!(
        "shapes are {}; or give a spec file (`.yaml`)",
        names.join(", ")
    ))
}

fn known_parts(parts: &[String]) -> Result<(), Failure> {
    let mut names = Part::ALL.map(Part::name).to_vec();
    names.push("other");
    match parts.iter().find(|part| !names.contains(&part.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(
            Failure::usage(format!("no part of a step is called `{unknown}`"))
                .hint(format!("parts are `{}`", names.join("`, `"))),
        ),
    }
}

/// Measurements within this process.
struct Session<'a> {
    args: &'a BenchArgs,
    printer: Printer,
    engine: Box<dyn Engine>,
    threads: usize,
}

impl<'a> Session<'a> {
    fn new(args: &'a BenchArgs, printer: Printer) -> Result<Self, Failure> {
        Ok(Self {
            args,
            printer,
            engine: engine::open(args.device)?,
            threads: threads(args),
        })
    }

    /// The first steps of a run, with its data.
    fn spec(&self, spec: &Path, global: &Global) -> Result<u8, Failure> {
        let specs = SpecArgs {
            specs: vec![spec.into()],
            profile: self.args.profile.clone(),
            overrides: self.args.overrides.clone(),
            filter: Vec::new(),
            paranoid: false,
        };
        let store = project::store(global, spec)?;
        let opened = workspace::open(&specs, &store, self.printer)?;
        let [opened] = &opened[..] else {
            let message = format!("`{}` is not one spec file", spec.display());
            return Err(Failure::usage(message));
        };
        check::supported(
            &opened.spec,
            &opened.spec.profile,
            &opened.spec.runs,
            self.engine.as_ref(),
        )?;
        let wanted = |name: &str| self.args.run.as_deref().is_none_or(|run| run == name);
        let runs = &opened.plan.runs;
        let Some(run) = runs.iter().find(|run| wanted(&run.name)) else {
            let names: Vec<String> = runs
                .iter()
                .take(8)
                .map(|run| format!("`{}`", run.name))
                .collect();
            return Err(Failure::usage("no run of the spec has this name")
                .hint(format!("runs are: {} …", names.join(", "))));
        };
        let data =
            crate::data::load(&run.settings, &run.model, &opened.context).map_err(Error::from)?;
        let case = Case {
            name: format!("{}/{}", opened.plan.spec, run.name),
            model: run.model.clone(),
            train: run.settings.train.clone(),
            seq_len: run.model.max_seq_len,
            data: data.training,
        };
        self.one(&case, Some(&store))
    }

    fn one(&self, case: &Case, store: Option<&Store>) -> Result<u8, Failure> {
        let extent = match self.args.steps {
            Some(steps) => Extent::Steps(steps),
            None => Extent::Time(self.args.seconds),
        };
        let engine = self.engine.as_ref();
        let mut found = measure(engine, case, extent, self.threads, &peak_rss_bytes)?;
        if let Some(store) = store {
            let key = Calibration::key(&found.numerics, found.threads);
            store.calibrate([(key, found.gflops * 1e9, 1.0)]);
            for warning in store.take_warnings() {
                self.printer.warning(&warning);
            }
        }
        if !self.args.part.is_empty() {
            found.parts.retain(|name, _| self.args.part.contains(name));
        }
        if self.printer.json() {
            self.printer.json_result(&found)?;
        } else {
            self.printer.result(&in_detail(&found));
        }
        Ok(exit::OK)
    }
}

fn threads(args: &BenchArgs) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    args.threads.map_or_else(cores, usize::from)
}

/// Measures each shape in a separate process, so that each has its own peak memory.
fn each_alone(targets: &[&str], args: &BenchArgs, printer: Printer) -> Result<u8, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::run(format!("cannot find the program itself: {error}")))?;
    let mut all = Vec::new();
    for target in targets {
        printer.note(&format!("{target} …"));
        let mut command = Command::new(&program);
        command
            .args([
                "bench",
                target,
                "--format",
                "json",
                "--device",
                &args.device.to_string(),
            ])
            .args(["--threads", &threads(args).to_string()]);
        match args.steps {
            Some(steps) => command.args(["--steps", &steps.to_string()]),
            None => command.args(["--seconds", &args.seconds.as_secs_f64().to_string()]),
        };
        if args.dtype == BenchDtype::Bf16 {
            command.args(["--dtype", "bf16"]);
        }
        args.isa.iter().for_each(|isa| {
            command.args(["--isa", isa]);
        });
        args.part.iter().for_each(|part| {
            command.args(["--part", part]);
        });
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Failure::run(format!("cannot measure `{target}`: {error}")))?;
        if !output.status.success() {
            return Err(Failure::run(format!("measuring `{target}` failed")));
        }
        all.push(serde_json::from_slice::<Measurement>(&output.stdout)?);
    }
    if printer.json() {
        printer.json_result(&all)?;
    } else {
        printer.result(&beside_each_other(&all));
    }
    Ok(exit::OK)
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn beside_each_other(all: &[Measurement]) -> String {
    let header = [
        "shape", "tokens/s", "best", "GFLOP/s", "of peak", "memory", "steps",
    ];
    let row = |found: &Measurement| {
        vec![
            found.shape.clone(),
            human::count(found.tokens_per_second.round() as u64),
            human::count(found.best_tokens_per_second.round() as u64),
            format!("{:.1}", found.gflops),
            share(found.mfu),
            human::bytes(found.peak_rss_bytes),
            human::count(found.steps as u64),
        ]
    };
    print::table(&header, &all.iter().map(row).collect::<Vec<_>>())
}

fn in_detail(found: &Measurement) -> String {
    let peak = found.peak_gflops.map_or_else(String::new, |peak| {
        format!(
            " of {peak:.1} in the best matrix product ({})",
            share(found.mfu)
        )
    });
    let mut text = format!(
        "{}: {} tokens/s (median of {} steps; best {})\n{:.1} GFLOP/s{peak}\nmemory {}; {} threads, {} {} {}",
        found.shape,
        human::count(found.tokens_per_second.round() as u64),
        found.steps,
        human::count(found.best_tokens_per_second.round() as u64),
        found.gflops,
        human::bytes(found.peak_rss_bytes),
        found.threads,
        found.numerics.engine,
        found.numerics.isa,
        found.numerics.dtype,
    );
    if found.parts.is_empty() {
        return text;
    }
    let all: f64 = found.parts.values().sum();
    let mut rows: Vec<(&String, f64)> = found.parts.iter().map(|(name, &s)| (name, s)).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, seconds)| {
            vec![
                name.clone(),
                format!("{:.3}", 1e3 * seconds),
                share(Some(seconds / all)),
            ]
        })
        .collect();
    text.push_str("\n\n");
    text.push_str(&print::table(&["part", "ms per step", "share"], &rows));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Numerics;

    fn found() -> Measurement {
        Measurement {
            format: 1,
            shape: "llama-s".to_owned(),
            numerics: Numerics {
                engine: "cpu-fused".to_owned(),
                recipe: 1,
                isa: "x86_64+avx2".to_owned(),
                dtype: "f32".to_owned(),
            },
            threads: 2,
            steps: 40,
            tokens_per_second: 45_000.4,
            best_tokens_per_second: 47_000.0,
            gflops: 180.0,
            peak_gflops: Some(240.0),
            mfu: Some(0.75),
            peak_rss_bytes: 70 << 20,
            parts: [("head".to_owned(), 0.03), ("other".to_owned(), 0.01)].into(),
        }
    }

    #[test]
    fn one_shape_is_told_in_detail() {
        insta::assert_snapshot!(in_detail(&found()), @"
        llama-s: 45,000 tokens/s (median of 40 steps; best 47,000)
        180.0 GFLOP/s of 240.0 in the best matrix product (75.0 %)
        memory 70.0 MiB; 2 threads, cpu-fused x86_64+avx2 f32

        part   ms per step   share
        head        30.000  75.0 %
        other       10.000  25.0 %
        ");
    }

    #[test]
    fn several_shapes_stand_beside_each_other() {
        let other = Measurement {
            shape: "llama-l".to_owned(),
            mfu: None,
            ..found()
        };
        insta::assert_snapshot!(beside_each_other(&[found(), other]), @"
        shape    tokens/s    best  GFLOP/s  of peak    memory  steps
        llama-s    45,000  47,000    180.0   75.0 %  70.0 MiB     40
        llama-l    45,000  47,000    180.0        –  70.0 MiB     40
        ");
    }

    #[test]
    fn parts_have_known_names() {
        known_parts(&["head".to_owned(), "other".to_owned()]).unwrap();
        assert!(known_parts(&["heads".to_owned()]).is_err());
    }
}
