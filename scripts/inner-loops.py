#!/usr/bin/env python3
"""Counts the instructions of inner loops in object code, kernel by kernel.

    scripts/inner-loops.py OBJECT [--objdump PROGRAM] [--at-least SHARE KERNEL]...

OBJECT is a library or program with symbols; a kernel is a function of `specbook_kernels` compiled for one instruction set. For each, the innermost
loop with the most vector arithmetic is shown: its instructions, divided into fused multiply-adds, other arithmetic, loads and stores, and the
rest. With --at-least the program fails unless fused multiply-adds make up at least that share of the kernel's loop (0.85 is 85 %).
"""

import argparse
import re
import subprocess
import sys

KERNEL = re.compile(r"specbook_kernels::\w+::(\w+::(?:neon|avx2|avx512)|(?:tiles|strips)_\w+)$")
FUSED = re.compile(r"(fml[as]|bfmmla|bfdot|vfn?m(add|sub)\d+ps|vdpbf16ps)$")
MOVES = re.compile(r"(ld|st|prfm|vmov[aud]|vbroadcast|prefetch|mov[aud]ps)")
VECTOR = re.compile(r"\bv\d+\.|\bq\d+|[xyz]mm\d+")


def functions(disassembly):
    """Name and instructions, (address, operation, operands), of each function."""
    name, body = None, []
    for line in disassembly:
        if header := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            if name:
                yield name, body
            name, body = header[1], []
        elif code := re.match(r"\s+([0-9a-f]+):\s+(\S+)\s*(.*)", line):
            body.append((int(code[1], 16), code[2], code[3]))
    if name:
        yield name, body


def inner_loops(body):
    """Instructions from the target of a backward branch to that branch, with no other branch in between."""
    place = {address: index for index, (address, _, _) in enumerate(body)}
    last = -1
    for index, (_, operation, operands) in enumerate(body):
        if not re.match(r"(b(\.\w+)?|cbn?z|tbn?z|j\w+)$", operation):
            continue
        target = re.search(r"\b([0-9a-f]+) <", operands)
        start = place.get(int(target[1], 16), -1) if target else -1
        if last < start <= index:
            yield body[start : index + 1]
        last = index


def counts(loop):
    """Numbers of fused multiply-adds, other vector arithmetic, loads and stores, and the rest."""
    fused = other = moves = 0
    for _, operation, operands in loop:
        # x86 can load and multiply in one instruction.
        if FUSED.match(re.sub(r"(213|231|132)", "", operation)):
            fused += 1
        elif MOVES.match(operation):
            moves += 1
        elif VECTOR.search(operands):
            other += 1
    return fused, other, moves, len(loop) - fused - other - moves


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("object")
    parser.add_argument("--objdump", default="objdump")
    parser.add_argument("--at-least", nargs=2, action="append", default=[], metavar=("SHARE", "KERNEL"))
    arguments = parser.parse_args()
    command = [arguments.objdump, "--disassemble", "--no-show-raw-insn", "--demangle", arguments.object]
    disassembly = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    shares = {}
    print("| kernel | instructions | fused multiply-adds | other arithmetic | loads, stores | rest | share |\n|---|--:|--:|--:|--:|--:|--:|")
    for name, body in sorted(functions(disassembly)):
        kernel = KERNEL.search(re.sub(r"::h[0-9a-f]{16}$", "", name))
        loops = [(counts(loop), len(loop)) for loop in inner_loops(body)]
        if not kernel or not loops:
            continue
        (fused, other, moves, rest), length = max(loops, key=lambda loop: loop[0][:2])
        shares[kernel[1]] = fused / length
        print(f"| {kernel[1]} | {length} | {fused} | {other} | {moves} | {rest} | {fused / length:.1%} |")
    for least, kernel in arguments.at_least:
        if shares.get(kernel, 0.0) < float(least):
            sys.exit(f"error: {kernel} has {shares.get(kernel, 0.0):.1%} fused multiply-adds in its inner loop, not {float(least):.0%}")


if __name__ == "__main__":
    main()
