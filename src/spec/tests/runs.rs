//! Expanding axes, cases, seeds, profiles and `--set` into runs.

use super::{FRENZY, table, told, with};
use crate::choices::loss::square::Square;
use crate::spec::{Corpus, Loss, Settings};
use crate::test_support::worked;
use insta::assert_snapshot;

/// [`FRENZY`] without cases, seeds, profiles, claims and cells, and with `more` instead.
fn plain(more: &str) -> String {
    let (head, _) = FRENZY.split_once("cases:").unwrap();
    format!("{head}{more}")
}

fn settings(text: &str, sets: &[&str]) -> Settings {
    let spec = with(text, None, sets).unwrap();
    assert_eq!(spec.runs.len(), 1);
    (*spec.runs[0].settings).clone()
}

#[test]
fn cases_and_seeds_make_runs() {
    let spec = with(FRENZY, None, &[]).unwrap();
    let show = |s: &Settings| {
        let every = s.train.validate.every;
        format!(
            "{} {:?} {every:?} {}",
            s.data.train.take, s.train.epochs, s.train.seed
        )
    };
    assert_snapshot!(table(&spec, show), @"
    25x100,seed=0: 25 Some(100) Epoch 0
    25x100,seed=1: 25 Some(100) Epoch 1
    25x100,seed=2: 25 Some(100) Epoch 2
    250x10,seed=0: 250 Some(10) Epoch 0
    250x10,seed=1: 250 Some(10) Epoch 1
    250x10,seed=2: 250 Some(10) Epoch 2
    2500x1,seed=0: 2500 Some(1) Steps(10) 0
    2500x1,seed=1: 2500 Some(1) Steps(10) 1
    2500x1,seed=2: 2500 Some(1) Steps(10) 2
    ");
    assert_eq!(spec.profiles, ["desk", "smoke", "paper"]);
    assert_snapshot!(serde_json::to_string(&spec.axes).unwrap(), @r#"[{"name":"case","values":["25x100","250x10","2500x1"]},{"name":"seed","values":[0,1,2]}]"#);
    assert_snapshot!(serde_json::to_string(&spec.runs[4].axes).unwrap(), @r#"[["case","250x10"],["seed",1]]"#);
    let lines: Vec<usize> = spec.cells.iter().map(|cell| cell.line).collect();
    assert_eq!(lines, [43, 45, 46, 47, 48]);
}

#[test]
fn axes_are_crossed_in_written_order() {
    let more = "vary: {model.n_layer: [2, 4], model.dim: [64, 128]}\nseeds: [7]\nexclude: [{dim: 128, n_layers: 4}]\n";
    let spec = with(&plain(more), None, &[]).unwrap();
    let show = |s: &Settings| format!("{} {} {}", s.model.n_layers, s.model.dim, s.train.seed);
    assert_snapshot!(table(&spec, show), @"
    n_layers=2,dim=64: 2 64 7
    n_layers=2,dim=128: 2 128 7
    n_layers=4,dim=64: 4 64 7
    ");
}

#[test]
fn draws_of_documents_are_replicates() {
    let more = "vary: {data.draw: [0, 1], model.dim: [64, 128]}\nseeds: [7, 8]\nexclude: [{draw: 1, seed: 8}, {dim: [64], seed: [7, 8], draw: [1]}]\n";
    let spec = with(&plain(more), None, &[]).unwrap();
    let show = |s: &Settings| format!("{} {} {}", s.data.draw, s.model.dim, s.train.seed);
    assert_snapshot!(table(&spec, show), @"
    dim=64,draw=0,seed=7: 0 64 7
    dim=64,draw=0,seed=8: 0 64 8
    dim=128,draw=0,seed=7: 0 128 7
    dim=128,draw=0,seed=8: 0 128 8
    dim=128,draw=1,seed=7: 1 128 7
    ");
}

#[test]
fn axes_of_one_last_part_are_named_whole() {
    let more =
        "vary: {data.tokenizer.train_bpe.documents: [10, 20], eval.perplexity.documents: [1, 2]}\n";
    let spec = with(&plain(more), None, &[]).unwrap();
    assert_snapshot!(spec.runs[3].name, @"data.tokenizer.train_bpe.documents=20,eval.perplexity.documents=2");
}

#[test]
fn choices_are_labelled_as_short_as_can_be() {
    let more = "vary: {train.loss: [cross_entropy, squentropy, {square: {k: 15, m: 30}}, {square: {k: 100}}, {square_softmax: {w: {per_50304: 65}}}]}\n";
    let spec = with(&plain(more), None, &[]).unwrap();
    assert_snapshot!(table(&spec, |s| format!("{:?}", s.train.loss)), @"
    loss=cross_entropy: CrossEntropy
    loss=squentropy: Squentropy
    loss=square{k=15;m=30}: Square(Square { k: 15.0, m: 30.0, near: None })
    loss=square{k=100}: Square(Square { k: 100.0, m: 1.0, near: None })
    loss=square_softmax: SquareSoftmax(SquareSoftmax { w: Per50304(65.0), scale: 1.0 })
    ");
}

#[test]
fn without_axes_there_is_one_run() {
    let spec = with(&plain(""), None, &[]).unwrap();
    assert_eq!(spec.runs[0].name, "base");
    assert_eq!(spec.runs[0].axes, []);
    assert_eq!(spec.axes, []);
    assert_eq!(
        with(&plain("seeds: [3]"), None, &[]).unwrap().runs[0].name,
        "base"
    );
    assert_eq!(
        with(&plain("seeds: [3, 4]"), None, &[]).unwrap().runs[1].name,
        "base,seed=4"
    );
}

#[test]
fn profiles_lay_over_the_base() {
    let smoke = with(FRENZY, Some("smoke"), &[]).unwrap();
    assert_snapshot!(table(&smoke, |s| format!("{} {}", s.model.dim, s.data.validation.take)), @"
    25x100: 32 10
    250x10: 32 10
    2500x1: 32 10
    ");
    let paper = with(FRENZY, Some("paper"), &[]).unwrap();
    assert_eq!(paper.profile, "paper");
    assert!(
        matches!(&paper.runs[0].settings.data.corpus, Corpus::Jsonl(file) if file.field == "text")
    );
    assert_eq!(
        with(FRENZY, Some("desk"), &[]).unwrap().runs,
        with(FRENZY, None, &[]).unwrap().runs
    );
}

#[test]
fn a_profile_changes_axes_and_cases() {
    let more = "vary: {model.dim: [64, 128], model.n_layers: [1, 2]}\ncases: {a: {train.epochs: 1}, b: {train.epochs: 2}}\nexclude: [{dim: 128}]\nprofiles:\n  small: {vary.model.dim: [32], vary.model.n_layers: null, cases.a.train.epochs: 9, cases.b: null, cases.c: {train.epochs: 3}}\n";
    let spec = with(&plain(more), Some("small"), &[]).unwrap();
    let show = |s: &Settings| format!("{} {} {:?}", s.model.dim, s.model.n_layers, s.train.epochs);
    assert_snapshot!(table(&spec, show), @"
    a,dim=32: 32 2 Some(9)
    c,dim=32: 32 2 Some(3)
    ");
    let spec = with(
        &plain(more),
        None,
        &["vary.model.n_layers=[3]", "exclude=[]", "cases=null"],
    );
    assert_snapshot!(spec.unwrap_err(), @"
    `cases` cannot be nothing
     --> --set
    1 | cases=null
      |       ^^^^
      = allowed: a map
    ");
    let spec = with(
        &plain(more),
        None,
        &["vary.model.n_layers=[3]", "exclude=[]", "cases={}"],
    )
    .unwrap();
    assert_snapshot!(table(&spec, show), @"
    dim=64,n_layers=3: 64 3 Some(1)
    dim=128,n_layers=3: 128 3 Some(1)
    ");
}

#[test]
fn a_path_through_a_choice_takes_it() {
    let set = |sets: &[&str]| settings(&plain(""), sets);
    let corpus = set(&["data.corpus.jsonl.path=a.jsonl"]).data.corpus;
    assert!(matches!(corpus, Corpus::Jsonl(file) if file.path.first().as_os_str() == "a.jsonl"));
    let loss = set(&["train.loss.square.k=100"]).train.loss;
    let square = |k, m| Loss::Square(Square { k, m, near: None });
    assert_eq!(loss, square(100.0, 1.0));
    let loss = set(&["train.loss.square.k=100", "train.loss.square.m=3"])
        .train
        .loss;
    assert_eq!(loss, square(100.0, 3.0));
    let slice = set(&["data.train.skip=7"]).data.train;
    assert_eq!((slice.skip, slice.take), (Some(7), 2500));
    let optimizer = set(&["train.lr=2e-4"]).train.optimizer;
    assert_snapshot!(serde_json::to_string(&optimizer).unwrap(), @r#"{"adamw":{"learning_rate":0.0002,"betas":[0.9,0.999],"eps":1e-8,"weight_decay":0.01,"decay":"all"}}"#);
    assert_snapshot!(told(&plain(""), None, &["data.corpus.jsonl.field=body"]), @"
    `data.corpus.jsonl` lacks the key `path`
     --> --set
    1 | data.corpus.jsonl.field=body
      | ^^^^^^^^^^^^^^^^^^^^^^^
      = allowed: text, or a list (each item: text)
    ");
}

#[test]
fn null_removes_an_optional_setting() {
    let set = |sets: &[&str]| settings(&plain(""), sets);
    let settings = set(&[
        "train.epochs=null",
        "train.max_steps=5",
        "eval.samples=null",
    ]);
    assert_eq!(
        (settings.train.epochs, settings.train.max_steps),
        (None, Some(5))
    );
    assert_eq!(settings.eval.samples, None);
}

#[test]
fn set_wins_over_cases() {
    let spec = with(FRENZY, None, &["train.epochs=2"]).unwrap();
    assert!(
        spec.runs
            .iter()
            .all(|run| run.settings.train.epochs == Some(2))
    );
    assert_eq!(spec.overrides, ["train.epochs=2"]);
}

#[test]
fn other_tools_names_are_the_same_run() {
    let own = settings(&plain(""), &[]);
    let text = plain("")
        .replace("dim: 128", "n_embd: 128")
        .replace("n_layers", "num_hidden_layers")
        .replace("n_heads", "num_attention_heads")
        .replace("max_seq_len", "block_size")
        .replace("batch_size", "micro_batch_size")
        .replace("learning_rate", "lr");
    assert_eq!(settings(&text, &[]), own);
    let twice = plain("").replace("dim: 128", "dim: 128, hidden_size: 128");
    assert_eq!(settings(&twice, &[]), own);
    let loss = |name: &str| {
        settings(&plain(""), &[&format!("train.loss={name}")])
            .train
            .loss
    };
    assert_eq!(loss("mse"), loss("{square: {k: 1, m: 1.0}}"));
    assert_eq!(loss("square"), loss("mse"));
    assert_eq!(loss("scaled_mse"), loss("{square: {k: 100}}"));
    assert_eq!(loss("{squentropy: {}}"), Loss::Squentropy);
    assert_eq!(loss("{squentropy: null}"), Loss::Squentropy);
}

#[test]
fn quoted_parts_hold_dots() {
    let more = "cases: {v1.5: {train.epochs: 1}, v2: {train.epochs: 2}}\nprofiles: {p: {'cases.\"v1.5\".train.epochs': 4}}\n";
    let spec = with(&plain(more), Some("p"), &["cases.\"v1.5\".model.dim=64"]).unwrap();
    let show = |s: &Settings| format!("{:?} {}", s.train.epochs, s.model.dim);
    assert_snapshot!(table(&spec, show), @"
    v1.5: Some(4) 64
    v2: Some(2) 128
    ");
}

#[test]
fn settings_written_out_are_read_back() {
    for run in with(FRENZY, None, &[]).unwrap().runs {
        let base = serde_json::to_string(&*run.settings).unwrap();
        assert_eq!(
            settings(&format!("specbook: 1\nname: x\nbase: {base}\n"), &[]),
            *run.settings
        );
    }
}

#[test]
#[cfg_attr(
    windows,
    ignore = "without the processor time of a thread, other load decides"
)]
fn ten_thousand_runs_are_quick() {
    let values = |from: usize, to: usize| {
        let values: Vec<String> = (from..to).map(|value| value.to_string()).collect();
        values.join(", ")
    };
    let seeds = plain(&format!(
        "vary: {{model.n_layers: [{}]}}\nseeds: [{}]\n",
        values(1, 101),
        values(0, 100)
    ));
    let one_section = plain(&format!(
        "vary: {{train.batch_size: [{}]}}\n",
        values(1, 10_001)
    ));
    for text in [seeds, one_section] {
        let (spec, taken) = worked(|| with(&text, None, &[]).unwrap());
        let seconds = taken.as_secs_f64();
        println!("10,000 runs in {:.0} ms", seconds * 1e3);
        assert_eq!(spec.runs.len(), 10_000);
        assert!(seconds < 5.0, "{seconds}");
    }
    let start = std::time::Instant::now();
    (0..20).for_each(|_| drop(with(FRENZY, None, &[]).unwrap()));
    println!("one spec in {:.2} ms", start.elapsed().as_secs_f64() * 50.0);
}
