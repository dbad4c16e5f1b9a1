"""Files that the code writes: the state diagram and the JSON Schemas. `--check` compares them only."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warmup.loadfile import load_file_json_schema
from warmup.playbooks.schema import playbook_json_schema
from warmup.states import document

DOCS = Path(__file__).resolve().parent.parent / "docs"


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


FILES: dict[str, Callable[[], str]] = {
    "states.md": document,
    "playbook.schema.json": lambda: _json(playbook_json_schema()),
    "load-file.schema.json": lambda: _json(load_file_json_schema()),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = 0
    for name, write in FILES.items():
        path, text = DOCS / name, write()
        if check and (not path.exists() or path.read_text() != text):
            print(f"docs/{name} is not what the code says: run `make generated`", file=sys.stderr)
            stale += 1
        elif not check:
            path.write_text(text)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
