"""The operator: a process that carries out the product's verbs, one JSON line each, without a start-up
of a second for every one of them. `python -m tests.chaos.verbs`, and `Verbs` as its other end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tools.processes import ROOT


class Verbs:
    """`verbs("start", task="morning")`; raises `RuntimeError` with the product's own words."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.verbs"],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, verb: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        self._process.communicate()


def main() -> None:
    import django

    django.setup()
    from django.db import connections

    for line in sys.stdin:
        request = json.loads(line)
        verb = _VERBS[request.pop("verb")]
        try:
            answer = {"result": verb(**request)}
        except Exception as error:  # whatever it is, the test is told
            answer = {"error": f"{type(error).__name__}: {error}"}
        connections.close_all()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _load(content: dict[str, Any]) -> None:
    from warmup import loading

    loading.load(json.dumps(content), source="chaos", by=None)


def _call(name: str, task: str, **options: Any) -> Any:
    from warmup import services

    return getattr(services, name)(services.find_task(task), by=None, **options)


def _start_at_once(task: str, times: int) -> int:
    """Start one task from `times` threads at the same moment; returns how many of them succeeded."""
    from django.db import connections

    from core.errors import IllegalTransition
    from warmup import services

    barrier = threading.Barrier(times)

    def start(_: int) -> int:
        found = services.find_task(task)
        connections.close_all()
        barrier.wait()
        try:
            services.start(found, by=None)
        except IllegalTransition:
            return 0
        finally:
            connections.close_all()
        return 1

    with ThreadPoolExecutor(times) as pool:
        return sum(pool.map(start, range(times)))


_VERBS: dict[str, Callable[..., Any]] = {
    "load": _load,
    "start_at_once": _start_at_once,
    "start": lambda task: _call("start", task),
    "pause": lambda task: _call("pause", task),
    "resume": lambda task: _call("resume", task),
    "stop": lambda task, force=False: _call("stop", task, force=force),
    "restart": lambda task, which: _call("restart", task, which=which),
}

if __name__ == "__main__":
    main()
