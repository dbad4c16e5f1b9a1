"""Finding a browser, and `python -m core.browser_finder [--install]`, which `make setup` calls.

Headless shells come first: they take less than a third of the CPU of full Chromium. Needs no Django.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import BrowserUnavailable

SETTING = "WARMUP_BROWSER_EXECUTABLE"
FIX = f"run `make setup`, or set {SETTING} to a Chromium or Chrome"

_SHELL_NAMES = ("chromium-headless-shell", "chrome-headless-shell", "headless_shell")
_FULL_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Below Playwright's folder of browsers, per name in its browsers.json.
_SHELL_FILES = ("*/chrome-headless-shell", "*/headless_shell")
_FULL_FILES = ("*/chrome", "*/*.app/Contents/MacOS/*")

INSTALL_SECONDS = 900


def find_browser(executable: str | None = None) -> str:
    """The path of the browser to use: the setting's, or the first of `candidates`.

    Raises `BrowserUnavailable`, with the fix in its text.
    """
    if executable:
        found = shutil.which(executable)
        if found is None:
            raise BrowserUnavailable(f"{SETTING} is {executable!r}, which is no executable file")
        return found
    for candidate in candidates():
        return candidate
    raise BrowserUnavailable(f"no browser was found: {FIX}")


def candidates() -> Iterator[str]:
    """Every browser of this machine, the best first: Playwright's own, then those on PATH."""
    seen: set[str] = set()
    for name, files, commands in (
        ("chromium-headless-shell", _SHELL_FILES, _SHELL_NAMES),
        ("chromium", _FULL_FILES, _FULL_NAMES),
    ):
        for path in (*_installed_by_playwright(name, files), *map(shutil.which, commands)):
            if path is not None and path not in seen:
                seen.add(path)
                yield path


def _installed_by_playwright(name: str, files: Sequence[str]) -> Iterator[str]:
    """What `playwright install` has put where the installed Playwright looks for it."""
    spec = importlib.util.find_spec("playwright")
    if spec is None or not spec.submodule_search_locations:
        return
    package = Path(spec.submodule_search_locations[0]) / "driver" / "package"
    try:
        browsers = json.loads((package / "browsers.json").read_text())["browsers"]
        revision = next(browser["revision"] for browser in browsers if browser["name"] == name)
    except (OSError, ValueError, KeyError, StopIteration):
        return
    folder = _playwright_folder(package) / f"{name.replace('-', '_')}-{revision}"
    for pattern in files:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and os.access(path, os.X_OK):
                yield str(path)


def _playwright_folder(package: Path) -> Path:
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    if chosen == "0":
        return package / ".local-browsers"
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ms-playwright"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ms-playwright"


# ---- the command -----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the path of the first browser that works; 1 when none does, with the fix on stderr."""
    parser = argparse.ArgumentParser(prog="python -m core.browser_finder", description=main.__doc__)
    parser.add_argument("--install", action="store_true", help="install one when none works")
    install = parser.parse_args(arguments).install
    tried: set[str] = set()
    found = _first_that_works(tried)
    if found is None and install and not os.environ.get(SETTING):
        for command in install_commands():
            _say(f"installing a browser: {' '.join(command)}")
            if _run(command) and (found := _first_that_works(tried)) is not None:
                break
    if found is None:
        _say(f"no browser works: {FIX}" if install else f"no browser works: {FIX}, or pass --install")
        return 1
    sys.stdout.write(f"{found}\n")
    return 0


def install_commands() -> Iterator[list[str]]:
    """Ways to install a browser, the best first. Packages only as root, on Debian and its like."""
    yield [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        yield ["apt-get", "update"]
        for package in ("chromium-headless-shell", "chromium"):
            yield ["apt-get", "install", "-y", "--no-install-recommends", package]


def _first_that_works(tried: set[str]) -> str | None:
    """The first browser, other than those `tried`, that passes the probe."""
    try:
        paths = [find_browser(os.environ[SETTING])] if os.environ.get(SETTING) else list(candidates())
    except BrowserUnavailable as error:
        _say(str(error))
        return None
    for path in paths:
        if path in tried:
            continue
        tried.add(path)
        try:
            _probe(path)
        except BrowserUnavailable as error:
            _say(f"{path} does not work: {error}")
        else:
            return path
    return None


def _probe(path: str) -> None:
    # Here, because core.browser needs the search above.
    from core.browser import BrowserOptions, probe

    asyncio.run(probe(BrowserOptions(executable=path)))


def _run(command: Sequence[str]) -> bool:
    """Whether the command succeeded. Its output goes to stderr: stdout is for the path."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, stdout=sys.stderr, env=environment, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _say(f"{command[0]} failed: {error}")
        return False
    return done.returncode == 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
