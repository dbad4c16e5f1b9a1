"""The page of one task: what it shows, what moves of it, and its verbs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.warmup.admin.conftest import StaffClient, told
from warmup import services
from warmup.admin.board import boards
from warmup.admin.verbs import VERBS
from warmup.failures import clusters
from warmup.models import AuditEntry, LogLine, WarmupTask
from warmup.states import RunStatus, TaskStatus
from warmup.types import Outcome


def page_url(task: WarmupTask) -> str:
    return reverse("admin:warmup_warmuptask_change", args=[task.pk])


def live_url(task: WarmupTask) -> str:
    return reverse("admin:warmup_warmuptask_live", args=[task.pk])


def verb_url(task: WarmupTask, name: str) -> str:
    return reverse("admin:warmup_warmuptask_verb", args=[task.pk, name])


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


# ---- what it shows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", TaskStatus.values)
def test_page_shows_every_status(boss: Client, status: str) -> None:
    task = factories.task_in(status)

    page = text_of(boss, page_url(task))

    assert str(TaskStatus(status).label) in page
    assert 'role="progressbar"' in page


def test_page_of_a_pending_task_says_how_many_would_take_part(boss: Client) -> None:
    task = factories.make_task(3)
    disabled = task.accounts.all()[0]
    disabled.enabled = False
    disabled.save()

    assert "Not started yet: 2 enabled accounts would take part." in text_of(boss, page_url(task))


def test_page_shows_the_playbook_in_words(boss: Client) -> None:
    steps = [
        {"do": "open", "target": "feed"},
        {"do": "repeat", "times": {"min": 3, "max": 6}, "steps": [{"do": "scroll", "pixels": 900}]},
    ]
    task = factories.make_task(1, playbook=factories.make_playbook("deep", steps))

    page = re.sub(r"<[^>]+>|\s+", " ", text_of(boss, page_url(task)))

    assert re.search(r"open +feed +repeat +3 to 6 x +scroll +900 px", page)


def test_page_shows_runs_with_step_attempt_and_reason(boss: Client) -> None:
    task = factories.started_task(2)
    factories.end(task, Outcome("FAILED", reason="step 3: <b>like</b> not visible"))

    page = text_of(boss, page_url(task))

    assert "step 3: &lt;b&gt;like&lt;/b&gt; not visible" in page
    for run in task.runs.all():
        assert reverse("admin:warmup_warmupaccount_change", args=[run.pk]) in page


def test_page_says_what_a_waiting_run_waits_for(boss: Client) -> None:
    task = factories.started_task(1)

    assert "waits for a worker: none is alive" in text_of(boss, page_url(task))


def test_page_turns_over_many_runs(boss: Client) -> None:
    task = factories.started_task(30)

    first, second = text_of(boss, page_url(task)), text_of(boss, f"{page_url(task)}?page=2")

    assert "Page 1 of 2" in first
    assert first.count('id="run-') == 25
    assert second.count('id="run-') == 5
    assert re.search(r'hx-get="[^"]*page=2', second)  # the poll stays on it


@pytest.mark.parametrize("query", ["page=x", "page=-1", "page=99999999999", "page=²", "level=SHOUT"])
def test_page_bears_nonsense_in_its_address(boss: Client, query: str) -> None:
    task = factories.started_task(1)

    assert text_of(boss, f"{page_url(task)}?{query}")
    assert text_of(boss, f"{live_url(task)}?{query}")


def test_page_shows_the_log_at_a_level_or_above(boss: Client) -> None:
    task = factories.started_task(1)
    for level in LogLine.Level.values:
        LogLine.objects.create(task=task, at=timezone.now(), level=level, event="seen", text=f"at <{level}>")

    ordinary = text_of(boss, page_url(task))
    errors = text_of(boss, f"{page_url(task)}?level=ERROR")

    assert "at &lt;WARNING&gt;" in ordinary
    assert "at &lt;DEBUG&gt;" not in ordinary
    assert "at &lt;ERROR&gt;" in errors
    assert "at &lt;WARNING&gt;" not in errors


def test_page_shows_who_asked_for_what_of_this_task_only(boss: Client) -> None:
    user = User.objects.get(username="boss")
    task, other = factories.make_task(1), factories.make_task(1)
    services.start(task, by=user)
    services.start(other, by=None)
    services.stop(other, by=None)

    page = text_of(boss, page_url(task))

    rows = page[page.index('id="audit"') :]
    assert re.search(r"boss</td>.*?start", rows, re.DOTALL)
    assert "command line" not in rows


def test_page_says_since_when_a_stop_is_pending(boss: Client) -> None:
    task = factories.task_in(TaskStatus.RUNNING)
    services.stop(task, by=None)

    page = text_of(boss, page_url(task))

    assert re.search(r"Stop requested <time [^>]*>0 s ago</time>, 1 still running\.", page)


def test_page_tells_parked_in_doubt_from_parked_otherwise(boss: Client) -> None:
    task = factories.started_task(3)
    factories.end(task, Outcome("PARKED", reason="in_doubt"))
    factories.end(task, Outcome("PARKED", reason="challenge"))

    page = text_of(boss, page_url(task))

    doubt = re.search(r'id="parked-doubt" href="([^"]+)"', page)
    assert doubt
    assert "1 account is parked in doubt" in page
    assert "1 account waits for a person" in page
    assert "1 result" in text_of(boss, doubt[1].replace("&amp;", "&"))


def test_page_costs_the_same_whatever_its_runs(boss: Client, django_assert_max_num_queries: Any) -> None:
    task = factories.started_task(25, concurrency=4)
    for run in task.runs.all():
        LogLine.objects.create(task=task, run=run, at=timezone.now(), level="INFO", event="seen")

    with django_assert_max_num_queries(20):
        text_of(boss, page_url(task))


def test_page_that_is_not_there_leads_to_the_index(boss: Client) -> None:
    for url in (page_url(WarmupTask(pk=4711)), verb_url(WarmupTask(pk=4711), "stop")):
        response = boss.get(url)
        assert response.status_code == 302


# ---- what moves -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "moves"),
    [
        (TaskStatus.QUEUED, True),
        (TaskStatus.RUNNING, True),
        (TaskStatus.PAUSED, False),
        (TaskStatus.FAILED, False),
    ],
)
def test_page_polls_only_while_the_task_moves(boss: Client, status: str, moves: bool) -> None:
    task = factories.task_in(status)

    for url in (page_url(task), live_url(task)):
        section = re.search(r'<section class="wu-card" id="task-progress"[^>]*>', text_of(boss, url))
        assert section
        assert ("hx-trigger" in section[0]) is moves


def test_poll_brings_the_moving_parts(boss: Client) -> None:
    task = factories.task_in(TaskStatus.RUNNING)

    page = text_of(boss, live_url(task))

    for part in ("task-runs", "task-log"):
        assert re.search(rf'id="{part}"[^>]* hx-swap-oob="true"', page)
    assert "<html" not in page


def test_poll_brings_the_controls_only_when_they_have_changed(boss: Client) -> None:
    task = factories.task_in(TaskStatus.RUNNING)
    asked = re.search(r'hx-get="([^"]+)"', text_of(boss, page_url(task)))
    assert asked
    url = asked[1].replace("&amp;", "&")
    assert "task-controls" not in text_of(boss, url)

    services.pause(task, by=None)

    assert 'id="task-controls" hx-swap-oob="true"' in text_of(boss, url)


def test_poll_of_a_deleted_task_asks_htmx_to_stop(boss: Client) -> None:
    assert boss.get(live_url(WarmupTask(pk=4711))).status_code == 286


def test_page_and_poll_of_a_stranger_are_refused(staff: StaffClient) -> None:
    task = factories.make_task(1)
    stranger = staff("core.view_site")

    assert stranger.get(page_url(task)).status_code == 403
    assert stranger.get(live_url(task)).status_code == 403


# ---- its verbs --------------------------------------------------------------------------------------

APPLY = {
    TaskStatus.PENDING: {"start", "stop"},
    TaskStatus.QUEUED: {"pause", "stop"},
    TaskStatus.RUNNING: {"pause", "stop", "force_stop"},
    TaskStatus.PAUSED: {"resume", "stop"},
    TaskStatus.COMPLETED: {"restart_all"},
    TaskStatus.PARTIAL: {"restart_failed", "restart_all"},
    TaskStatus.FAILED: {"restart_failed", "restart_all"},
    TaskStatus.STOPPED: {"restart_failed", "restart_all"},
}


@pytest.mark.parametrize("status", TaskStatus.values)
def test_page_offers_what_applies_now(boss: Client, status: str) -> None:
    task = factories.task_in(status)

    page = text_of(boss, page_url(task))

    assert set(re.findall(r'id="control-(\w+)"', page)) == APPLY[TaskStatus(status)]


@pytest.mark.parametrize("status", TaskStatus.values)
@pytest.mark.parametrize("name", VERBS)
def test_verb_is_announced_to_apply_exactly_when_the_service_takes_it(
    boss: Client, name: str, status: str
) -> None:
    task = factories.task_in(status)
    announced = VERBS[name].applies(boards([task])[task.pk])

    response = boss.post(verb_url(task, name), follow=True)

    (message,) = told(response)
    assert message.startswith(f"{VERBS[name].past}: 1 task") is announced


def test_pending_stop_leaves_only_force(boss: Client) -> None:
    task = factories.task_in(TaskStatus.RUNNING)
    services.stop(task, by=None)

    assert re.findall(r'id="control-(\w+)"', text_of(boss, page_url(task))) == ["force_stop"]


def test_viewer_sees_no_controls_and_may_not_use_them(staff: StaffClient) -> None:
    task = factories.task_in(TaskStatus.RUNNING)
    viewer = staff("warmup.view_warmuptask")

    assert "control-" not in text_of(viewer, page_url(task))
    for name in VERBS:
        assert viewer.get(verb_url(task, name)).status_code == 403
        assert viewer.post(verb_url(task, name)).status_code == 403
    task.refresh_from_db()
    assert task.status == TaskStatus.RUNNING


def test_anonymous_is_sent_to_the_log_in(client: Client, db: None) -> None:
    task = factories.make_task(1)

    response = client.post(verb_url(task, "start"))

    assert response.status_code == 302
    assert reverse("admin:login") in response["Location"]
    task.refresh_from_db()
    assert task.status == TaskStatus.PENDING


@pytest.mark.parametrize("name", VERBS)
def test_question_says_what_will_happen_and_changes_nothing(boss: Client, name: str) -> None:
    task = factories.task_in(TaskStatus.PARTIAL if name.startswith("restart") else TaskStatus.QUEUED)
    before = task.status

    page = text_of(boss, verb_url(task, name))
    dialog = boss.get(verb_url(task, name), headers={"HX-Request": "true"}).content.decode()

    assert str(VERBS[name].consequence).replace("'", "&#x27;") in page
    assert 'id="dialog"' in dialog
    assert "<html" not in dialog
    task.refresh_from_db()
    assert task.status == before


def test_dialog_says_how_many_accounts(boss: Client) -> None:
    queued, done = factories.task_in(TaskStatus.QUEUED), factories.task_in(TaskStatus.COMPLETED)

    def dialog(task: WarmupTask) -> str:
        return boss.get(verb_url(task, "pause"), headers={"HX-Request": "true"}).content.decode()

    assert "It touches 2 accounts." in dialog(queued)
    assert "This does not apply to the task as it stands now." in dialog(done)


def test_verb_from_the_dialog_sends_the_page_back_to_the_task(boss: Client) -> None:
    task = factories.make_task(2)

    response = boss.post(verb_url(task, "start"), headers={"HX-Request": "true"})

    assert response.status_code == 200
    assert response["HX-Redirect"] == page_url(task)
    assert told(boss.get(page_url(task))) == ["Started: 1 task, 2 accounts."]


def test_verb_records_who_asked(boss: Client) -> None:
    task = factories.make_task(2)

    boss.post(verb_url(task, "start"))

    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.verb, entry.count) == ("boss", "start", 2)


def test_verb_without_csrf_token_is_refused(staff: StaffClient) -> None:
    task = factories.make_task(1)

    response = staff("warmup.change_warmuptask", csrf=True).post(verb_url(task, "start"))

    assert response.status_code == 403
    task.refresh_from_db()
    assert task.status == TaskStatus.PENDING


def test_unknown_verb_is_not_there(boss: Client) -> None:
    task = factories.make_task(1)

    assert boss.post(verb_url(task, "explode")).status_code == 302
    task.refresh_from_db()
    assert task.status == TaskStatus.PENDING


def test_restart_all_offers_a_newer_playbook(boss: Client) -> None:
    task = factories.task_in(TaskStatus.COMPLETED)
    assert "latest_playbook" not in text_of(boss, verb_url(task, "restart_all"))
    newer = factories.make_playbook(task.playbook.name, [{"do": "open", "target": "feed"}])
    assert "Use version 2 of the playbook instead of version 1" in text_of(
        boss, verb_url(task, "restart_all")
    )

    boss.post(verb_url(task, "restart_all"), {"_form_submitted": "on", "latest_playbook": "on"})

    task.refresh_from_db()
    assert task.playbook == newer
    assert task.runs.counts()[RunStatus.PENDING] == 2


def test_restart_all_keeps_the_playbook_unless_asked(boss: Client) -> None:
    task = factories.task_in(TaskStatus.COMPLETED)
    factories.make_playbook(task.playbook.name, [{"do": "open", "target": "feed"}])

    boss.post(verb_url(task, "restart_all"), {"_form_submitted": "on"})

    task.refresh_from_db()
    assert task.playbook.version == 1
    assert task.status == TaskStatus.QUEUED


def test_failures_that_are_alike_are_shown_and_started_again_together(boss: Client) -> None:
    task = factories.started_task(4)
    for reason in ("steps[0] <open>: 500", "steps[1] like: after 2 s", "steps[1] like: after 3 s"):
        factories.end(task, Outcome("FAILED", reason=reason))
    page = boss.get(page_url(task)).content.decode()
    found = re.findall(r'<a class="text-link" href="([^"]+/failures/[0-9a-f]{16}/restart/)"', page)
    assert len(found) == 2
    assert "steps[0] &lt;open&gt;: #" in page

    question = boss.get(found[0]).content.decode()
    assert "Restart these: 1 task, 2 accounts" in question
    assert task.runs.filter(status="FAILED").count() == 3
    response = boss.post(found[0], follow=True)

    assert told(response) == ["Restarted: 1 task, 2 accounts."]
    assert task.runs.get(status="FAILED").reason == "steps[0] <open>: 500"
    again = boss.post(found[0], follow=True)
    assert told(again) == ["These failures are gone: their runs were started again."]


def test_failures_are_sent_again_only_when_there_are_more(boss: Client) -> None:
    task = factories.started_task(3)
    factories.end(task, Outcome("FAILED", reason="x"))
    live = live_url(task)

    assert "task-failures" not in boss.get(f"{live}?failed=1").content.decode()
    assert "task-failures" in boss.get(f"{live}?failed=0").content.decode()


def test_who_may_not_control_a_task_restarts_no_failures(staff: StaffClient) -> None:
    task = factories.started_task(2)
    factories.end(task, Outcome("FAILED", reason="x"))
    viewer = staff("warmup.view_warmuptask", "warmup.view_warmupaccount")

    page = viewer.get(page_url(task)).content.decode()
    assert "Failures that are alike" in page
    assert "/restart/" not in page.split("task-failures")[1].split("</section>")[0]
    key = clusters(task)[0].key
    address = reverse("admin:warmup_warmuptask_restart_cluster", args=[task.pk, key])
    assert viewer.post(address).status_code == 403
