"""`make demo`: the main job, from an empty checkout to twelve warmed accounts in a real cluster.

Starts the demo site, the admin and a qcluster, queues one warm-up of twelve accounts, shows it while
it runs, and compares what the site saw with what the database says.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import datetime
from typing import Any

from demo_site.behaviours import usernames
from demo_site.load import load_file
from tools.processes import ROOT, Children, free_port, wait_for_port

ACCOUNTS = 12
CONCURRENCY = 6
SITE_PORT, WEB_PORT = 8801, 8000
DATA = ROOT / "var" / "demo"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the warm-up")
    once = parser.parse_args().once
    # Also where a shell has it ignore Ctrl-C, and for `kill`: everything that it started is stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    DATA.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings.local",
        "WARMUP_DATA_DIR": str(DATA),
        "WARMUP_ALLOW_ROOT": "true",  # the demo opens nothing but its own site
        "PYTHONUNBUFFERED": "1",
    }
    for name in ("DATABASE_URL", "Q_BROKER_URL"):
        environment.pop(name, None)  # the demo has a database of its own, in var/demo
    try:
        with Children(DATA / "logs", environment) as children:
            return _demo(children, once)
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running")
        return 130
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _demo(children: Children, once: bool) -> int:
    print("preparing the database ...", flush=True)
    _manage(children, "migrate", "--verbosity", "0")
    login = _make_login(children)
    site_url = _start_site(children)
    web_url = _start_web(children)
    name = f"demo {datetime.now():%Y-%m-%d %H:%M:%S}"  # noqa: DTZ005 - a name for a person, in local time
    before = len(ledger(site_url))
    _load(children, site_url, name)
    children.start("qcluster", [sys.executable, "manage.py", "qcluster"])
    print(f"\nwatch it in the admin: {web_url}  ({login})\n", flush=True)
    code = _manage(children, "warmup", "start", name, "--wait", check=False)
    agrees = _compare(children, name, ledger(site_url)[before:])
    print(f"\nadmin: {web_url}  ({login})\nsite:  {site_url}/ledger")
    print(f"logs:  {(DATA / 'logs').relative_to(ROOT)}/")
    if once:
        return code or (0 if agrees else 1)
    print("\nserving until Ctrl-C", flush=True)
    while True:
        time.sleep(1)
        children.check()


def _manage(children: Children, *arguments: str, check: bool = True) -> int:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=children.environment, check=check)
    return done.returncode


def _start_site(children: Children) -> str:
    port = free_port(SITE_PORT)
    if port != SITE_PORT:
        print(f"port {SITE_PORT} is busy: the demo site takes {port}")
    command = [sys.executable, "-m", "demo_site", "--port", str(port), "--accounts", str(ACCOUNTS)]
    line = children.start("site", [*command, "--ledger", str(DATA / "ledger.sqlite3")], read_line=True)
    return line.removeprefix("demo site:").strip().rstrip("/")


def _start_web(children: Children) -> str:
    port = free_port(WEB_PORT)
    if port != WEB_PORT:
        print(f"port {WEB_PORT} is busy: the admin takes {port}")
    command = [sys.executable, "-m", "gunicorn", "settings.wsgi", "--bind", f"127.0.0.1:{port}"]
    children.start("web", [*command, "--threads", "4", "--log-level", "warning"])
    wait_for_port(port, children)
    return f"http://127.0.0.1:{port}/admin/"


def _make_login(children: Children) -> str:
    """A superuser `demo` with a fresh password; returned as it is shown.

    What an interrupted demo left unfinished is stopped: it would go on beside the new one.
    """
    password = secrets.token_urlsafe(9)
    code = (
        "import os; from django.contrib.auth.models import User;"
        "u, _ = User.objects.get_or_create(username='demo'); u.is_staff = u.is_superuser = True;"
        "u.set_password(os.environ['DEMO_PASSWORD']); u.save();"
        "from warmup import services; from warmup.models import WarmupTask;"
        "[services.stop(task, by=None, force=True) for task in WarmupTask.objects.active()]"
    )
    environment = {**children.environment, "DEMO_PASSWORD": password}
    subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", code],
        cwd=ROOT,
        env=environment,
        check=True,
    )
    return f"log in as demo / {password}"


def _load(children: Children, site_url: str, name: str) -> None:
    content = load_file(site_url, usernames(ACCOUNTS), concurrency=CONCURRENCY)
    content["tasks"][0]["name"] = name
    path = DATA / "load.json"
    path.write_text(json.dumps(content, indent=2))
    path.chmod(0o600)
    _manage(children, "warmup", "load", str(path))


def ledger(site_url: str) -> list[dict[str, Any]]:
    """Everything that the site has seen so far."""
    with urllib.request.urlopen(f"{site_url}/ledger.json", timeout=10) as answer:
        rows: list[dict[str, Any]] = json.load(answer)
    return rows


def _compare(children: Children, name: str, rows: list[dict[str, Any]]) -> bool:
    """Hold the site's ledger against the database, action by action, account by account."""
    path = DATA / "ledger.json"
    path.write_text(json.dumps(rows))
    command = [sys.executable, "-m", "tools.compare_ledger", name, str(path)]
    return subprocess.run(command, cwd=ROOT, env=children.environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
