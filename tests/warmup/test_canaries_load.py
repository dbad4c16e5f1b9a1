"""Secrets in files that come in, with faults beside them, and files that go out: none is shown."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from core.models import AccountSecret
from tests.warmup import canaries
from tests.warmup.canaries import PASSWORD, STATE, hits
from warmup import loading

pytestmark = pytest.mark.django_db(transaction=True)

STEPS: list[dict[str, Any]] = [
    {"do": "open", "target": "feed"},
    {"do": "type", "target": "box", "text": canaries.TYPED, "secret": True},
]


def spoilt_files() -> Iterator[str]:
    """Load files that are each refused, with the fault at or beside a secret."""
    whole = canaries.load_file(["anna"], STEPS)
    text = json.dumps(whole, indent=1)
    yield text[: text.index(canaries.MARK) + 9]  # cut off within a secret
    yield text.replace('"password"', '"pass word"')
    for place, value in (
        (("accounts", 0, "password"), [PASSWORD]),
        (("accounts", 0, "password"), PASSWORD * 2000),
        (("accounts", 0, "storage_state"), PASSWORD),
        (("accounts", 0, "storage_state"), {"cookies": [{"value": PASSWORD}], "origins": PASSWORD}),
        (
            ("accounts", 0, "storage_state"),
            {"cookies": [{**STATE["cookies"][0], "domain": 7}], "origins": []},
        ),
        (("proxies", 0, "password"), 7),
        (("proxies", 0, "server"), f"http://user:{PASSWORD}@host:1"),
        (("proxies", 0, "server"), f"ftp://{PASSWORD}"),
        (("playbooks", 0, "steps", 1, "secret"), PASSWORD),
        (("playbooks", 0, "steps", 1, "text"), {"one_of": []}),
        (("playbooks", 0, "steps", 1, "text"), canaries.TYPED * 1000),
        (("playbooks", 0, "steps", 1, "target"), "nowhere"),
    ):
        spoilt = json.loads(text)
        inner = spoilt
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        yield json.dumps(spoilt)
    yield f"accounts:\n - username: anna\n   password: '{PASSWORD}\n - x: {PASSWORD}: y\n"
    yield f"accounts:\n - password: *{PASSWORD}\n"
    yield f"accounts:\n - password: !!{PASSWORD}\n   password: !x {PASSWORD}\n"


def test_refused_load_file_shows_no_canary(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, caught_logs: list[io.StringIO], data_dir: Path
) -> None:
    for number, text in enumerate(spoilt_files()):
        path = tmp_path / f"{number}.{'json' if text.startswith('{') else 'yaml'}"
        path.write_text(text)

        with pytest.raises(SystemExit) as exited:
            call_command("warmup", "load", str(path), stdout=sys.stdout, stderr=sys.stderr)

        shown = capsys.readouterr()
        assert exited.value.code == 1, text
        assert shown.err, text
        assert hits(shown.out + shown.err) == [], text
    canaries.assert_unseen(caught_logs, data_dir)


def test_imports_and_exports_show_no_canary(
    caught_logs: list[io.StringIO], data_dir: Path, settings: Any
) -> None:
    settings.STATIC_ROOT = data_dir
    loading.load(json.dumps(canaries.load_file(["anna"], STEPS)), source="load.json", by=None)
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    row = {"site": "reel", "username": "bob", "password": PASSWORD, "storage_state": json.dumps(STATE)}
    table = io.StringIO()
    writer = csv.DictWriter(table, row)
    writer.writeheader()
    answers = []
    for spoilt in ({}, {"site": "nowhere"}, {"storage_state": PASSWORD}):  # the first is right
        writer.writerow(row | spoilt)
        file = SimpleUploadedFile("people.csv", table.getvalue().encode())
        form = {"import_file": file, "format": "0", "resource": "0"}
        answers.append(client.post(reverse("admin:core_account_import"), form))
    confirmed = {**answers[0].context["confirm_form"].initial}
    answers.append(client.post(reverse("admin:core_account_process_import"), confirmed, follow=True))
    for kind in ("0", "1"):
        form = {"format": kind, "resource": "0"}
        answers.append(client.post(reverse("admin:core_account_export"), form))

    assert AccountSecret.objects.get(account__username="bob").open() == PASSWORD
    assert b"bob" in answers[-1].content
    assert [hits(answer.content) for answer in answers] == [[]] * 6
    canaries.assert_unseen(caught_logs, data_dir)
