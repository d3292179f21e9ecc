//! Published results and the shipped specs: the runs of the paper profiles with their counts, the verdict on every
//! claim, the count tables of the sequence policies.

use crate::project::{Project, repository};
use crate::specs::{NAMES, load};
use specbook::DataContext;
use specbook::internals::plan::{self, Outlined};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The runs of a paper profile without its files.
fn published(name: &str) -> Vec<Outlined> {
    let folder = tempfile::tempdir().unwrap();
    let context = DataContext {
        base: folder.path().join("specs"),
        ..DataContext::default()
    };
    let spec = load(name, "paper");
    let reason = plan::expand(&spec, &context).unwrap_err();
    plan::outline(&spec, &context, reason).unwrap().runs
}

/// One line per run: parameters, optimizer steps, trained tokens.
fn counts(name: &str) -> String {
    let mut text = String::new();
    for run in published(name) {
        let cost = run.estimate.unwrap();
        let (params, steps, tokens) = (cost.params, cost.steps, cost.tokens);
        writeln!(text, "{params:>9} {steps:>4} {tokens:>8} {}", run.name).unwrap();
    }
    text
}

#[test]
fn published_runs_of_epoch_frenzy() {
    insta::assert_snapshot!(counts("epoch-frenzy"), @"
    60039680  300   640000 25x100,seed=0
    60039680  300   640000 25x100,seed=1
    60039680  300   640000 25x100,seed=2
    60039680  250   640000 250x10,seed=0
    60039680  250   640000 250x10,seed=1
    60039680  250   640000 250x10,seed=2
    60039680  250   640000 2500x1,seed=0
    60039680  250   640000 2500x1,seed=1
    60039680  250   640000 2500x1,seed=2
    60039680  300   640000 by-tokens-25x100,seed=0
    60039680  250   640000 by-tokens-250x10,seed=0
    60039680  250   640000 by-tokens-2500x1,seed=0
    ");
}

#[test]
fn published_runs_of_grid_search() {
    insta::assert_snapshot!("published_runs_of_grid_search", counts("grid-search"));
}

#[test]
fn published_runs_of_loss_comparison() {
    insta::assert_snapshot!(
        "published_runs_of_loss_comparison",
        counts("loss-comparison")
    );
}

#[test]
fn published_runs_of_scale_up() {
    insta::assert_snapshot!(counts("scale-up"), @"
    39193088  157  1280000 grid-best,seed=0
    39193088  157  1280000 grid-best,seed=1
    39193088  157  1280000 grid-best,seed=2
    58466816  157  1280000 grid-largest,seed=0
    58466816  157  1280000 grid-largest,seed=1
    58466816  157  1280000 grid-largest,seed=2
    60039680 1688 13824000 scale-up,seed=0
    60039680 1688 13824000 scale-up,seed=1
    60039680 1688 13824000 scale-up,seed=2
    60039680 1688 13824000 next-token,seed=0
    60039680 1688 13824000 next-token,seed=1
    60039680 1688 13824000 next-token,seed=2
    ");
}

#[test]
fn published_runs_of_sequence_handling() {
    insta::assert_snapshot!(
        "published_runs_of_sequence_handling",
        counts("sequence-handling")
    );
}

#[test]
fn a_plan_without_its_input_lists_the_runs_and_what_is_missing() {
    let project = Project::with_shipped("epoch-frenzy.yaml");
    let plan = ["plan", "specs/epoch-frenzy.yaml", "-p", "paper"];
    insta::assert_snapshot!(project.run(&plan).success().stdout, @"
    epoch-frenzy (profile paper): 12 runs; fix this to see run ids and cache status:
      `specs/../data/pile/03.jsonl.zst` is not there
      `specs/../data/pile/val.jsonl.zst` is not there
      `specs/../data/llama/tokenizer.json` is not there
    run                          params  steps    tokens          work    memory       disk
    25x100,seed=0            60,039,680    300  ~640,000  ~286.1 TFLOP  ~1.8 GiB  229.1 MiB
    25x100,seed=1            60,039,680    300  ~640,000  ~286.1 TFLOP  ~1.8 GiB  229.1 MiB
    25x100,seed=2            60,039,680    300  ~640,000  ~286.1 TFLOP  ~1.8 GiB  229.1 MiB
    250x10,seed=0            60,039,680    250  ~640,000  ~183.1 TFLOP  ~1.8 GiB  229.1 MiB
    250x10,seed=1            60,039,680    250  ~640,000  ~183.1 TFLOP  ~1.8 GiB  229.1 MiB
    250x10,seed=2            60,039,680    250  ~640,000  ~183.1 TFLOP  ~1.8 GiB  229.1 MiB
    2500x1,seed=0            60,039,680    250  ~640,000  ~457.7 TFLOP  ~1.8 GiB  229.1 MiB
    2500x1,seed=1            60,039,680    250  ~640,000  ~457.7 TFLOP  ~1.8 GiB  229.1 MiB
    2500x1,seed=2            60,039,680    250  ~640,000  ~457.7 TFLOP  ~1.8 GiB  229.1 MiB
    by-tokens-25x100,seed=0  60,039,680    300  ~640,000  ~185.4 TFLOP  ~1.8 GiB  229.1 MiB
    by-tokens-250x10,seed=0  60,039,680    250  ~640,000  ~185.4 TFLOP  ~1.8 GiB  229.1 MiB
    by-tokens-2500x1,seed=0  60,039,680    250  ~640,000  ~185.4 TFLOP  ~1.8 GiB  229.1 MiB
    ~ estimate: one full-length sequence per document until the text is read
    ");
    let json = project.run(&[&plan[..], &["--format", "json"]].concat());
    let json = json.success().json();
    assert_eq!(json[0]["missing"].as_array().unwrap().len(), 3, "{json}");
    let run = &json[0]["runs"][6];
    assert_eq!(
        (&run["name"], &run["id"], &run["estimate"]["steps"]),
        (
            &"2500x1,seed=0".into(),
            &serde_json::Value::Null,
            &250.into()
        )
    );
    let one = project.run(&[&plan[..], &["--filter", "25x100"]].concat());
    let one = one.success().stdout;
    assert!(one.contains("3 runs") && !one.contains("2500x1"), "{one}");
    // Commands that need the text still report it.
    let ran = project.run(&["run", "specs/epoch-frenzy.yaml", "-p", "paper"]);
    insta::assert_snapshot!(ran.code(4).stderr, @"error: run `25x100,seed=0` of `epoch-frenzy`: cannot read `specs/../data/llama/tokenizer.json`: No such file or directory (os error 2)");
}

#[test]
fn a_plan_with_too_little_text_lists_the_runs_and_a_damaged_file_is_an_error() {
    let project = Project::new();
    let spec =
        crate::project::TINY.replace("{stories: {version: 1}}", "{text: {path: ../few.txt}}");
    project.write("specs/tiny.yaml", spec);
    project.write("few.txt", "One story.\n<|endoftext|>\nAnother.\n");
    let plan = ["plan", "specs/tiny.yaml"];
    insta::assert_snapshot!(project.run(&plan).success().stdout, @"
    tiny (profile desk): 2 runs; fix this to see run ids and cache status:
      `../few.txt` has 2 documents, but `data.train` asks for documents 5 to 24
    run     params  steps  tokens         work     memory       disk
    dim=16  13,616      5    ~480  ~34.0 MFLOP  ~24.2 MiB   58.8 KiB
    dim=32  33,888      5    ~480  ~93.5 MFLOP  ~28.6 MiB  138.0 KiB
    ~ estimate: one full-length sequence per document until the text is read
    ");
    project.write("few.txt", [0xc3, 0x28]);
    insta::assert_snapshot!(project.run(&plan).code(4).stderr, @"error: run `dim=16` of `tiny`: `specs/../few.txt`: invalid UTF-8 at byte 0; documents must be UTF-8 text");
}

#[test]
fn a_tokenizer_of_another_size_is_refused() {
    let project = Project::new();
    let spec = crate::project::TINY.replace("{dim: 16,", "{vocab_size: 32000, dim: 16,");
    project.write("specs/tiny.yaml", spec);
    insta::assert_snapshot!(project.run(&["plan", "specs/tiny.yaml"]).code(4).stderr, @"error: run `dim=16` of `tiny`: the tokenizer has 320 entries, but `model.vocab_size` says 32000; give the right tokenizer, or leave `model.vocab_size` out");
}

/// Published sizes, from the plans' settings (vocabulary of 32,000 and 50,257 entries).
#[test]
fn paper_profiles_have_the_published_models() {
    let parameters = |name: &str, run: &str, vocabulary: usize| {
        let spec = load(name, "paper");
        let run = spec
            .runs
            .iter()
            .find(|one| one.name == run || one.name.starts_with(&format!("{run},seed=")))
            .unwrap_or_else(|| panic!("{name}: {run}"));
        run.settings.model.resolve(vocabulary).parameters()
    };
    let grid = |dim, layers| {
        format!("dim={dim},n_layers={layers},n_heads=8,max_seq_len=512,target_shift=2")
    };
    assert_eq!(parameters("grid-search", &grid(128, 2), 32_000), 8_618_624);
    assert_eq!(parameters("grid-search", &grid(512, 8), 32_000), 58_466_816);
    assert_eq!(parameters("scale-up", "scale-up", 32_000), 60_039_680);
    assert_eq!(parameters("epoch-frenzy", "2500x1", 32_000), 60_039_680);
    assert_eq!(
        parameters("sequence-handling", "naive-discard", 32_000),
        60_039_680
    );
    let positions = 1024 * 768;
    let millions = |run: &str| {
        format!(
            "{:.2}",
            (parameters("loss-comparison", run, 50_257) - positions) as f64 / 1e6
        )
    };
    assert_eq!(
        (millions("published-ce"), millions("published-squentropy")),
        ("123.59".to_owned(), "151.91".to_owned())
    );
}

/// Every claim with its published value, how that is known, the expectation, and the verdict in the committed desk
/// report. A changed verdict changes this table and must be explained in the commit.
#[test]
fn every_claim_has_a_verdict() {
    let mut text = String::new();
    for name in NAMES {
        let claims = load(name, "desk").claims;
        let rows = committed_claims(name);
        assert_eq!(claims.len(), rows.len(), "{name}");
        writeln!(text, "{name}").unwrap();
        for (claim, row) in claims.iter().zip(rows) {
            assert_eq!(claim.id, row["id"]);
            let columns = ["type", "published", "mark", "expected", "verdict"];
            let [kind, published, mark, expected, verdict] = columns.map(|column| &row[column]);
            let given = |text: String, there: bool| if there { text } else { "–".to_owned() };
            let published = given(format!("{published} ({mark})"), !published.is_empty());
            let expected = given(expected.to_owned(), !expected.is_empty());
            let kind = given(kind.to_owned(), !kind.is_empty());
            writeln!(
                text,
                "  {} | {kind} | {verdict} | {published} | {expected}",
                claim.id
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!("every_claim_has_a_verdict", text);
}

/// Rows of the claims of a committed report, by column.
fn committed_claims(name: &str) -> Vec<BTreeMap<String, String>> {
    let folder = repository().join("reports").join(name).join("data");
    let mut files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files
        .find(|path| path.to_string_lossy().ends_with("-claims.csv"))
        .unwrap();
    rows(&file)
}

/// The rows of a table of a committed report.
fn rows(file: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn arms_of_equal_budget_trained_equally_many_tokens() {
    let data = repository().join("reports/sequence-handling/data");
    let mut budgets = Vec::new();
    for run in rows(&data.join("table-3.csv")) {
        if run["case"].starts_with("equal-") {
            budgets
                .push(["tokens", "tokens half-width", "tokens runs"].map(|key| run[key].clone()));
        }
    }
    assert_eq!(budgets, vec![["76800", "0", "3"]; 5]);
}

/// The desk profile's text: 128 generated documents.
#[test]
fn count_tables_of_sequence_handling() {
    let project = Project::with_shipped("sequence-handling.yaml");
    let ran = project.run(&["data", "stats", "specs/sequence-handling.yaml"]);
    insta::assert_snapshot!("count_tables_of_sequence_handling", ran.success().stdout);
    // Once the lengths are known, plans use them too.
    let plan = ["plan", "specs/sequence-handling.yaml", "--format", "json"];
    let plan = project.run(&plan).success().json();
    let run = &plan[0]["runs"][0];
    assert_eq!(run["name"], "naive-discard,draw=0");
    assert_eq!(run["estimate"]["tokens"], 16 * 8 * 35);
}

#[test]
fn the_committed_reports_are_what_their_records_give() {
    let mut check = Project::new().command(&["report", "--check", "specs"]);
    let output = check.current_dir(repository()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let same = told.matches("the report is what its records give");
    // Two more: the search in the loss comparison, and sequence handling at the study's size.
    assert_eq!(same.count(), NAMES.len() + 2, "{told}");
}
