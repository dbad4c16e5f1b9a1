from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from warmup.loadfile import load_file_json_schema
from warmup.playbooks.actions import ACTIONS
from warmup.playbooks.schema import playbook_json_schema

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("module", "name", "schema"),
    [
        ("warmup.playbooks.schema", "playbook.schema.json", playbook_json_schema()),
        ("warmup.loadfile", "load-file.schema.json", load_file_json_schema()),
    ],
)
def test_schema_file_is_what_the_code_says(module: str, name: str, schema: dict[str, Any]) -> None:
    written = subprocess.run(
        [sys.executable, "-W", "error", "-m", module], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert json.loads(written) == schema
    assert (ROOT / "docs" / name).read_text() == written, f"python -m {module} > docs/{name}"


def test_schema_knows_every_action() -> None:
    steps = playbook_json_schema()["properties"]["steps"]["items"]

    assert set(steps["discriminator"]["mapping"]) == {*ACTIONS, "repeat"}
    assert playbook_json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_schema_refuses_unknown_keys_everywhere_but_in_a_storage_state() -> None:
    open_ended = {
        name
        for name, part in load_file_json_schema()["$defs"].items()
        if part["type"] == "object" and part["additionalProperties"] is not False
    }

    assert open_ended == {"CookieShape", "OriginShape", "StateShape", "StoredItemShape"}
