"""A slice over a store in memory and fake pages, in virtual time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.errors import DatabaseUnavailable, ElementMissing, LeaseLost
from core.page import Page
from core.types import AccountSpec, SiteSpec
from tests.fakes import FakeOpener, FakePage, Screen
from tests.warmup.support import (
    BACK,
    INSIDE,
    LIKE,
    LIMITS,
    OPEN_AWAY,
    SCREENS,
    SCROLL,
    STATE,
    LoopClock,
    LoopTime,
    SliceBench,
    in_virtual_time,
    now,
    run_spec,
    screens,
    specs,
    until,
    watch,
)
from warmup import slices
from warmup.slices import CLOSE_SECONDS, LINGER_SECONDS, POLL_SECONDS
from warmup.types import Control, Lease, Outcome

Logs = list[Any]


@pytest.fixture(autouse=True)
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "time", LoopTime)


@pytest.fixture(autouse=True)
def logs() -> Iterator[Logs]:
    with capture_logs() as entries:
        yield entries


def events(logs: Logs, event: str) -> list[Any]:
    return [entry for entry in logs if entry["event"] == event]


def errors_of(group: BaseExceptionGroup[BaseException]) -> set[type[BaseException]]:
    """The classes of what a group holds, at any depth."""
    found: set[type[BaseException]] = set()
    for error in group.exceptions:
        found |= errors_of(error) if isinstance(error, BaseExceptionGroup) else {type(error)}
    return found


def later(seconds: float, do: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(seconds, do)


# ---- claiming ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_slice_runs_all_that_waits_and_ends() -> None:
    bench = SliceBench(*specs(5, SCROLL, watch(10)))
    begin = now()

    await bench.run()

    assert bench.store.ended == {n: Outcome("COMPLETED", storage_state=STATE) for n in range(1, 6)}
    assert bench.store.plans == dict.fromkeys(range(1, 6), 2)
    assert [bench.store.steps(n) for n in range(1, 6)] == [[(0, "DONE"), (1, "DONE")]] * 5
    assert 30 < now() - begin < 35


@pytest.mark.parametrize("contexts", [1, 2, 4])
@in_virtual_time
async def test_slice_opens_at_most_its_contexts_at_once(contexts: int) -> None:
    bench = SliceBench(*specs(6, watch(10)), limits=replace(LIMITS, contexts=contexts))

    await bench.run()

    assert bench.most_open == contexts
    assert len(bench.store.ended) == 6


@in_virtual_time
async def test_slice_claims_again_as_soon_as_a_slot_is_free() -> None:
    slow, *quick = [run_spec(watch(25), number=1), *(run_spec(watch(5), number=n) for n in range(2, 6))]
    bench = SliceBench(slow, *quick)

    await bench.run()

    first = bench.store.claimed[0][1]
    at = [round(at - first) for _, at in bench.store.claimed]
    # One slow account holds up nobody: the quick ones follow each other beside it.
    assert at == [0, 0, 5, 10, 15]
    assert all(
        abs(seconds - (claimed - first)) < 0.1
        for seconds, (_, claimed) in zip(at, bench.store.claimed, strict=True)
    )


@in_virtual_time
async def test_slice_of_short_runs_does_not_pause_between_them() -> None:
    bench = SliceBench(*specs(10, watch(0.5)), limits=replace(LIMITS, contexts=1))
    begin = now()

    await bench.run()

    assert len(bench.store.ended) == 10
    assert now() - begin < 6


@in_virtual_time
async def test_slice_with_a_free_slot_asks_for_work_every_few_seconds_only() -> None:
    bench = SliceBench(run_spec(watch(20)))

    await bench.run()

    times = bench.store.times("claim")
    assert all(after - before >= slices.CLAIM_SECONDS for before, after in pairwise(times[:-1]))
    assert len(times) <= 13


@in_virtual_time
async def test_slice_takes_up_what_comes_while_it_runs() -> None:
    bench = SliceBench(run_spec(watch(20)))
    later(5, lambda: bench.store.waiting.append(run_spec(watch(1), number=2)))

    await bench.run()

    assert bench.store.statuses() == {1: "COMPLETED", 2: "COMPLETED"}
    assert bench.store.claimed[1][1] - bench.store.claimed[0][1] < 8


@in_virtual_time
async def test_slice_without_any_work_ends_at_once() -> None:
    bench = SliceBench()
    begin = now()

    await bench.run()

    assert now() - begin < 0.1
    assert bench.opener.pages == []


@pytest.mark.parametrize("seconds", [0.3, 7, 8, 14.5])
@in_virtual_time
async def test_slice_waits_for_a_back_off_that_ends_soon(seconds: float) -> None:
    bench = SliceBench()
    ends = now() + seconds
    bench.store.later.append((ends, run_spec(SCROLL)))

    await bench.run()

    assert bench.store.statuses() == {1: "COMPLETED"}
    assert ends <= bench.store.claimed[0][1] < ends + 0.1


@in_virtual_time
async def test_slice_leaves_a_long_back_off_to_a_later_one() -> None:
    bench = SliceBench()
    bench.store.later.append((now() + LINGER_SECONDS + 5, run_spec(SCROLL)))
    begin = now()

    await bench.run()

    assert bench.store.ended == {}
    assert now() - begin < 1


@in_virtual_time
async def test_slice_that_finds_all_slots_taken_by_others_leaves_its_work_to_a_later_one() -> None:
    bench = SliceBench()
    bench.store.later.append((now() - 1, run_spec(SCROLL)))
    bench.store.blocked = True
    begin = now()

    await bench.run()

    assert now() - begin < 1
    assert len(bench.store.times("seconds_until_work")) == 1


@in_virtual_time
async def test_slice_that_waits_asks_about_once_a_second_and_shows_life() -> None:
    bench = SliceBench()
    bench.store.later.append((now() + 14, run_spec(SCROLL)))

    await bench.run()

    assert len(bench.store.times("claim")) <= 17
    assert len(bench.store.times("seconds_until_work")) <= 17
    assert len(bench.store.times("beat")) == 1
    assert bench.store.times("heartbeat") == []


# ---- giving back --------------------------------------------------------------------------------------


@in_virtual_time
async def test_slice_gives_its_runs_back_at_its_deadline() -> None:
    bench = SliceBench(*specs(3, *[watch(8)] * 20), limits=replace(LIMITS, slice_seconds=50))
    begin = now()

    await bench.run()

    given_back = Outcome("PENDING", counts_as_attempt=False, storage_state=STATE)
    assert bench.store.ended == {1: given_back, 2: given_back}
    assert [spec.lease.run_id for spec in bench.store.waiting] == [3]
    assert bench.store.steps(1) == [(index, "DONE") for index in range(6)]
    assert 50 <= now() - begin < 52


@in_virtual_time
async def test_slice_gives_its_runs_back_when_its_worker_drains() -> None:
    bench = SliceBench(*specs(3, *[watch(8)] * 20))
    begin = now()
    later(20, lambda: setattr(bench, "draining", True))

    await bench.run()

    assert bench.store.statuses() == {1: "PENDING", 2: "PENDING"}
    assert 20 <= now() - begin < 20 + 2 * POLL_SECONDS
    assert len(bench.store.waiting) == 1


@in_virtual_time
async def test_slice_whose_task_is_paused_gives_its_runs_back() -> None:
    bench = SliceBench(*specs(3, *[watch(8)] * 20))
    begin = now()
    later(20, lambda: setattr(bench.store, "control", Control(pause=True)))

    await bench.run()

    assert bench.store.statuses() == {1: "PENDING", 2: "PENDING"}
    assert 20 <= now() - begin < 20 + 2 * POLL_SECONDS


@in_virtual_time
async def test_slice_whose_task_is_stopped_stops_its_runs_within_a_second_or_so() -> None:
    bench = SliceBench(*specs(3, OPEN_AWAY), site=screens(away=Screen(hangs=True)))
    begin = now()
    later(5, lambda: setattr(bench.store, "control", Control(stop=True)))

    await bench.run()

    assert bench.store.statuses() == {1: "STOPPED", 2: "STOPPED"}
    assert 5 <= now() - begin < 5 + 2 * POLL_SECONDS


@in_virtual_time
async def test_slice_whose_browser_dies_claims_no_more() -> None:
    bench = SliceBench(*specs(3, watch(8), SCROLL))

    def die() -> None:
        bench.alive = False
        for page in bench.opener.pages:
            page.lose()

    later(5, die)

    await bench.run()

    assert bench.store.statuses() == {1: "PENDING", 2: "PENDING"}
    assert len(bench.store.waiting) == 1


@in_virtual_time
async def test_slice_lets_a_step_under_way_end_before_it_gives_the_run_back() -> None:
    slow = Screen(appears={"#box": 25})
    bench = SliceBench(
        run_spec(OPEN_AWAY, {"do": "expect", "target": "box"}, SCROLL), site=screens(away=slow)
    )
    later(5, lambda: setattr(bench, "draining", True))

    await bench.run()

    assert bench.store.steps(1) == [(0, "DONE"), (1, "DONE")]
    assert bench.store.statuses() == {1: "PENDING"}


@in_virtual_time
async def test_slice_abandons_a_run_that_does_not_end(logs: Logs) -> None:
    bench = SliceBench(*specs(2, BACK, watch(600)), limits=replace(LIMITS, slice_seconds=50))

    def stick(page: FakePage) -> None:
        page.stuck = page.account is not None and page.account.id == 1

    bench.prepare = stick
    begin = now()

    await bench.run()

    assert bench.store.statuses() == {2: "PENDING"}
    assert [entry["run"] for entry in events(logs, "run_abandoned")] == ["run-1"]
    # A whole step, and the time to close, were granted.
    patience = 50 + LIMITS.step_timeout_seconds + CLOSE_SECONDS
    assert patience <= now() - begin < patience + 2 * POLL_SECONDS


@in_virtual_time
async def test_slice_that_is_cancelled_closes_its_pages(logs: Logs) -> None:
    bench = SliceBench(*specs(2, watch(30)))
    running = asyncio.create_task(bench.run())
    await until(lambda: bench.opener.open == 2)

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.store.ended == {}
    assert len(events(logs, "run_abandoned")) == 2


# ---- leases -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("teller", ["poll", "heartbeat", "write_progress"])
@in_virtual_time
async def test_run_whose_lease_is_lost_is_cancelled_alone(teller: str, logs: Logs) -> None:
    bench = SliceBench(*specs(2, SCROLL, *[watch(15)] * 3))
    later(18, lambda: bench.store.lost.update({teller: {1}}))
    closed: list[float] = []
    begin = now()

    async def note_the_end() -> None:
        await until(lambda: len(bench.opener.pages) == 2)
        await until(lambda: bench.opener.open == 1)
        closed.append(now() - begin)

    noting = asyncio.create_task(note_the_end())

    await bench.run()
    await noting

    assert bench.store.statuses() == {2: "COMPLETED"}
    assert [entry["run"] for entry in events(logs, "lease_lost")] == [1]
    # By the poll within a second, by the heartbeat within ten, by a write with the next report.
    assert 18 < closed[0] < {"poll": 20, "heartbeat": 21, "write_progress": 32}[teller]
    assert bench.store.steps(1) == [(0, "DONE"), (1, "DONE")] + [(2, "DONE")] * (teller == "write_progress")
    assert bench.store.steps(2) == [(index, "DONE") for index in range(4)]


@in_virtual_time
async def test_run_whose_lease_is_lost_writes_nothing_more() -> None:
    bench = SliceBench(*specs(2, *[watch(2)] * 10))
    later(5, lambda: bench.store.lost.update(poll={1}))

    await bench.run()

    assert bench.store.steps(1) == [(0, "DONE"), (1, "DONE")]
    last = [entry.event for _, lines in bench.store.batches for entry in lines if entry.lease.run_id == 1][-1]
    assert last == "step_done"
    assert 1 not in bench.store.ended


@pytest.mark.parametrize("teller", ["set_plan_length", "record_intent", "finish"])
@in_virtual_time
async def test_run_that_is_told_by_a_write_that_its_lease_is_lost_ends(teller: str, logs: Logs) -> None:
    bench = SliceBench(*specs(2, LIKE))
    bench.store.lost[teller] = {1}

    await bench.run()

    assert bench.store.statuses() == {2: "COMPLETED"}
    assert [entry["run"] for entry in events(logs, "lease_lost")] == [1]
    clicks = [call for page in bench.pages_of(1) for call in page.calls if call[0] == "click"]
    assert len(clicks) == (teller == "finish")


@in_virtual_time
async def test_run_that_is_lost_with_its_last_report_is_not_finished() -> None:
    bench = SliceBench(run_spec(SCROLL))
    bench.store.lost["write_progress"] = {1}

    await bench.run()

    assert bench.store.ended == {}
    assert bench.store.times("finish") == []


class SlowToClose(FakeOpener):
    """Contexts that take five seconds to close."""

    closed = 0

    @asynccontextmanager
    async def __call__(self, site: SiteSpec, account: AccountSpec) -> AsyncIterator[Page]:
        async with super().__call__(site, account) as page:
            try:
                yield page
            finally:
                await asyncio.sleep(5)
                self.closed += 1


@in_virtual_time
async def test_run_that_is_reported_lost_again_and_again_is_cancelled_once_and_closes_its_page(
    logs: Logs,
) -> None:
    bench = SliceBench(*specs(2, *[watch(4)] * 5))
    opener = bench.opener = SlowToClose(SCREENS, clock=LoopClock())  # type: ignore[arg-type]
    later(5, lambda: bench.store.lost.update(poll={1}))

    await bench.run()

    assert opener.closed == 2
    assert [entry["run"] for entry in events(logs, "lease_lost")] == [1]
    assert bench.store.statuses() == {2: "COMPLETED"}


@in_virtual_time
async def test_run_that_was_lost_may_be_claimed_again_while_it_still_closes(logs: Logs) -> None:
    bench = SliceBench(*specs(2, *[watch(4)] * 5))
    bench.opener = SlowToClose(SCREENS, clock=LoopClock())  # type: ignore[arg-type]
    again = run_spec(SCROLL, watch(20), lease=Lease(1, uuid.uuid4()), attempt=2)
    later(5, lambda: bench.store.lost.update(poll={1}))
    later(6.5, lambda: bench.store.lost.clear())
    later(6.5, lambda: bench.store.waiting.append(again))

    bench.limits = replace(LIMITS, contexts=3)
    await bench.run()

    assert [entry["run"] for entry in events(logs, "lease_lost")] == [1]
    assert bench.store.statuses() == {1: "COMPLETED", 2: "COMPLETED"}
    assert [step.lease for steps, _ in bench.store.batches for step in steps if step.attempt == 2] == [
        again.lease
    ] * 2


@in_virtual_time
async def test_check_lease_of_a_run_that_is_not_held_raises() -> None:
    bench = SliceBench()
    await bench.run()
    assert bench.slice is not None

    with pytest.raises(LeaseLost, match="run 1 belongs to somebody else"):
        bench.slice.check_lease(run_spec())


@in_virtual_time
async def test_step_is_not_begun_on_a_lease_that_is_old() -> None:
    bench = SliceBench(run_spec(*[watch(4)] * 60))
    bench.store.held_up["heartbeat"] = asyncio.Event()
    running = asyncio.create_task(bench.run())
    await until(lambda: bench.opener.open == 1)
    claimed = bench.store.claimed[0][1]

    await until(lambda: bench.opener.open == 0)

    # Given up at a step boundary after three quarters of the lease, not cut off in a step later.
    assert 0.75 * LIMITS.lease_seconds < now() - claimed < 0.75 * LIMITS.lease_seconds + 5
    await running
    assert bench.store.ended == {}


@in_virtual_time
async def test_step_that_outlasts_its_lease_is_cut_off() -> None:
    slow = Screen(appears={"#box": 100})
    expect = {"do": "expect", "target": "box", "timeout_seconds": 110}
    bench = SliceBench(run_spec(OPEN_AWAY, expect), site=screens(away=slow))
    bench.store.held_up["heartbeat"] = asyncio.Event()
    running = asyncio.create_task(bench.run())
    await until(lambda: bench.opener.open == 1)
    claimed = bench.store.claimed[0][1]

    await until(lambda: bench.opener.open == 0)

    assert 0.85 * LIMITS.lease_seconds <= now() - claimed < 0.85 * LIMITS.lease_seconds + 1
    await running
    assert bench.store.ended == {}


@in_virtual_time
async def test_leases_that_are_renewed_last_as_long_as_the_run() -> None:
    bench = SliceBench(*specs(2, *[watch(20)] * 10))

    await bench.run()

    assert bench.store.statuses() == {1: "COMPLETED", 2: "COMPLETED"}
    beats = bench.store.times("heartbeat")
    assert all(10 <= after - before < 12 for before, after in pairwise(beats))
    assert len(beats) == len(bench.store.times("beat"))


@in_virtual_time
async def test_lease_claimed_beside_an_older_one_does_not_make_that_one_younger() -> None:
    bench = SliceBench(run_spec(*[watch(4)] * 60))
    bench.store.held_up["heartbeat"] = asyncio.Event()
    later(40, lambda: bench.store.waiting.append(run_spec(*[watch(4)] * 60, number=2)))
    running = asyncio.create_task(bench.run())
    await until(lambda: bench.opener.open == 1)
    claimed = bench.store.claimed[0][1]
    await until(lambda: bench.opener.open == 2)

    await until(lambda: bench.opener.open == 0)

    assert now() - claimed < LIMITS.lease_seconds
    await running
    assert bench.store.ended == {}


@in_virtual_time
async def test_lease_claimed_after_an_idle_time_counts_from_its_claim() -> None:
    limits = replace(LIMITS, heartbeat_seconds=1000)
    bench = SliceBench(limits=limits)
    for seconds in range(14, 71, 14):
        bench.store.later.append((now() + seconds, run_spec(watch(2), number=seconds)))

    await bench.run()

    assert set(bench.store.statuses().values()) == {"COMPLETED"}
    assert len(bench.store.ended) == 5


# ---- faults -----------------------------------------------------------------------------------------

FUNCTIONS = [
    "claim",
    "seconds_until_work",
    "poll",
    "heartbeat",
    "beat",
    "write_progress",
    "set_plan_length",
    "record_intent",
    "save_evidence",
    "finish",
]


@pytest.mark.parametrize("function", FUNCTIONS)
@in_virtual_time
async def test_slice_whose_database_is_gone_ends_with_the_error_and_leaves_nothing_behind(
    function: str,
) -> None:
    bench = SliceBench(
        run_spec(watch(15), LIKE, {"do": "screenshot", "name": "end"}), run_spec(watch(600), number=2)
    )
    bench.store.errors[function] = DatabaseUnavailable(f"{function}: the server closed the connection")
    if function == "seconds_until_work":
        bench.store.waiting.clear()

    with pytest.raises(ExceptionGroup) as caught:
        await bench.run()

    assert errors_of(caught.value) == {DatabaseUnavailable}
    assert bench.store.ended == {}


@in_virtual_time
async def test_database_that_is_gone_for_a_run_is_noticed_while_the_slice_claims() -> None:
    bench = SliceBench(run_spec(watch(5)))
    bench.store.errors["finish"] = DatabaseUnavailable("finish: the server closed the connection")
    hold_up = asyncio.Event()
    later(1, lambda: bench.store.held_up.update(claim=hold_up))
    later(10, hold_up.set)

    with pytest.raises(ExceptionGroup) as caught:
        await bench.run()

    assert errors_of(caught.value) == {DatabaseUnavailable}


@in_virtual_time
async def test_fault_of_ours_in_one_run_fails_that_run_alone(logs: Logs) -> None:
    bench = SliceBench(*specs(2, SCROLL))

    def break_one(page: FakePage) -> None:
        if page.account is not None and page.account.id == 1:
            raise KeyError("oops")

    bench.prepare = break_one

    await bench.run()

    assert bench.store.ended[1] == Outcome("FAILED", reason="internal error: KeyError: 'oops'")
    assert bench.store.statuses() == {1: "FAILED", 2: "COMPLETED"}
    assert [entry["run"] for entry in events(logs, "run_broke")] == [1]


@in_virtual_time
async def test_fault_of_ours_in_the_store_ends_the_slice() -> None:
    bench = SliceBench(*specs(2, watch(30)))
    bench.store.errors["poll"] = KeyError("oops")

    with pytest.raises(ExceptionGroup) as caught:
        await bench.run()

    assert errors_of(caught.value) == {KeyError}


@in_virtual_time
async def test_evidence_of_a_run_goes_to_the_store() -> None:
    bench = SliceBench(run_spec(SCROLL))
    bench.prepare = lambda page: page.fail("wheel", ElementMissing("not there"))

    await bench.run()

    assert bench.store.statuses() == {1: "FAILED"}
    assert [item.kind for item in bench.store.evidence] == ["screenshot", "html"]


@in_virtual_time
async def test_end_of_a_run_is_logged(logs: Logs) -> None:
    bench = SliceBench(run_spec(SCROLL))

    await bench.run()

    (entry,) = events(logs, "run_ended")
    assert (entry["run"], entry["status"], entry["reason"]) == (1, "COMPLETED", "")


# ---- the one writer ---------------------------------------------------------------------------------


@in_virtual_time
async def test_reports_are_written_in_order_by_one_writer_and_none_is_lost() -> None:
    bench = SliceBench(*specs(4, *[watch(0.2), LIKE, SCROLL] * 5), limits=replace(LIMITS, contexts=4))

    await bench.run()

    for number in range(1, 5):
        assert bench.store.steps(number) == [(index, "DONE") for index in range(15)]
        lines = [
            line.event for _, batch in bench.store.batches for line in batch if line.lease.run_id == number
        ]
        assert (lines[0], lines[-1]) == ("run_started", "run_ended")
    assert all(steps or lines for steps, lines in bench.store.batches)


@in_virtual_time
async def test_reports_of_several_runs_go_into_one_crossing() -> None:
    bench = SliceBench(*specs(8, *[watch(0.1)] * 100), limits=replace(LIMITS, contexts=8))

    await bench.run()

    # 800 steps in about ten seconds, at two writes a second and one for each run's end.
    assert len(bench.store.batches) < 50


@in_virtual_time
async def test_once_step_acts_after_its_intent_and_what_came_before_are_written() -> None:
    bench = SliceBench(run_spec(SCROLL, LIKE))
    seen: list[tuple[list[tuple[int, str]], list[tuple[int, int]]]] = []

    def click(page: FakePage) -> None:
        seen.append((bench.store.steps(1), list(bench.store.intents)))

    bench.opener.screens = screens(feed=replace(INSIDE, on_click={".like": click}))

    await bench.run()

    assert seen == [([(0, "DONE")], [(1, 1)])]


@in_virtual_time
async def test_run_that_is_lost_while_it_writes_does_not_take_the_reports_of_others_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slices, "FLUSH_SECONDS", 100)  # only the runs ask for writes
    bench = SliceBench(run_spec(watch(11), LIKE), run_spec(watch(10), watch(30), number=2))
    queue = asyncio.Event()
    bench.store.held_up["write_progress"] = queue
    # The first run waits for the write of both runs' reports, in a queue, and is cancelled there.
    later(15, lambda: bench.store.lost.update(poll={1}))
    later(20, queue.set)

    await bench.run()

    assert bench.store.steps(2) == [(0, "DONE"), (1, "DONE")]
    assert bench.store.statuses() == {2: "COMPLETED"}
