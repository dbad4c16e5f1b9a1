"""Schedules in the admin: the list, the page, the verbs, and who may what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.models import Account
from tests.warmup.admin.conftest import StaffClient, choose, confirmed, told
from tests.warmup.admin.schedule_form import ADD, LIST, PREVIEW, answers, page_of, text_of, verb_url
from tests.warmup.schedule_examples import end, last, make_schedule
from warmup import schedules, store
from warmup.models import AuditEntry, ScheduleFiring, WarmupSchedule, WarmupTask

OPERATOR = ("warmup.add_warmupschedule", "warmup.change_warmupschedule", "warmup.view_warmupschedule")


# ---- the list and the page -------------------------------------------------------------------------


def test_list_shows_the_next_time_and_the_last_result_in_few_queries(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        schedules.run_now(make_schedule(1), by=None)
    schedules.pause(WarmupSchedule.objects.order_by("name")[0], by=None)

    with django_assert_max_num_queries(12):
        page = boss.get(LIST).content.decode()

    assert page.count("Started") >= 12
    assert page.count("Paused") >= 1
    for task in WarmupTask.objects.all():
        assert reverse("admin:warmup_warmuptask_change", args=[task.pk]) in page


def test_slot_that_no_worker_looks_at_is_marked(boss: Client) -> None:
    late, fresh = make_schedule(1), make_schedule(1)
    for schedule, minutes in ((late, 3), (fresh, 1)):
        due = timezone.now() - timedelta(minutes=minutes)
        WarmupSchedule.objects.filter(pk=schedule.pk).update(next_slot_at=due)

    assert "no worker looks" in text_of(boss.get(page_of(late)))
    assert "no worker looks" not in text_of(boss.get(page_of(fresh)))
    assert text_of(boss.get(LIST)).count("no worker looks") == 1


def test_page_says_why_the_others_were_held(boss: Client) -> None:
    schedule = make_schedule(4, canary_accounts=2)
    schedules.run_now(schedule, by=None)
    end(last(schedule).canary, completed=1, failed=1)
    schedules.fire_due()

    text = text_of(boss.get(page_of(schedule)))

    assert "Others held" in text
    assert "canary: 1 of 2 accounts completed, 80 % are asked for: the others were not started" in text
    assert "(by hand)" in text.replace("( ", "(").replace(" )", ")")


def test_firings_have_a_list_and_a_page(boss: Client) -> None:
    firing = schedules.run_now(make_schedule(1, name="morning"), by=None)

    listed = boss.get(reverse("admin:warmup_schedulefiring_changelist")).content.decode()
    page = boss.get(reverse("admin:warmup_schedulefiring_change", args=[firing.pk]))

    assert "morning" in listed
    assert page.status_code == 200
    assert boss.get(reverse("admin:warmup_schedulefiring_add")).status_code == 403


def test_page_of_a_schedule_that_nobody_understands_opens(boss: Client) -> None:
    schedule = make_schedule(1)
    WarmupSchedule.objects.update(time_zone="Mars/Olympus")

    text = text_of(boss.get(page_of(schedule)))

    assert "there is no time zone" in text
    assert boss.get(LIST).status_code == 200


def test_deletion_counts_the_firings_and_keeps_the_tasks(boss: Client) -> None:
    schedule = make_schedule(1)
    schedules.run_now(schedule, by=None)
    url = reverse("admin:warmup_warmupschedule_delete", args=[schedule.pk])
    assert "firings" in text_of(boss.get(url)).lower()

    boss.post(url, {"post": "yes"})

    assert (WarmupSchedule.objects.count(), ScheduleFiring.objects.count(), WarmupTask.objects.count()) == (
        0,
        0,
        1,
    )
    assert AuditEntry.objects.filter(verb="delete", object=schedule.name).count() == 1


# ---- verbs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["pause", "resume", "run_now"])
def test_verb_asks_first_and_a_get_changes_nothing(boss: Client, verb: str) -> None:
    schedule = make_schedule(1)
    if verb == "resume":
        schedules.pause(schedule, by=None)
    before = (WarmupSchedule.objects.get().paused, AuditEntry.objects.count())

    page = boss.get(verb_url(schedule, verb))
    dialog = boss.get(verb_url(schedule, verb), headers={"HX-Request": "true"})

    assert schedule.name in page.content.decode()
    assert 'id="dialog"' in dialog.content.decode()
    assert (WarmupSchedule.objects.get().paused, AuditEntry.objects.count()) == before


def test_verbs_do_and_are_audited(boss: Client) -> None:
    schedule = make_schedule(1)

    for verb in ("pause", "resume", "run_now"):
        response = boss.post(verb_url(schedule, verb))
        assert response["Location"] == page_of(schedule)

    assert WarmupTask.objects.get().created_by.username == "boss"  # type: ignore[union-attr]
    entries = AuditEntry.objects.order_by("pk").values_list("actor_name", "verb")
    assert list(entries) == [("boss", "pause"), ("boss", "resume"), ("boss", "start"), ("boss", "run now")]


def test_verb_by_htmx_has_the_page_follow(boss: Client) -> None:
    schedule = make_schedule(1)

    response = boss.post(verb_url(schedule, "pause"), headers={"HX-Request": "true"})

    assert response["HX-Redirect"] == page_of(schedule)


def test_verb_that_does_not_apply_says_why(boss: Client) -> None:
    schedule = make_schedule(1)
    schedules.run_now(schedule, by=None)

    response = boss.post(verb_url(schedule, "run_now"), follow=True)

    assert "has not ended" in told(response)[0]
    assert WarmupTask.objects.count() == 1


def test_unknown_verb_or_schedule_changes_nothing(boss: Client) -> None:
    schedule = make_schedule(1)

    assert boss.post(verb_url(schedule, "explode")).status_code == 302
    assert boss.post(reverse("admin:warmup_warmupschedule_verb", args=[4711, "pause"])).status_code == 302
    assert not WarmupSchedule.objects.get().paused


def test_chosen_schedules_are_paused_after_a_question(boss: Client) -> None:
    one, two = make_schedule(1), make_schedule(1)
    schedules.pause(two, by=None)

    asked = boss.post(LIST, choose("pause", one, two)).content.decode()
    assert one.name in asked
    assert "This does not apply" in asked
    assert not WarmupSchedule.objects.get(pk=one.pk).paused
    response = boss.post(LIST, confirmed("pause", one, two), follow=True)

    assert WarmupSchedule.objects.get(pk=one.pk).paused
    assert told(response) == [f"schedule '{two}' is paused already", f"Paused: {one}."]


# ---- who may what ----------------------------------------------------------------------------------


def test_viewer_sees_and_changes_nothing(staff: StaffClient) -> None:
    schedule = make_schedule(1)
    viewer = staff("warmup.view_warmupschedule")

    page = viewer.get(page_of(schedule)).content.decode()
    assert schedule.name in page
    assert page.count("<li><time") == 5
    assert "Capacity:" in page
    assert "hx-post" not in page
    assert "control-pause" not in page
    assert 'value="pause"' not in viewer.get(LIST).content.decode()
    viewer.post(LIST, confirmed("pause", schedule))
    for verb in ("pause", "run_now"):
        assert viewer.get(verb_url(schedule, verb)).status_code == 403
        assert viewer.post(verb_url(schedule, verb)).status_code == 403
    assert viewer.post(PREVIEW, answers()).status_code == 403
    assert viewer.post(f"{PREVIEW}?schedule={schedule.pk}", answers()).status_code == 403
    assert viewer.post(ADD, answers()).status_code == 403
    assert not WarmupSchedule.objects.get().paused


def test_operator_adds_changes_and_asks_for_verbs_but_does_not_delete(staff: StaffClient) -> None:
    operator = staff(*OPERATOR)

    operator.post(ADD, answers())
    schedule = WarmupSchedule.objects.get()

    assert operator.post(PREVIEW, answers()).status_code == 200
    assert operator.post(f"{PREVIEW}?schedule={schedule.pk}", answers()).status_code == 200
    assert operator.post(verb_url(schedule, "pause")).status_code == 302
    assert WarmupSchedule.objects.get().paused
    delete = reverse("admin:warmup_warmupschedule_delete", args=[schedule.pk])
    assert operator.post(delete, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("verb", ["pause", "run_now"])
def test_verb_without_csrf_token_is_refused(staff: StaffClient, verb: str) -> None:
    schedule = make_schedule(1)

    assert staff(*OPERATOR, csrf=True).post(verb_url(schedule, verb)).status_code == 403
    assert not WarmupSchedule.objects.get().paused


def test_pages_have_no_inline_scripts_or_styles_of_ours(boss: Client) -> None:
    schedule = make_schedule(1)
    page = boss.get(page_of(schedule)).content.decode()
    ours = page[
        page.index('id="schedule-ahead"') : page.index("</section>", page.index('id="schedule-firings"'))
    ]

    assert "<script" not in ours
    assert "style=" not in ours
    assert " onclick=" not in ours


def test_account_that_is_in_a_schedule_can_be_deleted(boss: Client) -> None:
    schedule = make_schedule(2)
    account = schedule.accounts.first()
    assert account is not None

    boss.post(reverse("admin:core_account_delete", args=[account.pk]), {"post": "yes"})

    assert Account.objects.count() == 1
    assert schedule.accounts.count() == 1
    assert store.database_now() > schedule.created_at
