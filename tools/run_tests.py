"""`make test`: everything, in the order in which it is cheapest to fail; then the coverage of it all.

1. the suite on SQLite, with real Chromium; 2. what touches the database again, on PostgreSQL, where
one answers; 3. real clusters, one after another. `REQUIRE_SERVICES=1` makes a missing service a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.services import POSTGRES_URL, REQUIRED, postgres_problem, redis_problem

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "var" / "coverage"
PYTEST = [sys.executable, "-m", "pytest", "-q", "--cov", "--cov-report="]
QUICK = "not cluster and not chaos"
# These are covered by every branch, the rest of the project to 95 %.
WHOLLY = "warmup/states.py,warmup/playbooks/expand.py,warmup/store/*,warmup/services.py"


def _run(title: str, command: list[str], **environment: str) -> bool:
    print(f"\n== {title}", flush=True)
    if "--cov" in command:
        # A folder for each run: pytest-cov begins by erasing what it finds in its own.
        environment["COVERAGE_FILE"] = str(DATA / title.replace(" ", "-") / ".coverage")
        Path(environment["COVERAGE_FILE"]).parent.mkdir(parents=True, exist_ok=True)
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode == 0


def _coverage(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "coverage", *arguments]


def main() -> int:
    problems = [problem for problem in (postgres_problem(), redis_problem()) if problem]
    for problem in problems:
        print(f"{'FAILED' if REQUIRED else 'SKIPPED'}: {problem}", file=sys.stderr)
    if problems and REQUIRED:
        return 1
    shutil.rmtree(DATA, ignore_errors=True)
    passed = _run("SQLite and real Chromium", [*PYTEST, "-n", "2", "-m", QUICK, "tests"])
    if not postgres_problem():
        suites = ["tests/core", "tests/warmup"]
        passed &= _run(
            "PostgreSQL",
            [*PYTEST, "-n", "2", "-m", f"{QUICK} and not browser", *suites],
            DATABASE_URL=POSTGRES_URL,
        )
    passed &= _run("real clusters", [*PYTEST, "--timeout=300", "-m", "cluster or chaos", "tests"])
    files = [str(path) for path in sorted(DATA.glob("*/.coverage*"))]
    _run("coverage", _coverage("combine", "--quiet", "--keep", *files))
    passed &= _run("all code: 95 % of the branches", _coverage("report", "--fail-under=95"))
    passed &= _run("the core", _coverage("report", f"--include={WHOLLY}", "--fail-under=100"))
    print("\nall tests passed" if passed else "\nTESTS FAILED", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
