#!/usr/bin/env bash
# Builds for aarch64 on x86-64 Linux and runs under qemu-user. Missing tools are installed if
# possible; otherwise the part is skipped with a message.
#
#   scripts/arm-test.sh kernels     tests of the kernels with and without BF16, and instruction counts
#   scripts/arm-test.sh program     the whole program: smoke runs of every spec, trained here and under qemu and compared bit by bit, report by
#                                   report; `verify` of runs trained here; tests of the engine and of the suite
#
# It needs a rustc with the standard library of aarch64-unknown-linux-gnu (Debian: rustc-web with
# libstd-rust-web-dev:arm64; or RUSTC), gcc and libc for aarch64, and qemu. On Debian, as root, they
# are installed unless --no-install is given. Programs use the libc of the arm64 packages, not that
# of the cross compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '== %s\n' "$*" >&2; }
skip() { printf 'skipped: %s\n' "$*" >&2; exit 0; }
usage() { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }

what=kernels install=yes
for argument; do
  case $argument in
    kernels|program) what=$argument ;;
    --no-install) install=no ;;
    *) usage ;;
  esac
done
target=aarch64-unknown-linux-gnu
[ "$(uname -sm)" = "Linux x86_64" ] || skip "this is not Linux on x86-64; on aarch64, scripts/test.sh tests these kernels itself"

# --- requirements -------------------------------------------------------------------------
has_std() { [ -n "$("$1" --print target-libdir --target $target 2>/dev/null | xargs -I{} find {} -name 'libstd-*.rlib' 2>/dev/null)" ]; }
compiler() {
  for rustc in "${RUSTC:-rustc}" /usr/bin/rustc; do
    if has_std "$rustc"; then echo "$rustc"; return; fi
  done
}
missing() {
  [ -n "$(compiler)" ] || echo rustc-web libstd-rust-web-dev:arm64
  command -v aarch64-linux-gnu-gcc >/dev/null || echo gcc-aarch64-linux-gnu
  [ -e /usr/lib/aarch64-linux-gnu/crt1.o ] || echo libc6-dev:arm64
  [ -e /lib/aarch64-linux-gnu/libgcc_s.so.1 ] || echo libgcc-s1:arm64
  command -v qemu-aarch64 >/dev/null || echo qemu-user
}
wanted=$(missing)
if [ -n "$wanted" ] && [ $install = yes ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "installing" $wanted
  dpkg --add-architecture arm64
  apt-get update --quiet=2
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends $wanted >/dev/null || true
  wanted=$(missing)
fi
[ -z "$wanted" ] || skip "the tests for aarch64 (not there:" $wanted")"
RUSTC=$(compiler)
export RUSTC CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
native=${CARGO_TARGET_DIR:-target}
export CARGO_TARGET_DIR=$native/arm
# Dependencies compile in half the time, and are fast enough.
light=(--config 'profile.dev.package."*".opt-level=1')
on_arm() { CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu $1" cargo test --locked "${light[@]}" --target $target "${@:2}"; }

# --- kernels -------------------------------------------------------------------------------
if [ $what = kernels ]; then
  # Without documentation tests, which need a rustdoc of the same version, and without the bench's
  # large cases, whose kernels the other tests cover.
  say "kernels with BF16";    on_arm max -p specbook-kernels --lib -- --skip every_kernel_of_the_bench_runs
  say "kernels without BF16"; on_arm cortex-a72 -p specbook-kernels --lib -- --skip every_kernel_of_the_bench_runs
  if command -v python3 >/dev/null; then
    say "instructions of the inner loops"
    cargo build --locked --release -p specbook-kernels --target $target
    scripts/inner-loops.py "$CARGO_TARGET_DIR/$target/release/libspecbook_kernels.rlib" --objdump aarch64-linux-gnu-objdump --at-least 0.85 tiles_neon
  else
    say "skipped: instructions of the inner loops (no python3)"
  fi
  exit 0
fi

# --- the whole program ---------------------------------------------------------------------
# Seconds since the last call.
took() { say "$((SECONDS - ${since:-0})) s"; since=$SECONDS; }

say "building the program and its tests"
# Under emulation an unoptimised program would take hours.
fast=(--config 'profile.dev.package."*".opt-level=2' --config profile.dev.opt-level=2 --config profile.dev.debug=false)
tests=$(cargo test --locked "${fast[@]}" --no-run --target $target --lib --test suite 2>&1 | tee --append /dev/stderr | sed -n 's/.*Executable .*(\(.*\))$/\1/p')
env -u RUSTC CARGO_TARGET_DIR="$native" cargo build --locked
built=$CARGO_TARGET_DIR/$target/debug
tests_of() { grep "/$1-" <<<"$tests"; }
# The suite starts the program by its path: a script in its place starts it under qemu. Cargo would
# restore the program.
mv "$built/specbook" "$built/specbook.arm"
printf '#!/bin/sh\nexec qemu-aarch64 "%s" "$@"\n' "$(realpath "$built/specbook.arm")" > "$built/specbook"
chmod +x "$built/specbook"
export QEMU_CPU=max
took

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
with() { SPECBOOK_STORE=$folder/$1 "${@:2}" --quiet --profile smoke specs/*.yaml; }
x86=$native/debug/specbook arm=$built/specbook
say "every spec, profile smoke: trained on both"
with x86 "$x86" run --no-report
# One thread each: under emulation, synchronising threads costs more than it gains. Processes share the work.
with arm "$arm" run --no-report --threads 1 & other=$!
with arm "$arm" run --no-report --threads 1
wait $other
for side in x86 arm; do with $side "${!side}" report --out "$folder/reports-$side"; done
took
diff -r --exclude timing.json "$folder"/reports-{x86,arm}
digests() { (cd "$folder/$1/runs-v1" && sha256sum ./*/*/{metrics.jsonl,model.safetensors}); }
diff <(digests x86) <(digests arm)
by() { cat "$folder/$1"/runs-v1/*/*/record.json | grep --only-matching '"isa": *"[^"]*"' | sort | uniq --count; }
say "$(digests x86 | wc -l) files of metrics and weights, reports and records are equal, computed by" $(by x86) and $(by arm)

say "each side checks the other's reports; runs trained here are verified there"
with x86 "$x86" report --check --out "$folder/reports-arm"
with arm "$arm" report --check --out "$folder/reports-x86"
# Of one spec: digests have told of all.
SPECBOOK_STORE=$folder/x86 "$arm" verify --threads 1 --profile smoke specs/loss-comparison.yaml
took

say "tests of the library and the suite"
qemu-aarch64 "$(tests_of specbook)" --test-threads 1 --skip cuda train:: record:: plan:: doctor text::tokenizer & other=$!
qemu-aarch64 "$(tests_of suite)" --test-threads 1 bits::another run::a_second bench::a_shape
wait $other
say "bfloat16 is refused where the processor lacks it"
QEMU_CPU=cortex-a72 qemu-aarch64 "$(tests_of suite)" bf16
took
