//! The GPU's kernels on the CPU (`tests/gpu`): every kernel against f64 in several orders of threads, under a checker for races and stray
//! accesses; and the proof of that proof, errors planted on purpose.
//!
//! It needs a C++17 compiler (`c++`, or what `CXX` names) and is skipped with a message where there is none.

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

/// Undefined arithmetic ends the program.
const STRICT: [&str; 3] = [
    "-O1",
    "-fsanitize=signed-integer-overflow,shift,bounds",
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

/// What every program is made of beside the kernels.
fn objects(compiler: &str) -> &'static [String] {
    static MADE: OnceLock<Vec<String>> = OnceLock::new();
    MADE.get_or_init(|| {
        let names = [
            "tests",
            "rows",
            "attention",
            "head",
            "optimizer",
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

/// A program with error `planted` (0: none), traced or strict; its path.
fn program(compiler: &str, planted: u32, traced: bool) -> PathBuf {
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
    compile(compiler, &arguments, &name);
    out().join(name)
}

/// Its exit code and what it printed; `only` names a test.
fn run(program: &Path, orders: u32, only: &str) -> (Option<i32>, String) {
    let ran = Command::new(program)
        .args([&orders.to_string(), only])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    (ran.status.code(), text)
}

/// The compiler, or a message that there is none.
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
        let (code, text) = run(&program(&compiler, 0, traced), orders, "");
        println!("{text}");
        assert_eq!(code, Some(0), "{text}");
        // Every kernel of the source is run by some test.
        assert!(text.lines().count() > 36, "{text}");
    }
    let names = kernels();
    let tests: String = ["rows", "attention", "head", "optimizer"]
        .map(|name| std::fs::read_to_string(root().join(format!("tests/gpu/{name}.cpp"))).unwrap())
        .concat();
    for name in names {
        assert!(
            tests.contains(&format!("\"{name}\"")),
            "no test runs `{name}`"
        );
    }
}

/// The names of the kernels, without the type's suffix.
fn kernels() -> Vec<String> {
    let folder = root().join("src/train/engine/cuda/kernels");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines() {
            for start in ["KERNEL(", "BOTH("] {
                if let Some(rest) = line.strip_prefix(start) {
                    let name = rest.split([',', ')']).next().unwrap();
                    names.push(name.to_owned());
                }
            }
        }
    }
    assert!(names.len() > 20, "{names:?}");
    names
}

/// An error, the test that must fail, whether under the checker, and what is said.
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
