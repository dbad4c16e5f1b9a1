"""A whole system under attack: database, demo site, qclusters under a supervisor, an operator."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil

from demo_site.behaviours import usernames
from demo_site.load import Pace, load_file
from demo_site.server import DemoSite
from tests import services
from tests.chaos.database import Row, SystemDatabase
from tests.chaos.processes import Browsers, alive, family, kill_all
from tests.chaos.proxy import Proxy
from tests.chaos.supervisor import Unit
from tests.chaos.verbs import Verbs
from tools.processes import ROOT

Json = dict[str, Any]

QUICK = Pace(scrolls=(1, 2), watch_seconds=(0.05, 0.2), delay_seconds=(0, 0.2))
BUSY = Pace(scrolls=(2, 4), watch_seconds=(0.2, 0.6), delay_seconds=(0, 0.5))


@dataclass
class System:
    """What a scenario works with; `chaos_system` makes it."""

    directory: Path
    environment: dict[str, str]
    database: SystemDatabase
    site: DemoSite
    browsers: Browsers
    verbs: Verbs
    units: list[Unit] = field(default_factory=list)
    proxy: Proxy | None = None

    # ---- work -------------------------------------------------------------------------------------

    def load(self, accounts: Sequence[str], **options: Any) -> Json:
        """Load task `morning` for these accounts; `options` are `demo_site.load.load_file`'s."""
        options = {"pace": QUICK, "concurrency": 8, **options}
        content = load_file(self.site.url, accounts, **options)
        self.verbs("load", content=content)
        return content

    def start_clusters(self) -> None:
        for unit in self.units:
            unit.start()
        self.wait_until(lambda: all(unit.is_up() for unit in self.units), seconds=60)

    def workers(self) -> list[psutil.Process]:
        """Of all clusters."""
        return [worker for unit in self.units for worker in unit.roles()["worker"]]

    def busy_workers(self) -> list[psutil.Process]:
        """The workers that hold runs now."""
        held = {int(row["worker"].split(":")[-2]) for row in self.running()}
        return [worker for worker in self.workers() if worker.pid in held]

    def keep_busy(self, task: str = "morning") -> bool:
        """Have all accounts of an ended task run once more; False while it has not ended."""
        if self.live(task):
            return False
        self.verbs("restart", task=task, which="all")
        return True

    # ---- looking on --------------------------------------------------------------------------------

    def running(self) -> list[Row]:
        return self.database.rows(
            "SELECT id, worker, attempt FROM warmup_warmupaccount WHERE status = 'RUNNING'"
        )

    def counts(self, task: str = "") -> dict[str, int]:
        """How many runs have each status, of all tasks or of one."""
        rows = self.database.rows(
            "SELECT r.status, count(*) AS n FROM warmup_warmupaccount r JOIN warmup_warmuptask t"
            " ON t.id = r.task_id WHERE ? IN ('', t.name) GROUP BY r.status",
            [task],
        )
        return {row["status"]: row["n"] for row in rows}

    def live(self, task: str = "") -> int:
        """How many runs neither have ended nor are parked."""
        counts = self.counts(task)
        return counts.get("PENDING", 0) + counts.get("RUNNING", 0)

    def wait_until(self, happened: Callable[[], object], *, seconds: float) -> float:
        """Returns how many seconds it took; fails with the logs when it takes more than `seconds`."""
        started = time.monotonic()
        while not happened():
            waited = time.monotonic() - started
            assert waited < seconds, f"not within {seconds:g} s: {self.counts()}\n{self.logs()}"
            time.sleep(0.1)
        return time.monotonic() - started

    def wait_ended(self, task: str = "", *, seconds: float) -> None:
        """Until every run has ended or is parked."""
        self.wait_until(lambda: not self.live(task), seconds=seconds)

    def logs(self) -> str:
        """The last lines of every qcluster."""
        return "\n".join(
            f"-- {unit.name}\n{unit.log.read_text(errors='replace')[-6000:]}" for unit in self.units
        )


@contextmanager
def chaos_system(
    database: str = "sqlite",
    *,
    broker: str = "database",
    accounts: int = 12,
    clusters: int = 1,
    proxied: bool = False,
    data: Path | None = None,
    **settings: str,
) -> Iterator[System]:
    """A system that is up, except for its qclusters; nothing of it is left afterwards.

    `proxied` puts a `Proxy` between the qclusters and PostgreSQL. `data` is another place for the
    artifacts than the system's own directory. `settings` are environment variables.
    """
    # A short path: Chromium keeps sockets in it.
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COV")},
        "DJANGO_SETTINGS_MODULE": "settings.local",
        "WARMUP_DATA_DIR": str(data or directory / "data"),
        "WARMUP_ALLOW_ROOT": "true",
        "TMPDIR": str(directory / "t"),
        **settings,
    }
    for name in ("DATABASE_URL", "Q_BROKER_URL"):
        environment.pop(name, None)
    for name in ("data", "t", "logs"):
        (directory / name).mkdir()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        direct, proxy = _database(stack, database, directory, environment, proxied)
        if broker == "redis":
            environment["Q_BROKER_URL"] = stack.enter_context(services.redis_database())
        own = stack.enter_context(closing(SystemDatabase(direct)))
        own.observe()
        site = stack.enter_context(DemoSite(accounts=accounts, port=0))
        operator_environment = environment | ({"DATABASE_URL": direct} if own.is_postgres else {})
        verbs = stack.enter_context(closing(Verbs(operator_environment)))
        units = [Unit(f"qcluster{n}", environment, directory / "logs") for n in range(clusters)]
        system = System(directory, environment, own, site, Browsers(directory / "t"), verbs, units, proxy)
        stack.callback(_end, system)
        yield system


def _database(
    stack: ExitStack, database: str, directory: Path, environment: dict[str, str], proxied: bool
) -> tuple[str, Proxy | None]:
    """A migrated database; its address for the test, and the proxy before it."""
    if database == "sqlite":
        path = directory / "chaos.sqlite3"
        shutil.copy(_migrated_sqlite(), path)
        environment["DATABASE_URL"] = f"sqlite:///{path}"
        return str(path), None
    direct = stack.enter_context(services.postgres_database())
    _migrate({**environment, "DATABASE_URL": direct})
    environment["DATABASE_URL"] = direct
    if not proxied:
        return direct, None
    parts = urlsplit(direct)
    proxy = stack.enter_context(Proxy(parts.hostname or "127.0.0.1", parts.port or 5432))
    credentials, _, _ = parts.netloc.rpartition("@")
    netloc = f"{credentials}@127.0.0.1:{proxy.port}".lstrip("@")
    environment["DATABASE_URL"] = urlunsplit(parts._replace(netloc=netloc))
    return direct, proxy


@lru_cache(maxsize=1)
def _migrated_sqlite() -> Path:
    """A migrated database to copy: made once for all scenarios."""
    directory = Path(tempfile.mkdtemp(prefix="chaos-template-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = directory / "template.sqlite3"
    _migrate(
        {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings.local",
            "WARMUP_DATA_DIR": str(directory),
            "DATABASE_URL": f"sqlite:///{path}",
        }
    )
    return path


def _migrate(environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=environment, check=True
    )


def _end(system: System) -> None:
    """Whatever state it is in: frozen processes go on, the clusters stop, nothing stays."""
    if system.proxy is not None:
        system.proxy.heal()
    members = [process for unit in system.units if unit.main for process in family(unit.main)]
    for process in [*members, *system.browsers.processes()]:
        if alive(process):
            process.resume()
    with ThreadPoolExecutor() as pool:
        list(pool.map(Unit.stop, system.units))
    kill_all(member for member in members if alive(member))
    kill_all(system.browsers.processes())


def names(count: int) -> list[str]:
    """The usernames of `count` ordinary accounts."""
    return usernames(count)
