"""The list of tasks: badges, progress, what moves, and its verbs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.warmup.admin.conftest import StaffClient, choose, confirmed, told
from warmup.admin.display import RUN_LABELS, STEP_LABELS, TASK_LABELS
from warmup.admin.verbs import VERBS
from warmup.models import StepRecord, WarmupTask
from warmup.states import RunStatus, TaskStatus
from warmup.types import Outcome

LIST = reverse("admin:warmup_warmuptask_changelist")
BOARD = reverse("admin:warmup_warmuptask_board")


def page_of(client: Client, url: str = LIST) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_every_status_has_a_badge() -> None:
    assert set(TASK_LABELS) == set(TaskStatus.values)
    assert set(RUN_LABELS) == set(RunStatus.values)
    assert set(STEP_LABELS) == set(StepRecord.Result.values)


@pytest.mark.parametrize("status", TaskStatus.values)
def test_list_shows_the_status_as_a_badge(boss: Client, status: str) -> None:
    task = factories.task_in(status)

    page = page_of(boss)

    cell = re.search(rf'<span id="task-{task.pk}-status">(.*?)</span>\s*</span>', page, re.DOTALL)
    assert cell
    assert str(TaskStatus(status).label) in cell[1]
    assert "rounded-default" in cell[1]


def test_list_without_tasks_says_what_to_do_first(boss: Client) -> None:
    page = page_of(boss)

    assert "No tasks yet" in page
    assert "manage.py warmup load FILE" in page


def test_list_whose_search_finds_nothing_offers_to_reset_it(boss: Client) -> None:
    factories.make_task()

    page = page_of(boss, f"{LIST}?q=nosuchthing")

    assert "No tasks yet" not in page
    assert "Reset filters" in page


def test_list_counts_accounts_by_status_and_links_to_them(boss: Client) -> None:
    task = factories.task_in(TaskStatus.PARTIAL)

    page = page_of(boss)

    for status in (RunStatus.COMPLETED, RunStatus.FAILED):
        link = f"?task__id__exact={task.pk}&amp;status__exact={status}"
        assert link in page
        found = page_of(boss, reverse("admin:warmup_warmupaccount_changelist") + link.replace("&amp;", "&"))
        assert "1 result" in found


@pytest.mark.parametrize(
    ("status", "percent"), [(TaskStatus.PENDING, 0), (TaskStatus.QUEUED, 0), (TaskStatus.PARTIAL, 100)]
)
def test_list_has_a_progress_bar_for_each_task(boss: Client, status: str, percent: int) -> None:
    factories.task_in(status)

    page = page_of(boss)

    assert 'role="progressbar"' in page
    assert f'aria-valuenow="{percent}"' in page


def test_list_costs_the_same_whatever_its_length(boss: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(12):
        factories.started_task(2)

    with django_assert_max_num_queries(10):
        page = page_of(boss)

    assert page.count('role="progressbar"') == 12


# ---- what moves -------------------------------------------------------------------------------------


def poller(page: str) -> str:
    found = re.search(r'<div id="board"[^>]*>', page)
    assert found
    return found[0]


@pytest.mark.parametrize(
    ("status", "moves"),
    [
        (TaskStatus.PENDING, False),
        (TaskStatus.QUEUED, True),
        (TaskStatus.RUNNING, True),
        (TaskStatus.PAUSED, False),
        (TaskStatus.COMPLETED, False),
        (TaskStatus.STOPPED, False),
    ],
)
def test_list_polls_only_while_something_moves(boss: Client, status: str, moves: bool) -> None:
    factories.task_in(status)

    assert ("hx-trigger" in poller(page_of(boss))) is moves


def test_paused_task_moves_while_a_run_is_still_held(boss: Client) -> None:
    task = factories.task_in(TaskStatus.RUNNING)
    boss.post(reverse("admin:warmup_warmuptask_verb", args=[task.pk, "pause"]))

    assert "hx-trigger" in poller(page_of(boss))


def test_poll_brings_the_cells_of_all_tasks_in_one_request(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    tasks = [factories.started_task(2) for _ in range(5)]
    factories.end(tasks[0], Outcome("COMPLETED"))
    asked = re.search(r'hx-get="([^"]+)"', poller(page_of(boss)))
    assert asked

    with django_assert_max_num_queries(6):  # one of them tells whether anything has changed
        page = page_of(boss, asked[1])

    for task in tasks:
        for name in ("status", "progress", "counts", "started", "completed"):
            assert f'<span id="task-{task.pk}-{name}" hx-swap-oob="true">' in page
    assert 'aria-valuenow="50"' in page
    assert "hx-trigger" in poller(page)


def test_poll_comes_to_rest_when_nothing_is_active_any_more(boss: Client) -> None:
    task = factories.task_in(TaskStatus.COMPLETED)

    page = page_of(boss, f"{BOARD}?ids={task.pk}")

    assert "hx-" not in poller(page)
    assert f'<span id="task-{task.pk}-status" hx-swap-oob="true">' in page


@pytest.mark.parametrize("ids", ["", "x", "1,,2", "-1", "9" * 30, "999999", "1;drop", "²"])
def test_poll_for_nonsense_is_empty(boss: Client, ids: str) -> None:
    response = boss.get(BOARD, {"ids": ids})

    assert response.status_code == 200
    assert b"hx-" not in response.content


def test_poll_of_a_stranger_is_refused(staff: StaffClient, client: Client) -> None:
    assert staff("core.view_site").get(BOARD).status_code == 403
    assert client.get(BOARD).status_code == 302


# ---- its verbs --------------------------------------------------------------------------------------


def test_actions_are_offered_to_those_who_may(staff: StaffClient) -> None:
    factories.make_task()

    operator = page_of(staff("warmup.change_warmuptask"))
    viewer = page_of(staff("warmup.view_warmuptask"))

    for name in VERBS:
        assert f'value="{name}"' in operator
        assert f'value="{name}"' not in viewer


@pytest.mark.parametrize("name", VERBS)
def test_action_of_a_viewer_changes_nothing(staff: StaffClient, name: str) -> None:
    task = factories.task_in(TaskStatus.RUNNING)
    client = staff("warmup.view_warmuptask")

    client.post(LIST, confirmed(name, task))

    task.refresh_from_db()
    assert task.status == TaskStatus.RUNNING
    assert task.stop_requested_at is None


@pytest.mark.parametrize("name", VERBS)
def test_action_asks_first_and_changes_nothing(boss: Client, name: str) -> None:
    tasks = [factories.task_in(status) for status in TaskStatus.values]
    before = list(WarmupTask.objects.order_by("pk").values_list("status", "stop_requested_at"))

    response = boss.post(LIST, choose(name, *tasks))

    assert response.status_code == 200
    page = response.content.decode()
    assert str(VERBS[name].consequence).replace("'", "&#x27;") in page
    assert "of 8 tasks" in page
    assert list(WarmupTask.objects.order_by("pk").values_list("status", "stop_requested_at")) == before


@pytest.mark.parametrize(
    ("name", "status", "message", "becomes"),
    [
        ("start", TaskStatus.PENDING, "Started: 1 task, 2 accounts.", TaskStatus.QUEUED),
        ("pause", TaskStatus.RUNNING, "Paused: 1 task, 2 accounts.", TaskStatus.PAUSED),
        ("resume", TaskStatus.PAUSED, "Resumed: 1 task, 2 accounts.", TaskStatus.QUEUED),
        ("stop", TaskStatus.QUEUED, "Stop requested: 1 task, 2 accounts.", TaskStatus.STOPPED),
        ("force_stop", TaskStatus.RUNNING, "Stopped by force: 1 task, 2 accounts.", TaskStatus.STOPPED),
        ("restart_failed", TaskStatus.PARTIAL, "Restarted: 1 task, 1 account.", TaskStatus.QUEUED),
        ("restart_all", TaskStatus.PARTIAL, "Restarted: 1 task, 2 accounts.", TaskStatus.QUEUED),
    ],
)
def test_action_once_confirmed_says_how_many(
    boss: Client, name: str, status: str, message: str, becomes: str
) -> None:
    task = factories.task_in(status)
    asked = boss.post(LIST, choose(name, task)).content.decode()

    response = boss.post(LIST, confirmed(name, task), follow=True)

    assert f"1 task, {message.rsplit(', ')[1][:-1]}" in asked  # the question said the same
    assert told(response) == [message]
    task.refresh_from_db()
    assert task.status == becomes


def test_action_that_some_tasks_refuse_goes_through_for_the_others(boss: Client) -> None:
    able = [factories.make_task(2), factories.make_task(1)]
    unable = factories.task_in(TaskStatus.COMPLETED)

    response = boss.post(LIST, confirmed("start", *able, unable), follow=True)

    assert told(response) == [
        "Started: 2 tasks, 3 accounts.",
        f"task '{unable}' is COMPLETED: only a PENDING task can be started",
    ]


def test_error_names_its_task_also_when_the_sentence_does_not(boss: Client) -> None:
    task = factories.task_in(TaskStatus.COMPLETED)

    response = boss.post(LIST, confirmed("pause", task), follow=True)

    (message,) = told(response)
    assert message.startswith(f"{task}: ")
    assert "COMPLETED" in message


def test_many_errors_are_cut_short(boss: Client) -> None:
    tasks = [factories.task_in(TaskStatus.COMPLETED) for _ in range(13)]

    response = boss.post(LIST, confirmed("start", *tasks), follow=True)

    assert len(told(response)) == 11
    assert told(response)[-1] == "... and 3 more."


def test_action_on_all_of_the_filtered_list_reaches_other_pages(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmup.admin.tasks.TaskAdmin.list_per_page", 2)
    site = factories.SiteFactory()
    mine = [factories.make_task(1, site=site) for _ in range(5)]
    other = factories.make_task(1)
    filtered = f"{LIST}?site__id__exact={site.pk}"
    asked = boss.post(filtered, choose("start", *mine[:2], select_across="1")).content.decode()
    assert "5 tasks, 5 accounts" in asked
    assert 'name="select_across" value="1"' in asked

    boss.post(filtered, confirmed("start", mine[0], select_across="1"))

    other.refresh_from_db()
    assert other.status == TaskStatus.PENDING
    assert set(WarmupTask.objects.filter(site=site).values_list("status", flat=True)) == {TaskStatus.QUEUED}


def test_action_without_csrf_token_is_refused(staff: StaffClient) -> None:
    task = factories.make_task()
    client = staff("warmup.change_warmuptask", csrf=True)

    response = client.post(LIST, confirmed("start", task))

    assert response.status_code == 403
    task.refresh_from_db()
    assert task.status == TaskStatus.PENDING


def test_get_with_an_actions_parameters_changes_nothing(boss: Client) -> None:
    task = factories.make_task()

    boss.get(LIST, confirmed("start", task))

    task.refresh_from_db()
    assert task.status == TaskStatus.PENDING


def test_task_can_be_neither_added_nor_edited(boss: Client) -> None:
    task = factories.make_task()

    assert boss.get(reverse("admin:warmup_warmuptask_add")).status_code == 403
    posted = boss.post(reverse("admin:warmup_warmuptask_change", args=[task.pk]), {"name": "other"})

    assert posted.status_code == 403
    task.refresh_from_db()
    assert task.name != "other"


def test_names_are_escaped(boss: Client) -> None:
    site = factories.SiteFactory(name="<img src=x onerror=alert(1)>")
    task = factories.make_task(1, site=site, name='"><script>alert(1)</script>')
    boss.post(LIST, confirmed("start", task))

    for url in (LIST, reverse("admin:warmup_warmuptask_change", args=[task.pk]), f"{BOARD}?ids={task.pk}"):
        page = page_of(boss, url)
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page
    refused = boss.post(LIST, confirmed("start", task), follow=True).content.decode()
    assert "&lt;script&gt;alert(1)" in refused
    assert "<script>alert(1)" not in refused
