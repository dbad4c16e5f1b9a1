"""The form of a schedule: what it takes, and what it shows before anything is saved."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.warmup.admin.conftest import told
from tests.warmup.admin.schedule_form import ADD, PREVIEW, answers, page_of, text_of
from tests.warmup.schedule_examples import end, make_schedule
from warmup.models import AuditEntry, WarmupSchedule

# ---- the form --------------------------------------------------------------------------------------


def test_add_makes_a_schedule_with_its_next_time_and_an_audit_row(boss: Client) -> None:
    response = boss.post(ADD, answers(), follow=True)

    schedule = WarmupSchedule.objects.get()
    assert (schedule.cron, schedule.time_zone, schedule.paused) == (
        "30 6 * * mon-fri",
        "Europe/Berlin",
        False,
    )
    assert schedule.next_slot_at is not None
    local = schedule.next_slot_at.astimezone(schedule.wall_clock())
    assert (local.hour, local.minute, schedule.next_slot_at > timezone.now()) == (6, 30, True)
    assert "was added successfully" in told(response)[0]
    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.verb, entry.object) == ("boss", "add", "morning")


def test_change_keeps_its_accounts_and_sets_its_next_time_anew(boss: Client) -> None:
    schedule = make_schedule(3)
    chosen = list(schedule.accounts.values_list("pk", flat=True))
    form = answers(
        name=schedule.name, site_row=schedule.site, all_accounts="", accounts=chosen[:2], cron="0 12 * * *"
    )

    boss.post(page_of(schedule), form)

    schedule.refresh_from_db()
    assert list(schedule.accounts.values_list("pk", flat=True)) == chosen[:2]
    assert schedule.next_slot_at is not None
    assert schedule.next_slot_at.astimezone(schedule.wall_clock()).hour == 12
    assert AuditEntry.objects.get(verb="change").object == schedule.name


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "a\u2028b"}, "name: must be one line without control characters"),
        ({"concurrency": 0}, "concurrency: must be at least 1"),
        ({"delay_min_seconds": 5}, "delay_seconds: min 5 is greater than max 0"),
        ({"cron": ""}, "cron: must be five fields"),
        ({"cron": "61 6 * * *"}, "cron: &#x27;61 6 * * *&#x27; is not a cron expression"),
        ({"cron": "0 0 30 2 *"}, "names a day that never comes"),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
        ({"rhythm": "interval"}, "How often?"),
        ({"rhythm": "interval", "interval_minutes": 0}, "greater than or equal to 1"),
        ({"rhythm": "interval", "interval_minutes": 10**9}, "less than or equal to 44640"),
        ({"all_accounts": ""}, "Choose accounts, or all accounts."),
        ({"jitter_minutes": 1441}, "less than or equal to 1440"),
        ({"catch_up_minutes": 1441}, "less than or equal to 1440"),
        ({"canary_percent": 0}, "greater than or equal to 1"),
        ({"canary_percent": 101}, "less than or equal to 100"),
        ({"playbook": 4711}, "Select a valid choice"),
    ],
)
def test_wrong_answer_stands_under_its_field(boss: Client, changes: dict[str, Any], fault: str) -> None:
    response = boss.post(ADD, answers(**changes))

    assert response.status_code == 200
    assert fault in response.content.decode()
    assert not WarmupSchedule.objects.exists()


def test_accounts_of_another_site_are_refused_by_name(boss: Client) -> None:
    stranger = factories.AccountFactory(username="stranger")

    response = boss.post(ADD, answers(all_accounts="", accounts=[stranger.pk]))

    assert re.search(r"Not accounts of site \w+: stranger\.", response.content.decode())


def test_playbook_must_fit_the_site(boss: Client) -> None:
    playbook = factories.make_playbook("other", [{"do": "open", "target": "nowhere"}])

    response = boss.post(ADD, answers(playbook=playbook.pk))

    assert "steps[0].target: site has no target &#x27;nowhere&#x27;" in response.content.decode()


def test_form_offers_the_newest_playbooks_and_the_one_it_has(boss: Client) -> None:
    schedule = make_schedule(1)
    newer = factories.make_playbook(steps=[{"do": "open", "target": "feed"}])

    added, changed = (boss.get(url).content.decode() for url in (ADD, page_of(schedule)))

    assert f">{newer}</option>" in re.sub(r"\s*(</?option[^>]*>)\s*", r"\1", added)
    assert str(schedule.playbook) not in re.findall(r"<option[^>]*>\s*([^<]*?)\s*<", added)
    assert {str(schedule.playbook), str(newer)} <= set(re.findall(r"<option[^>]*>\s*([^<]*?)\s*<", changed))


# ---- the preview -----------------------------------------------------------------------------------


@pytest.fixture
def march(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The day before summer time begins in Berlin."""
    now = datetime(2026, 3, 27, 12, 5, tzinfo=UTC)
    monkeypatch.setattr("warmup.admin.schedule_page.timezone.now", lambda: now)
    return now


def test_preview_shows_the_next_five_times_and_saves_nothing(boss: Client, march: datetime) -> None:
    response = boss.post(PREVIEW, answers(cron="30 2 * * *"))

    text = text_of(response)
    assert re.findall(r"\w{3} 2026-\d\d-\d\d \d\d:\d\d CES?T", text)[:5] == [
        "Sat 2026-03-28 02:30 CET",
        "Sun 2026-03-29 03:00 CEST",
        "Mon 2026-03-30 02:30 CEST",
        "Tue 2026-03-31 02:30 CEST",
        "Wed 2026-04-01 02:30 CEST",
    ]
    assert not WarmupSchedule.objects.exists()


def test_preview_shows_the_load_against_the_capacity(boss: Client, march: datetime, settings: Any) -> None:
    settings.QCLUSTER_WORKERS, settings.WARMUP_CONTEXTS_PER_WORKER = 2, 4
    form = answers(rhythm="interval", interval_minutes=360, cron="", canary_accounts=1)

    text = text_of(boss.post(PREVIEW, form))

    assert "At each time 3 accounts, at most 2 at once. The first one is the canary." in text
    assert "(by the playbook: no run of it has completed yet)." in text
    assert "Capacity: 2 workers with 4 accounts each, 8 at once." in text
    assert len(re.findall(r"\d\d:00 CES?T 3 2?", text)) == 4  # four hours in which three begin
    assert "would run at once" not in text


def test_preview_warns_of_more_than_the_workers_take(boss: Client, march: datetime, settings: Any) -> None:
    settings.QCLUSTER_WORKERS, settings.WARMUP_CONTEXTS_PER_WORKER = 1, 3
    site = factories.SiteFactory()
    make_schedule(0, site=site, all_accounts=True, rhythm="interval", interval_minutes=360, cron="")
    factories.AccountFactory.create_batch(4, site=site)

    response = boss.post(PREVIEW, answers(rhythm="interval", interval_minutes=360, cron="", concurrency=2))

    assert re.search(
        r"From Fri 2026-03-27 19:00 CET on, [56](\.\d)? accounts would run at once, and the workers take 3",
        text_of(response),
    )
    assert "wu-load-over" in response.content.decode()


def test_preview_warns_of_times_that_would_be_skipped(boss: Client, march: datetime) -> None:
    playbook = factories.make_playbook("slow", [{"do": "watch", "seconds": 600}])

    text = text_of(
        boss.post(PREVIEW, answers(playbook=playbook.pk, rhythm="interval", interval_minutes=5, cron=""))
    )

    assert re.search(r"Of 28[78] times, 2\d\d would be skipped", text)


def test_preview_says_how_long_runs_took(boss: Client) -> None:
    task = factories.started_task(3)
    end(task, completed=3)
    now = timezone.now()
    task.runs.update(started_at=now - timedelta(seconds=100), completed_at=now)

    text = text_of(boss.post(PREVIEW, answers()))

    assert "A run takes about 1 min 40 s" in text
    assert "(the mean of the last 3 completed runs)." in text


def test_preview_of_half_a_form_shows_what_can_be_known(boss: Client) -> None:
    text = text_of(
        boss.post(PREVIEW, {"rhythm": "cron", "cron": "0 9 * * *", "time_zone": "UTC", "jitter_minutes": 0})
    )

    assert text.count(" 09:00 UTC") == 5
    assert "Choose a site, a playbook that fits it and accounts" in text


def test_preview_of_a_wrong_time_says_what_is_wrong(boss: Client) -> None:
    text = text_of(boss.post(PREVIEW, answers(cron="61 * * * *")))

    assert "is not a cron expression" in text
    assert "next five times" not in text


def test_preview_of_a_saved_schedule_is_asked_for_without_itself_among_the_others(
    boss: Client, settings: Any, django_assert_max_num_queries: Any
) -> None:
    settings.QCLUSTER_WORKERS, settings.WARMUP_CONTEXTS_PER_WORKER = 1, 3
    site = factories.SiteFactory()
    form = answers(site_row=site, rhythm="interval", interval_minutes=360, cron="", concurrency=3)
    boss.post(ADD, form)
    schedule = WarmupSchedule.objects.get()
    make_schedule(1, playbook=factories.make_playbook("other"))

    with django_assert_max_num_queries(15):
        page = boss.get(page_of(schedule)).content.decode()
    with django_assert_max_num_queries(30):  # half of them are Django's, who checks the form's constraints
        preview = boss.post(f"{PREVIEW}?schedule={schedule.pk}", form).content.decode()

    assert page.count("<li><time") == 5
    assert f'hx-post="{PREVIEW}?schedule={schedule.pk}"' in page
    assert preview.count("<li><time") == 5
    assert "wu-load-peak" in preview
    assert "wu-load-over" not in preview


def test_preview_by_get_is_not_allowed(boss: Client) -> None:
    assert boss.get(PREVIEW).status_code == 405
