#!/usr/bin/env python3
"""Trains the same shapes alternately with specbook and with PyTorch, and prints the ratios.

Each measurement is a separate process, to measure its peak memory; a round runs every engine once on a shape, so that
temporary changes in the machine's speed affect all of them. The ratio is that of the medians over the rounds.

    cargo build --release
    python benches/compare.py llama-s llama-l --python ~/torch/bin/python --torch eager compile --rounds 3

The engines of PyTorch are `eager`, `compile`, `eager-bf16`, `compile-bf16`, each also with `-fused` (AdamW(fused=True)).
Allocator settings matter to PyTorch: MALLOC_* and GLIBC_TUNABLES of the environment apply to both sides and are printed.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SHAPES = HERE.parent / "src" / "bench" / "shapes.json"
OURS = "specbook"


def command(engine, shape, args):
    common = [shape, "--threads", str(args.threads), "--seconds", str(args.seconds)]
    if engine.startswith(OURS):
        kind = engine.removeprefix(OURS).removeprefix("-")
        extra = {"": [], "bf16": ["--dtype", "bf16"]}.get(kind, ["--isa", kind])
        return [args.specbook, "bench", *common, "--format", "json", *extra]
    mode, *rest = engine.split("-")
    extra = ["--dtype", "bf16"] if "bf16" in rest else []
    extra += ["--fused-adamw"] if "fused" in rest else []
    return [args.python, str(HERE / "torch_train.py"), *common, "--mode", mode, "--json", *extra]


def measure(engine, shape, args):
    done = subprocess.run(command(engine, shape, args), capture_output=True, text=True)
    if done.returncode != 0:
        sys.stderr.write(f"{engine} on {shape} failed:\n{done.stderr[-2000:]}\n")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1] if not engine.startswith(OURS) else done.stdout)


def main():
    shapes = json.loads(SHAPES.read_text())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help="default: all")
    parser.add_argument("--specbook", default=str(HERE.parent / "target" / "release" / "specbook"))
    parser.add_argument("--python", default=sys.executable, help="an interpreter with torch")
    parser.add_argument("--torch", nargs="+", default=["eager", "compile"], metavar="ENGINE")
    parser.add_argument("--isa", nargs="*", default=[], help="also specbook with other instruction sets (avx2, portable)")
    parser.add_argument("--bf16", action="store_true", help="run specbook in bf16; ratios then refer to it")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=4.0, help="per measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="also write all measurements there")
    args = parser.parse_args()
    unknown = [name for name in args.shapes if name not in shapes]
    if unknown:
        parser.error(f"unknown shape {unknown[0]}; shapes are {', '.join(shapes)}")
    own = f"{OURS}-bf16" if args.bf16 else OURS
    engines = [own, *(f"{OURS}-{isa}" for isa in args.isa), *args.torch]
    allocator = [f"{name}={os.environ[name]}" for name in os.environ if name.startswith(("MALLOC_", "GLIBC_TUNABLES"))]
    print(f"{args.threads} threads, {args.rounds} rounds of {args.seconds:g} s, allocator: {' '.join(allocator) or 'default'}")
    print("| shape | engine | tokens/s | specbook is | memory MiB | specbook's is |")
    print("|---|---|---:|---:|---:|---:|")
    everything = []
    for shape in args.shapes or shapes:
        found = {engine: [] for engine in engines}
        for _ in range(args.rounds):
            for engine in engines:
                result = measure(engine, shape, args)
                if result is not None:
                    found[engine].append(result)
        everything += [result for results in found.values() for result in results]
        middle = {
            engine: {
                key: statistics.median(result[key] for result in results)
                for key in ("tokens_per_second", "peak_rss_bytes")
            }
            for engine, results in found.items()
            if results
        }
        ours = middle.get(own)
        for engine, result in middle.items():
            speed, memory = result["tokens_per_second"], result["peak_rss_bytes"]
            ratios = ("1.00 x", "1.00 x")
            if ours:
                ratios = (f"{ours['tokens_per_second'] / speed:.2f} x", f"{ours['peak_rss_bytes'] / memory:.2f} x")
            print(f"| {shape} | {engine} | {speed:,.0f} | {ratios[0]} | {memory / 2**20:,.0f} | {ratios[1]} |", flush=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
