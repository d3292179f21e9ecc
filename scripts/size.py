#!/usr/bin/env python3
"""Counts the code lines of the product: `scripts/size.py [FOLDER]` prints a table of modules over all crates.

A code line is neither blank nor only a comment. Not counted: tests (`#[cfg(test)]` items and the files they name, `tests.rs`,
`tests/`), embedded corpora, and the GPU acceptance and emulator.
"""

import re
import sys
from collections import Counter
from pathlib import Path

OUTSIDE = re.compile(r"corpora|acceptance|emulator|(^|/)tests?(/|\.rs$)|test_support")
TEST = re.compile(r"\s*#\[cfg\((all\()?(test\b|any\(test\b)")
FINE = ("train/engine/kernels", "train/engine/cuda", "train/engine", "text/tokenizer")


def test_files(path, text):
    """Files and folders named by `#[cfg(test)] mod name;` in `path`."""
    home = path.parent if path.stem in ("mod", "lib", "main") else path.with_suffix("")
    for name in re.findall(r"#\[cfg\((?:all\()?test\b[^\n]*\n(?:\s*#\[[^\n]*\n)*\s*(?:pub(?:\([^)]*\))? )?mod (\w+);", text):
        yield home / f"{name}.rs"
        yield home / name


def code_lines(text):
    """Lines of code outside `#[cfg(test)]` items."""
    lines, count, at = text.splitlines(), 0, 0
    while at < len(lines):
        line = lines[at]
        if TEST.match(line):
            indent = len(line) - len(line.lstrip())
            at += 1
            while lines[at].lstrip().startswith(("#[", "//")):
                at += 1
            # rustfmt closes an item at the indentation it began with.
            if not lines[at].rstrip().endswith((";", ",", "}")):
                at += 1
                while at < len(lines) and not re.match(rf" {{{indent}}}(}}|\S.*;$)", lines[at]):
                    at += 1
        elif line.strip() and not line.lstrip().startswith("//"):
            count += 1
        at += 1
    return count


def module(root, path):
    inside = path.relative_to(root / "src") if (root / "src") in path.parents else None
    if inside is None:
        return "/".join(path.relative_to(root).parts[:2])
    for fine in FINE:
        if str(inside).startswith(fine):
            return fine
    return inside.parts[0].removesuffix(".rs")


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent).resolve()
    sources = [path for place in ("src", "crates", "xtask") for path in sorted((root / place).rglob("*.rs"))]
    sources = [path for path in sources if "target" not in path.relative_to(root).parts]
    texts = {path: path.read_text() for path in sources}
    tests = {found for path, text in texts.items() for found in test_files(path, text)}
    sizes, files = Counter(), Counter()
    for path, text in texts.items():
        if OUTSIDE.search(str(path.relative_to(root))) or path in tests or tests & set(path.parents):
            continue
        sizes[module(root, path)] += code_lines(text)
        files[module(root, path)] += 1
    print("| module | files | code lines |\n|---|--:|--:|")
    for name, size in sizes.most_common():
        print(f"| {name} | {files[name]} | {size:,} |")
    print(f"| **all** | **{sum(files.values())}** | **{sum(sizes.values()):,}** |")


if __name__ == "__main__":
    main()
