"""The checker finds what is wrong: each kind of fault is made by hand, without a qcluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo_site.ledger import Action
from tests.chaos import checker
from tests.chaos.harness import System, chaos_system, names
from tests.chaos.sizes import DATABASE

pytestmark = pytest.mark.chaos

TOKEN = "0" * 32
RUN = "UPDATE warmup_warmupaccount SET "
HELD = f"status = 'RUNNING', attempt = 1, lease_token = '{TOKEN}', lease_until = '2100-01-01'"
DONE = "status = 'COMPLETED', completed_at = '2100-01-01', lease_token = NULL, lease_until = NULL"
STEP = (
    "INSERT INTO warmup_steprecord (run_id, attempt, {quote}index{quote}, place, do, label, result, detail,"
    " started_at) SELECT id, 1, 0, '', '{do}', '', 'DONE', '', '2100-01-01' FROM warmup_warmupaccount"
)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """One started account that no worker has touched."""
    monkeypatch.setattr(checker, "ORPHAN_SECONDS", 0.1)
    with chaos_system(DATABASE, accounts=1) as made:
        made.load(names(1))
        made.verbs("start", task="morning")
        yield made


def write_step(system: System, do: str) -> None:
    system.database.execute(STEP.format(do=do, quote='"').replace(" do,", ' "do",'))


def faults(system: System) -> str:
    return "\n".join(checker.check(system).faults)


def test_run_that_goes_well_has_no_fault(system: System) -> None:
    system.database.execute(RUN + HELD)
    write_step(system, "click")
    system.site._ledger.append("demo01", Action.LIKE, "1")
    system.database.execute(RUN + "cursor = 1")
    system.database.execute(RUN + DONE)

    assert faults(system) == ""


def test_run_that_nobody_ended_is_lost(system: System) -> None:
    assert "lost, it is still PENDING" in faults(system)


def test_step_written_without_a_lease_is_stale(system: System) -> None:
    write_step(system, "scroll")

    assert "stale write: step DONE of attempt 1 while PENDING" in faults(system)


def test_cursor_that_goes_back_is_found(system: System) -> None:
    system.database.execute(RUN + HELD)
    system.database.execute(RUN + "cursor = 3")
    system.database.execute(RUN + "cursor = 2")

    assert "cursor from 3 to 2" in faults(system)


def test_like_done_twice_and_like_without_a_record_are_found(system: System) -> None:
    system.database.execute(RUN + HELD)
    for _ in range(2):
        system.site._ledger.append("demo01", Action.LIKE, "1")
    system.database.execute(RUN + DONE)

    assert "liked 1 twice" in faults(system)
    assert "2 likes on the site, 0 in the database" in faults(system)


def test_done_without_a_like_on_the_site_is_found(system: System) -> None:
    system.database.execute(RUN + HELD)
    write_step(system, "click")
    system.database.execute(RUN + DONE)

    assert "0 likes on the site, 1 in the database" in faults(system)


def test_site_that_hears_of_an_account_without_a_lease_is_found(system: System) -> None:
    system.site._ledger.append("demo01", Action.FEED)

    assert "feed before any run" in faults(system)


def test_directory_that_stays_is_found(system: System) -> None:
    (system.browsers.temporary / "warmup-browser-x").mkdir()

    assert "directory warmup-browser-x" in faults(system)


def test_unexplained_failure_is_found(system: System) -> None:
    system.database.execute(RUN + HELD)
    system.database.execute(RUN + DONE.replace("COMPLETED", "FAILED") + ", reason = 'internal error'")

    assert "FAILED: internal error" in faults(system)
