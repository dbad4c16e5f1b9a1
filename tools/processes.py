"""Child processes that never outlive the program that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1  # prctl(2)


def free_port(wanted: int) -> int:
    """`wanted` if nothing listens there on loopback, else one that the system picks."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Children:
    """Processes in sessions of their own (a Ctrl-C reaches only us), stopped in reverse order."""

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        self.log_dir, self.environment = log_dir, dict(environment)
        self.running: list[tuple[str, subprocess.Popen[str]]] = []
        log_dir.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], *, read_line: bool = False) -> str:
        """Start a process whose output goes to `NAME.log`; with `read_line`, return its first line."""
        with (self.log_dir / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if read_line else log,
                stderr=log,
                text=True,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self.running.append((name, process))
        if not read_line:
            return ""
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{name} did not start: see {self.log_dir / name}.log")
        return line

    def check(self) -> None:
        """Raise when one has ended by itself."""
        for name, process in self.running:
            if process.poll() is not None:
                raise RuntimeError(f"{name} has ended: see {self.log_dir / name}.log")

    def stop(self, patience_seconds: float = 50.0) -> None:
        """SIGTERM, the last started first; SIGKILL for what has not ended in time. Safe to repeat."""
        while self.running:
            name, process = self.running[-1]
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(patience_seconds)
                except subprocess.TimeoutExpired:
                    print(f"{name} did not end in {patience_seconds:g} s: killing it", file=sys.stderr)
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if process.stdout is not None:
                process.stdout.close()
            self.running.pop()


def wait_for_port(port: int, children: Children, seconds: float = 30.0) -> None:
    """Wait until something listens on a loopback port."""
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            children.check()
            if time.monotonic() > end:
                raise RuntimeError(f"nothing listens on port {port} after {seconds:g} s") from None
            time.sleep(0.1)
