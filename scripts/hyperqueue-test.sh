#!/usr/bin/env bash
# Tests sweeps on a real HyperQueue on this machine: a server, a worker with two cores, and `hq`
# itself. HyperQueue is one program, from https://github.com/It4innovations/hyperqueue (a release,
# or `cargo build -p hyperqueue --no-default-features --features microlp` of its source).
#
#   scripts/hyperqueue-test.sh [PROGRAM]        default: target/debug/specbook
set -uo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/debug/specbook}")
[ -x "$program" ] || { echo "no program at $program: build it first"; exit 1; }
command -v hq > /dev/null || { echo "skipped: no \`hq\` on the path"; exit 0; }

L=$(mktemp -d); export HQ_SERVER_DIR=$L/server; mkdir -p "$L/p/.git" "$L/p/specs"; failed=0
finish() { hq server stop > /dev/null 2>&1; if [ $failed = 0 ]; then rm -rf "$L"; else echo "kept: $L"; fi; }
trap finish EXIT
. scripts/sweeps.sh
spec grid 10 '[16, 32, 48]' '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]'
spec slow 20000 '[32]' '[0, 1]'
on() { local command=$1 name=$2 store=$3; shift 3; "$program" "$command" "$L/p/specs/$name.yaml" --store "$L/$store" "$@"; }
submit() { on submit "$1" "$2" --to hyperqueue --task-minutes 0 --out "$L/reports-$2" "${@:3}" > "$L/said" 2>&1; }
reference() { on run "$1" "ref-$1" --jobs 2 --no-report --quiet; }
check() { if eval "$2"; then echo "ok: $1"; else echo "FAILED: $1"; failed=1; cat "$L/said"; fi; }
wait_for() { for _ in $(seq 600); do eval "$1" > /dev/null 2>&1 && return; sleep 0.2; done; echo "waited in vain for: $1"; failed=1; }
start_worker() { hq worker start --cpus 2 --on-server-lost stop > "$L/worker.log" 2>&1 & worker=$!; disown; }

hq server start --host localhost > "$L/server.log" 2>&1 &
wait_for "hq server info"
start_worker
reference grid; reference slow

submit grid same --wait; check "36 runs, waited for" "[ $? = 0 ]"
check "the same digests as --jobs 2" "equal grid same"
wait_for "[ -s $L/reports-same/grid/index.html ]"; check "the last task wrote the report" "[ -s $L/reports-same/grid/index.html ]"
submit grid same; check "a second submit has nothing to do" "grep -q 'nothing to submit: all 36 runs are cached' $L/said"

submit slow twice; wait_for "training twice"
submit slow twice; check "what is in the queue is not queued again" "grep -q '2 are in the queue' $L/said"
on status slow twice > "$L/said"; check "status explains" "grep -qE 'in the queue: .*(running|waiting)' $L/said"
on cancel slow twice > "$L/said" 2>&1; check "cancel names the job" "grep -q cancelled $L/said"
wait_for "! training twice"; check "after cancel nothing trains" "! training twice 2> /dev/null"
submit slow twice --wait; check "what was cancelled is submitted again and goes on: the same digests" "equal slow twice"

submit slow lost; wait_for "training lost"; sleep 2
kill -9 "$worker"; pkill -9 -f "worker $L/lost"; start_worker
wait_for "[ -s $L/reports-lost/slow/index.html ]"; check "tasks of a killed worker are started on another: the same digests" "equal slow lost"
for name in $'caf\xe9' "a 'b' \$(c)"; do
  word=$(printf %q "$name")
  submit grid "$name" --wait; check "a store called $word: the same digests" "equal grid $word"
done
[ $failed = 0 ] && echo "all well" || exit 1
