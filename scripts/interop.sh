#!/usr/bin/env bash
# Checks what specbook writes and reads against the programs that it is written for, and prints a table.
# Python packages come from the registry into INTEROP_ENV (default: target/interop); nothing is skipped without a line that says so.
# Usage: scripts/interop.sh [CHECK…]
set -euo pipefail
cd "$(dirname "$0")/.."
env=${INTEROP_ENV:-target/interop}
checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(hf hf_import)

cargo build --locked --quiet
SPECBOOK=${SPECBOOK:-$PWD/${CARGO_TARGET_DIR:-target}/debug/specbook}
export SPECBOOK
export SPECBOOK_TEST_DATA=${SPECBOOK_TEST_DATA:-$PWD/../shared/data}
WORK=$(mktemp -d)
export WORK
trap 'rm -rf "$WORK"' EXIT

have() { "$env/bin/python" -c "import importlib.metadata, sys; [importlib.metadata.version(name) for name in sys.argv[1:]]" "$@" 2>/dev/null; }
want() { have "$@" || "$env/bin/pip" install --quiet --disable-pip-version-check "$@" || echo "not installed: $*" >&2; }
[ -x "$env/bin/python" ] || python3 -m venv "$env"
want torch transformers safetensors

export CUDA_VISIBLE_DEVICES= HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error HF_HUB_DISABLE_PROGRESS_BARS=1
echo "| program | version | loaded | result |"
echo "|---|---|---|---|"
"$env/bin/python" scripts/interop.py "${checks[@]}"
