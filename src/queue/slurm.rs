//! Slurm: arguments for `sbatch`, and output of `squeue`.
//!
//! Only `sbatch`, `squeue`, `scancel` and `scontrol` are called: accounting (`sacct`) is disabled on many clusters.

use super::{Calls, JobKind, Needs};
use crate::fsx::AnyPath;
use crate::shell;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `MaxArraySize` if the queue does not report it: Slurm's default.
const ARRAY_SIZE: usize = 1001;

/// One call of `sbatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Kind of job.
    pub kind: JobKind,
    /// Arguments.
    pub arguments: Vec<OsString>,
    /// The script, for its standard input.
    pub script: String,
}

/// Options for submitting a sweep to Slurm.
#[derive(Clone, Debug)]
pub struct Slurm {
    /// Partition; `None`: the default one.
    pub partition: Option<String>,
    /// Maximum number of concurrent tasks.
    pub max_running: Option<usize>,
    /// Seconds before its time limit at which a task is signalled.
    pub warning: u64,
    /// Maximum array size of the queue.
    pub array_size: usize,
    /// Extra arguments for every `sbatch`.
    pub extra: Vec<OsString>,
}

/// A task in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Job id of the whole array.
    pub job: String,
    /// Index in the array; `None` for a single job.
    pub index: Option<usize>,
    /// `PENDING`, `RUNNING`, ….
    pub state: String,
}

impl Slurm {
    /// Its name in files.
    pub const NAME: &str = "slurm";

    /// The jobs of a sweep, without dependencies.
    pub fn submissions(
        &self,
        calls: &Calls,
        chunks: usize,
        needs: Needs,
        name: &str,
        logs: &Path,
    ) -> Vec<Submission> {
        let log = |file: &str| {
            let mut option = OsString::from("--output=");
            option.push(as_it_is(logs).join(file));
            option
        };
        let common = |log: OsString, cores: usize| {
            let mut all: Vec<OsString> = [
                "--parsable".to_owned(),
                format!("--job-name={name}"),
                "--nodes=1".to_owned(),
                "--ntasks=1".to_owned(),
                format!("--cpus-per-task={cores}"),
                "--requeue".to_owned(),
                "--open-mode=append".to_owned(),
            ]
            .map(OsString::from)
            .to_vec();
            all.push(log);
            let partition = self.partition.iter();
            let limits = [
                needs.minutes.map(|minutes| format!("--time={minutes}")),
                needs.mib.map(|mib| format!("--mem={mib}M")),
            ];
            let partition = partition.map(|name| format!("--partition={name}"));
            all.extend(
                partition
                    .chain(limits.into_iter().flatten())
                    .map(OsString::from),
            );
            all
        };
        let submission =
            |kind, arguments: Vec<OsString>, words: &[OsString], index: &str| Submission {
                kind,
                arguments: [arguments, self.extra.clone()].concat(),
                // The worker replaces the shell, so that signals reach it.
                script: format!("#!/bin/sh\nexec {}{index}\n", shell::line(words)),
            };
        let signal = OsString::from(format!("--signal=B:USR1@{}", self.warning));
        let mut all = vec![submission(
            JobKind::Prepare,
            [
                common(log("prepare_%j.log"), needs.cores),
                vec![signal.clone()],
            ]
            .concat(),
            &calls.prepare(),
            "",
        )];
        let mut offset = 0;
        while offset < chunks {
            let count = (chunks - offset).min(self.array_size.max(1));
            let throttle = self
                .max_running
                .map_or_else(String::new, |most| format!("%{most}"));
            let array = format!("--array=0-{}{throttle}", count - 1);
            let mut words = calls.chunk(0);
            words.pop();
            all.push(submission(
                JobKind::Chunks { offset, count },
                [
                    common(log("%A_%a.log"), needs.cores),
                    vec![array.into(), signal.clone()],
                ]
                .concat(),
                &words,
                &format!(" $(( SLURM_ARRAY_TASK_ID + {offset} ))"),
            ));
            offset += count;
        }
        if let Some(words) = calls.report() {
            let arguments = common(log("report_%j.log"), 1);
            all.push(submission(JobKind::Report, arguments, &words, ""));
        }
        all
    }
}

/// A folder in the name of a log, where Slurm replaces `%` and what follows it. A backslash escapes; the whole name
/// then has nothing that is replaced, so that all tasks share one log.
fn as_it_is(folder: &Path) -> PathBuf {
    let bytes = folder.as_os_str().as_encoded_bytes();
    let special = if bytes.contains(&b'\\') { b'\\' } else { b'%' };
    let twice = |byte: &u8| std::iter::repeat_n(*byte, 1 + usize::from(*byte == special));
    AnyPath::of_bytes(bytes.iter().flat_map(twice).collect()).0
}

impl Submission {
    /// The arguments; those of the caller come last and take precedence.
    fn words(&self, before: &[(JobKind, String)]) -> Vec<OsString> {
        let waits = self.waits_for(before).into_iter().map(OsString::from);
        waits.chain(self.arguments.iter().cloned()).collect()
    }

    /// Its dependencies among the previously submitted jobs.
    fn waits_for(&self, before: &[(JobKind, String)]) -> Vec<String> {
        let ids = |wanted: fn(&JobKind) -> bool| {
            let found = before.iter().filter(|(kind, _)| wanted(kind));
            found
                .map(|(_, id)| id.as_str())
                .collect::<Vec<_>>()
                .join(":")
        };
        match self.kind {
            JobKind::Prepare => Vec::new(),
            JobKind::Chunks { .. } => vec![
                format!(
                    "--dependency=afterok:{}",
                    ids(|kind| *kind == JobKind::Prepare)
                ),
                // Cancels jobs whose data could not be prepared.
                "--kill-on-invalid-dep=yes".to_owned(),
            ],
            JobKind::Report => vec![format!(
                "--dependency=afterany:{}",
                ids(|kind| matches!(kind, JobKind::Chunks { .. }))
            )],
        }
    }

    /// As a shell command.
    pub fn as_text(&self, before: &[(JobKind, String)]) -> String {
        let words = [vec!["sbatch".into()], self.words(before)].concat();
        format!("{} <<'END'\n{}END", shell::line(&words), self.script)
    }

    /// Submits it; returns the job id.
    ///
    /// # Errors
    /// The error message of `sbatch`.
    pub fn submit(&self, before: &[(JobKind, String)]) -> Result<String, String> {
        let words = self.words(before);
        let said = call("sbatch", &words, Some(&self.script))?;
        // `--parsable` prints `number` or `number;cluster`.
        let id = said.trim().split(';').next().unwrap_or_default().to_owned();
        match !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(id),
            false => Err(format!("sbatch gave no number: {}", said.trim())),
        }
    }
}

/// Calls a program of a queue and returns its output.
///
/// # Errors
/// It cannot be started, or it failed: its own message.
pub fn call(
    program: &str,
    words: &[impl AsRef<OsStr>],
    input: Option<&str>,
) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(words);
    answer(command, input)
}

/// The same for a prepared command.
pub(super) fn answer(mut command: Command, input: Option<&str>) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped());
    // Its message is wanted, not its stack.
    command.env_remove("RUST_BACKTRACE");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let spawned = command.spawn().and_then(|mut child| {
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            use std::io::Write as _;
            // A program that does not read its input reports why.
            let _ = pipe.write_all(input.as_bytes());
        }
        child.wait_with_output()
    });
    let output = spawned.map_err(|error| format!("cannot start `{program}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(format!("{program}: {said} ({})", output.status))
}

/// Maximum array size of the queue.
pub fn array_size() -> usize {
    let said = call("scontrol", &["show", "config"], None);
    let said = said.unwrap_or_default();
    let line = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("MaxArraySize"));
    let value = line.and_then(|line| line.trim_start_matches([' ', '=']).trim().parse().ok());
    value.unwrap_or(ARRAY_SIZE)
}

/// The user's jobs in the queue.
///
/// # Errors
/// As [`call`].
pub fn tasks() -> Result<Vec<Task>, String> {
    let words = ["--me", "--noheader", "--array", "--format=%F|%K|%T"];
    Ok(parse_tasks(&call("squeue", &words, None)?))
}

/// Parses `job|index|state` lines.
pub(super) fn parse_tasks(text: &str) -> Vec<Task> {
    let task = |line: &str| {
        let mut parts = line.trim().split('|');
        let (job, index, state) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Task {
            job: job.to_owned(),
            index: index.parse().ok(),
            state: state.to_owned(),
        })
    };
    text.lines().filter_map(task).collect()
}

/// Requeues the task of this process. Returns `false` if the queue is already ending it: it was cancelled, preempted
/// (the queue then requeues it), or reached its time limit.
///
/// # Errors
/// As [`call`].
pub fn requeue(task: &str) -> Result<bool, String> {
    let words = ["--noheader", "--format=%T", "--jobs", task];
    let state = call("squeue", &words, None)?;
    if state.trim() != "RUNNING" {
        return Ok(false);
    }
    call("scontrol", &["requeue", task], None)?;
    Ok(true)
}
