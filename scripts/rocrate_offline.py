"""roc-validator with the JSON-LD context of RO-Crate 1.1 from the package `rocrate`, which the validator would otherwise load from the network.

Usage: rocrate_offline.py ARGUMENTS-OF-rocrate-validator…
"""

import importlib.util
import json
import pathlib
import sys

import rdflib.plugins.shared.jsonld.context as context
import rdflib.plugins.shared.jsonld.util as util

FOLDER = pathlib.Path(importlib.util.find_spec("rocrate").origin).parent
CONTEXT = json.loads((FOLDER / "data" / "ro-crate.jsonld").read_text())
LOAD = util.source_to_json


def load(source, *arguments, **named):
    if "w3id.org/ro/crate/1.1/context" in str(source):
        return CONTEXT, None
    return LOAD(source, *arguments, **named)


util.source_to_json = context.source_to_json = load
from rocrate_validator.cli import cli  # noqa: E402

sys.exit(cli())
