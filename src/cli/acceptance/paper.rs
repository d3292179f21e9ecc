//! Epoch frenzy at its published size, on a text supplied by the user.

use super::{Outcome, Part};
use crate::cli::args::{AcceptanceArgs, Global};
use crate::cli::failure::Failure;
use crate::cli::{exit, init};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Instant;

/// Runs the program itself, as a user would.
pub(super) fn run(args: &AcceptanceArgs, global: &Global) -> Result<Part, Failure> {
    let Some(text) = &args.text else {
        return Ok(Part::skipped(
            "paper",
            "no text was supplied (`--text FILE`)",
        ));
    };
    let folder = tempfile::tempdir().map_err(|error| Failure::input(error.to_string()))?;
    let spec = folder.path().join("specs").join("epoch-frenzy.yaml");
    init::write("epoch-frenzy", &spec)?;
    let absolute = |path: &std::path::Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        path.display().to_string()
    };
    let tokenizer = match &args.tokenizer {
        Some(file) => format!("data.tokenizer={{file: {:?}}}", absolute(file)),
        None => "data.tokenizer={train_bpe: {vocab_size: 8192}}".to_owned(),
    };
    let settings = [
        format!("data.corpus={{text: {{path: {:?}}}}}", absolute(text)),
        "data.validation=50".to_owned(),
        tokenizer,
    ];
    let program = std::env::current_exe().map_err(|error| Failure::input(error.to_string()))?;
    let store = global.store.clone();
    let store = store.unwrap_or_else(|| folder.path().join(".specbook"));
    let mut command = Command::new(program);
    command.arg("run").arg(&spec);
    command.args([
        "--profile",
        &args.profile,
        "--device",
        &args.device.to_string(),
    ]);
    for setting in settings.iter().chain(&args.overrides) {
        command.args(["--set", setting]);
    }
    command.arg("--store").arg(&store);
    command.arg("--out").arg(folder.path().join("reports"));
    command.args(["--format", "json", "--quiet"]);
    let began = Instant::now();
    let output = command
        .output()
        .map_err(|error| Failure::run(format!("the program does not start: {error}")))?;
    let seconds = began.elapsed().as_secs_f64();
    let code = output.status.code();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let details = json!({
        "profile": args.profile, "seconds": seconds, "exit_code": code, "report": answer, "settings": args.overrides,
    });
    let passed = code == Some(i32::from(exit::OK));
    let summary = match passed {
        true => format!("epoch-frenzy, profile {}, in {seconds:.0} s", args.profile),
        false => {
            let errors = String::from_utf8_lossy(&output.stderr);
            let first = errors.lines().find(|line| line.contains("error"));
            first.unwrap_or("it failed without a word").to_owned()
        }
    };
    Ok(Part {
        name: "paper",
        outcome: if passed {
            Outcome::Passed
        } else {
            Outcome::Failed
        },
        summary,
        table: String::new(),
        details,
        seconds: 0.0,
    })
}
