"""Real rows for the matrix of roles: one of everything, with canaries in every place for a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from axes.models import AccessAttempt, AccessLog
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.models import Proxy, SessionState, Site
from core.secrets import SealedField
from tests import factories
from tests.warmup.admin.role_table import ROLES, Role
from tests.warmup.admin.schedule_form import answers as schedule_answers
from tests.warmup.admin.url_walk import Url
from tests.warmup.schedule_examples import make_schedule
from warmup import schedules, store
from warmup.models import (
    Artifact,
    AuditEntry,
    ClusterPulse,
    DailyCount,
    LogLine,
    Playbook,
    StepRecord,
    WarmupAccount,
    WarmupTask,
)
from warmup.plan import PlanStep
from warmup.types import Evidence, Outcome

PASSWORD = "correct horse battery"
CANARY = "c4nary"
COOKIE = {"name": "sid", "value": f"{CANARY}-cookie", "domain": "site.test", "path": "/"}
SECRET_STEP = {"do": "type", "target": "card", "text": f"{CANARY}-text", "secret": True}
# A log-in and a page's own writes are no changes by a person, and the audit is looked at by itself.
UNCOUNTED = {"django_session", "axes_accesslog", AuditEntry._meta.db_table}
# Models whose rows have rules of their own.
DIFFERENT = {"auth.User", "warmup.Artifact"}
# The status of a task in which each verb applies.
VERB_NEEDS = {
    "start": "PENDING",
    "pause": "QUEUED",
    "resume": "PAUSED",
    "stop": "QUEUED",
    "force_stop": "QUEUED",
    "restart_failed": "FAILED",
    "restart_all": "COMPLETED",
}
SCHEDULE_NEEDS = {"pause": "active", "resume": "paused", "run_now": "active"}


@dataclass(frozen=True)
class Target:
    """What a URL is asked about: values for its parameters, and what a POST to it sends."""

    values: Mapping[str, object] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)
    query: str = ""
    row: Model | None = None


class World:
    """The rows, and the people."""

    def __init__(self) -> None:
        self.people = {role: _person(role) for role in ROLES if role != "anonymous"}
        self.boss = User.objects.create_superuser("boss", password=PASSWORD)
        self.site = factories.SiteFactory(slug="used")
        self.account = factories.AccountFactory(site=self.site, password=f"{CANARY}-password")
        self.proxy = self._proxy()
        for _ in range(2):
            SessionState.save_version(self.account.pk, {"cookies": [COOKIE], "origins": []})
        self.tasks = {status: factories.task_in(status) for status in set(VERB_NEEDS.values())}
        self.schedules = {name: make_schedule(1, name=name) for name in ("active", "paused", "fired")}
        schedules.pause(self.schedules["paused"], by=None)
        schedules.run_now(self.schedules["fired"], by=None)
        self.parked = factories.run_in("PARKED")
        self.doubt = _in_doubt()
        self.free = self._free_rows()
        factories.make_playbook("secretive", [SECRET_STEP])
        self.uploaded = self._upload()
        _records(self.parked)
        _queue()

    def _upload(self) -> dict[str, object]:
        """What the preview of an import posts back."""
        content = f"site,username,password\n{self.site.slug},imported,{CANARY}-file\n".encode()
        file = SimpleUploadedFile("people.csv", content)
        url = reverse("admin:core_account_import")
        page = self.as_boss().post(url, {"import_file": file, "format": "0", "resource": "0"})
        form: dict[str, object] = page.context["confirm_form"].initial
        return form

    def as_boss(self) -> Client:
        client = Client()
        client.force_login(self.boss)
        return client

    def _proxy(self) -> Proxy:
        secret = {"username": f"{CANARY}-name", "password": f"{CANARY}-proxy"}
        data = {"name": "office", "server": "http://10.0.0.1:3128", **secret}
        assert self.as_boss().post(reverse("admin:core_proxy_add"), data).status_code == 302
        return Proxy.objects.get()

    def _free_rows(self) -> dict[str, Model]:
        """Rows that may be deleted: nothing uses them."""
        return {
            "core.Site": factories.SiteFactory(slug="free"),
            "core.Proxy": Proxy.objects.create(name="free", server="http://10.0.0.2:3128"),
            "core.Account": factories.AccountFactory(site=self.site, password=f"{CANARY}-second"),
            "warmup.Playbook": factories.make_playbook("free"),
            "warmup.WarmupTask": self.tasks["PENDING"],
            "warmup.WarmupSchedule": self.schedules["paused"],
            "auth.User": User.objects.create_user("free", password=f"{CANARY}-user"),
            "auth.Group": Group.objects.create(name="Free"),
            "axes.AccessAttempt": AccessAttempt.objects.create(
                username="anna", ip_address="192.0.2.1", failures_since_start=5
            ),
        }

    # ---- what the pages are asked about ----

    def targets(self, url: Url) -> list[Target]:
        """The objects for a URL; none for one that this world does not know."""
        if url.model is not None:
            return self._model_targets(url.model, url.page)
        return self._others.get(url.name, [])

    def _model_targets(self, model: type[Model], page: str) -> list[Target]:
        label = model._meta.label
        if page in {"changelist", "add"}:
            return [Target(data=self._form(label, None) if page == "add" else {})]
        rows: list[Model] = list(model._default_manager.order_by("pk"))
        if label not in DIFFERENT:
            rows = rows[:1] + rows[1:][-1:]  # of rows that are alike, the first and the last
        if page == "delete" and label in self.free:
            rows = [self.free[label], *([self.boss] if model is User else [])]
        return [Target({"object_id": row.pk}, self._data(label, page, row), row=row) for row in rows]

    def _data(self, label: str, page: str, row: Model) -> dict[str, object]:
        if page == "delete":
            return {"post": "yes"}
        return self._form(label, row) if page == "change" else {}

    def _form(self, label: str, row: Model | None) -> dict[str, object]:
        """What the form of a row is filled with; for a row that exists, with something changed."""
        if label == "auth.User" and row is None:
            secret = "another horse battery"
            return {"username": "new", "password1": secret, "password2": secret, "usable_password": "true"}
        forms: dict[str, dict[str, object]] = {
            "core.Site": _site_form(row),
            "core.Proxy": {"name": f"new{row.pk if row else ''}", "server": "http://10.0.0.9:3128"},
            "core.Account": {
                "site": self.site.pk,
                "username": f"new{row.pk if row else ''}",
                "enabled": "on",
                "password": "typed",
            },
            "warmup.WarmupSchedule": schedule_answers(
                name=f"new{row.pk if row else ''}", site_row=getattr(row, "site", self.site)
            ),
            "warmup.Playbook": {"name": "new", "steps": json.dumps(factories.STEPS)},
            "auth.User": {
                "username": f"new{row.pk if row else ''}",
                "is_active": "on",
                "date_joined_0": "2030-01-01",
                "date_joined_1": "00:00:00",
            },
        }
        return forms.get(label, {"name": "new"})

    @cached_property
    def _others(self) -> dict[str, list[Target]]:
        content_type = ContentType.objects.get_for_model(Site).pk
        new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
        own = [Target(data={"old_password": PASSWORD, **new})]
        failed = self.tasks["FAILED"]
        return {
            "home": [Target()],
            "own_password": own,
            "admin:password_change": own,
            "admin:search": [Target(query="?s=o")],
            "admin:view_on_site": [Target({"content_type_id": content_type, "object_id": self.site.pk})],
            "admin:app_list": [Target({"app_label": app}) for app in ("core", "warmup", "django_q", "auth")],
            "admin:admin/(?P<url>.*)$": [Target({"url": "nonsense"})],
            "admin:core_account_import": [Target(data={"format": "0", "resource": "0"})],
            "admin:core_account_process_import": [Target(data=self.uploaded)],
            "admin:core_account_export": [Target(data={"format": "0", "resource": "0"})],
            "admin:core_sessionstate_roll_back": _each("version_id", self.account.states.order_by("pk")[:1]),
            "admin:warmup_warmupschedule_preview": [Target(data=self._form("warmup.WarmupSchedule", None))],
            "admin:warmup_warmupschedule_verb": [
                Target({"schedule_id": self.schedules[state].pk, "name": verb})
                for verb, state in SCHEDULE_NEEDS.items()
            ],
            "admin:warmup_artifact_file": [
                Target({"name": row.pk}, row=row) for row in Artifact.objects.all()
            ],
            "admin:warmup_warmuptask_board": [Target(query=f"?ids={self.tasks['QUEUED'].pk}")],
            "admin:warmup_warmuptask_live": _each("task_id", self.tasks.values()),
            "admin:warmup_warmuptask_verb": [
                Target({"task_id": self.tasks[status].pk, "name": verb})
                for verb, status in VERB_NEEDS.items()
            ],
            "admin:warmup_warmuptask_restart_cluster": _cluster(failed),
            "admin:warmup_warmupaccount_live": _each("run_id", [self.parked, self.doubt]),
            "admin:warmup_warmupaccount_settle": [Target({"run_id": self.doubt.pk}, {"happened": "yes"})],
            "admin:warmup_warmupaccount_solved": _each("run_id", [self.parked]),
            "admin:auth_user_password_change": [
                Target(
                    {"id": user.pk},
                    {
                        "password1": "another horse battery",
                        "password2": "another horse battery",
                        "usable_password": "true",
                    },
                    row=user,
                )
                for user in (self.free["auth.User"], self.boss)
            ],
        } | {
            f"admin:{name}": [Target()]
            for name in (
                "index",
                "login",
                "logout",
                "password_change_done",
                "autocomplete",
                "jsi18n",
            )
        }

    def chosen(self, label: str, action: str) -> tuple[list[Model], dict[str, str]]:
        """The rows that an action of a list is tried on, and what its question is answered with."""
        if action in {"delete_selected", "delete_chosen"}:
            return [self.free[label]], {"post": "yes"}
        if action == "assign_proxy":
            return [self.account], {"proxy": str(self.proxy.pk)}
        if action == "warm_up":
            answers = {
                "playbook": Playbook.objects.get(name="browse").pk,
                "name": "evening",
                "concurrency": 3,
                "delay_min_seconds": 0,
                "delay_max_seconds": 0,
                "seed": 7,
            }
            return [self.account], {f"task-{name}": str(value) for name, value in answers.items()}
        if label == "warmup.WarmupSchedule":
            return [self.schedules[SCHEDULE_NEEDS[action]]], {}
        return [self.tasks[VERB_NEEDS[action]]], {}

    # ---- what must not be seen, and what must not change ----

    def secrets(self) -> list[str]:
        """What no answer may hold: canaries, what is stored of them, and keys."""
        sealed = []
        for model, name in sealed_columns():
            values = list(model._default_manager.values_list(name, flat=True))
            assert values, f"{model._meta.label} has no row with a canary in {name}"
            sealed += [bytes(value).decode("latin-1")[10:60] for value in values]
        hashes = [user.password for user in User.objects.exclude(password="")]
        return [CANARY, *sealed, *hashes, settings.SECRET_KEY, *settings.FIELD_KEYS]


def sealed_columns() -> list[tuple[type[Model], str]]:
    """Every column of secrets that there is."""
    return [
        (model, column.name)
        for model in apps.get_models()
        for column in model._meta.fields
        if isinstance(column, SealedField)
    ]


def tables() -> dict[str, list[Any]]:
    """All rows of all tables, to compare."""
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(set(connection.introspection.table_names(cursor)) - UNCOUNTED):
            cursor.execute(f'SELECT * FROM "{table}"')
            found[table] = sorted(map(repr, cursor.fetchall()))
    return found


def _each(parameter: str, rows: Any) -> list[Target]:
    return [Target({parameter: row.pk}) for row in rows]


def _person(role: Role) -> User:
    user = User.objects.create_user(role, password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role.title()))
    return user


def _in_doubt() -> WarmupAccount:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    step = PlanStep(index=0, place="steps[0]", do="click", label="click <like>", effect="once")
    assert store.record_intent(spec.lease, 1, step) == "go"
    assert store.finish(spec.lease, Outcome("PARKED", reason="in_doubt"))
    return task.runs.get()


def _records(run: WarmupAccount) -> None:
    """One row of each kind of record; the artifacts' files hold a canary."""
    now = timezone.now()
    (spec,) = factories.claim(run.task)
    for kind in ("screenshot", "html"):
        evidence = Evidence(spec.lease, 1, 0, kind, "end", f"{CANARY}-{kind}".encode())
        assert store.save_evidence(evidence)
    StepRecord.objects.create(
        run=run, attempt=1, index=0, do="scroll", label="scroll", result="DONE", started_at=now
    )
    LogLine.objects.create(task=run.task, run=run, at=now, level="INFO", event="seen")
    DailyCount.objects.create(account=run.account, day="2030-01-01", name="like", used=1)
    ClusterPulse.objects.create(name="host", beat_at=now)
    AccessLog.objects.create(username="anna", ip_address="192.0.2.1", path_info="/admin/login/")


def _queue() -> None:
    now = timezone.now()
    for name, success in (("good", True), ("bad", False)):
        apps.get_model("django_q", "Task").objects.create(
            id=name, name=name, func="warmup.jobs.run_slice", started=now, stopped=now, success=success
        )
    apps.get_model("django_q", "OrmQ").objects.create(key="warmup", payload="x", lock=now)
    apps.get_model("django_q", "Schedule").objects.create(name="reconcile", func="warmup.jobs.reconcile")


def _cluster(task: WarmupTask) -> list[Target]:
    from warmup.failures import clusters

    return [Target({"task_id": task.pk, "key": cluster.key}) for cluster in clusters(task)]


def _site_form(row: Model | None) -> dict[str, object]:
    documents = {
        "allowed_hosts": ["site.test"],
        "targets": {"feed": {"path": "/feed"}},
        "challenges": [],
        "daily_limits": {"like": 20},
    }
    slug = row.slug if isinstance(row, Site) else "new"
    return {
        "name": "New",
        "slug": slug,
        "base_url": "http://site.test",
        "concurrency": "8",
        **{name: json.dumps(value) for name, value in documents.items()},
    }
