"""The seams that import-linter cannot name: who uses `sync_to_async`, and what may not stand in the code."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = [path for name in ("core", "warmup", "settings") for path in (ROOT / name).rglob("*.py")]


def test_only_the_bridge_uses_sync_to_async() -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and any(alias.name in {"sync_to_async", "async_to_sync"} for alias in node.names)
    }

    assert users == {"core/bridge.py"}


def test_async_code_has_no_async_orm_methods() -> None:
    """Django's own `aget`, `asave` and the like would be crossings past the bridge."""
    methods = {"aget", "asave", "acreate", "aupdate", "afirst", "acount", "adelete", "aexists", "aiterator"}
    found = [
        (path.relative_to(ROOT).as_posix(), node.lineno)
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in methods
    ]

    assert found == []


def test_the_unsafe_switch_is_nowhere() -> None:
    assert not [path for path in CODE if "ASYNC_UNSAFE" in path.read_text()]


def test_the_environment_example_names_every_setting() -> None:
    example = (ROOT / ".env.example").read_text()
    reads = {
        "text",
        "integer",
        "boolean",
        "words",
        "directory",
        "database",
        "redis_url",
        "endpoint",
        "executable",
        "field_keys",
    }
    names = {
        node.args[0].value
        for node in ast.walk(ast.parse((ROOT / "settings" / "base.py").read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") in reads
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }

    assert len(names) > 15
    assert {name for name in names if f"\n{name}=" not in example} == set()
