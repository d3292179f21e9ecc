//! GPUs on the command line: messages on a machine without one, and a rehearsal of the acceptance on the CPU.

use crate::project::{Project, TINY};

#[test]
fn a_gpu_that_is_not_there_ends_with_a_message() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    for command in [
        &["run", "specs/tiny.yaml", "--device", "cuda:9"][..],
        &["doctor", "--device", "cuda:9"],
        &["gpu-acceptance", "--device", "cuda:9"],
    ] {
        let ran = project.run(command).code(2);
        assert!(
            ran.stderr
                .contains("error: device `cuda:9` cannot be used: "),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    assert!(
        !project.path().join(".specbook").exists(),
        "nothing was begun"
    );
}

#[test]
fn the_doctor_says_what_would_be_used() {
    let project = Project::new();
    let text = project.run(&["doctor"]).code(0).stdout;
    for line in [
        "specbook",
        "processor",
        "memory",
        "cuda",
        "store",
        "would use    cpu: engine cpu-fused on ",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line} in {text}"
        );
    }
    let json = project.run(&["doctor", "--format", "json"]).code(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], 1);
    assert_eq!(json["would_use"]["engine"], "cpu-fused");
    assert_eq!(json["would_use"]["dtypes"]["f32"], true);
    assert!(json["processor"]["cores"].as_u64().unwrap() >= 1);
    let unknown = project.run(&["doctor", "--device", "tpu"]).code(2);
    assert!(
        unknown
            .stderr
            .contains("expected `cpu`, `cpu-reference`, `cuda` or `cuda:N`"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn the_acceptance_rehearses_on_the_processor() {
    let project = Project::new();
    let short = "cases.25x100.train.epochs=1";
    let shorter = "data.tokenizer.train_bpe.vocab_size=300";
    let ran = project
        .run(&[
            "gpu-acceptance",
            "--device",
            "cpu",
            "--shape",
            "none",
            "--curve-set",
            short,
            "--curve-set",
            shorter,
            "--curve-set",
            "cases.2500x1.data.train=20",
            "--curve-set",
            "cases.250x10.train.epochs=1",
            "--out",
            "found/acceptance.json",
        ])
        .code(0);
    for line in [
        "parity      passed",
        "repeat      passed",
        "curves      passed",
        "kernels     skipped   it is for GPUs",
        "memcheck    skipped   it is for GPUs",
        "compile     skipped   PyTorch has nothing to compile",
        "ceilings    skipped   it is for GPUs",
        "operations  skipped   it is for GPUs",
        "ncu         skipped   it is for GPUs",
        "grid        skipped   no shape of the grid was asked for",
        "speed       skipped   no shape was asked for",
        "paper       skipped   no text was supplied",
    ] {
        assert!(
            ran.stdout.lines().any(|found| found.starts_with(line)),
            "{line} in {}",
            ran.stdout
        );
    }
    assert!(
        ran.stdout
            .contains("0 failed, 9 skipped; a rehearsal on cpu"),
        "{}",
        ran.stdout
    );
    let json = std::fs::read(project.path().join("found/acceptance.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["is_rehearsal"], true);
    assert_eq!(json["parts"].as_array().unwrap().len(), 13);
}

#[test]
fn plan_shows_the_memory_of_a_gpu_that_need_not_be_here() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let plan = ["plan", "specs/tiny.yaml", "--device", "cuda"];
    let text = project.run(&plan).success().stdout;
    assert!(text.contains("GPU memory"), "{text}");
    let json = project
        .run(&[&plan[..], &["--format", "json"]].concat())
        .json();
    let bytes = |run: usize| json[0]["runs"][run]["gpu_bytes"].as_u64().unwrap();
    // The workspace of cuBLAS, and more for the wider model.
    assert!(32 << 20 < bytes(0) && bytes(0) < bytes(1), "{json}");
    let here = project.run(&["plan", "specs/tiny.yaml", "--format", "json"]);
    assert!(here.json()[0]["runs"][0].get("gpu_bytes").is_none());
}

/// The program on a fake driver: `tests/gpu/driver.cpp` instead of `libcuda.so.1` and `libcublas.so.13`.
#[cfg(all(feature = "cuda-check", target_os = "linux"))]
mod rehearsal {
    use crate::kernels::{recorded, skipped};
    use crate::project::{Project, repository};
    use std::process::Command;

    fn driver() -> Option<tempfile::TempDir> {
        let compiler = skipped()?;
        let folder = tempfile::tempdir().unwrap();
        let ran = Command::new(compiler)
            .args([
                "-std=c++17",
                "-O2",
                "-fno-strict-aliasing",
                "-Wno-unknown-pragmas",
                "-shared",
                "-fPIC",
            ])
            .args([
                "-x",
                "c++",
                "-I",
                "tests/gpu",
                "tests/gpu/driver.cpp",
                "tests/gpu/cuda_on_cpu.cpp",
            ])
            .arg("-o")
            .arg(folder.path().join("libcuda.so.1"))
            .arg("-ldl")
            .current_dir(repository())
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        std::os::unix::fs::symlink("libcuda.so.1", folder.path().join("libcublas.so.13")).unwrap();
        Some(folder)
    }

    /// The result of each part.
    fn parts(mode: &str, code: i32) -> Option<Vec<(String, String)>> {
        let (folder, project) = (driver()?, Project::new());
        recorded(&skipped()?, &project.path().join("launches.bin"));
        let set = |setting: &'static str| ["--curve-set", setting];
        // Two or three steps each.
        let sets = [
            set("data.tokenizer.train_bpe.vocab_size=300"),
            set("cases.25x100.train.epochs=1"),
            set("cases.250x10.train.epochs=1"),
            set("cases.250x10.data.train=20"),
            set("cases.2500x1.data.train=20"),
            set("cases.by-tokens-25x100.train.epochs=1"),
            set("cases.by-tokens-250x10.train.epochs=1"),
            set("cases.by-tokens-250x10.data.train=20"),
            set("cases.by-tokens-2500x1.data.train=20"),
        ];
        project.write(
            "bin/nvidia-smi",
            "#!/bin/sh\necho \"GPU Reset Status: $*\"\n",
        );
        let teller = project.path().join("bin/nvidia-smi");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(teller, executable).unwrap();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", project.path().join("bin").display());
        let mut command = project.command(&[
            "gpu-acceptance",
            "--out",
            "found.json",
            "--shape",
            "none",
            "--kernels",
            "launches.bin",
        ]);
        let output = command
            .args(sets.concat())
            .env("LD_LIBRARY_PATH", folder.path())
            .env("EMULATED_GPU", mode)
            .env("PATH", path)
            .output()
            .unwrap();
        let ran = project.ran(output).code(code);
        println!("{}", ran.stdout);
        let json = std::fs::read(project.path().join("found.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["is_rehearsal"], true);
        let details = &json["parts"][0]["details"];
        assert_eq!(details["nvidia_smi"], "GPU Reset Status: -q -i 0\n");
        assert_eq!(details["memory_pools"], true);
        assert!(
            ran.stdout.contains("a rehearsal on an emulated GPU"),
            "{}",
            ran.stdout
        );
        let text = |part: &serde_json::Value, key: &str| part[key].as_str().unwrap().to_owned();
        let parts = json["parts"].as_array().unwrap().iter();
        Some(
            parts
                .map(|part| (text(part, "part"), text(part, "result")))
                .collect(),
        )
    }

    const PARTS: [&str; 13] = [
        "device",
        "kernels",
        "parity",
        "repeat",
        "curves",
        "memcheck",
        "compile",
        "ceilings",
        "operations",
        "ncu",
        "grid",
        "speed",
        "paper",
    ];

    fn expected(results: [&str; 13]) -> Vec<(String, String)> {
        let pairs = PARTS.iter().zip(results);
        pairs
            .map(|(name, result)| ((*name).to_owned(), result.to_owned()))
            .collect()
    }

    #[test]
    fn the_emulated_gpu_is_accepted() {
        let Some(found) = parts("", 0) else { return };
        let results = [
            "measured", "passed", "passed", "passed", "passed", "skipped", "skipped", "measured",
            "skipped", "skipped", "skipped", "skipped", "skipped",
        ];
        assert_eq!(found, expected(results));
    }

    #[test]
    fn a_gpu_whose_kernels_do_nothing_fails_in_every_part() {
        let Some(found) = parts("dead", 7) else {
            return;
        };
        let results = [
            "measured", "failed", "failed", "failed", "failed", "skipped", "skipped", "failed",
            "failed", "failed", "failed", "failed", "skipped",
        ];
        assert_eq!(found, expected(results));
    }
}
