#!/usr/bin/env bash
# Interprets nvcc's PTX of the GPU kernels on the CPU (tests/gpu/ptx) and compares the results with
# their CPU build; then plants six errors, each of which must be found.
#
#   scripts/ptx-test.sh [NVCC]
#   scripts/ptx-test.sh record     only writes target/ptx/launches.bin: launches of every kernel,
#   which `scripts/gpu-acceptance.sh` runs on a GPU
#
# NVCC defaults to the one in PATH, otherwise the one downloaded by scripts/build-cuda.sh. Without
# nvcc or a C++ compiler, the test is skipped. Nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
nvcc=${1:-$(command -v nvcc || echo target/cuda-build/toolkit/nvidia/cu13/bin/nvcc)}
compiler=${CXX:-c++}
out=target/ptx kernels=src/train/engine/cuda/kernels
if ! command -v "$compiler" >/dev/null; then
  echo "skipped: there is no C++ compiler (\`c++\`, or CXX)"
  exit 0
fi
mkdir -p "$out"

# Records the inputs of every kernel in the tests and the outputs of its CPU build.
"$compiler" -std=c++17 -O1 -fno-strict-aliasing -Wno-unknown-pragmas -I tests/gpu -rdynamic -o "$out/tests" \
  tests/gpu/{tests,rows,attention,head,optimizer,record,cuda_on_cpu}.cpp -x c++ "$kernels/kernels.cu" -ldl
"$out/tests" 1 "" "$out/launches.bin" | tail -n 1
[ "$nvcc" = record ] && exit 0

if [ ! -x "$nvcc" ]; then
  echo "skipped: there is no nvcc (\`scripts/build-cuda.sh\` fetches one)"
  exit 0
fi
# Compiles a file of kernels to PTX, with planted error number $2 (0: none).
ptx() {
  printf '#define PLANTED %s\n#include "%s"\n' "$2" "$1" > "$out/unit.cu"
  "$nvcc" -ptx -arch="compute_${CUDA_COMPUTE_CAP:-80}" -O3 -std=c++17 -Xcudafe --diag_suppress=177 -I "$kernels" -o "$out/$1-$2.ptx" "$out/unit.cu"
}
cargo build --locked --quiet -p specbook-ptx
run() { "${CARGO_TARGET_DIR:-target}/debug/specbook-ptx" "$@"; }
ptx kernels.cu 0
run "$out/kernels.cu-0.ptx" "$out/launches.bin"

planted() { # what, its number, the file, the kernel that must fail, what must be said
  ptx "$3" "$2"
  local said code=0
  said=$(run "$out/$3-$2.ptx" "$out/launches.bin" "$4") || code=$?
  if [ "$code" != 1 ] || ! grep -Eq "^$4 +FAIL .*$5" <<< "$said"; then
    printf 'error: not found in the PTX: %s:\n%s\n' "$1" "$said" >&2
    exit 1
  fi
  printf '%s: %s\n' "$1" "$(head -n 1 <<< "$said")"
}
planted "missing barrier" 1 rows.cuh norm_backward_f32 '`dx` is .* apart'
planted "off by one" 2 rows.cuh norm_backward_f32 'is at byte 528 of `w`, which has 528'
planted "early exit before a shuffle" 3 attention.cuh attention_delta_f32 'shfl.* for lane 6, which has ended'
planted "uninitialised read" 4 head.cuh head_row_f32 '`losses` is inf apart'
planted "wrong fragment layout" 5 attention_mma.cuh attention_forward_64_bf16 '`y` is .* apart'
planted "32-bit index overflow" 6 rows.cuh norm_forward_f32 'is at byte -4096 of `x`'
