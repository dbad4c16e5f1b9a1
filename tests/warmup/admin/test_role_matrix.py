"""Role x URL x method x object, over every URL that the resolver has.

Whoever adds a page or an action says in `role_table` who may what; until then the first tests fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from tests.warmup.admin.conftest import confirmed
from tests.warmup.admin.role_table import ACTIONS, MODELS, PAGES, ROLES, STAFF, Role, may
from tests.warmup.admin.role_world import Target, World, tables
from tests.warmup.admin.url_walk import Url, every_url, path_of
from warmup.models import Artifact, AuditEntry
from warmup.roles import ADMIN, OPERATOR, VIEWER

# Some thousand requests; on a busy machine they take their time.
pytestmark = pytest.mark.timeout(600)

NEEDS = {"changelist": "s", "history": "s", "change": "s", "add": "a", "delete": "d"}
POSTS = {"change": "c", "add": "a", "delete": "d"}
REFUSED = "refused"


@pytest.fixture
def world(db: None) -> World:
    return World()


@dataclass(frozen=True)
class Expected:
    """What a request is answered with, and whether it changes anything."""

    status: int
    changes: bool = False
    records: bool = False


# ---- nothing is forgotten ---------------------------------------------------------------------------


def test_every_url_has_an_expectation() -> None:
    unknown = [f"{url.name} ({url.route})" for url in every_url() if not _has_expectation(url)]

    assert not unknown, "say in role_table.py who may what"


def test_every_url_has_an_object(world: World) -> None:
    without = [url.name for url in every_url() if not world.targets(url)]

    assert not without


def test_every_action_has_an_expectation(world: World) -> None:
    request = _request(world.boss)
    unknown = [
        f"{model._meta.label}: {name}"
        for model, page in admin.site._registry.items()
        for name in page.get_actions(request)
        if name != "delete_selected" and name not in ACTIONS.get(model._meta.label, {})
    ]

    assert not unknown, "say in role_table.py who may what"


def test_groups_are_those_of_the_table() -> None:
    assert [role.title() for role in STAFF] == [VIEWER, OPERATOR, ADMIN]


# ---- who may what -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_each_url_answers_each_role_as_the_table_says(world: World, role: Role, method: str) -> None:
    visitor = Visitor(world, role)
    faults = [
        f"{role} {method} {path_of(url, target.values)} ({url.name}): {fault}"
        for url in every_url()
        for target in (world.targets(url) if _has_expectation(url) else [])
        for fault in visitor.faults(url, target, method)
    ]

    assert not faults, "\n".join(faults)
    assert visitor.asked >= 130


@pytest.mark.parametrize("role", ROLES)
def test_each_action_obeys_each_role_as_the_table_says(world: World, role: Role) -> None:
    visitor = Visitor(world, role)
    faults = []
    for model, page in admin.site._registry.items():
        label = model._meta.label
        for name in page.get_actions(_request(world.boss)):
            if not _is_in_table(label, name):
                continue
            found = visitor.action_faults(label, page, name)
            faults += [f"{role} {label} {name}: {fault}" for fault in found]

    assert not faults, "\n".join(faults)


def test_no_post_without_a_csrf_token_gets_through(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.boss)
    before = tables()

    through = [
        f"{path_of(url, target.values)} ({url.name})"
        for url in every_url()
        for target in world.targets(url)[:1]
        if client.post(path_of(url, target.values), target.data).status_code != 403
    ]

    assert not through
    assert tables() == before


# ---- one request ------------------------------------------------------------------------------------


class Visitor:
    """A person of a role, whose every request is undone again."""

    def __init__(self, world: World, role: Role) -> None:
        self.world = world
        self.role = role
        self.user = None if role == "anonymous" else world.people[role]
        self.client = Client()
        if self.user:
            self.client.force_login(self.user)
        self.cookies = self.client.cookies.output(header="", sep=";")
        self.secrets = world.secrets()
        self.before = tables()
        self.asked = 0

    def faults(self, url: Url, target: Target, method: str) -> list[str]:
        """What is wrong with the answer: its status, what it changed, what is recorded, what it shows."""
        wanted = expected(self.role, url, target, method)
        answer = self._ask(path_of(url, target.values) + target.query, method, target.data)
        refused = self.role != "anonymous" and method == "POST" and wanted.status == 403
        faults = [
            f"{answer.status} instead of {wanted.status}" if answer.status != wanted.status else "",
            answer.wrong_change(wanted.changes),
            answer.wrong_entries(acted=wanted.changes or wanted.records, refused=refused),
            "shows a secret" if answer.leaks and not _is_file_of_theirs(self.role, url, target) else "",
        ]
        return [fault for fault in faults if fault]

    def action_faults(self, label: str, page: Any, name: str) -> list[str]:
        """What is wrong with what an action did."""
        rows, answers = self.world.chosen(label, name)
        path = reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")
        deletes = name == "delete_selected"
        allowed = may(self.role, label, "d") if deletes else self.role in ACTIONS[label][name]
        answer = self._ask(path, "POST", confirmed(name, *rows, **answers))
        refused = answer.status == 403 and self.role != "anonymous"  # else the action is just not there
        faults = [
            answer.wrong_change(allowed),
            answer.wrong_entries(acted=allowed, refused=refused),
            "shows a secret" if answer.leaks else "",
        ]
        return [fault for fault in faults if fault]

    def _ask(self, path: str, method: str, data: Any) -> Answer:
        self.asked += 1
        last = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        with transaction.atomic():
            response = self.client.post(path, data) if method == "POST" else self.client.get(path)
            after = tables()
            theirs = AuditEntry.objects.filter(pk__gt=last, actor=self.user).order_by("pk")
            entries = list(theirs.values_list("verb", "kind", "object"))
            transaction.set_rollback(True)
        self.client.cookies = SimpleCookie(self.cookies)
        text = response.content.decode("utf-8", "replace") + str(response.headers)
        return Answer(
            response.status_code,
            changed=[name for name, rows in after.items() if rows != self.before[name]],
            entries=entries,
            leaks=any(secret in text for secret in self.secrets),
        )


@dataclass(frozen=True)
class Answer:
    """What came of one request."""

    status: int
    changed: list[str]  # names of tables
    entries: list[tuple[str, str, str]]  # of the audit: verb, kind, object
    leaks: bool

    def wrong_change(self, wanted: bool) -> str:
        if bool(self.changed) == wanted:
            return ""
        return f"changed {self.changed}" if self.changed else "nothing was changed"

    def wrong_entries(self, *, acted: bool, refused: bool) -> str:
        """A refusal leaves one entry, a change one for each object, everything else none."""
        verbs = [verb for verb, _kind, _object in self.entries]
        objects = [(kind, name) for _verb, kind, name in self.entries]
        if acted:
            right = bool(verbs) and REFUSED not in verbs and len(set(objects)) == len(objects)
        else:
            right = verbs == ([REFUSED] if refused else [])
        return "" if right else f"recorded {self.entries}"


def expected(role: Role, url: Url, target: Target, method: str) -> Expected:
    """What the table says."""
    if url.model is not None:
        return _expected_of_model(role, url, target, method)
    page = PAGES[url.name]
    is_post = method == "POST"
    if role == "anonymous":
        return Expected(page.anonymous_post if is_post else page.anonymous)
    if target.values.get("app_label") == "auth" and role != "admin":
        return Expected(404)  # nothing of it is theirs
    status = page.post if is_post else page.get
    answered = role in (page.post_by if is_post else page.get_by)
    if status != 405 and _is_out_of_reach(role, target):
        answered = False
    if not answered:
        return Expected(403)
    return Expected(status, changes=is_post and role in page.changes, records=is_post and page.records)


def _expected_of_model(role: Role, url: Url, target: Target, method: str) -> Expected:
    assert url.model is not None
    label, page = url.model._meta.label, url.page
    if role == "anonymous" or page == "redirect":
        return Expected(302)
    writes = method == "POST" and page in POSTS
    letter = POSTS[page] if writes else NEEDS[page]
    if not may(role, label, letter) or ((writes or page == "delete") and _is_superuser(target)):
        return Expected(403)
    if _is_hidden(role, target) and page in {"change", "history"}:
        return Expected(302)  # to the index: for them it is not there
    return Expected(302 if writes else 200, changes=writes)


def _has_expectation(url: Url) -> bool:
    return url.model._meta.label in MODELS if url.model else url.name in PAGES


def _is_in_table(label: str, action: str) -> bool:
    """Whether some role has the action; one that nobody wrote down fails a test of its own."""
    if action == "delete_selected":
        return "d" in MODELS.get(label, ("", "", ""))[2]
    return action in ACTIONS.get(label, {})


def _is_superuser(target: Target) -> bool:
    return isinstance(target.row, User) and target.row.is_superuser


def _is_out_of_reach(role: Role, target: Target) -> bool:
    """Rows with a stricter rule than their page."""
    return _is_hidden(role, target) or _is_superuser(target)


def _is_hidden(role: Role, target: Target) -> bool:
    """What may hold secrets is for admins."""
    is_open = not isinstance(target.row, Artifact) or target.row.kind == Artifact.Kind.SCREENSHOT
    return role != "admin" and not is_open


def _is_file_of_theirs(role: Role, url: Url, target: Target) -> bool:
    """An artifact's file is what it is: those who may see it see what it holds."""
    return url.name == "admin:warmup_artifact_file" and not _is_out_of_reach(role, target)


def _request(user: User) -> Any:
    request = RequestFactory().get("/")
    request.user = user
    return request
