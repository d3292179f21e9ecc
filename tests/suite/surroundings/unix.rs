//! What only Unix has: owners, links, names that are not UTF-8, limits of threads, namespaces, pipes and devices.

use super::nested;
use crate::project::{Project, Ran, TINY};
use nix::unistd::geteuid;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// An unused user id.
const STRANGER: u32 = 54_321;

#[test]
fn what_belongs_to_somebody_else_is_used_only_where_it_is_named() {
    if !geteuid().is_root() {
        println!("skipped: only root can give a folder away");
        return;
    }
    let give = |path: &Path| chown(path, Some(STRANGER), None).unwrap();
    let project = nested(false);
    give(&project.path().join(".specbook"));
    let plan = ["plan", "own/specs/tiny.yaml"];
    let ran = project.run(&plan).code(2);
    insta::assert_snapshot!(ran.stderr, @"
    error: `./.specbook` belongs to another user (54321), so it must be named explicitly

    hint: name it with `--store ./.specbook`, or another folder
    ");
    project
        .run(&[&plan[..], &["--store", ".specbook"]].concat())
        .success();
    let with = |name: &str, value: &str| {
        let mut command = project.command(&plan);
        project.ran(command.env(name, value).output().unwrap())
    };
    with("SPECBOOK_STORE", ".specbook").success();
    with("SUDO_UID", "54321").success();
    with("SUDO_UID", "54322").code(2);
    // A link to their folder is refused as well.
    let project = nested(true);
    let theirs = project.path().join(".specbook");
    give(&theirs);
    symlink(&theirs, project.path().join("own/.specbook")).unwrap();
    project.run(&plan).code(2);
    // Reports: refused before anything is trained.
    let project = nested(true);
    let reports = project.path().join("own/reports");
    std::fs::create_dir(&reports).unwrap();
    give(&reports);
    let ran = project.run(&["run", "own/specs/tiny.yaml"]).code(2);
    assert!(
        ran.stderr.contains("name it with `--out own/reports`"),
        "{}",
        ran.stderr
    );
    assert!(!project.path().join("own/.specbook/runs-v1").exists());
    // `--check` does not require ownership.
    let ran = project.run(&["report", "--check", "own/specs/tiny.yaml"]);
    assert!(!ran.stderr.contains("belongs to"), "{}", ran.stderr);
}

#[test]
fn a_store_that_is_a_link_to_nowhere_or_no_folder_is_told() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    symlink("/nowhere/disk", project.path().join(".specbook")).unwrap();
    let commands: [&[&str]; 4] = [
        &["ls"],
        &["status", "specs/tiny.yaml"],
        &["run", "specs/tiny.yaml"],
        &["store", "verify"],
    ];
    for command in commands {
        let ran = project.run(command).code(4);
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran.stderr, @"
            error: the store `./.specbook` is a link to `/nowhere/disk`, which cannot be read: No such file or directory (os error 2)

            hint: is its disk mounted? Otherwise remove the link, or name another folder with `--store`
            ");
        }
    }
    let dead = project.path().join("specs/dead.yaml");
    symlink("/nowhere/spec", &dead).unwrap();
    let ran = project.run(&["check", "specs/dead.yaml"]).code(4);
    assert!(
        ran.stderr.contains("hint: it is a link to `/nowhere/spec`"),
        "{}",
        ran.stderr
    );
    let file = project.write("file", "x");
    let ran = project
        .run(&["ls", "--store", file.to_str().unwrap()])
        .code(4);
    assert!(ran.stderr.contains("is not a folder"), "{}", ran.stderr);
}

#[test]
fn names_need_not_be_utf8() {
    let project = Project::new();
    let folder = project.path().join(OsStr::from_bytes(b"T\xe9l [1]"));
    std::fs::create_dir_all(folder.join(".git")).unwrap();
    std::fs::create_dir_all(folder.join("text")).unwrap();
    for number in 0..9 {
        let text = format!("Story {number} tells of a dog that ran to the park and back again.");
        // Two names that differ only in non-UTF-8 bytes.
        let name = [b"text/part-", &[0xe0 + number][..], b".txt"].concat();
        std::fs::write(folder.join(OsStr::from_bytes(&name)), text).unwrap();
    }
    let corpus = "{text: {path: \"text/part-*.txt\"}}";
    let text = TINY
        .replace("{stories: {version: 1}}", corpus)
        .replace("vocab_size: 320, documents: 20", "vocab_size: 280")
        .replace("train: 20", "train: 5")
        .replace("is 5", "is 2")
        .replace("equals: 5", "equals: 2");
    let spec = folder.join(OsStr::from_bytes(b"sp\xe9c.yaml"));
    std::fs::write(&spec, text).unwrap();
    let run = |arguments: &[&OsStr]| -> Ran {
        let mut command = project.command(&[]);
        project.ran(command.args(arguments).output().unwrap())
    };
    let (spec, json) = (
        spec.as_os_str(),
        [OsStr::new("--format"), OsStr::new("json")],
    );
    let word = OsStr::new;
    for command in [
        "check", "plan", "run", "report", "status", "verify", "explain",
    ] {
        run(&[word(command), spec]).success();
        run(&[word(command), spec, json[0], json[1]]).success();
    }
    run(&[word("report"), word("--check"), spec, json[0], json[1]]).success();
    run(&[word("data"), word("stats"), spec]).success();
    run(&[word("bench"), spec, word("--steps"), word("1")]).success();
    let report = folder.join("reports/tiny");
    run(&[word("diff"), report.as_os_str(), report.as_os_str()]).success();
    let store = folder.join(".specbook");
    for command in ["verify", "du"] {
        let arguments = [
            word("store"),
            word(command),
            word("--store"),
            store.as_os_str(),
        ];
        run(&[&arguments[..], &json].concat()).success();
    }
    let gc = [
        word("store"),
        word("gc"),
        spec,
        word("--store"),
        store.as_os_str(),
    ];
    run(&[&gc[..], &json].concat()).success();
    let model = folder.join("model");
    let here = [word("--store"), store.as_os_str()];
    let export = [
        word("export"),
        word("tiny/dim=16"),
        model.as_os_str(),
        word("--to"),
        word("hf"),
    ];
    run(&[&export[..], &here].concat()).success();
    let sample = [
        word("sample"),
        model.as_os_str(),
        word("--max-new-tokens"),
        word("2"),
    ];
    run(&sample).success();
    run(&[&[word("verify"), word("tiny/dim=16")], &here[..]].concat()).success();
    let templates = folder.join(OsStr::from_bytes(b"templ\xe9"));
    std::fs::create_dir(&templates).unwrap();
    std::fs::write(templates.join("head.md.j2"), "# Ours\n").unwrap();
    let [template, check] = [word("--template"), word("--check")];
    run(&[word("report"), spec, template, templates.as_os_str()]).success();
    run(&[word("report"), spec, check]).success();
    let markdown = std::fs::read_to_string(report.join("index.html")).unwrap();
    assert!(markdown.contains(r"printf &#x27;\351&#x27;"), "{markdown}");
    let bundle = folder.join(OsStr::from_bytes(b"b\xe9.zip"));
    let bundled = run(&[word("bundle"), spec, word("--output"), bundle.as_os_str()]).success();
    assert!(
        bundled.stderr.contains("names in a bundle are UTF-8"),
        "{}",
        bundled.stderr
    );
    run(&[word("verify"), bundle.as_os_str()]).success();
    // Files of others: left out of a bundle, and no report is written into their folder.
    let theirs = OsStr::from_bytes(b"th\xe9irs");
    std::fs::write(report.join(theirs), "private").unwrap();
    let eval = walk(&store.join("evals-v1"))
        .into_iter()
        .find(|path| path.ends_with("key.json"));
    std::fs::write(eval.unwrap().with_file_name("notes.txt"), "private").unwrap();
    let bundled = run(&[word("bundle"), spec, word("--output"), bundle.as_os_str()]).success();
    assert!(
        bundled.stderr.contains("irs`: its name is not UTF-8"),
        "{}",
        bundled.stderr
    );
    let bytes = std::fs::read(&bundle).unwrap();
    assert!(!bytes.windows(9).any(|piece| piece == b"notes.txt"));
    let out = folder.join("others");
    std::fs::create_dir_all(out.join("tiny").join(theirs)).unwrap();
    let refused = run(&[word("run"), spec, word("--out"), out.as_os_str()]).code(2);
    assert!(
        refused.stderr.contains("is not one of specbook's"),
        "{}",
        refused.stderr
    );
    let new = folder.join(OsStr::from_bytes(b"n\xe9w/minimal.yaml"));
    run(&[
        word("init"),
        word("minimal"),
        word("--out"),
        new.as_os_str(),
    ])
    .success();
    run(&[word("check"), new.as_os_str()]).success();
    let odd = run(&[word("show"), OsStr::from_bytes(b"n\xff")]);
    assert_ne!(odd.code, 101);
}

#[test]
fn a_limit_of_threads_is_an_error_and_no_panic() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    open(project.path());
    for (limit, jobs) in [
        ("1", "1"),
        ("2", "1"),
        ("3", "1"),
        ("4", "2"),
        ("5", "2"),
        ("7", "4"),
    ] {
        let program = project.command(&["run", "specs/tiny.yaml", "--store"]);
        let (store, out) = (format!("store-{limit}"), format!("out-{limit}"));
        // Shells use different option letters.
        let ulimit = format!("{{ ulimit -u {limit} 2>/dev/null || ulimit -p {limit}; }}");
        let script = format!("{ulimit} && exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .arg(program.get_program())
            .args(program.get_args())
            .args([&store, "--out", &out, "-j", jobs, "--threads", "4"])
            .current_dir(project.path())
            .stdin(Stdio::null());
        // The limit does not apply to root.
        if geteuid().is_root() {
            command.uid(STRANGER).gid(STRANGER);
        }
        let ran = project.ran(command.output().unwrap());
        assert!(!ran.stderr.contains("panicked"), "{limit}: {}", ran.stderr);
        let refused = ran.stderr.contains("thread");
        let expected = if ran.code == 0 {
            !refused || jobs != "1"
        } else {
            refused
        };
        assert!(expected, "{limit}: {} {}", ran.code, ran.stderr);
        if limit == "1" {
            assert_eq!(ran.code, 3, "{}", ran.stderr);
        }
    }
}

#[test]
fn a_limit_of_file_sizes_is_named() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let run = |limit: &str| {
        let program = project.command(&["run", "specs/tiny.yaml"]);
        let mut command = Command::new("sh");
        let script = format!("ulimit -f {limit} && exec \"$0\" \"$@\"");
        command
            .args(["-c", &script])
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(project.path())
            .stdin(Stdio::null());
        project.ran(command.output().unwrap())
    };
    // In blocks of 512 bytes.
    let refused = run("8").code(1);
    assert!(refused.stderr.contains("ulimit -f"), "{}", refused.stderr);
    // Nothing is left half-written.
    run("unlimited").success();
    project.run(&["store", "verify"]).success();
}

/// Runs an `sh` script with the program as `$0`, in a separate mount and process namespace; `None` if that is not
/// allowed.
pub(super) fn apart(project: &Project, script: &str, more: &[&str]) -> Option<Ran> {
    let program = project.command(&[]);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--fork", "sh", "-c", script])
        .arg(program.get_program())
        .args(more)
        .current_dir(project.path())
        .env_remove("SPECBOOK_STORE")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    let ran = command.output().map(|output| project.ran(output));
    let ran = ran
        .ok()
        .filter(|ran| ran.code != 99 && !ran.stderr.contains("unshare"));
    if ran.is_none() {
        println!("skipped: no namespaces or mounts here");
    }
    ran
}

#[test]
fn a_store_on_an_overlay_heals_and_is_cleared() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    project.run(&["run", "specs/tiny.yaml", "-q"]).success();
    // Entries of a mounted folder cannot be renamed, only copied: one run is damaged, another belongs to no plan.
    std::fs::rename(
        project.path().join(".specbook"),
        project.path().join("lower"),
    )
    .unwrap();
    let runs = project.path().join("lower/runs-v1");
    let weights = walk(&runs)
        .into_iter()
        .find(|path| path.ends_with("model.safetensors"))
        .unwrap();
    std::fs::write(&weights, "cut").unwrap();
    for folder in ["upper", "work", ".specbook", "disk"] {
        std::fs::create_dir(project.path().join(folder)).unwrap();
    }
    let mount = "mount -t tmpfs none disk && mkdir disk/upper disk/work && \
        mount -t overlay -o lowerdir=lower,upperdir=disk/upper,workdir=disk/work none .specbook";
    let run = "\"$0\" run specs/tiny.yaml && \"$0\" store verify && ls -d .specbook/damaged/*";
    let script = format!("{mount} || exit 99; {{ {run}; }} && exit 0; exit 5");
    let Some(ran) = apart(&project, &script, &[]) else {
        return;
    };
    let ran = ran.success();
    assert!(ran.stderr.contains("1 trained, 1 cached"), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("all sound") && ran.stdout.contains("damaged/"),
        "{}",
        ran.stdout
    );
    assert_eq!(
        std::fs::read(&weights).unwrap(),
        b"cut",
        "what is below stays"
    );
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// A named pipe.
fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn pipes_and_devices_are_no_specs_and_no_tokenizers() {
    let project = Project::new();
    let text = TINY.replace(
        "{train_bpe: {vocab_size: 320, documents: 20}}",
        "{file: t.json}",
    );
    project.write("specs/tiny.yaml", text);
    pipe(&project.path().join("specs/t.json"));
    let ran = project.run(&["run", "specs/tiny.yaml"]).code(4);
    assert!(
        ran.stderr.contains("t.json`: it is a pipe or a device"),
        "{}",
        ran.stderr
    );
    let ledger = project.path().join("specs/tiny.ledger.jsonl");
    pipe(&ledger);
    let ran = project.run(&["register", "specs/tiny.yaml"]).code(4);
    assert!(
        ran.stderr.contains("it is a device, pipe or socket"),
        "{}",
        ran.stderr
    );
    std::fs::remove_file(ledger).unwrap();
    pipe(&project.path().join("specs/odd.yaml"));
    let ran = project.run(&["check", "specs"]).code(4);
    insta::assert_snapshot!(ran.stderr, @"
    error: `specs/odd.yaml` is not a file, so it is not a spec

    hint: move it out of the folder, or name the specs one by one
    ");
}

/// Some files of `/proc` look like ordinary files, but reading them blocks forever.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_gives_nothing_is_not_waited_for() {
    let project = Project::new();
    let corpus = TINY.replace("{stories: {version: 1}}", "{text: {path: /proc/kmsg}}");
    project.write("specs/tiny.yaml", corpus);
    let began = std::time::Instant::now();
    // A user who may not read it, or who has full access, gets another error.
    project.run(&["run", "specs/tiny.yaml"]).code(4);
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn reports_behind_a_link_and_odd_neighbours() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let link = project.path().join("reports");
    symlink("/nowhere/disk", &link).unwrap();
    let ran = project.run(&["run", "specs/tiny.yaml"]).code(4);
    assert!(
        ran.stderr
            .contains("the folder of reports `./reports` is a link to `/nowhere/disk`"),
        "{}",
        ran.stderr
    );
    assert!(
        !project.path().join(".specbook/runs-v1").exists(),
        "nothing is trained before"
    );
    std::fs::remove_file(&link).unwrap();
    // A folder linked by the user is accepted.
    std::fs::create_dir_all(project.path().join("disk/pipe")).unwrap();
    symlink("disk", &link).unwrap();
    pipe(&project.path().join("disk/pipe/data"));
    project.write("disk/crawl/data/records.jsonl", "{\"url\": 1}\n");
    let ran = project.run(&["run", "specs/tiny.yaml", "-q"]).success();
    assert!(
        ran.stderr.contains(
            "leaves out `./reports/crawl`: `data/records.jsonl`, line 1: it is not the first line"
        ),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr
            .contains("leaves out `./reports/pipe`: cannot read"),
        "{}",
        ran.stderr
    );
    project
        .run(&["report", "--check", "specs/tiny.yaml"])
        .success();
}
