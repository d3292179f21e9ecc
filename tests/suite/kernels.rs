//! The GPU's kernels on the CPU (`tests/gpu`): every kernel against f64 in several thread orders, under sanitizers and
//! under a checker for races and stray accesses; and planted errors, to test the checker itself. `scripts/ptx-test.sh`
//! tests the code made by nvcc.
//!
//! It needs a C++17 compiler (`c++`, or `CXX`) and is skipped with a message if there is none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const FLAGS: [&str; 7] = [
    "-std=c++17",
    "-g1",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wno-unknown-pragmas",
    "-fno-strict-aliasing",
];

/// Undefined arithmetic and stray accesses end the program.
const STRICT: [&str; 3] = [
    "-O1",
    "-fsanitize=address,signed-integer-overflow,shift,bounds",
    "-fsanitize-undefined-trap-on-error",
];

/// Every access goes through `race.cpp`.
const TRACED: [&str; 4] = [
    "-O1",
    "-fsanitize=thread",
    "--param",
    "tsan-instrument-func-entry-exit=0",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn out() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gpu-kernels");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn compiler() -> Option<String> {
    let name = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let found = Command::new(&name).arg("--version").output().ok()?;
    found.status.success().then_some(name)
}

/// Runs the compiler; it must not even warn.
fn compile(compiler: &str, arguments: &[&str], what: &str) {
    let ran = Command::new(compiler)
        .args(FLAGS)
        .arg("-I")
        .arg(root().join("tests/gpu"))
        .args(arguments)
        .current_dir(out())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.is_empty(), "{what}:\n{said}");
}

/// The object files of every program besides the kernels.
fn objects(compiler: &str) -> &'static [String] {
    static MADE: OnceLock<Vec<String>> = OnceLock::new();
    MADE.get_or_init(|| {
        let names = [
            "tests",
            "rows",
            "attention",
            "head",
            "optimizer",
            "record",
            "cuda_on_cpu",
            "race",
        ];
        std::thread::scope(|scope| {
            let jobs = names.map(|name| {
                scope.spawn(move || {
                    let source = root().join(format!("tests/gpu/{name}.cpp"));
                    let source = source.to_str().unwrap();
                    let object = format!("{name}.o");
                    compile(compiler, &["-O2", "-c", source, "-o", &object], name);
                    object
                })
            });
            jobs.map(|job| job.join().unwrap()).to_vec()
        })
    })
}

/// Builds a program with error `planted` (0: none), traced or strict; returns its path. The correct strict one is built
/// once.
fn program(compiler: &str, planted: u32, traced: bool) -> PathBuf {
    static SOUND: OnceLock<PathBuf> = OnceLock::new();
    if (planted, traced) == (0, false) {
        let make = || made(compiler, planted, traced);
        return SOUND.get_or_init(make).clone();
    }
    made(compiler, planted, traced)
}

fn made(compiler: &str, planted: u32, traced: bool) -> PathBuf {
    let name = format!("{}-{planted}", if traced { "traced" } else { "strict" });
    let source = root().join("src/train/engine/cuda/kernels/kernels.cu");
    let (plant, object) = (format!("-DPLANTED={planted}"), format!("{name}.o"));
    let mut arguments: Vec<&str> = if traced {
        TRACED.to_vec()
    } else {
        STRICT.to_vec()
    };
    let source = source.to_str().unwrap();
    arguments.extend([&plant, "-c", "-x", "c++", source, "-o", &object]);
    compile(compiler, &arguments, &name);
    let mut arguments = vec!["-rdynamic", "-o", &name, &object];
    let parts = objects(compiler).iter().map(String::as_str);
    arguments.extend(parts.filter(|part| traced || *part != "race.o"));
    arguments.push("-ldl");
    if !traced {
        arguments.push("-fsanitize=address");
    }
    compile(compiler, &arguments, &name);
    out().join(name)
}

/// Runs a program; returns its exit code and output. `only` names a test.
fn run(program: &Path, orders: u32, only: &str) -> (Option<i32>, String) {
    run_with(program, &[&orders.to_string(), only])
}

fn run_with(program: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let ran = Command::new(program)
        .args(arguments)
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .output()
        .unwrap();
    let [text, said] = [&ran.stdout, &ran.stderr].map(|text| String::from_utf8_lossy(text));
    (ran.status.code(), format!("{text}{said}"))
}

/// Records a launch of every kernel in a file, for the acceptance of a GPU.
#[cfg_attr(
    not(feature = "cuda-check"),
    expect(dead_code, reason = "the acceptance is rehearsed with that feature")
)]
pub(crate) fn recorded(compiler: &str, file: &Path) {
    let (code, text) = run_with(
        &program(compiler, 0, false),
        &["1", "", file.to_str().unwrap()],
    );
    assert_eq!(code, Some(0), "{text}");
}

/// A message, if there is no compiler.
pub(crate) fn skipped() -> Option<String> {
    let found = compiler();
    if found.is_none() {
        println!("skipped: there is no C++ compiler (`c++`, or CXX)");
    }
    found
}

#[test]
fn every_kernel_is_right_in_every_order_and_without_a_race() {
    let Some(compiler) = skipped() else { return };
    for (traced, orders) in [(false, 6), (true, 2)] {
        let program = program(&compiler, 0, traced);
        let (code, text) = run(&program, orders, "");
        println!("{text}");
        assert_eq!(code, Some(0), "{text}");
        // The program itself fails if it contains a kernel that no test launches.
        let count = kernels();
        let all = format!("0 failed, {orders} orders, {count} of {count} kernels launched");
        assert!(text.lines().any(|line| line == all), "{all}: {text}");
        if !traced {
            let (code, text) = run(&program, 1, "bias");
            assert_eq!(code, Some(0), "{text}");
            assert!(text.contains("not launched: adamw"), "{text}");
            assert!(!text.contains("not launched: bias_add"), "{text}");
        }
    }
}

/// Number of kernels in the source, counted by their macros.
fn kernels() -> usize {
    let folder = root().join("src/train/engine/cuda/kernels");
    let of_line = |line: &str| match line.split('(').next() {
        Some("KERNEL" | "FOR_WIDTH") => 1,
        Some("BOTH") => 2,
        Some("FOR_WIDTHS") => 4,
        _ => 0,
    };
    let of_file = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        text.lines().map(of_line).sum::<usize>()
    };
    let count = std::fs::read_dir(folder).unwrap().map(of_file).sum();
    assert!(count > 60, "{count}");
    count
}

/// An error, the test that must fail, whether under the checker, and the message.
const PLANTED: [(u32, &str, &str, bool, &str); 7] = [
    (
        1,
        "missing barrier",
        "norms, both ways f32",
        true,
        "race: write after read of shared memory",
    ),
    (
        1,
        "missing barrier",
        "norms, both ways f32",
        false,
        "BITS DEPEND ON THE ORDER",
    ),
    (2, "off by one", "norms, both ways f32", true, "stray read"),
    (
        3,
        "early exit before a shuffle",
        "attention, heads of up to 16 f32",
        false,
        "which has ended",
    ),
    (
        4,
        "uninitialised read",
        "head: cross-entropy f32",
        true,
        "read of what nobody wrote of losses",
    ),
    (
        5,
        "wrong fragment layout",
        "attention, heads of up to 64 bf16",
        false,
        "FAIL  error",
    ),
    (
        6,
        "32-bit index overflow",
        "norm of a row beyond 2^31 numbers",
        false,
        "arithmetic without a defined result",
    ),
];

#[test]
fn planted_errors_are_found_each_by_its_name() {
    let Some(compiler) = skipped() else { return };
    objects(&compiler);
    let find = |(number, what, test, traced, said): (u32, &str, &str, bool, &str)| {
        let (code, text) = run(&program(&compiler, number, traced), 4, test);
        println!("{what}: {text}");
        assert_eq!(code, Some(1), "{what} was not found: {text}");
        let line = text.lines().find(|line| line.starts_with(test));
        let found = line.is_some_and(|line| line.contains("FAIL") && line.contains(said));
        assert!(found, "{what}: {text}");
    };
    std::thread::scope(|scope| {
        for half in PLANTED.chunks(PLANTED.len().div_ceil(2)) {
            scope.spawn(move || half.iter().for_each(|planted| find(*planted)));
        }
    });
}
