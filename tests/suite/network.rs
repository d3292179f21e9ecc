//! Commands that use the network, and proof that nothing else does.

use crate::project::{Project, Ran, real_data, repository};
use crate::server::{Server, Trick};
use std::io::Write as _;

/// A project whose text is at an address, with traps for all requests.
struct Net {
    project: Project,
    server: Server,
    /// The proxy for everything except this machine.
    proxy: Server,
}

impl Net {
    fn new(documents: usize, rest: &str) -> Self {
        let (server, proxy, project) = (Server::start(), Server::start(), Project::new());
        let lines = (0..documents).map(|n| {
            let text = format!(
                "The cat number {n} sat on the mat. {}",
                "It sat well. ".repeat(n % 7 + 3)
            );
            serde_json::json!({"text": text}).to_string() + "\n"
        });
        let mut encoder = flate2_encoder();
        encoder
            .write_all(lines.collect::<String>().as_bytes())
            .unwrap();
        server.put("/cats.jsonl.gz", encoder.finish().unwrap());
        let spec = format!(
            r#"
specbook: 1
name: cats
title: Cats
base:
  data: {{corpus: {{jsonl: {{path: "{}/cats.jsonl.gz"}}}}, tokenizer: {{train_bpe: {{vocab_size: 300}}}}, train: 12, validation: 4}}
  model: {{dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 16}}
  train: {{batch_size: 4, optimizer: {{adamw: {{learning_rate: 1e-2}}}}, validate: {{every: end}}}}
  eval: {{perplexity: {{documents: 4, quote: false}}}}
{rest}cells:
  - plan: all
  - perplexity: {{runs: all}}
"#,
            server.url
        );
        project.write("specs/cats.yaml", spec);
        Self {
            project,
            server,
            proxy,
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(&[], arguments)
    }

    /// Runs with environment variables.
    fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.project.command(arguments);
        command
            .env("XDG_CACHE_HOME", self.project.path().join("cache"))
            .env_remove("HF_HOME")
            .env_remove("SPECBOOK_DATA")
            .env("HF_ENDPOINT", &self.proxy.url)
            .envs(["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].map(|name| (name, &self.proxy.url)))
            .env_remove("HF_TOKEN")
            .env_remove("SSL_CERT_DIR")
            .envs(variables.iter().copied());
        self.project.ran(command.output().unwrap())
    }

    /// All requests since the last call.
    fn asked(&self) -> Vec<String> {
        [self.server.log(), self.proxy.log()].concat()
    }
}

fn flate2_encoder() -> flate2::write::GzEncoder<Vec<u8>> {
    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast())
}

#[test]
fn only_what_says_fetch_uses_the_network() {
    let net = Net::new(40, "");
    let spec = "specs/cats.yaml";
    // Without the text nothing is trained, and the message names the remedy.
    let missing = net.run(&["run", spec]).code(4);
    assert!(
        missing.stderr.contains("specbook data fetch"),
        "{}",
        missing.stderr
    );
    net.run(&["check", spec]).success();
    net.run(&["plan", spec]).success();
    assert_eq!(net.asked(), [""; 0]);
    let fetched = net.run(&["data", "fetch", spec]).success();
    assert!(
        fetched.stdout.contains("cats.jsonl.gz"),
        "{}",
        fetched.stdout
    );
    assert_eq!(net.asked(), ["HEAD /cats.jsonl.gz", "GET /cats.jsonl.gz"]);
    let lock: serde_json::Value =
        serde_json::from_str(&net.project.read("specs/cats.lock")).unwrap();
    let url = format!("{}/cats.jsonl.gz", net.server.url);
    let pin = &lock["sources"][&url][0];
    assert_eq!(
        (pin["url"].as_str(), pin["sha256"].as_str().map(str::len)),
        (Some(&*url), Some(64))
    );
    // Now everything works without any request.
    for arguments in [
        &["data", "fetch", spec][..],
        &["plan", spec],
        &["run", spec],
        &["run", spec, "--fetch"],
        &["report", spec],
        &["report", "--check", spec],
        &["verify", spec],
        &["status", spec],
        &["ls"],
        &["data", "stats", spec],
        &["cite", spec],
        &["store", "verify"],
        &["store", "gc"],
        &["doctor"],
    ] {
        net.run(arguments).success();
        assert_eq!(net.asked(), [""; 0], "{arguments:?}");
    }
    // Unquoted documents appear as numbers and digests.
    let report = net.project.read("reports/cats/report.md");
    assert!(
        report.contains("SHA-256") && !report.contains("cat number"),
        "{report}"
    );
    let records = net.project.read("reports/cats/data/records.jsonl");
    assert!(!records.contains("cat number"));
}

#[test]
fn https_trusts_the_named_authorities_and_no_others() {
    let net = Net::new(40, "");
    let host = crate::tls::start(&net.server);
    let secure = |host: &str| {
        let spec = net.project.read("specs/cats.yaml");
        let spec = spec.replace(&net.server.url, &format!("https://{host}"));
        net.project.write(
            "specs/secure.yaml",
            spec.replace("name: cats", "name: secure"),
        );
        ["data", "fetch", "specs/secure.yaml"]
    };
    net.project.write("authority.pem", crate::tls::CERTIFICATE);
    let authority = [("SSL_CERT_FILE", "authority.pem")];
    // The certificate is not trusted; then it is trusted, but belongs to another host.
    let port = host.rsplit(':').next().unwrap();
    for (host, variables) in [
        (host.clone(), &[][..]),
        (format!("localhost:{port}"), &authority),
    ] {
        let refused = net.run_with(variables, &secure(&host)).code(4);
        assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
        assert_eq!(net.asked(), [""; 0], "{host}");
    }
    net.run_with(&authority, &secure(&host)).success();
    assert_eq!(net.asked(), ["HEAD /cats.jsonl.gz", "GET /cats.jsonl.gz"]);
    let lock = net.project.read("specs/secure.lock");
    assert!(
        lock.contains(&format!("https://{host}/cats.jsonl.gz")),
        "{lock}"
    );
    net.run(&["run", "specs/secure.yaml", "--no-report"])
        .success();
    let broken = [("SSL_CERT_FILE", "specs/cats.yaml")];
    let refused = net
        .run_with(&broken, &["data", "fetch", "specs/cats.yaml"])
        .code(4);
    assert!(
        refused.stderr.contains("SSL_CERT_FILE"),
        "{}",
        refused.stderr
    );
}

#[test]
fn runs_are_sent_to_a_tracker_over_https() {
    let net = Net::new(40, "");
    net.run(&["run", "specs/cats.yaml", "--fetch", "--no-report"])
        .success();
    for (path, answer) in [
        (
            "experiments/search",
            r#"{"experiments": [{"experiment_id": "7"}]}"#,
        ),
        ("runs/search", "{}"),
        (
            "runs/create",
            r#"{"run": {"info": {"run_id": "a", "start_time": 5}}}"#,
        ),
        ("runs/log-batch", "{}"),
        ("runs/update", "{}"),
        ("runs/set-tag", "{}"),
    ] {
        net.server.put(&format!("/api/2.0/mlflow/{path}"), answer);
    }
    let host = crate::tls::start(&net.server);
    net.project.write("authority.pem", crate::tls::CERTIFICATE);
    let address = format!("https://{host}");
    let export = ["export", "specs/cats.yaml", &address, "--to", "mlflow"];
    net.asked();
    let refused = net.run(&export).code(4);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    assert_eq!(net.asked(), [""; 0]);
    net.run_with(&[("SSL_CERT_FILE", "authority.pem")], &export)
        .success();
    insta::assert_snapshot!(net.asked().join("\n"), @"
    POST /api/2.0/mlflow/experiments/search
    POST /api/2.0/mlflow/runs/search
    POST /api/2.0/mlflow/runs/create
    POST /api/2.0/mlflow/runs/log-batch
    POST /api/2.0/mlflow/runs/log-batch
    POST /api/2.0/mlflow/runs/update
    POST /api/2.0/mlflow/runs/set-tag
    ");
}

#[test]
fn the_token_of_the_hub_goes_to_the_hub_alone() {
    let (net, elsewhere) = (Net::new(40, ""), Server::start());
    let cats = net.server.files()["/cats.jsonl.gz"].clone();
    let list = serde_json::json!({"sha": "c0ffee", "siblings": [
        {"rfilename": "cats.jsonl.gz", "size": cats.len(), "blobId": "b1"},
    ]});
    net.server
        .put("/api/datasets/org/cats/revision/main", list.to_string());
    elsewhere.put("/blob", cats);
    // Like the real hub, this one redirects file requests to another machine.
    let to = format!("location: {}/blob\r\n", elsewhere.url);
    net.server
        .decide(move |_, path| match path.contains("/resolve/") {
            true => Trick::Status(302, to.clone()),
            false => Trick::None,
        });
    let spec = net.project.read("specs/cats.yaml");
    let spec = spec.replace(&net.server.url, "hf://datasets/org/cats@main");
    net.project.write("specs/cats.yaml", spec);
    let host = crate::tls::start(&net.server);
    net.project.write("authority.pem", crate::tls::CERTIFICATE);
    let endpoint = format!("https://{host}");
    let variables = [
        ("SSL_CERT_FILE", "authority.pem"),
        ("HF_ENDPOINT", &endpoint),
        ("HF_TOKEN", "secret"),
    ];
    net.run_with(&variables, &["data", "fetch", "specs/cats.yaml"])
        .success();
    let asked = net.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|line| line.ends_with(" Bearer secret")),
        "{asked:?}"
    );
    let asked = elsewhere.log();
    assert!(
        !asked.is_empty() && !asked.iter().any(|line| line.contains("secret")),
        "{asked:?}"
    );
}

#[test]
fn a_run_fetches_documents_as_far_as_it_needs_them() {
    let net = Net::new(60_000, "");
    net.run(&["run", "specs/cats.yaml", "--fetch"]).success();
    let asked = net.asked();
    assert_eq!(asked, ["GET /cats.jsonl.gz"], "the first part is enough");
    let lock = net.project.read("specs/cats.lock");
    assert!(lock.contains("\"documents\": 16"), "{lock}");
    let folder = net.project.path().join("cache/specbook/documents");
    let kept: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert_eq!(kept.len(), 1);
    // Repeating it makes no request; asking for more documents does.
    net.run(&["run", "specs/cats.yaml", "--fetch"]).success();
    assert_eq!(net.asked(), [""; 0]);
    let more = [
        "run",
        "specs/cats.yaml",
        "--fetch",
        "--set",
        "data.train=30",
        "--no-report",
    ];
    net.run(&more).success();
    assert_eq!(net.asked(), ["GET /cats.jsonl.gz"]);
}

#[test]
fn every_study_profile_is_ready_to_run() {
    let Some(data) = real_data() else { return };
    for (name, runs) in [
        ("epoch-frenzy", 6),
        ("grid-search", 36),
        ("scale-up", 4),
        ("sequence-handling", 26),
        ("loss-comparison", 19),
    ] {
        let project = Project::with_shipped(&format!("{name}.yaml"));
        let lock = repository().join(format!("specs/{name}.lock"));
        project.write(&format!("specs/{name}.lock"), std::fs::read(lock).unwrap());
        let mut command = project.command(&[
            "plan",
            &format!("specs/{name}.yaml"),
            "-p",
            "study",
            "--format",
            "json",
        ]);
        let plan = project
            .ran(command.env("SPECBOOK_DATA", &data).output().unwrap())
            .success()
            .json();
        let plan = plan.as_array().map_or(&plan, |plans| &plans[0]);
        assert_eq!(plan["runs"].as_array().map(Vec::len), Some(runs), "{name}");
        assert!(plan["missing"].is_null(), "{name}: {}", plan["missing"]);
    }
}
