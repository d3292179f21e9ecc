//! What `verify`, `store verify` and `--paranoid` trust.

use super::*;
use specbook::internals::digest::Sha256Hex;

/// Replaces the ids of every cached slice by others in the vocabulary, keeping the files consistent.
fn forge_ids(project: &Project) {
    let found = files(&project.path().join(".specbook/tokens-v1/slices"));
    let is_ids = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "ids");
    for path in found.iter().filter(is_ids) {
        let bytes = std::fs::read(path).unwrap();
        let documents = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
        let mut body = bytes[..bytes.len() - 64].to_vec();
        for id in body[12 + 4 * documents..].chunks_exact_mut(4) {
            id.copy_from_slice(&3u32.to_le_bytes());
        }
        let seal = Sha256Hex::of(&body).to_string();
        std::fs::write(path, [&body, seal.as_bytes()].concat()).unwrap();
    }
}

/// Forged ids in the cache are trained on; `verify` tokenises again and detects them.
#[test]
fn verify_believes_no_cache() {
    let project = sweep(2, 4);
    let first = ["--filter", "seed=0"];
    project.run(&arguments(&first)).success();
    forge_ids(&project);
    // The ids recorded by runs are compared with the cache.
    let found = project.run(&["store", "verify"]).code(4);
    let words = "differ from those that run tiny/base,seed=0 was trained on";
    assert!(found.stdout.contains(words), "{}", found.stdout);
    let verified = project.run(&[&["verify", "specs/tiny.yaml"][..], &first].concat());
    assert!(verified.success().stdout.contains("equal in every bit"));
    project.run(&arguments(&["--filter", "seed=1"])).success();
    let differs = project.run(&["verify", "specs/tiny.yaml"]).code(7);
    let words = "DIFFERS: it was trained on other token ids than its data gives now";
    assert_eq!(
        differs.stdout.matches(words).count(),
        1,
        "{}",
        differs.stdout
    );
    assert!(differs.stdout.contains("1 equal in every bit, 1 differ"));
    // `--paranoid` repairs it.
    let mended = project.run(&arguments(&["--paranoid"])).success();
    assert!(
        mended.stderr.contains("was damaged and is made again"),
        "{}",
        mended.stderr
    );
    let words = "it was trained on other token ids than its data gives; moved to";
    assert_eq!(mended.stderr.matches(words).count(), 1, "{}", mended.stderr);
    assert!(
        mended.stderr.contains("tiny: 1 trained, 1 cached"),
        "{}",
        mended.stderr
    );
    project.run(&["store", "verify"]).success();
    project
        .run(&["verify", "specs/tiny.yaml", "--paranoid"])
        .success();
}

#[test]
fn damage_in_the_token_cache_is_found_and_mended() {
    let project = sweep(1, 3);
    project.run(&arguments(&[])).success();
    let cache = project.path().join(".specbook/tokens-v1");
    let mut damaged = 0;
    for path in files(&cache) {
        let ending = path.extension().unwrap_or_default();
        if ["ids", "json"].iter().any(|wanted| ending == *wanted)
            && !path.starts_with(cache.join("stat"))
        {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[20] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 3);
    let found = project.run(&["store", "verify"]).code(4);
    assert!(found.stdout.ends_with("3 problems"), "{}", found.stdout);
    let mended = project.run(&arguments(&["--paranoid"])).success();
    assert_eq!(
        mended
            .stderr
            .matches("was damaged and is made again")
            .count(),
        3,
        "{}",
        mended.stderr
    );
    project.run(&["store", "verify"]).success();
}

/// `--paranoid` detects any problem with a stored file.
#[test]
fn paranoid_reads_every_file_of_the_runs() {
    let project = sweep(1, 3);
    project.run(&["run", "specs/tiny.yaml"]).success();
    let names = ["timing.jsonl", "model.safetensors", "perplexity.jsonl"];
    for name in names {
        let found = files(&project.path().join(".specbook"));
        let path = found.iter().find(|path| path.ends_with(name)).unwrap();
        let sound = std::fs::read(path).unwrap();
        let mut bytes = sound.clone();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
        for command in ["verify", "report"] {
            let refused = project
                .run(&[command, "specs/tiny.yaml", "--paranoid"])
                .code(4);
            assert!(
                refused.stderr.contains("does not have the digest"),
                "{name}: {}",
                refused.stderr
            );
        }
        std::fs::write(path, sound).unwrap();
    }
    project
        .run(&["report", "specs/tiny.yaml", "--paranoid"])
        .success();
}

/// A corpus changed in place, with its size and time restored. Unix has the time of the change too.
#[cfg(unix)]
#[test]
fn a_corpus_that_was_set_back_is_read_again() {
    let project = sweep(1, 2);
    let text = project.read("specs/tiny.yaml");
    let line = |animal: &str, number: usize| {
        format!("{{\"text\": \"Story {number} of a {animal} that ran.\"}}\n")
    };
    let corpus = |animal: &str| {
        (0..12)
            .map(|number| line(animal, number))
            .collect::<String>()
    };
    let path = project.write("specs/a.jsonl", corpus("hen"));
    project.write(
        "specs/tiny.yaml",
        text.replace("stories: {version: 1}", "jsonl: {path: a.jsonl}"),
    );
    let set_back = || {
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
            .unwrap();
        std::thread::sleep(Duration::from_millis(30));
    };
    set_back();
    let id = || {
        project
            .run(&["plan", "specs/tiny.yaml", "--format", "json"])
            .success()
            .json()[0]["runs"][0]["id"]
            .clone()
    };
    project.run(&arguments(&[])).success();
    let before = id();
    std::fs::write(&path, corpus("cow")).unwrap();
    set_back();
    assert_ne!(id(), before);
    let ran = project.run(&arguments(&[])).success();
    assert!(ran.stderr.contains("tiny: 1 trained"), "{}", ran.stderr);
    project.run(&["verify", "specs/tiny.yaml"]).success();
}
