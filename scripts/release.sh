#!/usr/bin/env bash
# Builds the release archive for one target, and its checksum, in target/release-files/.
#
#     scripts/release.sh [TARGET] [--cargo "SUBCOMMAND AND FLAGS"]
#
# TARGET defaults to this machine's; `x86_64-unknown-linux-musl` and `aarch64-unknown-linux-musl`
# give static programs that run on any Linux. --cargo selects another build command, such as
# `zigbuild` (cargo-zigbuild) for cross-compiling. The program is run to generate manual pages and
# completions, through CARGO_TARGET_…_RUNNER if set.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
build=build
while [ $# -gt 0 ]; do
  case $1 in
    --cargo) build=$2; shift 2 ;;
    -*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) target=$1; shift ;;
  esac
done

# shellcheck disable=SC2086
cargo $build --release --locked --target "$target"
program=${CARGO_TARGET_DIR:-target}/$target/release/specbook
if [ "${target#*windows}" != "$target" ]; then program=$program.exe; fi
runner=CARGO_TARGET_$(echo "$target" | tr 'a-z-' 'A-Z_')_RUNNER
run() { ${!runner:-} "$program" "$@"; }

version=$(run --version | cut -d' ' -f2 | tr -d '\r')
files=${CARGO_TARGET_DIR:-target}/release-files
name=specbook-$version-$target
folder=$files/$name
rm -rf "$folder"
mkdir -p "$folder/completions"
cp "$program" README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$folder"
run --quiet man --out "$folder/man/man1"
for shell in bash zsh fish elvish powershell; do
  run completions "$shell" > "$folder/completions/specbook.$shell"
done

# The archive is reproducible.
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --directory "$files" --create "$name" | gzip --no-name --best > "$folder.tar.gz"
(cd "$files" && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
