//! Runs the PTX made by nvcc from specbook's kernels on the CPU, as a driver gets it. A test tool, not part of the
//! program.
//!
//! `specbook-ptx KERNELS.ptx LAUNCHES [KERNEL]`: runs every recorded launch (`src/train/engine/cuda/launches.rs`;
//! `tests/gpu/tests.cpp` records them) and compares all memory with the results of the kernel's CPU build, within the
//! tolerance of its test. Every kernel of the PTX must be launched. It finds errors in nvcc's output: predicates,
//! addresses, parameter layouts, fragments. It does not look for races.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

mod compute;
#[path = "../../../../src/train/engine/cuda/launches.rs"]
mod launches;
mod machine;
mod memory;
mod parse;

use memory::Memory;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [kernels, launches, only @ ..] if only.len() < 2 => {
            match run(kernels, launches, only.first().map(String::as_str)) {
                Ok(wrong) => ExitCode::from(u8::from(wrong > 0)),
                Err(why) => {
                    eprintln!("error: {why}");
                    ExitCode::from(2)
                }
            }
        }
        _ => {
            eprintln!("usage: specbook-ptx KERNELS.ptx LAUNCHES [KERNEL]");
            ExitCode::from(2)
        }
    }
}

/// Number of wrong kernels.
fn run(kernels: &str, recorded: &str, only: Option<&str>) -> Result<usize, String> {
    let read = |path: &str| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    let text = String::from_utf8(read(kernels)?).map_err(|_| format!("{kernels}: no text"))?;
    let kernels = parse::kernels(&text)?;
    let recorded = launches::read(&read(recorded)?).ok_or("not a file of whole launches")?;
    let asked = |name: &str| only.is_none_or(|only| only == name);
    let wanted = recorded.iter().filter(|launch| asked(&launch.kernel));
    let mut found = launches::outcomes(wanted, |launch| {
        let kernel = kernels
            .get(&launch.kernel)
            .ok_or("the PTX has no such kernel")?;
        let mut memory = Memory::new(launch);
        machine::run(kernel, launch, &mut memory)?;
        Ok(memory.stored)
    });
    for name in kernels.keys().filter(|name| asked(name)) {
        let found = found.entry(name.clone()).or_default();
        if found.launches == 0 {
            found.wrong = Some("no test launches it".to_owned());
        }
    }
    for (name, found) in &found {
        let apart = match found.difference {
            0.0 => "the same bits as on the CPU".to_owned(),
            apart => format!("{apart:.1e} apart ({:.0e} allowed)", found.allowed),
        };
        match &found.wrong {
            None => println!("{name:<28} ok    {:>2} launches, {apart}", found.launches),
            Some(why) => println!("{name:<28} FAIL  {why}"),
        }
    }
    let wrong = found.values().filter(|found| found.wrong.is_some()).count();
    println!("{} kernels from their PTX, {wrong} wrong", found.len());
    Ok(wrong)
}
