//! Measures tokenisation and streaming: `cargo bench --bench text [-- tokenise | stream]`.
//!
//! `tokenise` encodes 2,500 real documents on all threads alternately with our code and with the batch encoding of the
//! library `tokenizers`, and prints the ratio of the best times: above 1, ours is faster. The ids must be equal.
//! `stream` plans a spec that reads 10 GB of JSON lines in a zstd file of many frames (real stories if available) and
//! prints its peak memory, which only Linux reports.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where something is missing"
)]

use specbook::internals::data::{Generator, TextTokenizer, document};
use specbook::internals::spec::Embedded;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokenizers::Tokenizer;

/// Rounds per side.
const TURNS: usize = 3;
/// Bytes of text to stream.
const STREAMED: usize = 10_000_000_000;

fn main() {
    let named = |name: &str| std::env::args().any(|argument| argument == name);
    let all = !named("tokenise") && !named("stream");
    if all || named("tokenise") {
        tokenise();
    }
    if all || named("stream") {
        stream();
    }
}

fn data() -> PathBuf {
    std::env::var_os("SPECBOOK_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    )
}

fn generated(count: u64) -> Vec<String> {
    let parameters = Embedded {
        version: 1,
        seed: 0,
    };
    let texts = (0..count).map(|index| document(Generator::Documents, &parameters, index));
    texts.collect()
}

fn tokenise() {
    let texts = generated(2500);
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("| tokenizer | MB | ids | ours | tokenizers | ratio |\n|---|---|---|---|---|---|");
    for name in ["gpt2-tokenizer", "llama-tokenizer", "tinystories-bpe-4096"] {
        let path = data().join(name).join("tokenizer.json");
        let Ok(json) = std::fs::read(&path) else {
            println!("{name}: skipped, not found in {}", path.display());
            continue;
        };
        let ours = TextTokenizer::from_bytes(&json, &path).unwrap();
        let mut theirs = Tokenizer::from_bytes(&json).unwrap();
        theirs.set_encode_special_tokens(true);
        let (mut best, mut ids) = ([Duration::MAX; 2], 0);
        for _ in 0..TURNS {
            let start = Instant::now();
            let encoded = ours.encode_all(&texts).unwrap();
            best[0] = best[0].min(start.elapsed());
            let inputs = texts.clone();
            let start = Instant::now();
            let other = theirs.encode_batch_fast(inputs, false).unwrap();
            best[1] = best[1].min(start.elapsed());
            assert!(
                encoded.iter().zip(&other).all(|(a, b)| a == b.get_ids()),
                "{name}"
            );
            ids = encoded.iter().map(Vec::len).sum();
        }
        let [ours, theirs] = best.map(|time| time.as_secs_f64());
        println!(
            "| {name} | {:.1} | {ids} | {ours:.2} s | {theirs:.2} s | {:.2} |",
            bytes as f64 / 1e6,
            theirs / ours
        );
    }
}

fn stream() {
    let folder = tempfile::tempdir().unwrap();
    let stories = data().join("tinystories-train-head/TinyStories-train-head-2MiB.txt");
    let texts = match std::fs::read_to_string(stories) {
        Ok(text) => text.split("<|endoftext|>").map(str::to_owned).collect(),
        Err(_) => generated(500),
    };
    let lines: String = texts
        .iter()
        .map(|text| serde_json::json!({"text": text}).to_string() + "\n")
        .collect();
    let frame = ruzstd::encoding::compress_to_vec(
        lines.as_bytes(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let frames = STREAMED.div_ceil(lines.len());
    let file = std::fs::File::create(folder.path().join("ten.jsonl.zst")).unwrap();
    let mut file = std::io::BufWriter::new(file);
    for _ in 0..frames {
        std::io::Write::write_all(&mut file, &frame).unwrap();
    }
    std::io::Write::flush(&mut file).unwrap();
    let last = texts.len() * frames;
    let spec = format!(
        "specbook: 1\nname: ten\ntitle: Ten\nbase:\n  data: {{corpus: {{jsonl: {{path: ten.jsonl.zst}}}}, tokenizer: bytes, \
         train: {{skip: {}, take: 1000}}, validation: {{skip: {}, take: 1000}}}}\n  model: {{dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 16}}\n  \
         train: {{batch_size: 4, max_steps: 2, optimizer: {{adamw: {{learning_rate: 1e-2}}}}, validate: {{every: end}}}}\ncells:\n  - plan: all\n",
        last - 2000,
        last - 1000
    );
    std::fs::write(folder.path().join("ten.yaml"), spec).unwrap();
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_specbook"))
        .args(["plan", "ten.yaml"])
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "{:.1} GB of {last} documents: {:.0} s, at most {:.0} MB",
        (lines.len() * frames) as f64 / 1e9,
        start.elapsed().as_secs_f64(),
        peak as f64 / 1e3
    );
}
