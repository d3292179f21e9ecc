#!/usr/bin/env bash
# Makes a paper from every report and compiles it: LaTeX with `tectonic` or `pdflatex` if installed;
# Typst with `typst` if installed, otherwise with the compiler in the Python package `typst`. Usage:
# scripts/papers.sh SPECBOOK [SPECS] (default: specs), in a project whose store holds the runs.
set -euo pipefail
specbook=$(realpath "$1")
specs=${2:-specs}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for language in tex typst; do
    "$specbook" report "$specs" --to "$language" --out "$work/$language" -q
done
if command -v tectonic >/dev/null; then
    for paper in "$work"/tex/*/report.tex; do (cd "$(dirname "$paper")" && tectonic -X compile report.tex >/dev/null && echo "LaTeX: $paper"); done
elif command -v pdflatex >/dev/null; then
    for paper in "$work"/tex/*/report.tex; do (cd "$(dirname "$paper")" && pdflatex -interaction=nonstopmode -halt-on-error report.tex >/dev/null && echo "LaTeX: $paper"); done
else
    echo "LaTeX: not compiled, neither tectonic nor pdflatex is installed"
fi
if ! command -v typst >/dev/null; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet typst
fi
for paper in "$work"/typst/*/report.typ; do
    if command -v typst >/dev/null; then
        typst compile "$paper" "${paper%.typ}.pdf"
    else
        "$work/venv/bin/python" -c 'import sys, typst; typst.compile(sys.argv[1], output=sys.argv[2])' "$paper" "${paper%.typ}.pdf"
    fi
    echo "Typst: $paper"
done
