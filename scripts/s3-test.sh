#!/usr/bin/env bash
# Tests `store push`, `store pull` and `run --remote` with an S3 server (moto, from PyPI): signed
# requests, anonymous access, a wrong key.
#
#   scripts/s3-test.sh [PROGRAM]        default: target/debug/specbook
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/debug/specbook}")
[ -x "$program" ] || { echo "no program at $program: build it first"; exit 1; }
L=$(mktemp -d); server=
finish() { [ -n "$server" ] && kill "$server"; rm -rf "$L"; }
trap finish EXIT
if ! command -v moto_server > /dev/null; then
  python3 -m venv "$L/venv" && "$L/venv/bin/pip" install -q 'moto[server]' || { echo "skipped: moto cannot be installed here"; exit 0; }
  PATH=$L/venv/bin:$PATH
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
moto_server -H 127.0.0.1 -p "$port" > "$L/moto.log" 2>&1 & server=$!
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_REGION=eu-central-1 NO_PROXY=127.0.0.1
until curl -sf --noproxy '*' "$AWS_ENDPOINT_URL/moto-api/" > /dev/null; do sleep 0.2; done
curl -sf --noproxy '*' -X PUT "$AWS_ENDPOINT_URL/lab" > /dev/null
mkdir -p "$L"/{mine,theirs,strangers}/{specs,.git}
for who in mine theirs strangers; do
  cat > "$L/$who/specs/tiny.yaml" <<'END'
specbook: 1
name: tiny
title: Tiny
base:
  data: {corpus: {stories: {version: 1}}, tokenizer: {train_bpe: {vocab_size: 320, documents: 20}}, train: 20, validation: 4}
  model: {dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 24, multiple_of: 16}
  train: {batch_size: 4, optimizer: {adamw: {learning_rate: 1e-2}}, validate: {every: end}}
  eval: {perplexity: {documents: 4}}
vary: {model.dim: [16, 32]}
cells: [{table: {rows: dim, columns: [val_loss]}}]
END
done
keys() { AWS_ACCESS_KEY_ID=AKIAEXAMPLE AWS_SECRET_ACCESS_KEY=secret "$@"; }
url="s3://lab/a folder"
cd "$L/mine"; keys "$program" run specs/tiny.yaml --no-report --remote "$url"
keys "$program" store push "$url" specs/tiny.yaml | tee "$L/again"; grep -q '0 runs and 0 evaluations pushed' "$L/again"
cd "$L/theirs"; keys "$program" run specs/tiny.yaml --no-report --remote "$url" 2>&1 | tee "$L/pulled"; grep -q '0 trained, 2 cached' "$L/pulled"
"$program" store verify
# Without keys, nothing can be read, then only public objects, and nothing can be written.
(cd "$L/strangers"; "$program" store pull "$url" specs/tiny.yaml | grep -q '2 are not there')
curl -sf --noproxy '*' -X PUT "$AWS_ENDPOINT_URL/lab?policy" -H 'Content-Type: application/json' --data-binary '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::lab/*"]}]}' > /dev/null
cd "$L/strangers"; "$program" store pull "$url" specs/tiny.yaml | tee "$L/read"; grep -q '2 runs and 2 evaluations pulled' "$L/read"
if "$program" store push "$url" specs/tiny.yaml 2> "$L/refused"; then echo "a stranger pushed"; exit 1; fi
grep -q 'cannot be written to without credentials' "$L/refused"
for file in "$L"/{mine,theirs}/.specbook/runs-v1/*/*/record.json; do python3 -c 'import json, sys; record = json.load(open(sys.argv[1])); print(record["id"], record["digests"])' "$file"; done | sort | uniq -c | awk '$1 != 2 {bad = 1} END {exit bad}'
echo "all well"
