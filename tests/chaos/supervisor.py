"""What a service manager does with the shipped unit files, as far as it matters here.

`Restart=always`; stopping sends SIGTERM to the main process alone and, after `TimeoutStopSec`, SIGKILL to
all that is left (`KillMode=mixed`); the health check's timer restarts what does not do its work. One thing
it leaves out on purpose: when a main process dies, what it leaves behind is *not* killed here.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.chaos.processes import alive, family, kill_all, roles
from tools.processes import PR_SET_PDEATHSIG, ROOT

RESTART_SECONDS = 0.5
STOP_SECONDS = 60.0

_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Unit:
    """One qcluster that is started again whenever it ends."""

    def __init__(self, name: str, environment: Mapping[str, str], directory: Path) -> None:
        self.name, self.environment = name, dict(environment)
        self.log = directory / f"{name}.log"
        self.log.touch()
        self.main: psutil.Process | None = None
        self.exits: list[int] = []
        self._wanted = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel kills the children of a *thread* that ends, so this one stays until they are gone.
        self._thread = threading.Thread(target=self._keep, name=name)

    def start(self) -> None:
        self._wanted.set()
        self._thread.start()

    def roles(self) -> dict[str, list[psutil.Process]]:
        """See `processes.roles`; all empty while it is being started again."""
        main = self.main
        if main is None or not alive(main):
            return {role: [] for role in ("main", "sentinel", "worker", "pusher", "monitor")}
        return roles(main, self.log)

    def is_up(self) -> bool:
        """Whether every role is there."""
        return all(self.roles().values())

    def terminate(self) -> float:
        """`systemctl restart`, up to the end of the old main process; returns the seconds that it took."""
        process = self._process
        if process is None or process.poll() is not None:
            return 0.0
        started = time.monotonic()
        members = family(psutil.Process(process.pid))
        process.terminate()
        self._wait(process, members)
        return time.monotonic() - started

    def stop(self) -> None:
        """`systemctl stop`."""
        self._wanted.clear()
        while self._thread.is_alive():
            # Again, should it just have been started anew.
            self.terminate()
            self._thread.join(0.1)

    def _wait(self, process: subprocess.Popen[bytes], members: list[psutil.Process]) -> None:
        end = time.monotonic() + STOP_SECONDS
        while process.poll() is None:
            if time.monotonic() > end:
                kill_all(members)
            time.sleep(0.05)

    def _keep(self) -> None:
        while self._wanted.is_set():
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "manage.py", "qcluster"],
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                )
            self.main, self._process = psutil.Process(process.pid), process
            self.exits.append(process.wait())
            time.sleep(RESTART_SECONDS)


class HealthTimer:
    """Runs the health check every `seconds` and restarts the units when it fails."""

    def __init__(self, units: list[Unit], environment: Mapping[str, str], seconds: float = 30.0) -> None:
        self.units, self.environment, self.seconds = units, dict(environment), seconds
        self.complaints: list[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="healthcheck")

    def __enter__(self) -> HealthTimer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self.seconds):
            done = subprocess.run(
                [sys.executable, "manage.py", "healthcheck", "--no-browser"],
                cwd=ROOT,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                self.complaints.append(done.stderr.strip())
                for unit in self.units:
                    unit.terminate()
