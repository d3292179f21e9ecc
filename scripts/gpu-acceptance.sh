#!/usr/bin/env bash
# Checks a GPU against the CPU and measures it against PyTorch: prints a table, and writes
# everything as JSON to gpu-acceptance.json.
#
#   scripts/gpu-acceptance.sh [--minutes N] [--device cuda:N|cpu|emulated|dead] [--text FILE [--tokenizer FILE]] [--out FILE]
#                             [more flags of `specbook gpu-acceptance`]
#
# The parts: device, every kernel against its CPU build, parity of every operation, loss and gradient in f32 and bf16, training runs repeated and
# resumed bit for bit, and with CUDA graphs as without, training curves, NVIDIA's memory and race checkers, PyTorch's compilations (in the background of all these), ceilings, operations
# against these, NVIDIA's profiler on the worst of them, the published grid, speed and memory, and with --text the experiment epoch-frenzy at its
# published size. Parts that are impossible, or do not fit into --minutes, are skipped with the reason. Without a GPU, `--device cpu` rehearses it on
# the CPU, and `--device emulated` (needs a C++17 compiler) with the GPU's kernels compiled for the CPU; with `--device dead` the kernels do nothing,
# and every part must fail.
# Exit codes: 0 passed (or skipped), 2 the GPU cannot be used, 7 its results differ from the CPU's or an experiment failed.
# SPECBOOK names the program, PYTHON a Python that has PyTorch.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '== %s\n' "$*" >&2; }
device=cuda out=gpu-acceptance.json previous=
for argument in "$@"; do
  case $previous in --device) device=$argument ;; --out) out= ;; esac
  case $argument in --device=*) device=${argument#--device=} ;; --out=*) out= ;; esac
  previous=$argument
done

program=${SPECBOOK:-}
case $device in emulated | dead)
  say "building for an emulated GPU"
  cargo build --locked --features cuda-check >&2
  program=target/debug/specbook emulated=target/emulated-gpu
  mkdir -p "$emulated"
  "${CXX:-c++}" -std=c++17 -O2 -fno-strict-aliasing -Wno-unknown-pragmas -shared -fPIC -x c++ -I tests/gpu tests/gpu/driver.cpp \
    tests/gpu/cuda_on_cpu.cpp -o "$emulated/libcuda.so.1" -ldl
  ln -sf libcuda.so.1 "$emulated/libcublas.so.13"
  scripts/ptx-test.sh record >&2
  export LD_LIBRARY_PATH=$PWD/$emulated EMULATED_GPU=$device
  # The program sees this GPU as cuda:0.
  arguments=()
  for argument in "$@"; do arguments+=("${argument/%$device/cuda}"); done
  set -- "${arguments[@]}" ;;
esac
if [ -z "$program" ] && [ -x bin/specbook ]; then
  program=bin/specbook # the package that build-cuda.sh makes
elif [ -z "$program" ] && [ "${device%%:*}" = cuda ]; then
  program=target/cuda-build/specbook-cuda/bin/specbook
  if [ ! -x "$program" ]; then
    say "building with CUDA support"
    scripts/build-cuda.sh >&2
  fi
elif [ -z "$program" ]; then
  say "building"
  cargo build --locked --release >&2
  program=target/release/specbook
fi

python=${PYTHON:-python3}
torch=()
if [ ! -f benches/torch_train.py ]; then
  say "no PyTorch side: benches/torch_train.py is not here"
elif ! "$python" -c 'import torch' 2>/dev/null; then
  say "no PyTorch side: $python has no module torch (PYTHON names another)"
else
  torch=(--torch benches/torch_train.py --python "$python")
fi

launches=()
for file in launches.bin target/cuda-build/specbook-cuda/launches.bin target/ptx/launches.bin; do
  if [ -f "$file" ]; then
    launches=(--kernels "$file")
    break
  fi
done

"$program" doctor >&2
exec "$program" gpu-acceptance "${torch[@]}" "${launches[@]}" ${out:+--out "$out"} "$@"
