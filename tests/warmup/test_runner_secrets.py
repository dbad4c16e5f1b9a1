"""A run tells nobody its account's secrets, and keeps no picture of one."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from core.errors import ElementMissing
from tests.fakes import Screen
from tests.warmup.support import PASSWORD, SCROLL, TYPE_SECRET, Bench, account, in_virtual_time, screens

SCREENSHOT = {"do": "screenshot", "name": "now"}


@in_virtual_time
async def test_no_picture_is_kept_while_a_secret_stands_on_the_page() -> None:
    bench = Bench()
    bench.prepare = lambda page: page.fail("wheel", ElementMissing("not there"))

    await bench.run(TYPE_SECRET, SCREENSHOT, SCROLL)

    assert bench.tools.kept == []
    assert bench.log_of("screenshot_not_kept") == "a secret text stands on the page"
    assert bench.results == [(0, "DONE"), (1, "DONE"), (2, "FAILED")]


@in_virtual_time
async def test_no_picture_is_kept_of_a_log_in_that_was_not_answered() -> None:
    bench = Bench(screens(login=Screen(visible=["#username", "#password"])))

    outcome = await bench.run(SCROLL, account=account(storage_state=None))

    assert outcome.status == "FAILED"
    assert bench.tools.kept == []


@pytest.mark.parametrize("error", [ElementMissing(f"no {PASSWORD}"), ValueError(f"no {PASSWORD}")])
@in_virtual_time
async def test_secret_in_an_error_is_told_to_nobody(error: Exception) -> None:
    bench = Bench()
    bench.prepare = lambda page: page.fail("wheel", error)  # type: ignore[arg-type]  # any error

    with capture_logs() as logs:
        outcome = await bench.run(SCROLL)

    assert outcome.status == "FAILED"
    assert "no [hidden]" in outcome.reason
    assert PASSWORD not in repr((outcome.reason, bench.tools.reports, bench.tools.lines, logs))


@in_virtual_time
async def test_url_with_a_secret_in_it_is_not_gone_back_to() -> None:
    feed = Screen(visible=[".card", ".like"], on_click={".like": f"/away?{PASSWORD}"})
    bench = Bench(screens(feed=feed))

    await bench.run({"do": "click", "target": "like"}, SCROLL)

    assert [step.url for step in bench.tools.reports] == ["", ""]
