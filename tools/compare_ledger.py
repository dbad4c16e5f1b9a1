"""Hold the demo site's ledger against the database: `python -m tools.compare_ledger TASK LEDGER.json`.

Prints one line for each difference and exits 1 if there is one. Compared, account by account: the
log-ins, the likes, the searches with their texts and in their order, and that nothing was done twice.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import django


def differences(task_name: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What the ledger's `rows` and the records of the task do not agree on."""
    from warmup.models import WarmupTask

    seen: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        seen.setdefault(row["account"], []).append(row)
    task = WarmupTask.objects.get(name=task_name)
    found: list[str] = []
    for run in task.runs.select_related("account").order_by("pk"):
        username = run.account.username
        found += [f"{username}: {line}" for line in _differences(run, seen.pop(username, []))]
    found += [f"{username}: on the site, but not in the task" for username in seen if username]
    return found


def _differences(run: Any, rows: list[Mapping[str, Any]]) -> Iterable[str]:
    did = {"login": [], "like": [], "search": []}  # type: dict[str, list[str]]
    for row in rows:
        if row["repeat"]:
            yield f"did twice: {row['action']} {row['object']}"
        if row["action"] in did:
            did[row["action"]].append(row["object"] if row["action"] == "search" else "")
    done = run.steps.filter(result="DONE").order_by("attempt", "index")
    likes = done.filter(do="click").exclude(detail__contains="by its probe").count()
    searches = [step.label.removeprefix("search ").strip("'") for step in done.filter(do="search")]
    logins = run.log.filter(event="logged_in").count()
    if len(did["login"]) != logins:
        yield f"the site saw {len(did['login'])} log-ins, the database {logins}"
    if len(did["like"]) != likes:
        yield f"the site saw {len(did['like'])} likes, the database {likes}"
    if did["search"] != searches:
        yield f"the site saw the searches {did['search']}, the database {searches}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("ledger", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.local")
    django.setup()
    rows = json.loads(options.ledger.read_text())
    found = differences(options.task, rows)
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        counts = {name: sum(row["action"] == name for row in rows) for name in ("login", "like", "search")}
        print("site and database agree: " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
