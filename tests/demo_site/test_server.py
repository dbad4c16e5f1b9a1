from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from urllib.request import urlopen

import pytest

from demo_site import DemoSite
from demo_site.__main__ import main
from tests.demo_site.visitor import Visitor

ROOT = Path(__file__).parents[2]
VISITORS = 60


def raw(site: DemoSite, request: bytes) -> bytes:
    """Send bytes and read until the site closes the connection."""
    with socket.create_connection((site.host, site.port), timeout=5) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
        return received


def test_connection_is_kept_and_every_answer_has_its_length(visitor: Visitor) -> None:
    first = visitor.get("/login")
    used = visitor.connection.sock
    second = visitor.log_in("demo01")
    third = visitor.get("/nope")

    assert visitor.connection.sock is used
    for answer in (first, second, third):
        assert int(answer.headers["content-length"]) == len(answer.body)


def test_many_visitors_at_once_each_leave_exactly_their_rows() -> None:
    together = Barrier(VISITORS)

    def visit(number: int) -> None:
        with Visitor(site) as visitor:
            together.wait(timeout=10)
            username = f"demo{number + 1:02d}"
            assert visitor.log_in(username).status == 303
            video = visitor.get("/feed").by_class("like")[0].attributes["data-like"]
            assert visitor.call("/api/like", id=video).json()["repeat"] is False
            visitor.get("/search?q=tea")

    with DemoSite(port=0, accounts=VISITORS) as site:
        with ThreadPoolExecutor(VISITORS) as pool:
            list(pool.map(visit, range(VISITORS)))

        summary = site.summary()
        assert len(summary["accounts"]) == VISITORS
        assert all(
            counts == {"login": 1, "feed": 1, "like": 1, "search": 1}
            for counts in summary["accounts"].values()
        )
        assert [row["id"] for row in site.ledger()] == list(range(1, 4 * VISITORS + 1))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /login HTTP/1.1\r\nHost: x\r\n\r\n", b"411"),
        (b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"411"),
        (b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (
            b"POST /api/like HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\n\r\n[]",
            b"400",
        ),
        (b"GET http://[x/ HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_bad_request_is_refused_and_closed(site: DemoSite, request_bytes: bytes, status: bytes) -> None:
    assert status in raw(site, request_bytes).split(b"\r\n")[0]
    assert site.ledger() == []


def test_visitor_who_leaves_in_the_middle_harms_nobody(
    site: DemoSite, visitor: Visitor, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        with socket.create_connection((site.host, site.port)) as connection:
            connection.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nusername=")

    assert visitor.get("/login").status == 200
    assert "Traceback" not in capfd.readouterr().err


def test_storage_state_is_a_session_without_a_row(site: DemoSite, visitor: Visitor) -> None:
    (cookie,) = site.storage_state("demo05")["cookies"]
    assert site.ledger() == []

    visitor.cookie = f"{cookie['name']}={cookie['value']}"

    assert visitor.get("/feed").status == 200
    assert (cookie["domain"], cookie["httpOnly"], cookie["sameSite"]) == ("127.0.0.1", True, "Lax")
    assert [(row["account"], row["action"]) for row in site.ledger()] == [("demo05", "feed")]


def test_dropped_sessions_are_over_and_rows(site: DemoSite, member: Visitor) -> None:
    assert site.drop_sessions("demo01") == 1
    assert site.drop_sessions("demo01") == 0

    assert member.get("/feed").location == "/login"
    assert [(row["action"], row["object"]) for row in site.ledger()] == [("login", ""), ("logout", "by-site")]


def test_stop_is_quick_with_open_and_hanging_connections() -> None:
    site = DemoSite(port=0).start()
    with Visitor(site) as idle, Visitor(site) as hanging:
        idle.get("/login")
        hanging.connection.request("GET", "/hostile/hang")
        start = time.monotonic()

        site.stop()

        assert time.monotonic() - start < 2
        with pytest.raises(OSError, match="refused"):
            HTTPConnection(site.host, site.port, timeout=1).connect()
    site.stop()


def test_site_that_was_never_started_can_be_stopped() -> None:
    DemoSite(port=0).stop()


def test_site_goes_on_with_its_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    for _ in range(2):
        with DemoSite(port=0, ledger=path) as site, Visitor(site) as visitor:
            visitor.log_in("demo01")
            visitor.call("/api/like", id="1")

    with DemoSite(port=0, ledger=path) as site:
        assert [row["repeat"] for row in site.ledger(action="like")] == [False, True]


@pytest.mark.parametrize(("option", "form"), [((), "username"), (("--second-markup",), "mail")])
def test_command_prints_one_line_serves_and_ends_on_sigterm(
    tmp_path: Path, option: tuple[str, ...], form: str
) -> None:
    ledger = tmp_path / "ledger.sqlite3"
    command = [sys.executable, "-m", "demo_site", "--port", "0", "--ledger", str(ledger), *option]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        url = line.removeprefix("demo site: ").rstrip("\n")

        with urlopen(url, timeout=5) as page:
            text = page.read().decode()
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=10)

    assert line.startswith("demo site: http://127.0.0.1:")
    assert url.endswith("/")
    assert f'name="{form}"' in text
    assert (rest, errors, process.returncode) == ("", "", 0)
    assert ledger.exists()


def test_command_says_when_the_port_is_taken(site: DemoSite, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--port", str(site.port)])

    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert err == f"demo site: cannot listen on 127.0.0.1:{site.port}: Address already in use\n"


def test_command_says_when_the_ledger_cannot_be_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--port", "0", "--ledger", str(tmp_path / "missing" / "ledger.sqlite3")])

    assert code == 1
    assert "cannot open the ledger" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [["--port", "70000"], ["--accounts", "-1"], ["--latency-ms", "x"]])
def test_command_refuses_bad_numbers(bad: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(bad)

    assert ended.value.code == 2
    assert "number from 0 to" in capsys.readouterr().err
