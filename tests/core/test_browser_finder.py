"""core.browser_finder: which browser is used, and how one is brought in."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core import browser_finder
from core.browser_finder import candidates, find_browser, install_commands, main
from core.errors import BrowserUnavailable

ROOT = Path(__file__).parents[2]


class Machine:
    """A machine with these browsers, of which some work."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "bin"
        self.playwright = folder / "playwright"
        self.path.mkdir()
        self.working: set[str] = set()
        self.probed: list[str] = []
        self.commands: list[list[str]] = []
        # What a command brings in.
        self.brings: dict[str, Callable[[], None]] = {}
        monkeypatch.setenv("PATH", str(self.path))
        monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(self.playwright))
        monkeypatch.delenv(browser_finder.SETTING, raising=False)
        monkeypatch.setattr(browser_finder, "_probe", self._probe)
        monkeypatch.setattr(browser_finder, "_run", self._run)

    def on_path(self, name: str, *, works: bool = True) -> str:
        return self._program(self.path / name, works)

    def by_playwright(self, name: str, file: str, *, revision: str | None = None, works: bool = True) -> str:
        folder = f"{name.replace('-', '_')}-{revision or _revision(name)}"
        return self._program(self.playwright / folder / file, works)

    def _program(self, path: Path, works: bool) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        if works:
            self.working.add(str(path))
        return str(path)

    def _probe(self, path: str) -> None:
        self.probed.append(path)
        if path not in self.working:
            raise BrowserUnavailable("the browser did not start")

    def _run(self, command: list[str]) -> bool:
        self.commands.append(command)
        self.brings.get(" ".join(command), lambda: None)()
        return True


def _revision(name: str) -> str:
    spec = importlib.util.find_spec("playwright")
    assert spec is not None
    assert spec.submodule_search_locations
    listed = Path(spec.submodule_search_locations[0]) / "driver" / "package" / "browsers.json"
    browsers = json.loads(listed.read_text())["browsers"]
    return next(str(browser["revision"]) for browser in browsers if browser["name"] == name)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_find_browser_prefers_headless_shells_and_playwrights_own(machine: Machine) -> None:
    expected = [
        machine.by_playwright("chromium-headless-shell", "chrome-linux/headless_shell"),
        machine.on_path("chromium-headless-shell"),
        machine.on_path("chrome-headless-shell"),
        machine.on_path("headless_shell"),
        machine.by_playwright("chromium", "chrome-linux64/chrome"),
        machine.on_path("chromium"),
        machine.on_path("chromium-browser"),
        machine.on_path("google-chrome"),
    ]

    assert list(candidates()) == expected
    assert find_browser() == expected[0]


def test_find_browser_ignores_what_another_playwright_installed(machine: Machine) -> None:
    machine.by_playwright("chromium-headless-shell", "chrome-linux/headless_shell", revision="1")
    expected = machine.on_path("chromium")

    assert list(candidates()) == [expected]


def test_find_browser_ignores_a_file_that_cannot_be_executed(machine: Machine) -> None:
    Path(machine.on_path("chromium-headless-shell")).chmod(0o644)
    expected = machine.on_path("chromium")

    assert find_browser(None) == expected


@pytest.mark.parametrize("by_name", [True, False])
def test_find_browser_with_a_setting_takes_that(machine: Machine, by_name: bool) -> None:
    machine.on_path("chromium-headless-shell")
    chosen = machine.on_path("my-browser")

    assert find_browser("my-browser" if by_name else chosen) == chosen


def test_find_browser_with_a_wrong_setting_does_not_take_another(machine: Machine) -> None:
    machine.on_path("chromium")

    with pytest.raises(BrowserUnavailable, match=r"WARMUP_BROWSER_EXECUTABLE is '/nowhere'"):
        find_browser("/nowhere")


def test_find_browser_without_any_says_the_fix(machine: Machine) -> None:
    with pytest.raises(BrowserUnavailable, match="make setup"):
        find_browser()


# ---- the command -----------------------------------------------------------------------------------


def test_main_prints_the_first_that_works(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    broken = machine.on_path("chromium-headless-shell", works=False)
    working = machine.on_path("chromium")
    machine.on_path("google-chrome")

    assert main([]) == 0

    out, err = capsys.readouterr()
    assert out == f"{working}\n"
    assert err == f"{broken} does not work: the browser did not start\n"
    assert machine.probed == [broken, working]


def test_main_with_none_fails_and_says_the_fix(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert "make setup" in err
    assert len(err.splitlines()) == 1
    assert machine.commands == []


def test_main_with_the_setting_probes_only_that(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.on_path("chromium")
    chosen = machine.on_path("my-browser", works=False)
    monkeypatch.setenv(browser_finder.SETTING, chosen)

    assert main(["--install"]) == 1

    assert machine.probed == [chosen]
    assert machine.commands == []
    assert chosen in capsys.readouterr().err


def test_main_install_with_a_browser_installs_nothing(machine: Machine) -> None:
    machine.on_path("chromium")

    assert main(["--install"]) == 0

    assert machine.commands == []


@pytest.mark.parametrize(
    ("brought_by", "commands"),
    [
        ("--only-shell chromium", 1),
        ("recommends chromium-headless-shell", 3),
        ("recommends chromium", 4),
    ],
)
def test_main_install_stops_at_the_first_that_works(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    brought_by: str,
    commands: int,
) -> None:
    machine.on_path("apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    plan = [" ".join(command) for command in install_commands()]
    bringing = next(command for command in plan if command.endswith(brought_by))
    machine.brings[bringing] = lambda: (machine.on_path("chromium"), None)[1]

    assert main(["--install"]) == 0

    assert [" ".join(command) for command in machine.commands] == plan[:commands]
    assert capsys.readouterr().out == f"{machine.path / 'chromium'}\n"


@pytest.mark.parametrize(("root", "debian"), [(False, True), (True, False)])
def test_main_install_uses_packages_only_as_root_on_debian(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, root: bool, debian: bool
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)
    if debian:
        machine.on_path("apt-get")

    assert main(["--install"]) == 1

    assert machine.commands == [[sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]]


def test_main_does_not_probe_the_same_browser_twice(machine: Machine) -> None:
    broken = machine.on_path("chromium", works=False)

    assert main(["--install"]) == 1

    assert machine.probed == [broken]


@pytest.mark.browser
@pytest.mark.parametrize("module", ["core.browser_finder", "core.browser"])
def test_the_command_finds_a_browser_of_this_machine(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()).is_file()


def test_a_command_that_cannot_be_run_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert not browser_finder._run(["/nowhere/installer"])

    assert "/nowhere/installer failed" in capsys.readouterr().err
