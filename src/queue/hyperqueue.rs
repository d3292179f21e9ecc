//! HyperQueue: writes a file for `hq job submit-file`.

use super::slurm::call;
use super::{Calls, Jobs, Needs, Task};
use serde_json::Value;
use std::path::Path;

/// The job file: task 0 prepares data, the chunks wait for it, and the report waits for them. HyperQueue cancels the
/// dependents of a failed task, so there is no report if a chunk failed.
pub fn job_file(calls: &Calls, chunks: usize, needs: Needs, name: &str, logs: &Path) -> String {
    let mut text = format!("name = {}\n", quoted(name));
    // A restarted task gets separate files.
    let file = |end: &str| {
        let name = format!("%{{JOB_ID}}_%{{TASK_ID}}_%{{INSTANCE_ID}}.{end}");
        quoted(&super::text(&logs.join(name)))
    };
    let (output, log) = (file("out"), file("log"));
    let task = |id: usize, command: &[String], waits: &[usize], cores: usize| {
        let command: Vec<String> = command.iter().map(|word| quoted(word)).collect();
        let mut task = format!(
            "\n[[task]]\nid = {id}\nstdout = {output}\nstderr = {log}\ncommand = [{}]\n",
            command.join(", ")
        );
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

/// A TOML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The unfinished tasks of submitted jobs.
///
/// # Errors
/// As [`call`]; output in an unknown format.
pub fn tasks(jobs: &Jobs) -> Result<Vec<Task>, String> {
    let mut found = Vec::new();
    for job in &jobs.jobs {
        let words = ["task", "list", &job.id, "--output-mode=json"].map(str::to_owned);
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
