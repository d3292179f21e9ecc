# Sourced by the tests of queues: makes small sweeps and compares stores by digests in the folder `L`.
spec() { # spec NAME STEPS DIMS SEEDS
  mkdir -p "$L/p/specs"
  cat > "$L/p/specs/$1.yaml" <<END
specbook: 1
name: $1
title: $1
base:
  data: {corpus: {stories: {version: 1}}, tokenizer: {train_bpe: {vocab_size: 320, documents: 20}}, train: 40, validation: 4}
  model: {dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 24, multiple_of: 16}
  train: {batch_size: 4, max_steps: $2, optimizer: {adamw: {learning_rate: 1e-2}}, validate: {every: end}}
  eval: {perplexity: {documents: 4}}
vary: {model.dim: $3}
seeds: $4
cells: [{table: {rows: dim, columns: [val_loss]}}]
END
}
# Digests of the weights, metrics and evaluations in a store, by run.
digests() {
  python3 - "$1" <<'END'
import json, pathlib, sys
root = pathlib.Path(sys.argv[1])
for path in sorted(root.glob("runs-v1/??/*/record.json")):
    record = json.loads(path.read_text())
    print(record["id"], record["status"], record["digests"])
for path in sorted(root.glob("evals-v1/??/*/result.json")):
    result = json.loads(path.read_text())
    print(result["id"], {name: file["sha256"] for name, file in result["files"].items()})
END
}
equal() { digests "$L/ref-$1" > "$L/a"; digests "$L/$2" > "$L/b"; [ -s "$L/a" ] && cmp -s "$L/a" "$L/b"; }
training() { ls "$L/$1"/runs-v1/*/*.claim-*; }
