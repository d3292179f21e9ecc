//! HyperQueue: writes a file for `hq job submit-file`.

use super::slurm::{answer, call};
use super::{Calls, Jobs, Needs, Task};
use crate::shell;
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// The job file: task 0 prepares data, the chunks wait for it, and the report waits for them. HyperQueue cancels the
/// dependents of a failed task, so there is no report if a chunk failed.
pub fn job_file(calls: &Calls, chunks: usize, needs: Needs, name: &str, logs: &Path) -> String {
    let mut text = format!("name = {}\n", quoted(name));
    let task = |id: usize, command: &[OsString], waits: &[usize], cores: usize| {
        let program = as_text(command, logs).unwrap_or_else(|| by_shell(command, logs));
        let mut task = format!("\n[[task]]\nid = {id}\n{program}");
        if !waits.is_empty() {
            task = format!("{task}deps = {waits:?}\n");
        }
        task = format!("{task}[[task.request]]\nresources = {{ \"cpus\" = {cores} }}\n");
        if let Some(minutes) = needs.minutes {
            task = format!("{task}time_request = \"{minutes}m\"\n");
        }
        task
    };
    text += &task(0, &calls.prepare(), &[], needs.cores);
    for index in 0..chunks {
        text += &task(index + 1, &calls.chunk(index), &[0], needs.cores);
    }
    if let Some(report) = calls.report() {
        let all: Vec<usize> = (1..=chunks).collect();
        text += &task(chunks + 1, &report, &all, 1);
    }
    text
}

/// What a task calls and where its output goes; `None` if a path is not UTF-8.
fn as_text(command: &[OsString], logs: &Path) -> Option<String> {
    let logs = logs.to_str()?;
    let words = command.iter().map(|word| Some(quoted(word.to_str()?)));
    let words = words.collect::<Option<Vec<String>>>()?.join(", ");
    // A restarted task gets separate files.
    let file = |end: &str| {
        quoted(&format!(
            "{logs}/%{{JOB_ID}}_%{{TASK_ID}}_%{{INSTANCE_ID}}.{end}"
        ))
    };
    let (output, log) = (file("out"), file("log"));
    Some(format!(
        "stdout = {output}\nstderr = {log}\ncommand = [{words}]\n"
    ))
}

/// The same for paths that are not UTF-8: HyperQueue takes only text, so a shell opens the files.
fn by_shell(command: &[OsString], logs: &Path) -> String {
    let name = shell::quoted(logs.as_os_str());
    let file = format!("{name}/${{HQ_JOB_ID}}_${{HQ_TASK_ID}}_${{HQ_INSTANCE_ID}}");
    let script = format!("exec {} > {file}.out 2> {file}.log", shell::line(command));
    let nothing = "stdout = \"none\"\nstderr = \"none\"";
    format!(
        "{nothing}\ncommand = [\"sh\", \"-c\", {}]\n",
        quoted(&script)
    )
}

/// A TOML string. TOML, unlike JSON, has no delete character.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Submits the job file at an absolute path, with the caller's arguments; returns the job's id.
///
/// # Errors
/// As [`call`].
pub fn submit_file(file: &Path, extra: &[OsString]) -> Result<String, String> {
    let mut command = Command::new("hq");
    command.args(["job", "submit-file", "--output-mode=quiet"]);
    command.args(extra).arg(file);
    // HyperQueue sends the current folder as text; the tasks name their files from the root.
    let here = std::env::current_dir();
    if here.is_ok_and(|here| here.to_str().is_none()) {
        command.current_dir("/");
    }
    Ok(answer(command, None)?.trim().to_owned())
}

/// The unfinished tasks of submitted jobs.
///
/// # Errors
/// As [`call`]; output in an unknown format.
pub fn tasks(jobs: &Jobs) -> Result<Vec<Task>, String> {
    let mut found = Vec::new();
    for job in &jobs.jobs {
        let words = ["task", "list", &job.id, "--output-mode=json"];
        let said = call("hq", &words, None)?;
        found.extend(parse_tasks(&job.id, &said)?);
    }
    Ok(found)
}

/// Parses a list of tasks; task `n` has chunk `n - 1`, except that task 0 and the last one have no chunk.
pub(super) fn parse_tasks(job: &str, text: &str) -> Result<Vec<Task>, String> {
    let said: Value = serde_json::from_str(text).map_err(|error| format!("hq: {error}"))?;
    let list = said.get(job).unwrap_or(&said).as_array();
    let list = list.ok_or_else(|| "hq gave no list of tasks".to_owned())?;
    let task = |task: &Value| {
        let state = task["state"].as_str()?.to_lowercase();
        let is_living = matches!(state.as_str(), "waiting" | "running");
        is_living.then(|| Task {
            job: job.to_owned(),
            index: task["id"]
                .as_u64()
                .and_then(|id| id.checked_sub(1))
                .map(|id| id as usize),
            state,
        })
    };
    Ok(list.iter().filter_map(task).collect())
}
