//! Compares the embedded corpora with real text: `cargo bench --bench corpora [-- show GENERATOR FIRST COUNT]`.
#![allow(missing_docs, clippy::print_stdout)]

use specbook::internals::data::{Generator, document};
use specbook::internals::spec::Embedded;
use std::collections::{BTreeSet, HashSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const PARAMETERS: Embedded = Embedded {
    version: 1,
    seed: 0,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "show") {
        return show(&arguments[1..]);
    }
    println!(
        "| corpus | documents | words mean | words median | bytes mean | xz ratio | word types | 4-grams seen | 8-grams seen | 12-grams seen | distinct openings | MB/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    let (stories, rate) = generated(Generator::Stories, 2300);
    row("stories", &stories, Some(rate));
    let folder = std::env::var_os("SPECBOOK_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let real = real_stories(&folder);
    match &real {
        Some(real) => row("TinyStories (real)", real, None),
        None => println!(
            "\nreal stories: skipped, not found in {}\n",
            folder.display()
        ),
    }
    let (mixed, rate) = generated(Generator::Documents, 500);
    row("documents", &mixed, Some(rate));
    let pile = real_documents(&folder);
    match &pile {
        Some(pile) => row("Pile sample (real)", pile, None),
        None => println!(
            "\nreal documents: skipped, not found in {}\n",
            folder.display()
        ),
    }
    println!(
        "\n| words per document | min | 5 % | 25 % | 50 % | 75 % | 95 % | 99 % | max |\n|---|---|---|---|---|---|---|---|---|"
    );
    quantiles("documents", &mixed);
    if let Some(pile) = &pile {
        quantiles("Pile sample (real)", pile);
    }
}

fn show(arguments: &[String]) {
    let generator = match arguments.first().map(String::as_str) {
        Some("documents") => Generator::Documents,
        _ => Generator::Stories,
    };
    let number = |at: usize| {
        arguments
            .get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(1)
    };
    for index in number(1)..number(1) + number(2) {
        println!("{}\n<|endoftext|>", document(generator, &PARAMETERS, index));
    }
}

fn generated(generator: Generator, count: u64) -> (Vec<String>, f64) {
    document(generator, &PARAMETERS, 0); // compiles the grammar
    let start = Instant::now();
    let documents: Vec<String> = (0..count)
        .map(|index| document(generator, &PARAMETERS, index))
        .collect();
    let bytes: usize = documents.iter().map(String::len).sum();
    let rate = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    (documents, rate)
}

fn real_stories(folder: &Path) -> Option<Vec<String>> {
    let path = folder.join("tinystories-train-head/TinyStories-train-head-2MiB.txt");
    let text = std::fs::read_to_string(path).ok()?;
    let stories = text
        .split("<|endoftext|>")
        .map(|story| story.trim().to_owned());
    Some(
        stories
            .filter(|story| !story.is_empty())
            .take(2300)
            .collect(),
    )
}

fn real_documents(folder: &Path) -> Option<Vec<String>> {
    let file = std::fs::File::open(folder.join("pile-test-a/pile-test-a.jsonl.zst")).ok()?;
    let mut text = String::new();
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(file).ok()?;
    decoder.read_to_string(&mut text).ok()?;
    let one = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(value.get("text")?.as_str()?.to_owned())
    };
    Some(text.lines().filter_map(one).take(500).collect())
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let pieces = lower.split(|c: char| !(c.is_alphabetic() || c == '\''));
    pieces
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn lengths(documents: &[String]) -> Vec<usize> {
    let mut lengths: Vec<usize> = documents
        .iter()
        .map(|d| d.split_whitespace().count())
        .collect();
    lengths.sort_unstable();
    lengths
}

/// Share of a document's n-grams that occur in an earlier document.
fn seen(documents: &[Vec<String>], n: usize) -> f64 {
    let mut known: HashSet<&[String]> = HashSet::new();
    let (mut repeated, mut all) = (0usize, 0usize);
    for document in documents {
        repeated += document
            .windows(n)
            .filter(|gram| known.contains(*gram))
            .count();
        all += document.windows(n).count();
        known.extend(document.windows(n));
    }
    100.0 * repeated as f64 / all.max(1) as f64
}

fn xz_ratio(documents: &[String]) -> Option<f64> {
    let text = documents.join("\n\n");
    let mut child = Command::new("xz")
        .args(["-6", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take()?;
    let bytes = text.clone().into_bytes();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().ok()?;
    writer.join().ok()?.ok()?;
    Some(text.len() as f64 / output.stdout.len().max(1) as f64)
}

fn row(name: &str, documents: &[String], rate: Option<f64>) {
    let tokens: Vec<Vec<String>> = documents.iter().map(|d| words(d)).collect();
    let types: BTreeSet<&String> = tokens.iter().flatten().collect();
    let lengths = lengths(documents);
    let count = documents.len();
    let bytes: usize = documents.iter().map(String::len).sum();
    let opening = |document: &String| {
        let end = document.find(['.', '!', '?']).unwrap_or(document.len());
        document[..end].to_owned()
    };
    let openings: BTreeSet<String> = documents.iter().map(opening).collect();
    let xz =
        xz_ratio(documents).map_or("skipped (no xz)".to_owned(), |ratio| format!("{ratio:.2}"));
    let grams: Vec<String> = [4, 8, 12]
        .iter()
        .map(|n| format!("{:.1} %", seen(&tokens, *n)))
        .collect();
    println!(
        "| {name} | {count} | {} | {} | {} | {xz} | {} | {} | {:.0} % | {} |",
        lengths.iter().sum::<usize>() / count,
        lengths[count / 2],
        bytes / count,
        types.len(),
        grams.join(" | "),
        100.0 * openings.len() as f64 / count as f64,
        rate.map_or("-".to_owned(), |rate| format!("{rate:.0}")),
    );
}

fn quantiles(name: &str, documents: &[String]) {
    let lengths = lengths(documents);
    let at = |share: f64| lengths[((lengths.len() - 1) as f64 * share) as usize].to_string();
    let cells: Vec<String> = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0].map(at).into();
    println!("| {name} | {} |", cells.join(" | "));
}
