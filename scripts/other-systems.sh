#!/usr/bin/env bash
# Builds for other systems; parts without the needed tools are skipped with a message.
#
#   scripts/other-systems.sh windows    builds for x86_64-pc-windows-gnu, and runs the tests of the library and of the suite under wine
#   scripts/other-systems.sh macos      type-checks everything for aarch64-apple-darwin (linking
#   needs Apple's libraries)
#
# The standard library is used if rustc has it for the target (`rustup target add`), otherwise
# compiled from rustc's source (rustup component `rust-src`; Debian: rustc-web, cargo-web,
# rust-web-src). Windows also needs gcc-mingw-w64-x86-64 and wine64; macOS needs a C compiler for
# the TLS library: CC_aarch64_apple_darwin, else zig from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '== %s\n' "$*" >&2; }
skip() { printf 'skipped: %s\n' "$*" >&2; exit 0; }

case ${1:-} in
  windows) target=x86_64-pc-windows-gnu ;;
  macos) target=aarch64-apple-darwin ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

# --- a compiler ----------------------------------------------------------------------------
has_std() { [ -n "$(find "$("$1" --print target-libdir --target $target)" -name 'libstd-*.rlib' 2>/dev/null)" ]; }
has_source() { [ -e "$("$1" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; }
# Builds in half the time, and is fast enough.
flags=(--locked --config 'profile.dev.package."*".opt-level=1' --config profile.dev.package.specbook-kernels.opt-level=1 --config profile.dev.debug=false --target "$target")
if ! has_std "${RUSTC:-rustc}"; then
  for rustc in "${RUSTC:-rustc}" /usr/bin/rustc; do
    if has_source "$rustc"; then
      # `-Zbuild-std` needs a nightly compiler; this enables it in a released one.
      export RUSTC=$rustc RUSTC_BOOTSTRAP=1
      flags+=(-Zbuild-std)
      break
    fi
  done
  [ -n "${RUSTC_BOOTSTRAP:-}" ] || skip "$1 (no standard library for $target, and no source of it)"
fi
# A cargo of the same version can compile that source.
cargo=cargo
if [ "${RUSTC:-}" = /usr/bin/rustc ]; then cargo=/usr/bin/cargo; fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/$1

if [ "$1" = macos ]; then
  if [ -z "${CC_aarch64_apple_darwin:-}" ]; then
    python=$CARGO_TARGET_DIR/zig/bin/python
    [ -x "$python" ] || { python3 -m venv "$CARGO_TARGET_DIR/zig" && "$python" -m pip install --quiet ziglang; } || skip "macOS (no C compiler for it, and zig cannot be fetched)"
    CC_aarch64_apple_darwin=$(realpath "$CARGO_TARGET_DIR")/zig/cc
    # Zig has names of its own for targets, and headers of macOS.
    cat > "$CC_aarch64_apple_darwin" <<END
#!/usr/bin/env bash
words=(); for word; do case \$word in --target=*|-target|-arch|arm64|arm64-apple-*|-mmacosx-version-min=*|-isysroot) ;; *) words+=("\$word") ;; esac; done
exec "$(realpath "$CARGO_TARGET_DIR")/zig/bin/python" -m ziglang cc -target aarch64-macos "\${words[@]}"
END
    chmod +x "$CC_aarch64_apple_darwin"
    export CC_aarch64_apple_darwin
  fi
  say "type-checking for $target"
  exec "$cargo" check "${flags[@]}" --workspace --all-targets
fi

# --- Windows -------------------------------------------------------------------------------
command -v x86_64-w64-mingw32-gcc >/dev/null || skip "Windows (no x86_64-w64-mingw32-gcc)"
say "building for $target"
tests=$("$cargo" test "${flags[@]}" --no-run --lib --test suite 2>&1 | tee --append /dev/stderr | sed -n 's/.*Executable .*(\(.*\))$/\1/p')
wine=$(command -v wine64 || command -v wine || true)
[ -n "$wine" ] || skip "running it (no wine)"
export WINEPREFIX=${WINEPREFIX:-$(realpath "$CARGO_TARGET_DIR")/wine} WINEDEBUG=-all
built=$CARGO_TARGET_DIR/$target/debug
tests_of() { grep "/$1-" <<<"$tests"; }
# Wine 8 lacks the library from which Rust gets random numbers.
if ! find /usr/lib/*/wine /usr/lib/wine -name bcryptprimitives.dll 2>/dev/null | grep --quiet .; then
  printf '%s\n' '#include <windows.h>' '#include <ntsecapi.h>' \
    '__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T bytes) { return RtlGenRandom(to, bytes); }' |
    x86_64-w64-mingw32-gcc -shared -o "$built/bcryptprimitives.dll" -x c - -ladvapi32
  cp "$built/bcryptprimitives.dll" "$built/deps"
fi
"$wine" wineboot --init >/dev/null 2>&1 || true
say "tests of the library"
"$wine" "$(tests_of specbook)"
say "tests of the suite"
"$wine" "$(tests_of suite)"
