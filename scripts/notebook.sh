#!/usr/bin/env bash
# Runs the notebooks of reports with `nbconvert --execute` in a separate Python environment: every
# figure must be redrawn from its data. Usage: scripts/notebook.sh [REPORTS] (default: reports).
# Needs Python 3 with venv, and a package index.
set -euo pipefail
reports=$(realpath "${1:-reports}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet nbconvert ipykernel pandas matplotlib
for notebook in "$reports"/*/report.ipynb; do
    name=$(basename "$(dirname "$notebook")")
    cp -r "$(dirname "$notebook")" "$work/$name"
    (cd "$work/$name" && MPLBACKEND=module://matplotlib_inline.backend_inline "$work/venv/bin/jupyter" nbconvert --to notebook --execute --output executed.ipynb report.ipynb --log-level ERROR)
    "$work/venv/bin/python" - "$work/$name/executed.ipynb" <<'PYTHON'
import json, sys
cells = [cell for cell in json.load(open(sys.argv[1]))["cells"] if cell["cell_type"] == "code"]
drawn = [any("image/png" in output.get("data", {}) for output in cell["outputs"]) for cell in cells]
assert cells and all(drawn), f"{drawn.count(False)} of {len(drawn)} figures were not drawn"
print(f"{sys.argv[1].split('/')[-2]}: {len(cells)} figures drawn again")
PYTHON
done
