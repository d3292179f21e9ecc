//! The source of the tensor library's kernels, for `compiled`: its own files where cargo keeps them, one after another.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What all include, and the kernels of the operations that `engine::reference` uses.
const FILES: [&str; 26] = [
    "utilities/compatibility.cuh",
    "utilities/cuda_utils.cuh",
    "utilities/unary_op_macros.cuh",
    "utilities/binary_op_macros.cuh",
    "accurate_gelu/accurate_gelu.cu",
    "add/binary_add.cu",
    "add/scalar_add.cu",
    "axpy/axpy.cu",
    "div/binary_div.cu",
    "div/scalar_div.cu",
    "exp/exp.cu",
    "ln/ln.cu",
    "max_to/max_to.cu",
    "mul/binary_mul.cu",
    "mul/scalar_mul.cu",
    "negate/negate.cu",
    "recip/recip.cu",
    "select_and_gather/gather.cu",
    "select_and_gather/select.cu",
    "sigmoid/sigmoid.cu",
    "slice/slice.cu",
    "sqrt/sqrt.cu",
    "square/square.cu",
    "sub/binary_sub.cu",
    "sub/scalar_sub.cu",
    "sum_to/sum_to.cu",
];

/// One C++ file with every kernel of f32, each exported under its name.
pub(super) fn source() -> String {
    let folder = folder();
    let (mut source, mut kernels) = ("#include \"dfdx.h\"\n".to_owned(), BTreeSet::new());
    for file in FILES {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        source += "\n";
        for line in text.lines() {
            // All that they include of each other is there already.
            if !line.starts_with("#include \"") {
                source += line;
            }
            source += "\n";
        }
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        kernels.extend(
            words
                .filter(|word| word.ends_with("_f32"))
                .map(str::to_owned),
        );
    }
    for kernel in kernels {
        writeln!(source, "KERNEL({kernel})").unwrap();
    }
    source
}

/// The folder of its operations, of the version that was built.
fn folder() -> PathBuf {
    let ran = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .arg("--filter-platform")
        .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    let all: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let packages = all["packages"].as_array().unwrap();
    let dfdx = packages.iter().find(|package| package["name"] == "dfdx");
    let manifest = Path::new(dfdx.unwrap()["manifest_path"].as_str().unwrap());
    manifest.with_file_name("src").join("tensor_ops")
}
