#!/usr/bin/env bash
# Builds specbook with CUDA support on a machine with or without a CUDA toolkit or GPU, and packs
# the files for the GPU machine.
#
#   scripts/build-cuda.sh [FOLDER]        default: target/cuda-build
#
# FOLDER/specbook-cuda/       the package: program, launcher that finds cuBLAS, acceptance script, recorded launches, PyTorch side
# FOLDER/specbook-cuda.tar.gz the same as an archive
#
# Without a toolkit, nvcc 13.0 comes from PyPI (needs python3 with pip; about 100 MB, kept in
# FOLDER). The kernels of a build run on every GPU from CUDA_COMPUTE_CAP (default 80, the minimum:
# Ampere, 2020) on, with a driver for the toolkit's CUDA version or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mkdir -p "${1:-target/cuda-build}" && cd "${1:-target/cuda-build}" && pwd)
say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80}
[ "$CUDA_COMPUTE_CAP" -ge 80 ] || fail "CUDA_COMPUTE_CAP is $CUDA_COMPUTE_CAP: kernels of the tensor library do not compile below 80"
shim=$work/shim
mkdir -p "$shim"

# --- a toolkit: the installed one, or wheels -----------------------------------------------
if nvcc=$(command -v nvcc); then
  root=$(cd "$(dirname "$(readlink -f "$nvcc")")/.." && pwd)
  say "CUDA toolkit at $root"
else
  [ "$(uname -m)" = x86_64 ] || fail "there is no nvcc; install NVIDIA's CUDA toolkit"
  root=$work/toolkit/nvidia/cu13
  if [ ! -x "$root/bin/nvcc" ]; then
    say "fetching nvcc 13.0 from PyPI"
    command -v python3 >/dev/null || fail "there is neither nvcc nor python3 to fetch it with"
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$work/wheels" \
      nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
      nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96 >&2
    for wheel in "$work"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$work/toolkit"; done
    chmod +x "$root"/bin/* "$root"/nvvm/bin/*
  fi
fi
export PATH="$shim:$root/bin:$PATH"
version=$(nvcc --version | sed -n 's/.*release \([0-9]*\.[0-9]*\).*/\1/p')
[ -n "$version" ] || fail "nvcc does not say its version"

# --- requirements of the tensor library's build scripts ------------------------------------
# They use CUDA_COMPUTE_CAP, but first query the GPU's compute capability.
if ! nvidia-smi --query-gpu=compute_cap --format=csv >/dev/null 2>&1; then
  printf '#!/bin/sh\necho compute_cap\necho %s.%s\n' "${CUDA_COMPUTE_CAP%?}" "${CUDA_COMPUTE_CAP#"${CUDA_COMPUTE_CAP%?}"}" > "$shim/nvidia-smi"
  chmod +x "$shim/nvidia-smi"
fi
# Empty libraries to link, since the program finds the real ones at run time
# (src/train/engine/cuda/api.rs).
mkdir -p "$work/sdk/lib"
ln -sfn "$root/include" "$work/sdk/include"
echo > "$shim/empty.c"
for name in cuda cublas cublasLt nvrtc; do
  ${CC:-cc} -shared -fPIC -Wl,-soname,"lib$name.so.specbook" -o "$work/sdk/lib/lib$name.so" "$shim/empty.c"
done
export CUDA_PATH=$work/sdk CUDA_ROOT=$work/sdk CUDA_TOOLKIT_ROOT_DIR=$work/sdk

say "functions of the driver as the toolkit's headers have them"
if command -v python3 >/dev/null; then python3 scripts/cuda-headers.py "$root/include" >&2; fi

# --- our kernels: machine code for current GPUs, and PTX for future ones ---------------
kernels=$work/kernels.fatbin
codes=(-gencode "arch=compute_$CUDA_COMPUTE_CAP,code=[sm_$CUDA_COMPUTE_CAP,compute_$CUDA_COMPUTE_CAP]")
for code in 86 89 90; do
  [ "$code" -gt "$CUDA_COMPUTE_CAP" ] && nvcc --list-gpu-code | grep -qx "sm_$code" && codes+=(-gencode "arch=compute_$code,code=sm_$code")
done
nvcc -fatbin -O3 -std=c++17 "${codes[@]}" -Xcudafe --diag_suppress=177 -o "$kernels" src/train/engine/cuda/kernels/kernels.cu
export SPECBOOK_CUDA_KERNELS=$kernels
say "the kernels' PTX on the CPU"
CARGO_TARGET_DIR=$work/target scripts/ptx-test.sh "$root/bin/nvcc" >&2

# --- the program ---------------------------------------------------------------------------
say "building for CUDA $version, compute capability $CUDA_COMPUTE_CAP and newer"
SPECBOOK_CUDA_VERSION=$version CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=symbols \
  cargo build --locked --release --features cuda --target-dir "$work/target" >&2
program=$work/target/release/specbook
if command -v readelf >/dev/null; then
  readelf -d "$program" | grep -E 'NEEDED.*(cuda|cublas|nvrtc|specbook)' && fail "the program links a CUDA library"
  readelf -W --dyn-syms "$program" | awk '$7 != "UND" && $8 ~ /^(cu[A-Z]|cublas|nvrtc)/ {print $8; found = 1} END {exit !found}' >&2 \
    && fail "the program exports functions of CUDA"
fi
# It must start without a driver.
"$program" doctor >&2

# --- the package ---------------------------------------------------------------------------
dist=$work/specbook-cuda
rm -rf "$dist"
mkdir -p "$dist/bin" "$dist/scripts"
cp "$program" "$dist/bin/specbook.bin"
cp scripts/gpu-acceptance.sh "$dist/scripts/"
if [ -f target/ptx/launches.bin ]; then cp target/ptx/launches.bin "$dist/"; fi
cp docs/cuda.md "$dist/README.md"
for file in benches/torch_train.py src/bench/shapes.json; do
  if [ -f "$file" ]; then mkdir -p "$dist/$(dirname "$file")"; cp "$file" "$dist/$file"; fi
done
cat > "$dist/bin/specbook" <<'LAUNCHER'
#!/bin/sh
# Runs specbook with the cuBLAS of a CUDA toolkit or of Python packages (PyTorch's, nvidia-cublas) in reach.
here=$(cd "$(dirname "$0")" && pwd)
for folder in /usr/local/cuda/lib64 /opt/cuda/lib64; do
  [ -d "$folder" ] && LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done
packages=$("${PYTHON:-python3}" -c 'import site, sys; print(*site.getsitepackages(), site.getusersitepackages(), *sys.path, sep="\n")' 2>/dev/null)
for folder in $packages; do
  for part in cu13 cublas; do
    [ -d "$folder/nvidia/$part/lib" ] && LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder/nvidia/$part/lib"
  done
done
export LD_LIBRARY_PATH
exec "$here/specbook.bin" "$@"
LAUNCHER
chmod +x "$dist/bin/specbook"
tar -C "$work" -czf "$work/specbook-cuda.tar.gz" specbook-cuda
bytes=$(wc -c < "$work/specbook-cuda.tar.gz")
[ "$bytes" -lt 60000000 ] || fail "the package has $bytes bytes, more than 60 MB"
say "$work/specbook-cuda.tar.gz: $bytes bytes; unpack it on the machine with the GPU and run scripts/gpu-acceptance.sh there"
