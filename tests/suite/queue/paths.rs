//! Sweeps below a folder whose name is not UTF-8.

use super::beside::queue_says;
use super::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

/// A project with spec, store and reports below `caf\xe9`, the current folder of every command, and fake programs of
/// queues in `bin`.
struct Below {
    project: Project,
    folder: PathBuf,
}

impl Below {
    fn new() -> Self {
        let project = Project::new();
        let folder = project.path().join(OsStr::from_bytes(b"caf\xe9"));
        for name in ["specs", ".git"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        std::fs::write(folder.join("specs/tiny.yaml"), TINY).unwrap();
        // Runs every task at once, with its log where it belongs.
        let sbatch = r#"
            last=0
            for word; do case $word in
                --array=*) last=${word#--array=0-} ;;
                --output=*) log=${word#--output=} ;;
            esac; done
            cat > script
            for index in $(seq 0 $last); do
                SLURM_ARRAY_TASK_ID=$index sh script > "${log%/*}/$index.log" 2>&1 || exit 1
            done
            echo 7"#;
        queue_says(&project, "sbatch", sbatch);
        queue_says(&project, "scontrol", "exit 0");
        queue_says(&project, "squeue", "exit 0");
        // As `hq` does, it refuses a current folder that is not text.
        let hq = "[ \"$1\" = task ] && echo '[]' && exit; [ \"$(pwd)\" = / ] && echo 8";
        queue_says(&project, "hq", hq);
        Self { project, folder }
    }

    fn here(&self, mut command: Command) -> crate::project::Ran {
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.project.path().join("bin").display());
        command.current_dir(&self.folder).env("PATH", path);
        self.project.ran(command.output().unwrap())
    }

    fn run(&self, arguments: &[&str]) -> crate::project::Ran {
        self.here(self.project.command(arguments))
    }

    fn submit(&self, arguments: &[&str]) -> crate::project::Ran {
        let submit = ["submit", "specs/tiny.yaml", "--task-minutes", "0", "--to"];
        self.run(&[&submit, arguments].concat()).success()
    }

    /// Checks that all runs, their logs and the report are there, and that nothing is left to submit.
    fn is_done(&self) {
        let nothing = self.submit(&["script"]);
        assert!(
            nothing.stderr.contains("all 2 runs are cached"),
            "{}",
            nothing.stderr
        );
        self.run(&["report", "--check", "specs/tiny.yaml"])
            .success();
        self.run(&["store", "verify"]).success();
        let again = self.run(&["run", "specs/tiny.yaml"]).success();
        assert!(
            again.stderr.contains("0 trained, 2 cached"),
            "{}",
            again.stderr
        );
    }

    fn logs(&self) -> Vec<PathBuf> {
        let logs = files(&self.folder.join(".specbook/jobs-v1"));
        logs.into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "log"))
            .collect()
    }
}

#[test]
fn a_script_makes_a_sweep_below_a_folder_that_is_not_utf8() {
    let below = Below::new();
    let script = below.submit(&["script"]).stdout;
    let mut shell = Command::new("sh");
    // The test's own filter abridges the project's folder.
    let script = script.replace("[PROJECT]", below.project.path().to_str().unwrap());
    shell.args(["-e", "-c", &script]);
    below.here(shell).success();
    below.is_done();
}

#[test]
fn slurm_makes_a_sweep_below_a_folder_that_is_not_utf8() {
    let below = Below::new();
    below.submit(&["slurm", "--time", "5"]);
    let logs = below.logs();
    assert_eq!(logs.len(), 2, "{logs:?}");
    let text = logs.iter().map(|log| std::fs::read_to_string(log).unwrap());
    assert!(text.collect::<String>().contains("1 trained"));
    below.is_done();
}

#[test]
fn hyperqueue_makes_a_sweep_below_a_folder_that_is_not_utf8() {
    let below = Below::new();
    below.submit(&["hyperqueue"]);
    let file = files(&below.folder.join(".specbook/jobs-v1"));
    let file = file
        .iter()
        .find(|path| path.ends_with("hyperqueue.toml"))
        .unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    for (id, words) in text
        .lines()
        .filter_map(|line| line.strip_prefix("command = "))
        .enumerate()
    {
        // A list of strings is JSON as well.
        let words: Vec<String> = serde_json::from_str(words).unwrap();
        let mut task = Command::new(&words[0]);
        task.args(&words[1..]).env("HQ_TASK_ID", id.to_string());
        task.envs([("HQ_JOB_ID", "8"), ("HQ_INSTANCE_ID", "0")]);
        below.here(task).success();
    }
    let names = below
        .logs()
        .into_iter()
        .map(|log| log.file_name().unwrap().to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["8_0_0.log", "8_1_0.log", "8_2_0.log", "8_3_0.log"]);
    below.is_done();
}
