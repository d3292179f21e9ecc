//! Speed of token-by-token generation, alternating with llama2.c's `run`:
//!
//! `cargo bench --bench generation -- FOLDER [THREADS [ROUNDS]]`
//!
//! FOLDER holds llama2.c with its `run` (fastest build: `gcc -Ofast -fopenmp -march=native run.c -lm -o run`) and
//! `tokenizer.bin`. Models: stories260K from the real data (`SPECBOOK_TEST_DATA`, otherwise `../shared/data`), and
//! random weights in the shape of stories15M. Both programs take the most likely token 255 times after the one that
//! begins a text, on the same number of threads; the first is not timed, as in `run`. Our times are whole calls without
//! decoding. Tokens per second of CPU time are also shown, which is more reliable on a busy machine (only with one
//! thread, since waiting helpers spin).
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports on standard output"
)]

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use specbook::internals::data::Stop;
use specbook::internals::interop::read;
use specbook::internals::rng::{Purpose, Stream};
use specbook::internals::train::SampleJob;
use specbook::{DeviceKind, open_engine};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Tokens of a text, including the first.
const TOKENS: usize = 256;
/// dim, hidden dim, layers, heads, key/value heads, vocabulary, longest sequence of stories15M.
const SHAPE: [i32; 7] = [288, 768, 6, 6, 6, 32_000, 256];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let Some(folder) = arguments.first().map(PathBuf::from) else {
        println!("usage: cargo bench --bench generation -- FOLDER [THREADS [ROUNDS]]");
        return;
    };
    let number = |at: usize, default: usize| {
        let argument = arguments.get(at);
        argument.map_or(default, |text| text.parse().expect("a number"))
    };
    let (threads, rounds) = (number(1, 1), number(2, 7));
    let data =
        std::env::var_os("SPECBOOK_TEST_DATA").map_or("../shared/data".into(), PathBuf::from);
    let stories = data.join("stories260K");
    if stories.is_dir() {
        let (model, tokens) = (stories.join("stories260K.bin"), stories.join("tok512.bin"));
        alternate("stories260K", &folder, [&model, &tokens], threads, rounds);
    } else {
        eprintln!(
            "stories260K is left out: there is no `{}`",
            stories.display()
        );
    }
    let made = std::env::temp_dir().join(format!("specbook-generation-{}.bin", std::process::id()));
    std::fs::write(&made, random()).expect("the temporary folder can be written to");
    alternate(
        "15M",
        &folder,
        [&made, &folder.join("tokenizer.bin")],
        threads,
        rounds,
    );
    std::fs::remove_file(made).expect("it was just written");
}

/// A checkpoint of llama2.c with random weights.
fn random() -> Vec<u8> {
    let mut bytes: Vec<u8> = SHAPE.iter().flat_map(|n| n.to_le_bytes()).collect();
    let [dim, hidden, layers, _, _, vocabulary, longest] = SHAPE.map(|n| n as usize);
    let norms = dim * layers;
    let matrices = [
        (vocabulary * dim, false),
        (norms, true),
        (4 * layers * dim * dim, false),
        (norms, true),
        (3 * layers * dim * hidden, false),
        (dim, true),
        // Unused tables: one head of 48 numbers.
        (longest * 48, false),
    ];
    for (tensor, (count, is_norm)) in matrices.into_iter().enumerate() {
        let stream = Stream::new(1, Purpose::Init, tensor as u64);
        for pair in 0..count as u64 / 2 {
            let draws = stream.normal_pair(pair);
            let values = draws.map(|draw| if is_norm { 1.0 } else { 0.05 * draw as f32 });
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
    bytes
}

/// Measures both alternately and prints the medians and the best.
fn alternate(
    name: &str,
    folder: &Path,
    [model, tokens]: [&Path; 2],
    threads: usize,
    rounds: usize,
) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(our_rates(model, tokens, threads));
        theirs.push(their_rates(folder, model, tokens, threads));
    }
    for (clock, unit) in ["s", "s of processor time"].into_iter().enumerate() {
        let [ours, theirs] = [&ours, &theirs].map(|rates| {
            let mut rates: Vec<f64> = rates.iter().map(|rates| rates[clock]).collect();
            rates.sort_by(f64::total_cmp);
            (rates[rates.len() / 2], rates[rates.len() - 1])
        });
        println!(
            "{name}, {threads} thread(s), {rounds} rounds: specbook {:.0} tokens/{unit} (best {:.0}), llama2.c {:.0} (best {:.0}); ratio of medians {:.2}, of the best {:.2}",
            ours.0,
            ours.1,
            theirs.0,
            theirs.1,
            ours.0 / theirs.0,
            ours.1 / theirs.1
        );
    }
}

/// CPU time of this process or its finished children, seconds.
fn processor(who: UsageWho) -> f64 {
    let usage = getrusage(who).expect("the system tells it");
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Tokens per second, and per second of CPU time.
fn our_rates(model: &Path, tokens: &Path, threads: usize) -> [f64; 2] {
    let found = read(model, Some(tokens)).expect("the model is read");
    let engine = open_engine(DeviceKind::Cpu).expect("the processor is there");
    let prompts = [vec![1]];
    let job = SampleJob {
        model: &found.model,
        prompts: &prompts,
        max_new_tokens: TOKENS - 1,
        temperature: 0.0,
        top_k: None,
        top_p: None,
        seed: 0,
        stop: None,
        usable_vocab: found.model.vocab_size,
        threads,
        halt: Stop::never(),
    };
    let mut first = None;
    let mut count = 0;
    let mut tell = |_: usize, _: u32| {
        first.get_or_insert_with(|| (Instant::now(), processor(UsageWho::RUSAGE_SELF)));
        count += 1;
        ControlFlow::Continue(())
    };
    let made = engine.generate_each(&found.weights, &job, &mut tell);
    let (end, used) = (Instant::now(), processor(UsageWho::RUSAGE_SELF));
    made.expect("a text is made");
    let (first, before) = first.expect("a token was made");
    [(end - first).as_secs_f64(), used - before].map(|seconds| f64::from(count - 1) / seconds)
}

/// The same for `run`; its CPU time is the difference between many tokens and two.
fn their_rates(folder: &Path, model: &Path, tokens: &Path, threads: usize) -> [f64; 2] {
    let before = processor(UsageWho::RUSAGE_CHILDREN);
    their_rate(folder, [model, tokens], threads, 2);
    let two = processor(UsageWho::RUSAGE_CHILDREN);
    let rate = their_rate(folder, [model, tokens], threads, TOKENS);
    let all = processor(UsageWho::RUSAGE_CHILDREN) - two;
    let seconds = all - (two - before);
    [
        rate.expect("`run` tells its speed"),
        (TOKENS - 2) as f64 / seconds,
    ]
}

fn their_rate(
    folder: &Path,
    [model, tokens]: [&Path; 2],
    threads: usize,
    count: usize,
) -> Option<f64> {
    let program = std::path::absolute(folder.join("run")).expect("a path");
    let output = Command::new(program)
        .arg(model)
        .arg("-z")
        .arg(tokens)
        .args(["-t", "0", "-n", &count.to_string()])
        .env("OMP_NUM_THREADS", threads.to_string())
        .output()
        .expect("`run` of llama2.c starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let rate = said.rsplit("achieved tok/s: ").next().map(str::trim);
    rate.and_then(|rate| rate.parse().ok())
}
