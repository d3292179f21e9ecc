//! Report folders: which files are replaced or removed, and where reports of profiles and overrides go.

use crate::project::{Project, TINY};

/// The sweep with models that train at once and a second profile.
fn project() -> Project {
    let project = Project::new();
    let profiles =
        "profiles:\n  smoke: {data.validation: 2, eval.perplexity.documents: 2}\nclaims:\n";
    project.write("specs/tiny.yaml", TINY.replacen("claims:\n", profiles, 1));
    project
}

#[test]
fn what_no_report_made_is_neither_replaced_nor_removed() {
    let project = project();
    // A spec, its data and its report in the same folder.
    project.write("tiny/data/corpus.txt", "mine");
    project.write("tiny/figures/photo.png", "mine");
    let refused = project
        .run(&["run", "specs/tiny.yaml", "--out", "."])
        .code(2);
    assert!(
        refused.stderr.contains("`./tiny` is not one of specbook's"),
        "{}",
        refused.stderr
    );
    assert!(
        !project.path().join(".specbook/runs-v1").exists(),
        "it trained first"
    );
    // A foreign page.
    project.write("public/index.html", "<h1>mine</h1>");
    let refused = project
        .run(&["run", "specs/tiny.yaml", "--out", "public"])
        .code(2);
    assert!(
        refused.stderr.contains("`public/index.html`"),
        "{}",
        refused.stderr
    );
    assert_eq!(project.read("public/index.html"), "<h1>mine</h1>");
    // Foreign files in a report's folder stay, even when the report loses a figure.
    project.run(&["run", "specs/tiny.yaml"]).success();
    project.write("reports/tiny/figures/photo.png", "mine");
    project.write("reports/tiny/data/notes.csv", "mine");
    let figure = "reports/tiny/figures/figure-1.svg";
    assert!(project.path().join(figure).is_file());
    let spec = project.read("specs/tiny.yaml");
    let without = spec.replace(
        "  - plot: {curves: [train/loss, val/loss], panels: dim}\n",
        "",
    );
    assert_ne!(without, spec);
    project.write("specs/tiny.yaml", &without);
    project.run(&["report", "specs/tiny.yaml"]).success();
    assert!(!project.path().join(figure).exists());
    assert_eq!(project.read("reports/tiny/figures/photo.png"), "mine");
    assert_eq!(project.read("reports/tiny/data/notes.csv"), "mine");
    project
        .run(&["report", "specs/tiny.yaml", "--check"])
        .success();
    // An edited file of the report is not removed, and a foreign one in its place is not replaced.
    project.write("specs/tiny.yaml", &spec);
    project.write(figure, "mine");
    let refused = project.run(&["report", "specs/tiny.yaml"]).code(2);
    assert!(
        refused.stderr.contains("figures/figure-1.svg"),
        "{}",
        refused.stderr
    );
    std::fs::remove_file(project.path().join(figure)).unwrap();
    project.run(&["report", "specs/tiny.yaml"]).success();
    project.write(figure, "changed");
    project.write("specs/tiny.yaml", &without);
    let told = project.run(&["report", "specs/tiny.yaml"]).success();
    assert!(
        told.stderr.contains("figure-1.svg` stays"),
        "{}",
        told.stderr
    );
    assert_eq!(project.read(figure), "changed");
    assert!(!project.path().join("reports/.specbook-write").exists());
    // A list damaged by a merge removes nothing, and the report is still written.
    project.write("specs/tiny.yaml", &spec);
    std::fs::remove_file(project.path().join(figure)).unwrap();
    project.write("reports/tiny/data/files.json", "<<<<<<< HEAD");
    project.run(&["report", "specs/tiny.yaml"]).success();
    project
        .run(&["report", "specs/tiny.yaml", "--check"])
        .success();
    assert_eq!(project.read("reports/tiny/data/notes.csv"), "mine");
}

/// A folder in place of a file and a file in place of a folder: both stay, under another name.
#[test]
fn what_stands_where_a_report_has_a_file_is_kept_beside_it() {
    let project = project();
    project.run(&["run", "specs/tiny.yaml"]).success();
    let tiny = project.path().join("reports/tiny");
    std::fs::remove_file(tiny.join("report.md")).unwrap();
    project.write("reports/tiny/report.md/mine.txt", "mine");
    std::fs::remove_dir_all(tiny.join("figures")).unwrap();
    project.write("reports/tiny/figures", "ours");
    let told = project.run(&["report", "specs/tiny.yaml"]).success().stderr;
    for words in [
        "report.md` is not a file; it is kept as `report.md.changed`",
        "figures` is not a folder; it is kept as `figures.changed`",
    ] {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(
        project.read("reports/tiny/report.md.changed/mine.txt"),
        "mine"
    );
    assert_eq!(project.read("reports/tiny/figures.changed"), "ours");
    project
        .run(&["report", "--check", "specs/tiny.yaml"])
        .success();
}

/// A report is rewritten, and edited files are kept beside it.
#[test]
fn what_was_written_into_a_report_is_kept_beside_it() {
    let project = project();
    project.run(&["run", "specs/tiny.yaml"]).success();
    let report = || project.run(&["report", "specs/tiny.yaml"]).success().stderr;
    let made = project.read("reports/tiny/report.md");
    assert!(!report().contains("edited"));
    // A checkout may convert line ends.
    project.write("reports/tiny/report.md", made.replace('\n', "\r\n"));
    assert!(!report().contains("edited"));
    for (text, name) in [
        ("my remarks", "report.md.changed"),
        ("other remarks", "report.md.changed-2"),
        ("my remarks", "report.md.changed"),
    ] {
        project.write("reports/tiny/report.md", text);
        let told = report();
        let words =
            "report.md` was edited after an earlier report made it; the edited version is kept as";
        assert!(told.contains(&format!("{words} `{name}`")), "{told}");
        assert_eq!(project.read(&format!("reports/tiny/{name}")), text);
        assert_eq!(project.read("reports/tiny/report.md"), made);
    }
    assert!(
        !project
            .path()
            .join("reports/tiny/report.md.changed-3")
            .exists()
    );
    project
        .run(&["report", "specs/tiny.yaml", "--check"])
        .success();
    // The page over all reports.
    let index = project.read("reports/index.html");
    project.write("reports/index.html", index.replace('\n', "\r\n"));
    assert!(!report().contains("edited"));
    let edited = index.replace("<body>", "<body>\n<p>mine</p>");
    project.write("reports/index.html", &edited);
    let told = report();
    assert!(told.contains("`./reports/index.html` was edited"), "{told}");
    assert_eq!(project.read("reports/index.html.changed"), edited);
    assert_eq!(project.read("reports/index.html"), index);
    // A report is no folder of reports: its page is not replaced by theirs.
    let inside = ["report", "specs/tiny.yaml", "--out", "reports/tiny"];
    let refused = project.run(&inside).code(2);
    assert!(
        refused
            .stderr
            .contains("`reports/tiny/index.html` is the page of a report"),
        "{}",
        refused.stderr
    );
    // The same for a paper, which is meant to be edited.
    let paper = ["report", "specs/tiny.yaml", "--to", "tex", "--out", "paper"];
    let first = project.run(&paper).success();
    assert!(!first.stderr.contains("edited"), "{}", first.stderr);
    project.write("paper/tiny/report.tex", "my introduction");
    project.write("paper/tiny/notes.txt", "mine");
    let told = project.run(&paper).success().stderr;
    assert!(
        told.contains("the edited version is kept as `report.tex.changed`"),
        "{told}"
    );
    let kept = project.read("paper/tiny/report.tex.changed");
    assert_eq!(kept, "my introduction");
    assert_eq!(project.read("paper/tiny/notes.txt"), "mine");
    project.write("other/tiny/report.tex", "% a paper of mine");
    let other = ["report", "specs/tiny.yaml", "--to", "tex", "--out", "other"];
    let refused = project.run(&other).code(2);
    assert!(
        refused.stderr.contains("`other/tiny`"),
        "{}",
        refused.stderr
    );
    assert_eq!(project.read("other/tiny/report.tex"), "% a paper of mine");
}

/// Without the text and its cached tokens, a figure of its lengths becomes a dash with a reason; everything else is
/// unchanged.
#[test]
fn a_report_without_its_text() {
    let project = Project::new();
    let documents: String = (0..40)
        .map(|n| format!("{{\"text\": \"the {n} once upon a time\"}}\n"))
        .collect();
    project.write("stories.jsonl", documents);
    let text = TINY
        .replace("{stories: {version: 1}}", "{jsonl: {path: ../stories.jsonl}}")
        .replace(
            "cells:\n",
            "cells:\n  - text: \"Mean {{ mean(run('dim=16').document_tokens) }}.\"\n  - histogram: {of: document_tokens}\n",
        );
    project.write("specs/tiny.yaml", text);
    project.run(&["run", "specs/tiny.yaml"]).success();
    let whole = project.read("reports/tiny/report.md");
    assert!(
        !whole.contains("Not drawn") && !whole.contains("Mean –"),
        "{whole}"
    );
    std::fs::remove_file(project.path().join("stories.jsonl")).unwrap();
    let status = || project.run(&["status", "specs/tiny.yaml"]).success().stdout;
    assert!(
        status().contains("2 of 2 cached; report up to date"),
        "{}",
        status()
    );
    project.run(&["report", "specs/tiny.yaml"]).success();
    assert_eq!(
        project.read("reports/tiny/report.md"),
        whole,
        "from the token cache"
    );
    std::fs::remove_dir_all(project.path().join(".specbook/tokens-v1")).unwrap();
    assert!(status().contains("2 of 2 cached"), "{}", status());
    let told = project.run(&["report", "specs/tiny.yaml"]).success().stderr;
    let words = "how long documents are is not known here";
    assert_eq!(told.matches(words).count(), 1, "{told}");
    let without = project.read("reports/tiny/report.md");
    assert!(without.contains("Mean –."), "{without}");
    assert!(
        without.contains("– Not drawn: dim=16, dim=32, because neither the text"),
        "{without}"
    );
    let claims = |report: &str| report.split("## Claims").nth(1).unwrap().to_owned();
    assert_eq!(claims(&without), claims(&whole));
    project
        .run(&["report", "specs/tiny.yaml", "--check"])
        .success();
}

#[cfg(unix)]
#[test]
fn links_below_the_reports_lead_nowhere() {
    use std::os::unix::fs::symlink;
    let project = project();
    let victim = project.write("victim/thesis.tex", "mine");
    let folder = victim.parent().unwrap();
    std::fs::create_dir_all(project.path().join("reports/tiny")).unwrap();
    symlink(folder, project.path().join("reports/tiny/data")).unwrap();
    project.run(&["run", "specs/tiny.yaml"]).code(1);
    std::fs::remove_dir_all(project.path().join("reports/tiny")).unwrap();
    symlink(folder, project.path().join("reports/tiny")).unwrap();
    project.run(&["run", "specs/tiny.yaml"]).code(1);
    std::fs::remove_file(project.path().join("reports/tiny")).unwrap();
    assert_eq!(project.read("victim/thesis.tex"), "mine");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    // `--check` shows nothing of a linked file.
    project.run(&["run", "specs/tiny.yaml"]).success();
    let secret = project.write("credentials", "token-of-mine");
    let page = project.path().join("reports/tiny/report.md");
    std::fs::remove_file(&page).unwrap();
    symlink(secret, &page).unwrap();
    let differs = project
        .run(&["report", "specs/tiny.yaml", "--check"])
        .code(8);
    assert!(
        differs.stderr.contains("`report.md`: it is a link"),
        "{}",
        differs.stderr
    );
    assert!(!differs.stderr.contains("token-of-mine"));
    // Anything that is not a regular file is neither written through nor lost.
    let told = project.run(&["report", "specs/tiny.yaml"]).success().stderr;
    let kept = "report.md` is not a file; it is kept as `report.md.changed`";
    assert!(told.contains(kept), "{told}");
    assert_eq!(project.read("credentials"), "token-of-mine");
    assert!(
        project
            .path()
            .join("reports/tiny/report.md.changed")
            .is_symlink()
    );
    project
        .run(&["report", "specs/tiny.yaml", "--check"])
        .success();
}

#[test]
fn a_neighbour_that_cannot_be_read_costs_a_warning() {
    let project = project();
    project.write(
        "reports/crawl/data/records.jsonl",
        "{\"text\":\"a data set\"}\n",
    );
    let told = project.run(&["run", "specs/tiny.yaml"]).success();
    assert!(
        told.stderr
            .contains("the index leaves out `./reports/crawl`")
            || told.stderr.contains("the index leaves out `reports/crawl`"),
        "{}",
        told.stderr
    );
    assert!(project.read("reports/index.html").contains("tiny"));
}

#[test]
fn profiles_and_overrides_have_folders_of_their_own() {
    let project = project();
    project.run(&["run", "specs/tiny.yaml"]).success();
    let own = project.read("reports/tiny/report.md");
    project
        .run(&["run", "specs/tiny.yaml", "-p", "smoke"])
        .success();
    assert_eq!(project.read("reports/tiny/report.md"), own);
    assert!(
        project
            .path()
            .join("reports/tiny@smoke/index.html")
            .is_file()
    );
    let both = project
        .run(&["report", "specs/tiny.yaml", "--check"])
        .success();
    assert!(both.stderr.contains("tiny@smoke"), "{}", both.stderr);
    let set = ["run", "specs/tiny.yaml", "--set", "train.batch_size=5"];
    let refused = project.run(&set).code(2);
    assert!(refused.stderr.contains("--out DIR"), "{}", refused.stderr);
    project
        .run(&[&set[..], &["--out", "other"]].concat())
        .success();
    project
        .run(&[&set[..], &["--no-report"]].concat())
        .success();
    assert_eq!(project.read("reports/tiny/report.md"), own);
}

/// Whether the program is installed.
fn installed(program: &str) -> bool {
    std::process::Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn papers_have_macros_tables_and_figures() {
    let project = project();
    project.run(&["run", "specs/tiny.yaml"]).success();
    for (language, report, mark) in [
        ("tex", "report.tex", "\\begin{document}"),
        ("typst", "report.typ", "table.header("),
    ] {
        project
            .run(&[
                "report",
                "specs/tiny.yaml",
                "--to",
                language,
                "--out",
                language,
            ])
            .success();
        let text = project.read(&format!("{language}/tiny/{report}"));
        assert!(text.contains(mark), "{text}");
    }
    assert!(
        project
            .read("tex/tiny/numbers.tex")
            .contains("\\csname specbook@")
    );
    assert!(project.read("tex/tiny/report.tex").contains("\\toprule"));
    // Plain `report` writes only the report, without papers.
    assert!(!project.path().join("reports/tiny/report.tex").exists());
    project
        .run(&["report", "specs/tiny.yaml", "--to", "tex"])
        .code(2);
    // scripts/papers.sh compiles the papers of all specs with the installed programs.
    if installed("pdflatex") {
        let output = std::process::Command::new("pdflatex")
            .args(["-interaction=nonstopmode", "-halt-on-error", "report.tex"])
            .current_dir(project.path().join("tex/tiny"))
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{log}");
    }
}

#[test]
fn templates_of_the_user_stand_in_for_shipped_ones() {
    let project = project();
    project.run(&["run", "specs/tiny.yaml"]).success();
    let shipped = project.read("reports/tiny/index.html");
    project.write("mine/style.css", "body{color:teal}\n");
    let report = ["report", "specs/tiny.yaml", "--template", "mine"];
    project.run(&report).success();
    let own = project.read("reports/tiny/index.html");
    assert!(own.contains("body{color:teal}") && own != shipped);
    assert!(
        project
            .read("reports/tiny/data/records.jsonl")
            .contains("\"style.css\"")
    );
    let check = ["report", "specs/tiny.yaml", "--check"];
    project.run(&check).success();
    // The digest is in the record: another template gives another report.
    project.write("mine/style.css", "body{color:navy}\n");
    let refused = project.run(&check);
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    project.write("mine/style.css", "body{color:teal}\n");
    project.write("mine/report.html.j2", "{{ report.nothing }}\n");
    let broken = project.run(&report).code(4);
    insta::assert_snapshot!(broken.stderr, @"error: template `report.html.j2`: undefined value: `report.nothing` is undefined (in report.html.j2:1)");
    project.write("none/other.txt", "");
    let empty = ["report", "specs/tiny.yaml", "--template", "none"];
    let refused = project.run(&empty).code(2);
    assert!(refused.stderr.contains("style.css"), "{}", refused.stderr);
}

#[test]
fn a_sweep_is_watched_from_its_store() {
    let project = project();
    project.run(&["run", "specs/tiny.yaml"]).success();
    // All runs are done: the page is written once, and watching ends.
    project
        .run(&["status", "specs/tiny.yaml", "--watch", "live.html"])
        .success();
    let page = project.read("live.html");
    assert!(
        page.len() < 200_000 && page.ends_with("</html>\n"),
        "{page}"
    );
    assert!(
        page.contains("dim=32") && !page.contains("<script"),
        "{page}"
    );
}

/// Two processes share a sweep and each rewrites a page of its own, a third one watches: all pages are whole at any
/// time, and in the end all show all runs.
#[test]
fn pages_of_several_processes_show_the_same_sweep() {
    let project = project();
    let seeds = ["--set", "seeds=[0, 1, 2, 3]", "-j", "1", "--out"];
    let worker = |page: &str| {
        let live = ["run", "specs/tiny.yaml", "--live", page];
        let own = format!("reports-{page}");
        let mut command = project.command(&[&live[..], &seeds, &[own.as_str()]].concat());
        let quiet = std::process::Stdio::null;
        command.stdout(quiet()).stderr(quiet()).spawn().unwrap()
    };
    let pages = ["one.html", "two.html"];
    let mut workers = pages.map(worker);
    let is_whole = |page: &str| {
        let text = std::fs::read_to_string(project.path().join(page)).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with("</html>\n"), "{text}");
    };
    while workers
        .iter_mut()
        .any(|worker| worker.try_wait().unwrap().is_none())
    {
        pages.iter().for_each(|page| is_whole(page));
    }
    for worker in &mut workers {
        assert!(worker.wait().unwrap().success());
    }
    let watch = ["status", "specs/tiny.yaml", "--watch", "three.html"];
    project.run(&[&watch[..], &seeds[..2]].concat()).success();
    for page in ["one.html", "two.html", "three.html"] {
        let page = project.read(page);
        assert!(page.contains("8 of 8 runs done."), "{page}");
    }
}
