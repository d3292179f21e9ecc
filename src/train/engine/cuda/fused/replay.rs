//! Recorded launches on a GPU: every kernel alone, on inputs recorded in the tests, compared with the output of
//! its CPU build.

use super::super::api;
use super::super::launches::{Buffer, Launch, Outcomes, Target, outcomes};
use super::gpu::Gpu;
use crate::spec::Dtype;
use crate::train::TrainError;
use std::ffi::c_void;

/// Number of bytes on both sides of a buffer that a kernel must not change.
const GUARD: u64 = 512;
/// Their contents: large numbers, which any addition changes (NaN would stay NaN).
const POISON: u8 = 0x5a;

/// Runs the launches on GPU `number`, except those that ran only one block of a huge grid, whose buffers were
/// not recorded completely.
///
/// # Errors
/// The GPU cannot be used, or fails.
pub(in crate::train::engine::cuda) fn replayed(
    number: usize,
    recorded: &[Launch],
) -> Result<Outcomes, TrainError> {
    let gpu = Gpu::open(number, Dtype::F32)?;
    let stored = |buffer: &Buffer| buffer.from == 0 && buffer.size == buffer.before.len() as u64;
    let whole = |launch: &&Launch| launch.only_block == 0 && launch.buffers.iter().all(stored);
    let whole = recorded.iter().filter(whole);
    let found = outcomes(whole, |launch| run(&gpu, launch));
    api::check().map(|()| found)
}

/// A buffer between its guards: the data sent and the data returned.
struct Guarded {
    at: u64,
    bytes: Vec<u8>,
}

impl Guarded {
    /// The address of its first byte.
    fn start(&self) -> u64 {
        self.at + GUARD
    }
}

fn run(gpu: &Gpu, launch: &Launch) -> Result<Vec<Vec<u8>>, String> {
    let room = |buffer: &Buffer| {
        let guard = [POISON; GUARD as usize];
        let bytes = [&guard[..], &buffer.before, &guard].concat();
        (gpu.bytes(bytes.len()), bytes)
    };
    let (owners, mut memory): (Vec<_>, Vec<_>) = launch
        .buffers
        .iter()
        .map(|buffer| {
            let (owner, bytes) = room(buffer);
            let at = owner.at;
            (owner, Guarded { at, bytes })
        })
        .unzip();
    let starts: Vec<u64> = memory.iter().map(Guarded::start).collect();
    let address = |target: Target| starts[target.buffer] + target.offset;
    for (buffer, guarded) in launch.buffers.iter().zip(&mut memory) {
        for (at, target) in &buffer.pointers {
            let at = (GUARD + at) as usize;
            guarded.bytes[at..at + 8].copy_from_slice(&address(*target).to_le_bytes());
        }
        gpu.upload_to(guarded.at, &guarded.bytes);
    }
    // In words of 8 bytes, so that every parameter is aligned.
    let mut parameters: Vec<Vec<u64>> = Vec::new();
    for parameter in &launch.parameters {
        let words = match parameter.target {
            Some(target) => vec![address(target)],
            None => words(&parameter.bytes),
        };
        parameters.push(words);
    }
    let pointer = |words: &mut Vec<u64>| words.as_mut_ptr().cast::<c_void>();
    let mut pointers: Vec<*mut c_void> = parameters.iter_mut().map(pointer).collect();
    let blocks = (launch.grid[0] as usize, launch.grid[1] as usize);
    // SAFETY: the parameters are those of the test that launched this kernel; all its buffers exist.
    unsafe { gpu.launch(&launch.kernel, blocks, launch.block[0], &mut pointers) };
    let mut found = Vec::new();
    for (buffer, guarded) in launch.buffers.iter().zip(&memory) {
        let mut bytes: Vec<u8> = gpu.download(guarded.at, guarded.bytes.len());
        api::check().map_err(|error| error.to_string())?;
        let end = bytes.split_off(bytes.len() - GUARD as usize);
        let inner = bytes.split_off(GUARD as usize);
        if bytes.iter().chain(&end).any(|byte| *byte != POISON) {
            return Err(format!("it writes beside `{}`", buffer.name));
        }
        found.push(inner);
    }
    drop(owners);
    Ok(found)
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let mut all = Vec::new();
    for part in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        all.push(u64::from_ne_bytes(word));
    }
    all
}
