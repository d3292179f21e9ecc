//! A temporary project folder and the program in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Two runs of five steps: seconds in a debug build.
pub(crate) const TINY: &str = r#"
specbook: 1
name: tiny
title: Tiny
base:
  data:
    corpus: {stories: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 320, documents: 20}}
    train: 20
    validation: 4
  model: {dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 24, multiple_of: 16}
  train:
    batch_size: 4
    optimizer: {adamw: {learning_rate: 1e-2}}
    validate: {every: step}
  eval:
    perplexity: {documents: 4}
    samples: {prompts: ["Once"], max_new_tokens: 6}
vary:
  model.dim: [16, 32]
claims:
  - id: T-1
    says: A run of twenty documents in batches of four takes five steps.
    measure: run('dim=16').steps
    expect: {equals: 5}
cells:
  - text: "Width 32 ends at {{ run('dim=32').val_loss | round(2) }} nats."
  - plot: {curves: [train/loss, val/loss], panels: dim}
  - table: {rows: dim, columns: [val_loss, perplexity]}
  - samples: {runs: all}
  - claims: all
"#;

/// A folder with `specs/`, removed at the end of the test.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

/// The result of running the program.
pub(crate) struct Ran {
    /// Exit code; -1 if ended by a signal.
    pub(crate) code: i32,
    /// Standard output, with volatile parts replaced.
    pub(crate) stdout: String,
    /// Standard error, with volatile parts replaced.
    pub(crate) stderr: String,
}

impl Project {
    /// An empty project (a `.git` folder marks its root).
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("specs")).unwrap();
        std::fs::create_dir_all(folder.path().join(".git")).unwrap();
        Self { folder }
    }

    /// A project with one spec of the repository.
    pub(crate) fn with_shipped(name: &str) -> Self {
        let project = Self::new();
        let text = std::fs::read_to_string(repository().join("specs").join(name)).unwrap();
        project.write(&format!("specs/{name}"), &text);
        project
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program as a command in this folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_specbook"));
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
            .env_remove("SPECBOOK_STORE")
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100");
        command
    }

    /// Runs the program.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.ran(self.command(arguments).output().unwrap())
    }

    /// Filters the output of a finished program.
    pub(crate) fn ran(&self, output: Output) -> Ran {
        let text = |bytes: &[u8]| filtered(&String::from_utf8_lossy(bytes), self.path());
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Ran {
    /// Asserts that the program ended with `code`; returns `self`.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Asserts success.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.code(0)
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}", self.stdout))
    }
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Folder of the real test data, if available.
pub(crate) fn real_data() -> Option<PathBuf> {
    let folder = match std::env::var_os("SPECBOOK_TEST_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => repository().join("../shared/data"),
    };
    let folder = folder
        .canonicalize()
        .ok()
        .filter(|folder| folder.join("MANIFEST.md").exists());
    if folder.is_none() {
        println!("skipped: no real text at ../shared/data or SPECBOOK_TEST_DATA");
    }
    folder
}

/// Replaces what differs from run to run: the project's folder, durations, rates, the version.
fn filtered(text: &str, folder: &Path) -> String {
    let mut text = plain(text);
    // The canonical one first, which may end with the other.
    let known = [folder.canonicalize().ok(), Some(folder.to_path_buf())];
    for folder in known.into_iter().flatten() {
        text = text.replace(&plain(&folder.display().to_string()), "[PROJECT]");
    }
    let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let words: Vec<&str> = line.split(' ').collect();
        let mut shown: Vec<&str> = Vec::with_capacity(words.len());
        let mut skip = false;
        for (at, word) in words.iter().enumerate() {
            let number = !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_digit() || c == '.' || c == ',');
            let unit = words
                .get(at + 1)
                .map(|unit| unit.trim_end_matches([',', ')', '.', ';']));
            if skip {
                skip = false;
            } else if number && matches!(unit, Some("ms" | "s" | "min" | "h" | "tokens/s")) {
                shown.push("[TIME]");
                skip = true;
            } else {
                shown.push(word);
            }
        }
        out.push_str(&shown.join(" "));
    }
    out
}

/// Messages show paths and errors in the system's own form; here they are as on Unix.
fn plain(text: &str) -> String {
    if !cfg!(windows) {
        return text.to_owned();
    }
    let mut text = text.replace("\r\n", "\n");
    let missing = "No such file or directory (os error 2)";
    let forbidden = "Permission denied (os error 13)";
    for (number, ours) in [(2, missing), (3, missing), (5, forbidden)] {
        let theirs = std::io::Error::from_raw_os_error(number).to_string();
        text = text.replace(&theirs.replace("\r\n", "\n"), ours);
    }
    // JSON writes `\` twice, and has others that are no separators.
    let is_json = text.starts_with(['{', '[']);
    text.replace(if is_json { "\\\\" } else { "\\" }, "/")
}
