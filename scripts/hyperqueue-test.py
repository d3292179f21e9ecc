"""Tests sweeps on a real HyperQueue, through its Python package: 36 runs by a server and a worker on this machine, from the job file that
`submit --to hyperqueue` writes. The package has no `hq` program, so how `hq job submit-file` reads that file is not tested here.

    pip install hyperqueue tqdm cloudpickle && scripts/hyperqueue-test.py [PROGRAM]       default: target/debug/specbook
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

try:
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig
except ImportError as error:
    sys.exit(print(f"skipped: {error}"))

SPEC = """specbook: 1
name: grid
title: Grid
base:
  data: {corpus: {stories: {version: 1}}, tokenizer: {train_bpe: {vocab_size: 320, documents: 20}}, train: 40, validation: 4}
  model: {dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 24, multiple_of: 16}
  train: {batch_size: 4, max_steps: 10, optimizer: {adamw: {learning_rate: 1e-2}}, validate: {every: end}}
  eval: {perplexity: {documents: 4}}
vary: {model.dim: [16, 32, 48]}
seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
cells: [{table: {rows: dim, columns: [val_loss]}}]
"""


def digests(store):
    records = [json.loads(path.read_text()) for path in store.glob("runs-v1/??/*/record.json")]
    return {record["id"]: record["digests"] for record in records}


program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/debug/specbook")
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    (folder / ".git").mkdir()
    spec = folder / "grid.yaml"
    spec.write_text(SPEC)
    store, alone, reports = folder / "store", folder / "alone", folder / "reports"
    submit = [program, "submit", spec, "--to", "hyperqueue", "--task-minutes", "0", "--store", store, "--out", reports, "--dry-run"]
    subprocess.run(submit, check=True, capture_output=True)
    # Without `hq` on the path the file is written, and nothing is submitted.
    ran = subprocess.run(submit[:-1], capture_output=True, text=True, env={**os.environ, "PATH": "/nowhere"})
    assert ran.returncode == 4 and "cannot start `hq`" in ran.stderr, ran.stderr
    [file] = store.glob("jobs-v1/*/hyperqueue.toml")
    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=2))
        client = cluster.client()
        job, made = Job(name="grid"), {}
        for task in tomllib.loads(file.read_text())["task"]:
            before = [made[other] for other in task.get("deps", [])]
            made[task["id"]] = job.program(task["command"], deps=before, cwd=folder)
        client.wait_for_jobs([client.submit(job)])
    subprocess.run([program, "run", spec, "--jobs", "2", "--no-report", "--quiet", "--store", alone], check=True)
    assert len(digests(alone)) == 36 and digests(store) == digests(alone)
    assert (reports / "grid" / "index.html").exists()
print("all well: 36 runs, equal in every digest to `run --jobs 2`; the report is written")
