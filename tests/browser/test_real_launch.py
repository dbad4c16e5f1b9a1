"""Starting, reaching and sweeping up real browsers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from core.browser import BrowserOptions, launch, probe, reap_orphans
from core.browser.processes import OWNER_VARIABLE
from core.errors import BrowserUnavailable
from core.types import AccountSpec, ProxySpec, SiteSpec
from tests.browser import faults
from tests.browser.page_contract import PATIENT
from tests.browser.site import Request, Site, serve
from tests.fakes import Screen

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).parents[2]
ACCOUNT = AccountSpec(1, "anna")
PIXEL = "<img src=/pixel.png>"
SCREENS = {"/": Screen(html=f"<!doctype html><h1>plain</h1>{PIXEL}")}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serve(SCREENS) as running:
        yield running


@pytest.fixture
def spec(site: Site) -> SiteSpec:
    return SiteSpec("real", site.url, ("127.0.0.1",), {})


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory of these tests, so that what is left in it is theirs."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(path))
    return path


def program(path: Path, script: str) -> str:
    """An executable that is no browser."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


# ---- a launch that fails ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "seconds", "why"),
    [
        ("exit 3", PATIENT, "did not start"),
        ("echo 'error while loading shared libraries: libnss3.so' >&2; exit 127", PATIENT, "libnss3.so"),
        ("exec sleep 100", 1.0, "within 1 s|Timeout 1000ms"),
    ],
    ids=["exits", "complains", "hangs"],
)
async def test_a_program_that_is_no_browser_is_unavailable(
    tmp_path: Path, temporary: Path, script: str, seconds: float, why: str
) -> None:
    executable = program(tmp_path / "browser", script)
    before = set(psutil.pids())

    with pytest.raises(BrowserUnavailable, match=why) as caught:
        async with launch(BrowserOptions(executable=executable, launch_timeout=seconds)):
            pytest.fail("started")

    assert len(str(caught.value).splitlines()) == 1
    assert faults.left_in(temporary) == []
    started = [psutil.Process(pid) for pid in set(psutil.pids()) - before if psutil.pid_exists(pid)]
    ours = [process for process in started if executable in " ".join(_command(process))]
    await faults.until(lambda: faults.still_running(ours) == [])


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def test_a_missing_executable_is_unavailable_and_named(temporary: Path) -> None:
    with pytest.raises(BrowserUnavailable, match=r"WARMUP_BROWSER_EXECUTABLE.*nowhere"):
        async with launch(BrowserOptions(executable="/nowhere/chromium")):
            pytest.fail("started")

    assert faults.left_in(temporary) == []


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_an_endpoint_that_does_not_answer_is_unavailable(scheme: str, temporary: Path) -> None:
    with pytest.raises(BrowserUnavailable, match=r"127\.0\.0\.1") as caught:
        async with launch(BrowserOptions(endpoint=f"{scheme}://127.0.0.1:9/?token=t0ken")):
            pytest.fail("started")

    assert "t0ken" not in str(caught.value)
    assert faults.left_in(temporary) == []


async def test_cancelling_a_start_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    executable = program(tmp_path / "browser", "exec sleep 100")

    async def start() -> None:
        async with launch(BrowserOptions(executable=executable)):
            pytest.fail("started")

    starting = asyncio.ensure_future(start())
    me = psutil.Process()
    await faults.until(lambda: any("sleep" in child.name() for child in me.children(recursive=True)))
    started = [child for child in me.children(recursive=True) if child.name() != "python"]
    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    await faults.until(lambda: faults.still_running(started) == [])
    assert faults.left_in(temporary) == []


async def test_a_temporary_directory_that_cannot_be_made_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")

    with pytest.raises(BrowserUnavailable, match="temporary directory"):
        async with launch(BrowserOptions()):
            pytest.fail("started")


async def test_the_driver_that_is_missing_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", "/nowhere/node")

    with pytest.raises(BrowserUnavailable, match="driver"):
        async with launch(BrowserOptions()):
            pytest.fail("started")


async def test_the_driver_that_dies_while_it_starts_is_unavailable(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", str(program(tmp_path / "node", "exit 1")))

    with pytest.raises(BrowserUnavailable, match="driver did not start"):
        async with launch(BrowserOptions()):
            pytest.fail("started")

    assert faults.left_in(temporary) == []


async def test_the_driver_that_dies_while_it_starts_the_browser_is_unavailable(
    tmp_path: Path, temporary: Path
) -> None:
    executable = program(tmp_path / "browser", "kill -9 $PPID")

    with pytest.raises(BrowserUnavailable, match="did not start"):
        async with launch(BrowserOptions(executable=executable)):
            pytest.fail("started")

    assert faults.left_in(temporary) == []


KILLED = """
    import asyncio, signal
    from core.browser import BrowserOptions, launch

    def end(*_):
        raise SystemExit(3)

    async def main():
        async with launch(BrowserOptions()) as browser:
            print("READY", *(process.pid for process in browser._processes._tracked), flush=True)
            await asyncio.Event().wait()

    signal.signal(signal.SIGALRM, end)
    asyncio.run(main())
"""


async def test_a_job_that_runs_out_of_time_leaves_nothing(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """django-q2 raises SystemExit out of a signal handler, in the middle of the event loop."""
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(KILLED), stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    line = (await worker.stdout.readline()).decode()
    processes = [psutil.Process(int(pid)) for pid in line.split()[1:]]
    assert faults.still_running(processes) == processes

    worker.send_signal(signal.SIGALRM)

    async with asyncio.timeout(PATIENT):
        await worker.communicate()
    assert worker.returncode == 3
    await faults.until(lambda: faults.still_running(processes) == [])
    assert faults.left_in(temporary) == []


# ---- a launch that works ---------------------------------------------------------------------------


async def test_launches_side_by_side_keep_apart_and_leave_nothing(temporary: Path, spec: SiteSpec) -> None:
    before = dict(os.environ)
    async with launch(BrowserOptions()) as one, launch(BrowserOptions()) as other:
        assert len(faults.left_in(temporary)) == 2
        assert one._directory != other._directory
        async with one.open_page(spec, ACCOUNT) as page, other.open_page(spec, ACCOUNT) as another:
            await page.goto(spec.url("/"), timeout=PATIENT)
            await another.goto(spec.url("/"), timeout=PATIENT)
        processes = faults.everything_of(one) + faults.everything_of(other)

    await faults.until(lambda: faults.still_running(processes) == [])
    assert faults.left_in(temporary) == []
    assert dict(os.environ) == before


async def test_the_browser_gets_the_marker_and_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELD_KEYS", "k3ys")
    async with launch(BrowserOptions(marker="host:1:2")) as browser:
        environment = faults.chromium_of(browser).environ()

        assert environment[OWNER_VARIABLE] == "host:1:2"
        assert environment["TMPDIR"] == str(browser._directory)
        assert "k3ys" not in environment.values()
        assert faults.driver_of(browser).environ()[OWNER_VARIABLE] == "host:1:2"


async def test_the_switches_arrive() -> None:
    async with launch(BrowserOptions()) as browser:
        command = faults.chromium_of(browser).cmdline()

    for switch in (
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--disable-quic",
        "--disable-background-networking",
    ):
        assert switch in command


@pytest.mark.parametrize("images", [True, False])
async def test_images_are_an_option(site: Site, spec: SiteSpec, images: bool) -> None:
    site.hits.clear()
    async with launch(BrowserOptions(images=images)) as browser, browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/"), timeout=PATIENT)
        await faults.inner(page).wait_for_load_state("load")

        assert (site.hits["/pixel.png"] > 0) is images
        # What Playwright says with the same switch is not lost by it.
        assert await faults.inner(page).evaluate("matchMedia('(hover: hover)').matches")


async def test_a_probe_that_passes_says_nothing(temporary: Path) -> None:
    await probe(BrowserOptions())

    assert faults.left_in(temporary) == []


# ---- proxies ---------------------------------------------------------------------------------------


def _proxy(request: Request) -> None:
    request.answer(200, b"<!doctype html><h1>by proxy</h1>")


async def test_the_egress_proxy_gets_every_request_loopback_included(spec: SiteSpec) -> None:
    with serve({}) as proxy:
        proxy.handlers = {f"{spec.base_url}/": _proxy}
        options = BrowserOptions(proxy_server=proxy.url)
        async with launch(options) as browser, browser.open_page(spec, ACCOUNT) as page:
            await page.goto(spec.url("/"), timeout=PATIENT)

            assert "by proxy" in await page.html(timeout=PATIENT)


async def test_an_accounts_own_proxy_is_its_contexts(spec: SiteSpec) -> None:
    with serve({}) as proxy:
        proxy.handlers = {f"{spec.base_url}/": _proxy}
        own = AccountSpec(1, "anna", proxy=ProxySpec(proxy.url))
        async with launch(BrowserOptions()) as browser:
            async with browser.open_page(spec, own) as page:
                await page.goto(spec.url("/"), timeout=PATIENT)
                assert "by proxy" in await page.html(timeout=PATIENT)
            async with browser.open_page(spec, ACCOUNT) as page:
                await page.goto(spec.url("/"), timeout=PATIENT)
                assert "plain" in await page.html(timeout=PATIENT)


# ---- browsers that run elsewhere -------------------------------------------------------------------


@asynccontextmanager
async def running(*command: str, says: str) -> AsyncIterator[tuple[psutil.Process, str]]:
    """A process, and the first line of its output that contains `says`."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENT):
            while says not in (line := (await process.stdout.readline()).decode()):
                assert line, f"{command[0]} ended"
        yield psutil.Process(process.pid), line.strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def visit(endpoint: str, spec: SiteSpec) -> None:
    """Use the browser at `endpoint` as a run does."""
    state = {"origins": [{"origin": spec.base_url, "localStorage": [{"name": "token", "value": "saved"}]}]}
    account = AccountSpec(1, "anna", storage_state=state)
    async with launch(BrowserOptions(endpoint=endpoint)) as browser, browser.open_page(spec, account) as page:
        await page.goto(spec.url("/"), timeout=PATIENT)
        assert await page.is_visible("h1", timeout=PATIENT)
        assert await faults.inner(page).evaluate("localStorage.getItem('token')") == "saved"


async def test_a_cdp_endpoint_is_used_and_left_running(tmp_path: Path, spec: SiteSpec) -> None:
    from core.browser_finder import find_browser

    command = (find_browser(), "--headless", "--no-sandbox", "--remote-debugging-port=0")
    async with running(*command, f"--user-data-dir={tmp_path}", says="DevTools listening") as (process, line):
        url = line.split()[-1]
        port = url.split(":")[2].partition("/")[0]

        await visit(url, spec)
        await visit(f"http://127.0.0.1:{port}", spec)

        assert process.is_running()


async def test_a_playwright_endpoint_is_used_and_left_running(spec: SiteSpec) -> None:
    script = """
        import asyncio, sys
        from playwright.async_api import async_playwright

        async def main():
            async with async_playwright() as driver:
                browser = await driver.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"])
                bound = await browser.bind("test", host="127.0.0.1", port=0)
                print("ENDPOINT", bound["endpoint"], flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """
    from core.browser_finder import find_browser

    command = (sys.executable, "-c", textwrap.dedent(script), find_browser())
    async with running(*command, says="ENDPOINT") as (process, line):
        await visit(line.split()[-1], spec)

        assert process.is_running()


# ---- orphans ---------------------------------------------------------------------------------------

ORPHANING = """
    import asyncio, sys
    from core.browser import BrowserOptions, launch

    async def main():
        async with launch(BrowserOptions()) as browser:
            print("READY", *(process.pid for process in browser._processes._tracked), flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
"""


async def test_orphans_are_reaped_with_their_files_and_nothing_else(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = (sys.executable, "-c", textwrap.dedent(ORPHANING))
    async with launch(BrowserOptions()) as ours, running(*command, says="READY") as (worker, line):
        processes = [psutil.Process(int(pid)) for pid in line.split()[1:]]
        driver = next(process for process in processes if "run-driver" in process.cmdline())
        everything = [driver, *driver.children(recursive=True)]
        # A frozen driver does not notice that its worker is gone, so the browser stays.
        driver.suspend()
        worker.kill()
        await faults.until(lambda: faults.still_running([worker]) == [])
        assert faults.still_running(everything) == everything

        killed = reap_orphans()

        assert killed >= 2
        await faults.until(lambda: faults.still_running(everything) == [])
        assert faults.left_in(temporary) == [ours._directory]
        assert ours.alive
        assert reap_orphans() == 0
