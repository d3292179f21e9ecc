//! Compares `plan`'s memory estimates with the memory of runs: `cargo bench --bench memory [-- WORDS…]` (default: all
//! settings; otherwise those whose names contain all words).
//!
//! Every setting is planned and run twice, each time in a separate process: before its text is tokenised, and with
//! another learning rate when the text is cached. It prints the estimate and the peak in MB and their ratio; a
//! deviation above 30 % at 50 MB or more is marked with `!`. Only Linux reports the peak of another process.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where something is missing"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Name, model fields, and tokenizer size.
const MODELS: [(&str, &str, usize); 6] = [
    (
        "least",
        "{arch: llama, dim: 8, n_layers: 1, n_heads: 1, max_seq_len: 32}",
        300,
    ),
    (
        "tiny",
        "{arch: gpt2, dim: 32, n_layers: 2, n_heads: 2, max_seq_len: 64}",
        512,
    ),
    (
        "desk",
        "{arch: llama, dim: 64, n_layers: 2, n_heads: 4, max_seq_len: 256}",
        1024,
    ),
    (
        "long",
        "{arch: gpt2, dim: 64, n_layers: 4, n_heads: 4, max_seq_len: 1024}",
        512,
    ),
    (
        "wide",
        "{arch: llama, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 128, pad_vocab_to_multiple: 32000}",
        2048,
    ),
    (
        "deep",
        "{arch: llama, dim: 256, n_layers: 6, n_heads: 8, n_kv_heads: 4, max_seq_len: 256}",
        2048,
    ),
];

/// Name and data fields.
const TEXTS: [(&str, &str); 5] = [
    (
        "20 stories",
        "corpus: {stories: {version: 1}}, train: 20, validation: 4",
    ),
    (
        "400 stories, cut",
        "corpus: {stories: {version: 1}}, train: 400, validation: 20, sequence: {informed_as_described: {tol: 20}}",
    ),
    (
        "2500 stories",
        "corpus: {stories: {version: 1}}, train: 2500, validation: 100",
    ),
    (
        "300 documents, stream",
        "corpus: {documents: {version: 1}}, train: 300, validation: 10, sequence: stream",
    ),
    (
        "2500 documents",
        "corpus: {documents: {version: 1}}, train: 2500, validation: 50",
    ),
];

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    println!("| model | text | batch | evaluation | tokenised | plan | peak | ratio |");
    println!("|---|---|---|---|---|---|---|---|");
    for (number, (model, fields, vocabulary)) in MODELS.iter().enumerate() {
        for (text, data) in TEXTS {
            let name = format!("{model} {text}");
            let batch = [4, 16][number % 2];
            // Every other model is evaluated.
            let evaluation = number % 2 == 1;
            let eval = if evaluation {
                "perplexity: {documents: 4}, samples: {prompts: [\"The\"], max_new_tokens: 16}"
            } else {
                ""
            };
            if !words.iter().all(|word| name.contains(word.as_str())) {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            for (learning_rate, tokenised) in [("0.001", "no"), ("0.002", "yes")] {
                let spec = format!(
                    "specbook: 1\nname: memory\ntitle: Memory\nbase:\n  \
                     data: {{{data}, tokenizer: {{train_bpe: {{vocab_size: {vocabulary}}}}}}}\n  \
                     model: {fields}\n  \
                     train: {{batch_size: {batch}, max_steps: 5, optimizer: {{adamw: {{learning_rate: {learning_rate}}}}}, \
                     validate: {{every: end}}}}\n  \
                     eval: {{{eval}}}\n"
                );
                std::fs::write(folder.path().join("memory.yaml"), spec).unwrap();
                let estimate = estimate(folder.path());
                let peak = peak(folder.path());
                let ratio = estimate / peak;
                let mark = if (0.7..=1.3).contains(&ratio) {
                    ""
                } else {
                    " !"
                };
                println!(
                    "| {model} | {text} | {batch} | {evaluation} | {tokenised} | {:.1} | {:.1} | {ratio:.2}{mark} |",
                    estimate / 1e6,
                    peak / 1e6
                );
            }
        }
    }
}

/// The estimate of the one run of `memory.yaml`, in bytes.
fn estimate(folder: &Path) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_specbook"));
    command.args(["plan", "memory.yaml", "--format", "json"]);
    let output = command
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let estimate = &plan[0]["runs"][0]["estimate"]["peak_rss_bytes"];
    estimate.as_f64().unwrap()
}

/// Peak resident memory of `run`, in bytes. The run resets its peak when training begins, so it is polled.
fn peak(folder: &Path) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_specbook"));
    command.args(["run", "memory.yaml", "--no-report"]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = command.current_dir(folder).spawn().unwrap();
    let status = format!("/proc/{}/status", process.id());
    let mut peak = 0.0f64;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(kib.unwrap_or(0.0) * 1024.0);
        if let Some(ended) = process.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(ended.success(), "{ended}");
    peak
}
