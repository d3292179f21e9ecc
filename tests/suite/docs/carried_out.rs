//! Runs every command in the documentation as printed, in a folder with the files named on its page.
//!
//! Specs are shrunk when written; other machines are simulated by test servers or scripts. Commands that cannot run
//! here are listed in [`ELSEWHERE`] with the reason.

use super::{pages, text, yaml};
use crate::project::{Project, TINY, real_data, repository};
use crate::server::Server;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prefixes of commands that are not run here, with the place where they are tested or the reason why they are
/// not.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "cargo run --release -- run specs/",
        "an optimised build; `published.rs` checks the report",
    ),
    ("scripts/test.sh", "it runs this test"),
    (
        "cargo install --locked --path",
        "an optimised build; docs/how-to/install.md tells what was tried",
    ),
    (
        "pip install .",
        "an optimised build; docs/how-to/install.md tells what was tried",
    ),
    (
        "docker build",
        "needs a daemon; docs/how-to/install.md tells what was tried",
    ),
    ("rustup target add", "changes the toolchain"),
    (
        "scripts/release.sh",
        "an optimised build; docs/how-to/install.md tells what was tried",
    ),
    (
        "scripts/build-cuda.sh",
        "downloads a compiler of several hundred MB",
    ),
    (
        "tar xzf specbook-cuda.tar.gz",
        "unpacks what `scripts/build-cuda.sh` builds",
    ),
    (
        "bin/specbook doctor --device cuda",
        "needs a GPU; `gpu.rs` has what is said without one",
    ),
    (
        "bin/specbook run specs/epoch-frenzy.yaml --device cuda",
        "needs a GPU; library tests train on an emulated one",
    ),
    (
        "scripts/ptx-test.sh",
        "needs NVIDIA's compiler; its program for the CPU is tested with the kernels",
    ),
    (
        "scripts/gpu-acceptance.sh",
        "needs a GPU; a library test rehearses it on the processor",
    ),
    ("cargo test", "these are tests"),
    ("cargo build --release", "an optimised build"),
    ("python benches/compare.py", "needs PyTorch"),
    (
        "specbook bench llama-l",
        "minutes unoptimised; `bench.rs` has smaller shapes",
    ),
];

/// Commands with a non-zero exit code, by prefix.
const CODES: &[(&str, i32)] = &[("specbook status --exit-code", 5)];

/// The commands in a page's console blocks, with continuation lines joined.
fn commands(page: &str) -> Vec<String> {
    let page = page.replace("\\\n", " ");
    let lines = page.lines().filter_map(|line| line.strip_prefix("$ "));
    lines.map(str::to_owned).collect()
}

fn elsewhere(command: &str) -> Option<usize> {
    ELSEWHERE
        .iter()
        .position(|(begins, _)| command.starts_with(begins))
}

/// A simulated reader of a page: an empty home, the program in `PATH`, and the machines mentioned on the page.
struct Reader {
    project: Project,
    /// Working folder after the last command.
    folder: PathBuf,
    server: Server,
}

impl Reader {
    fn new() -> Self {
        let project = Project::new();
        let server = Server::start();
        for folder in ["home", "path", "unpacked/bin"] {
            std::fs::create_dir_all(project.path().join(folder)).unwrap();
        }
        for place in ["path/specbook", "unpacked/bin/specbook"] {
            symlink(env!("CARGO_BIN_EXE_specbook"), project.path().join(place)).unwrap();
        }
        for (name, script) in [
            ("sbatch", "cat > sent; echo job >> jobs; wc -l < jobs"),
            ("squeue", ""),
            ("scancel", ""),
            ("scontrol", "echo 'MaxArraySize = 1001'"),
            // Any download is the text of the tutorial.
            ("curl", "cp \"$HOME/fetched\" \"$2\""),
        ] {
            let file = project.write(&format!("path/{name}"), format!("#!/bin/sh\n{script}\n"));
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
        }
        project.write("home/fetched", speeches());
        let folder = project.path().to_path_buf();
        Self {
            project,
            folder,
            server,
        }
    }

    /// Runs the commands of a page, with its required preparations.
    fn carries_out(mut self, page: &str) {
        let all = commands(&text(&repository().join(page)));
        let mut done = 0;
        for command in all.iter().filter(|command| elsewhere(command).is_none()) {
            self.carries_out_one(page, command);
            self.then(command);
            done += 1;
        }
        assert!(done > 0, "{page}: nothing to carry out");
    }

    fn carries_out_one(&mut self, page: &str, command: &str) {
        if command.starts_with("bin/") {
            self.folder = self.project.path().join("unpacked");
        }
        let mut typed = command.replace("http://127.0.0.1:5000", &self.server.url);
        if !self.folder.join("tok512.model").exists() {
            // One of our models, as a folder.
            typed = typed.replace("stories260K.bin --tokenizer tok512.model", "stories260K");
        }
        let left = self.project.path().join("left");
        let path = std::env::var("PATH").unwrap();
        let ran = Command::new("bash")
            .args(["--noprofile", "--norc", "-c"])
            .arg(format!("{typed}\ncode=$?\npwd > {left:?}\nexit $code"))
            .current_dir(&self.folder)
            .stdin(std::process::Stdio::null())
            .env_remove("SPECBOOK_STORE")
            .env_remove("SPECBOOK_DATA")
            .env_remove("HF_HOME")
            .env("HOME", self.project.path().join("home"))
            .env("XDG_CACHE_HOME", self.project.path().join("cache"))
            .env(
                "PATH",
                format!("{}:{path}", self.project.path().join("path").display()),
            )
            .env("AWS_ENDPOINT_URL", &self.server.url)
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let expected = CODES.iter().find(|(begins, _)| command.starts_with(begins));
        assert_eq!(
            ran.status.code(),
            Some(expected.map_or(0, |(_, code)| *code)),
            "{page}: `{command}`:\n{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        let left = std::fs::read_to_string(left).unwrap();
        self.folder = PathBuf::from(left.trim_end());
    }

    /// Steps after a command: saves or shrinks a spec, adds files of other users.
    fn then(&self, command: &str) {
        if command.starts_with("curl") {
            self.saves("shakespeare.yaml", smaller(&yaml("docs/tutorial.md")));
        }
        let Some((_, name)) = command.split_once("specbook init ") else {
            return;
        };
        let name = name.split_whitespace().next().unwrap();
        let spec = format!("specs/{name}.yaml");
        let written = std::fs::read_to_string(self.folder.join(&spec)).unwrap();
        let text = match name {
            "epoch-frenzy" => self.study(),
            _ => smaller(&written),
        };
        self.saves(&spec, &text);
    }

    fn saves(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replaces a study: two small runs, with the profiles named on the pages; the text of `study` is on a
    /// server.
    fn study(&self) -> String {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for number in 0..40 {
            let line = serde_json::json!({"text": format!("Cat {number} sat. {}", "Well. ".repeat(number % 7 + 3))});
            writeln!(packed, "{line}").unwrap();
        }
        self.server.put("/cats.jsonl.gz", packed.finish().unwrap());
        let profiles = format!(
            "profiles:\n  smoke: {{seeds: [1]}}\n  study: {{data.corpus: {{jsonl: {{path: \"{}/cats.jsonl.gz\"}}}}}}\n",
            self.server.url
        );
        TINY.replace("name: tiny", "name: epoch-frenzy") + &profiles
    }

    /// The specs in a folder made by `specbook init`, and one more.
    fn has_spec(&self, name: &str) {
        let init = format!("specbook init {name}");
        let done = self.project.run(&["init", name]);
        done.success();
        self.then(&init);
    }

    fn has_run(&self, arguments: &[&str]) {
        self.project.run(arguments).success();
    }
}

fn speeches() -> String {
    (0..80)
        .map(|n| format!("ROMEO:\nWhat light, what day {n}, what sun is that?\n\n"))
        .collect()
}

/// A spec of the documentation with less text and shorter sequences.
fn smaller(spec: &str) -> String {
    let mut spec = spec.to_owned();
    for (from, to) in [
        ("train: 4000", "train: 24"),
        ("train: 500", "train: 24"),
        ("validation: 200", "validation: 4"),
        ("validation: 50", "validation: 4"),
        (
            "vocab_size: 512, documents: 2000",
            "vocab_size: 300, documents: 24",
        ),
        (
            "vocab_size: 512, documents: 500",
            "vocab_size: 300, documents: 24",
        ),
        ("perplexity: {documents: 100}", "perplexity: {documents: 4}"),
        ("perplexity: {documents: 20}", "perplexity: {documents: 4}"),
        ("dim: 64", "dim: 32"),
        ("max_seq_len: 64", "max_seq_len: 16"),
        ("max_new_tokens: 40", "max_new_tokens: 4"),
    ] {
        spec = spec.replace(from, to);
    }
    spec
}

/// The spec and the text of the tutorial, on which other pages build.
fn after_the_tutorial() -> Reader {
    let reader = Reader::new();
    reader.saves("shakespeare.txt", speeches());
    reader.saves("shakespeare.yaml", smaller(&yaml("docs/tutorial.md")));
    reader.has_run(&["run", "shakespeare.yaml"]);
    reader
}

/// Pages with commands, each with its test.
macro_rules! pages_carried_out {
    ($($test:ident: $page:literal, $scene:expr;)+) => {
        const PAGES: &[&str] = &[$($page),+];

        $(#[test]
        fn $test() {
            let scene: fn() -> Reader = $scene;
            scene().carries_out($page);
        })+
    };
}

pages_carried_out! {
    readme: "README.md", || {
        let reader = Reader::new();
        reader.has_spec("epoch-frenzy");
        reader.saves("data/TinyStoriesV2-GPT4-train.txt", speeches().replace("\n\n", "\n<|endoftext|>\n"));
        reader.has_spec("minimal");
        reader.has_run(&["run", "specs/minimal.yaml"]);
        reader.has_run(&["export", "minimal/base", "exported", "--to", "hf"]);
        std::fs::copy(reader.folder.join("exported/tokenizer.json"), reader.folder.join("data/tokenizer.json")).unwrap();
        reader
    };
    tutorial: "docs/tutorial.md", Reader::new;
    continuous_integration: "docs/ci.md", || {
        let reader = Reader::new();
        reader.has_spec("epoch-frenzy");
        reader.has_run(&["run", "specs/epoch-frenzy.yaml"]);
        reader
    };
    gpu: "docs/cuda.md", Reader::new;
    cluster: "docs/how-to/cluster.md", Reader::new;
    compare: "docs/how-to/compare.md", after_the_tutorial;
    data: "docs/how-to/data.md", || {
        let reader = Reader::new();
        reader.saves("data/stories.txt", speeches().replace("\n\n", "\n<|endoftext|>\n"));
        reader
    };
    export: "docs/how-to/export.md", || {
        let reader = Reader::new();
        for (path, answer) in [
            ("experiments/search", r#"{"experiments": [{"experiment_id": "1"}]}"#),
            ("runs/search", "{}"),
            ("runs/create", r#"{"run": {"info": {"run_id": "r", "start_time": 0}}}"#),
            ("runs/log-batch", "{}"),
            ("runs/set-tag", "{}"),
            ("runs/update", "{}"),
        ] {
            reader.server.put(&format!("/api/2.0/mlflow/{path}"), answer);
        }
        reader
    };
    install: "docs/how-to/install.md", Reader::new;
    models: "docs/how-to/models.md", || {
        let reader = Reader::new();
        match real_data() {
            Some(data) => {
                for name in ["stories260K.bin", "tok512.model"] {
                    let from = data.join("stories260K").join(name);
                    std::fs::copy(from, reader.folder.join(name)).unwrap();
                }
            }
            None => {
                reader.has_spec("minimal");
                reader.has_run(&["run", "specs/minimal.yaml"]);
                reader.has_run(&["export", "minimal/base", "stories260K", "--to", "hf"]);
                std::fs::remove_dir_all(reader.folder.join("specs")).unwrap();
            }
        }
        reader.saves("stories.txt", "Lily had a cat.\n");
        reader.saves("prompts.txt", "Lily\nTom\n");
        reader
    };
    reports: "docs/how-to/reports.md", Reader::new;
    resume: "docs/how-to/resume.md", after_the_tutorial;
    share: "docs/how-to/share.md", after_the_tutorial;
    sweep: "docs/how-to/sweep.md", Reader::new;
}

#[test]
fn no_command_is_left_out() {
    let (mut pages_with_commands, mut used) = (BTreeSet::new(), BTreeSet::new());
    for page in pages() {
        let name = page.strip_prefix(repository()).unwrap_or(&page);
        let name = Path::new(name).to_str().unwrap().to_owned();
        for command in commands(&text(&page)) {
            match elsewhere(&command) {
                Some(place) => {
                    used.insert(place);
                }
                None => {
                    pages_with_commands.insert(name.clone());
                }
            }
        }
    }
    let carried_out: BTreeSet<String> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    assert_eq!(pages_with_commands, carried_out);
    assert_eq!(
        used.len(),
        ELSEWHERE.len(),
        "{ELSEWHERE:#?} has one too many"
    );
}
