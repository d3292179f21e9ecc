#!/usr/bin/env bash
# Every check that must pass before a change lands.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\n== %s\n' "$*"; }

say "format";            cargo fmt --all --check
say "lints";             cargo clippy --locked --workspace --all-targets -- -D warnings
say "CUDA code";         cargo clippy --locked --all-targets --features cuda-check -- -D warnings
say "CUDA headers";      scripts/cuda-headers.py
say "tests";             INSTA_UPDATE=no cargo test --locked --workspace
say "dfdx's operations on an emulated GPU"; INSTA_UPDATE=no cargo test --locked --lib --features cuda-check cuda::emulator
# On the CPU, this was among the tests above.
say "acceptance on an emulated GPU"; INSTA_UPDATE=no cargo test --locked --test suite --features cuda-check gpu:: -- --skip on_the_processor
say "GPU kernels as nvcc compiles them"; scripts/ptx-test.sh
say "kernels for aarch64"; scripts/arm-test.sh kernels --no-install
say "packages";          cargo package --locked --workspace --no-verify --allow-dirty --quiet
say "manual pages"
if command -v mandoc >/dev/null; then
  cargo run --locked --quiet -- man --quiet --out target/man
  mandoc -Tlint target/man/*.1
else
  echo "skipped: manual pages (no mandoc)"
fi
say "supply chain"
if ! cargo deny --version >/dev/null 2>&1; then
  echo "skipped: supply chain (no cargo-deny; \`cargo install --locked cargo-deny\`)"
else
  cargo deny --locked check licenses sources bans
  # RustSec's database: updated if possible, otherwise as fetched before.
  if cargo deny fetch db 2>/dev/null; then
    cargo deny --locked check advisories
  elif compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/advisory-db-*" >/dev/null; then
    cargo deny --locked --offline check advisories
  else
    echo "skipped: advisories (RustSec's database cannot be had here)"
  fi
fi
say "documentation";     RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
