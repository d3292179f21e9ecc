//! Shared test helpers.

pub(crate) mod server;

use crate::rng::{Purpose, Stream};
use proptest::test_runner::Config;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// Multiplier for the number of cases, from `SPECBOOK_CASES`: seconds by default, hours on request.
fn factor() -> u32 {
    let factor = std::env::var("SPECBOOK_CASES").ok();
    factor.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The result of `work` and its CPU time on this thread, independent of other load; wall time if the system does not
/// report it.
pub(crate) fn worked<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let before = processor_time();
    let value = work();
    let taken = match (before, processor_time()) {
        (Some(before), Some(after)) => after - before,
        _ => begun.elapsed(),
    };
    (value, taken)
}

#[cfg(target_os = "linux")]
fn processor_time() -> Option<Duration> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;
    let used = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
    let all = used.user_time() + used.system_time();
    u64::try_from(all.num_microseconds())
        .ok()
        .map(Duration::from_micros)
}

#[cfg(not(target_os = "linux"))]
fn processor_time() -> Option<Duration> {
    None
}

/// A configuration with `usual` cases of a property, times [`factor`].
pub(crate) fn cases(usual: u32) -> Config {
    Config::with_cases(usual.saturating_mul(factor()))
}

/// Time limit per input, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(20);
/// Limit on this process's peak memory for any input.
const MEMORY: u64 = 4 << 30;
/// Longest input.
const LONGEST: usize = 1 << 20;

/// Passes `usual` inputs, times [`factor`], to `read`: `seeds` mutated in one to eight places with bytes, numbers and
/// `words`. The inputs are the same every time. Prints their number; a panic, a hang or excessive memory fails with the
/// input's number. An input that kills the process (out of memory, stack overflow) is left in the temporary folder.
pub(crate) fn fuzz(
    name: &str,
    seeds: &[Vec<u8>],
    words: &[&str],
    usual: u32,
    read: impl Fn(&[u8]),
) {
    let inputs = u64::from(usual) * u64::from(factor());
    let kept = std::env::temp_dir().join(format!("specbook-fuzz-{name}"));
    let mut slowest = Duration::ZERO;
    for number in 0..inputs {
        let input = mutated(seeds, words, number);
        if factor() > 1 {
            std::fs::write(&kept, &input).unwrap();
        }
        let begun = Instant::now();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| read(&input))) {
            println!("{name}, input {number}: {}", input.escape_ascii());
            resume_unwind(panic);
        }
        slowest = slowest.max(begun.elapsed());
        assert!(slowest < PATIENCE, "{name}, input {number}: {slowest:?}");
        let memory = crate::scheduler::peak_rss_bytes();
        assert!(memory < MEMORY, "{name}, input {number}: {memory} bytes");
    }
    println!("{name}: {inputs} inputs, the slowest {slowest:.1?}");
    let _ = std::fs::remove_file(kept);
}

/// Numbers near overflow limits.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1e308",
    "1e-308",
    "NaN",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999",
    "0.1",
];

/// The input with this number.
fn mutated(seeds: &[Vec<u8>], words: &[&str], number: u64) -> Vec<u8> {
    let draws = Stream::new(0, Purpose::Corpus, number);
    let mut drawn = 0;
    let mut draw = |below: usize| {
        drawn += 1;
        draws.below(drawn, below.max(1) as u64) as usize
    };
    let mut bytes = seeds[draw(seeds.len())].clone();
    for _ in 0..=draw(8) {
        let at = draw(bytes.len() + 1);
        let bits = draw(10);
        let length = draw(1 << bits);
        let end = (at + length).min(bytes.len());
        match draw(12) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << draw(8),
            2 if at < bytes.len() => bytes[at] = draw(256) as u8,
            3 => drop(bytes.drain(at..end)),
            4 => {
                let new: Vec<u8> = (0..length.min(16)).map(|_| draw(256) as u8).collect();
                drop(bytes.splice(at..at, new));
            }
            5 | 6 if !words.is_empty() => {
                let word = words[draw(words.len())].bytes();
                drop(bytes.splice(at..at, word));
            }
            7 => {
                let times = 1 << draw(8);
                let again = bytes[at..end].repeat(times);
                drop(bytes.splice(at..at, again));
            }
            8 => {
                let other = &seeds[draw(seeds.len())];
                let from = draw(other.len());
                let to = (from + length).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
            9 => {
                let number = [
                    0,
                    1,
                    0x7F,
                    0xFF,
                    0x7FFF_FFFF,
                    u64::from(u32::MAX),
                    u64::MAX >> 1,
                    u64::MAX,
                ][draw(8)];
                let width = 1 << draw(4);
                for (byte, new) in bytes[at..].iter_mut().zip(&number.to_le_bytes()[..width]) {
                    *byte = *new;
                }
            }
            10 => {
                let digits = |byte: &u8| byte.is_ascii_digit();
                if let Some(first) = bytes[at..].iter().position(digits) {
                    let run = bytes[at + first..]
                        .iter()
                        .take_while(|byte| digits(byte))
                        .count();
                    let number = NUMBERS[draw(NUMBERS.len())].bytes();
                    drop(bytes.splice(at + first..at + first + run, number));
                }
            }
            11 if draw(4) == 0 => bytes.truncate(at),
            _ => {}
        }
        bytes.truncate(LONGEST);
    }
    bytes
}
