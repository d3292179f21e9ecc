//! Paths that are not UTF-8, or hold what shells and queues interpret, through real shells.

use super::*;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// A folder with an awkward name, and the calls of a program in it that writes its arguments to `said`.
struct Folder {
    _dir: tempfile::TempDir,
    path: PathBuf,
    calls: Calls,
}

impl Folder {
    fn new(name: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(OsStr::from_bytes(name));
        std::fs::create_dir_all(path.join("logs")).unwrap();
        let program = path.join("program");
        let script =
            "#!/bin/sh\nprintf '%s\\0' \"$@\" >> \"${0%/*}/said\"\necho out; echo log >&2\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let calls = Calls {
            program,
            sweep: path.join("sweep.json"),
            report: Some(vec!["report".into(), path.join("spec.yaml").into()]),
        };
        Self {
            _dir: dir,
            path,
            calls,
        }
    }

    /// Runs a script, which must be valid, and returns the arguments that the program got.
    fn said(&self, script: &str) -> Vec<OsString> {
        let call = |arguments: &[&str]| {
            let mut command = Command::new("sh");
            let variables = [
                "SLURM_ARRAY_TASK_ID",
                "HQ_JOB_ID",
                "HQ_TASK_ID",
                "HQ_INSTANCE_ID",
            ];
            let command = command.envs(variables.map(|name| (name, "3")));
            let ran = command.args(arguments).output().unwrap();
            assert!(ran.status.success(), "{script}: {ran:?}");
        };
        call(&["-n", "-c", script]);
        call(&["-c", script]);
        let file = self.path.join("said");
        let said = std::fs::read(&file).unwrap();
        std::fs::remove_file(file).unwrap();
        let words = said.split_inclusive(|byte| *byte == 0);
        words
            .map(|word| OsStr::from_bytes(&word[..word.len() - 1]).to_owned())
            .collect()
    }
}

/// A Latin-1 letter, quotes and substitutions, an escape sequence.
const NAMES: [&[u8]; 3] = [
    b"caf\xe9",
    b"it's $(a) `b` \\351 \"\xff\"",
    b"\x1b[31m \xe9",
];

#[test]
fn scripts_call_what_any_path_names() {
    for name in NAMES {
        let folder = Folder::new(name);
        let calls = &folder.calls;
        let arguments = |words: Vec<OsString>| words[1..].to_vec();
        let prepare = arguments(calls.prepare());
        let chunk = arguments(calls.chunk(3));
        let report = arguments(calls.report().unwrap());
        let all = [&prepare[..], &arguments(calls.chunk(0)), &report].concat();
        assert_eq!(folder.said(&commands(calls, 1)), all);
        let submissions = slurm(1001).submissions(calls, 9, NEEDS, "grid", &folder.path);
        let scripts: Vec<_> = submissions
            .iter()
            .map(|one| folder.said(&one.script))
            .collect();
        assert_eq!(scripts, [prepare, chunk, report]);
    }
}

/// Slurm replaces `%j` in names of logs, and takes backslashes for escapes.
#[test]
fn logs_lie_where_their_folder_is() {
    let logs = |folder: &[u8]| {
        let folder = Path::new(OsStr::from_bytes(folder));
        let all = slurm(1001).submissions(&calls(false), 1, NEEDS, "grid", folder);
        let options = all.into_iter().flat_map(|one| one.arguments);
        let logs = options.filter(|option| option.as_bytes().starts_with(b"--output="));
        logs.collect::<Vec<_>>()
    };
    let expected: [(&[u8], &[u8]); 3] = [
        (b"/caf\xe9", b"--output=/caf\xe9"),
        (b"/10%j", b"--output=/10%%j"),
        (b"/a\\b%c", b"--output=/a\\\\b%c"),
    ];
    for (folder, option) in expected {
        let names = ["/prepare_%j.log", "/%A_%a.log"].map(str::as_bytes);
        let expected = names.map(|name| OsStr::from_bytes(&[option, name].concat()).to_owned());
        assert_eq!(logs(folder), expected);
    }
}

#[test]
fn hyperqueue_starts_a_shell_where_a_path_is_no_text() {
    for name in NAMES {
        let folder = Folder::new(name);
        let calls = &folder.calls;
        let text = job_file(calls, 1, NEEDS, "grid", &folder.path.join("logs"));
        // The list of words is JSON as well.
        let commands = text
            .lines()
            .filter_map(|line| line.strip_prefix("command = "));
        let commands: Vec<Vec<String>> = commands
            .map(|words| serde_json::from_str(words).unwrap())
            .collect();
        let wanted = [calls.prepare(), calls.chunk(0), calls.report().unwrap()];
        assert_eq!(commands.len(), wanted.len());
        for (words, wanted) in commands.iter().zip(&wanted) {
            assert_eq!(words[..2], ["sh", "-c"]);
            assert_eq!(folder.said(&words[2]), wanted[1..]);
            for (end, line) in [("out", "out\n"), ("log", "log\n")] {
                let log = folder.path.join(format!("logs/3_3_3.{end}"));
                assert_eq!(std::fs::read_to_string(log).unwrap(), line);
            }
        }
        assert_eq!(
            text.matches("stdout = \"none\"\nstderr = \"none\"\n")
                .count(),
            3
        );
    }
}

#[test]
fn what_hyperqueue_is_told_of_a_path_that_is_no_text() {
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let calls = Calls {
        program: "/opt/specbook".into(),
        sweep: path(b"/caf\xe9/sweep.json"),
        report: None,
    };
    let text = job_file(&calls, 0, NEEDS, "grid", &path(b"/caf\xe9/logs"));
    insta::assert_snapshot!(text, @r#"
    name = "grid"

    [[task]]
    id = 0
    stdout = "none"
    stderr = "none"
    command = ["sh", "-c", "exec /opt/specbook worker '/caf'\"$(printf '\\351')\"'/sweep.json' --prepare > '/caf'\"$(printf '\\351')\"'/logs'/${HQ_JOB_ID}_${HQ_TASK_ID}_${HQ_INSTANCE_ID}.out 2> '/caf'\"$(printf '\\351')\"'/logs'/${HQ_JOB_ID}_${HQ_TASK_ID}_${HQ_INSTANCE_ID}.log"]
    [[task.request]]
    resources = { "cpus" = 2 }
    time_request = "65m"
    "#);
}
