"""A whole system for a test: data directory, database, broker, demo site and a real qcluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.browser.processes import OWNER_VARIABLE
from demo_site.markup import REEL, Markup
from demo_site.server import DemoSite
from tests import services
from tools.processes import ROOT, Children

Rows = list[dict[str, Any]]


@dataclass
class System:
    """Commands run in processes of their own, as an operator would run them."""

    environment: dict[str, str]
    site: DemoSite
    data: Path
    children: Children

    def manage(
        self, *arguments: str, code: int | None = 0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=240,
            check=False,
        )
        assert code is None or done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        return json.loads(self.manage("warmup", *arguments, "--json", code=code).stdout)

    def load(self, content: dict[str, Any]) -> None:
        path = self.data / "load.json"
        path.write_text(json.dumps(content))
        self.manage("warmup", "load", str(path))

    def start_cluster(self) -> None:
        self.children.start("qcluster", [sys.executable, "manage.py", "qcluster"])

    def ledger(self) -> Rows:
        with urllib.request.urlopen(f"{self.site.url}/ledger.json", timeout=10) as answer:
            rows: Rows = json.load(answer)
        return rows

    def disagreements(self, task: str) -> str:
        path = self.data / "ledger.json"
        path.write_text(json.dumps(self.ledger()))
        done = subprocess.run(
            [sys.executable, "-m", "tools.compare_ledger", task, str(path)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr

    def wait_until(self, happened: Callable[[], object], *, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < end, f"it did not happen within {seconds:g} s\n{self.logs()}"
            time.sleep(0.2)

    def wait_for(
        self, task: str, seen: Callable[[dict[str, Any]], object], *, seconds: float = 60
    ) -> dict[str, Any]:
        """The status of the task, as soon as it is as wanted."""
        status: dict[str, Any] = {}

        def look() -> object:
            status.update(self.json("status", task))
            return seen(status)

        self.wait_until(look, seconds=seconds)
        return status

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.children.log_dir.glob("*.log"))


def browser_processes() -> list[str]:
    """The drivers and browsers on this machine that a worker of ours has started."""
    mine = []
    for process in psutil.process_iter():
        try:
            if OWNER_VARIABLE in process.environ():
                mine.append(" ".join(process.cmdline())[:200])
        except psutil.Error:
            continue
    return mine


MakeSystem = Callable[..., AbstractContextManager[System]]


@pytest.fixture
def make_system(tmp_path: Path) -> MakeSystem:
    """`with make_system("postgres", broker="redis") as system:`."""

    @contextmanager
    def make(
        database: str = "sqlite",
        broker: str = "database",
        accounts: int = 12,
        markup: Markup = REEL,
        **settings: str,
    ) -> Iterator[System]:
        data = tmp_path / f"{database}-{broker}"
        data.mkdir()
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings.local",
            "WARMUP_DATA_DIR": str(data),
            "WARMUP_ALLOW_ROOT": "true",
            **settings,
        }
        environment.pop("DATABASE_URL", None)
        environment.pop("Q_BROKER_URL", None)
        with ExitStack() as stack:
            if database == "postgres":
                environment["DATABASE_URL"] = stack.enter_context(services.postgres_database())
            if broker == "redis":
                environment["Q_BROKER_URL"] = stack.enter_context(services.redis_database())
            site = stack.enter_context(DemoSite(accounts=accounts, port=0, markup=markup))
            children = stack.enter_context(Children(data / "logs", environment))
            system = System(environment, site, data, children)
            system.manage("migrate", "--verbosity", "0")
            yield system

    return make
