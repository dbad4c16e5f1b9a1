"""Account runs: the list, the page of one run, and what a person answers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.warmup.admin.conftest import StaffClient, told
from warmup import store
from warmup.models import StepRecord, WarmupAccount
from warmup.plan import PlanStep
from warmup.states import ParkReason, RunStatus
from warmup.types import Evidence, LogEntry, Outcome, StepReport

LIST = reverse("admin:warmup_warmupaccount_changelist")


def url(run: WarmupAccount, name: str = "change") -> str:
    return reverse(f"admin:warmup_warmupaccount_{name}", args=[run.pk])


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def in_doubt() -> WarmupAccount:
    """A run parked because a `once` step was begun and nobody knows whether it happened."""
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    step = PlanStep(index=0, place="steps[0]", do="click", label="click <like>", effect="once")
    assert store.record_intent(spec.lease, 1, step) == "go"
    assert store.finish(spec.lease, Outcome("PARKED", reason=ParkReason.IN_DOUBT))
    return WarmupAccount.objects.get()


def walked() -> WarmupAccount:
    """A run of two attempts: the first failed at its second step, the second one is complete."""
    task = factories.started_task(1)
    now = timezone.now()
    for attempt, results in ((1, ("DONE", "FAILED")), (2, ("DONE", "DONE"))):
        (spec,) = factories.claim(task)
        store.set_plan_length(spec.lease, 2)
        steps = [
            StepReport(
                spec.lease,
                attempt,
                index,
                f"steps[{index}]",
                "scroll",
                f"scroll <{index}>",
                result,
                now,
                now + timedelta(seconds=1.5),
                detail="<i>late</i>" if result == "FAILED" else "",
            )
            for index, result in enumerate(results)
        ]
        line = LogEntry(spec.lease, now, "WARNING", "request_failed", "GET <evil>")
        store.write_progress(steps, [line])
        store.save_evidence(Evidence(spec.lease, attempt, 1, "screenshot", "<shot>", b"png"))
        store.save_evidence(Evidence(spec.lease, attempt, 1, "html", "page", b"<html>"))
        outcome = Outcome("PENDING", reason="again") if attempt == 1 else Outcome("COMPLETED")
        assert store.finish(spec.lease, outcome)
    return WarmupAccount.objects.get()


@pytest.mark.parametrize("status", RunStatus.values)
def test_list_and_page_show_every_status(boss: Client, status: str) -> None:
    run = factories.run_in(status)

    for page in (text_of(boss, LIST), text_of(boss, url(run)), text_of(boss, url(run, "live"))):
        assert str(RunStatus(status).label) in page


def test_list_costs_the_same_whatever_its_length(boss: Client, django_assert_max_num_queries: Any) -> None:
    factories.started_task(30)

    with django_assert_max_num_queries(9):
        text_of(boss, LIST)


def test_page_shows_steps_by_attempt_with_durations_and_results(boss: Client) -> None:
    run = walked()

    page = text_of(boss, url(run))

    assert page.index("Attempt 2") < page.index("Attempt 1")
    assert page.count("1.5 s") == 4
    assert "scroll &lt;1&gt;" in page
    assert "&lt;i&gt;late&lt;/i&gt;" in page
    assert "2 / 2" in page


def test_page_shows_what_the_guard_refused(boss: Client) -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    line = LogEntry(
        spec.lease, timezone.now(), "WARNING", "egress_refused", "<evil>.test:443: host (times 3)"
    )
    store.write_progress([], [line])
    run = WarmupAccount.objects.get()

    page = text_of(boss, url(run))

    assert "Refused by the egress guard" in page
    assert page.index("Refused by") < page.index("<code>&lt;evil&gt;.test:443: host (times 3)</code>")


def test_page_shows_log_and_evidence(boss: Client) -> None:
    run = walked()

    page = text_of(boss, url(run))

    assert "GET &lt;evil&gt;" in page
    pictures = re.findall(r'<img src="([^"]+)"[^>]*alt="([^"]+)"', page)
    assert len(pictures) == 2
    assert pictures[0][1] == "Screenshot &lt;shot&gt;, attempt 1, step 2"
    assert boss.get(pictures[0][0])["Content-Type"] == "image/png"
    assert page.count("Page HTML page") == 2


def test_page_costs_the_same_whatever_its_steps(boss: Client, django_assert_max_num_queries: Any) -> None:
    run = walked()
    now = timezone.now()
    StepRecord.objects.bulk_create(
        StepRecord(
            run=run, attempt=3, index=index, do="scroll", label="scroll", result="DONE", started_at=now
        )
        for index in range(700)
    )

    with django_assert_max_num_queries(12):
        page = text_of(boss, url(run))

    assert page.count(">scroll") == 500  # the latest ones; the others are in the list of steps


@pytest.mark.parametrize(
    ("status", "moves"),
    [
        (RunStatus.PENDING, True),
        (RunStatus.RUNNING, True),
        (RunStatus.PARKED, False),
        (RunStatus.FAILED, False),
    ],
)
def test_page_polls_only_while_the_run_moves(boss: Client, status: str, moves: bool) -> None:
    run = factories.run_in(status)

    for address in (url(run), url(run, "live")):
        section = re.search(r'<section class="wu-card" id="run-status"[^>]*>', text_of(boss, address))
        assert section
        assert ("hx-trigger" in section[0]) is moves


def test_poll_leaves_pictures_alone_until_there_are_more(boss: Client) -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    run = WarmupAccount.objects.get()
    asked = re.search(r'hx-get="([^"]+)"', text_of(boss, url(run)))
    assert asked
    assert "run-evidence" not in text_of(boss, asked[1])

    store.save_evidence(Evidence(spec.lease, 1, 0, "screenshot", "end", b"png"))

    assert 'id="run-evidence" aria-labelledby="evidence-title" hx-swap-oob="true"' in text_of(boss, asked[1])


def test_page_that_is_not_there(boss: Client) -> None:
    gone = WarmupAccount(pk=4711)

    for nonsense in ("x", "9" * 30):
        assert boss.get(reverse("admin:warmup_warmupaccount_change", args=[nonsense])).status_code == 302
    assert boss.get(url(gone)).status_code == 302
    assert boss.get(url(gone, "live")).status_code == 286
    assert boss.post(url(gone, "settle"), {"happened": "yes"}).status_code == 302


def test_stranger_is_refused(staff: StaffClient) -> None:
    run = factories.run_in(RunStatus.RUNNING)
    stranger = staff("core.view_site")

    for address in (LIST, url(run), url(run, "live")):
        assert stranger.get(address).status_code == 403


def test_run_can_be_neither_added_edited_nor_deleted(boss: Client) -> None:
    run = factories.run_in(RunStatus.COMPLETED)

    assert boss.get(reverse("admin:warmup_warmupaccount_add")).status_code == 403
    assert boss.post(url(run), {"status": "FAILED"}).status_code == 403
    assert boss.post(url(run, "delete"), {"post": "yes"}).status_code == 403


# ---- what a person answers --------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "cursor"), [("yes", 1), ("no", 0)])
def test_doubt_is_settled_by_an_answer(boss: Client, answer: str, cursor: int) -> None:
    run = in_doubt()
    page = text_of(boss, url(run))
    assert "Step 1: click &lt;like&gt; was begun" in page
    assert f'name="happened" value="{answer}"' in page

    response = boss.post(url(run, "settle"), {"happened": answer}, follow=True)

    assert told(response) == ["Settled: the run goes on."]
    run.refresh_from_db()
    assert (run.status, run.cursor) == (RunStatus.PENDING, cursor)


def test_doubt_without_an_answer_stays(boss: Client) -> None:
    run = in_doubt()

    response = boss.post(url(run, "settle"), {"happened": "perhaps"}, follow=True)

    assert told(response) == ["Say whether it happened: nothing was changed."]
    run.refresh_from_db()
    assert run.status == RunStatus.PARKED


def test_doubt_that_was_settled_already_says_so(boss: Client) -> None:
    run = factories.run_in(RunStatus.PARKED)

    response = boss.post(url(run, "settle"), {"happened": "yes"}, follow=True)

    assert told(response) == [f"the run of '{run.account}' is not parked in doubt"]


def test_parked_run_goes_on_when_it_is_solved(boss: Client) -> None:
    run = factories.run_in(RunStatus.PARKED)
    page = text_of(boss, url(run))
    assert "Solved, go on" in page

    response = boss.post(url(run, "solved"), follow=True)

    assert told(response) == ["Solved: the run goes on where it was."]
    run.refresh_from_db()
    assert run.status == RunStatus.PENDING
    task_page = text_of(boss, reverse("admin:warmup_warmuptask_change", args=[run.task_id]))
    assert "unpark" in task_page[task_page.index('id="audit"') :]


def test_solved_leaves_the_other_parked_runs_alone(boss: Client) -> None:
    task = factories.started_task(3)
    for _ in range(2):
        factories.end(task, Outcome("PARKED", reason="challenge"))

    boss.post(url(task.runs.order_by("pk")[0], "solved"))

    assert task.runs.counts()[RunStatus.PARKED] == 1


def test_solved_when_there_is_nothing_to_solve_says_so(boss: Client) -> None:
    run = factories.run_in(RunStatus.COMPLETED)

    (message,) = told(boss.post(url(run, "solved"), follow=True))

    assert message == f"the run of '{run.account}' is not parked, or parked in doubt: that is to be settled"


@pytest.mark.parametrize("name", ["settle", "solved"])
def test_answers_are_posted_by_those_who_may(staff: StaffClient, boss: Client, name: str) -> None:
    run = in_doubt()
    viewer = staff("warmup.view_warmupaccount")
    unguarded = staff("warmup.change_warmupaccount", csrf=True)

    assert "It happened" not in text_of(viewer, url(run))
    assert boss.get(url(run, name), {"happened": "yes"}).status_code == 405
    assert viewer.post(url(run, name), {"happened": "yes"}).status_code == 403
    assert unguarded.post(url(run, name), {"happened": "yes"}).status_code == 403
    run.refresh_from_db()
    assert run.status == RunStatus.PARKED


def test_form_of_the_question_carries_its_token(staff: StaffClient) -> None:
    run = in_doubt()
    client = staff("warmup.change_warmupaccount", csrf=True)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text_of(client, url(run)))
    assert token

    client.post(url(run, "settle"), {"happened": "yes", "csrfmiddlewaretoken": token[1]})

    run.refresh_from_db()
    assert run.status == RunStatus.PENDING
