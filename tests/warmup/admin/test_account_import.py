"""Import and export of accounts in the admin: upload, preview, confirm; what is kept meanwhile; who may."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from core.models import Account, AccountSecret, SessionState
from tests import factories
from tests.warmup.admin.conftest import StaffClient, told
from warmup.admin.import_store import KEPT_SECONDS, SealedStorage
from warmup.models import AuditEntry

LIST = reverse("admin:core_account_changelist")
IMPORT = reverse("admin:core_account_import")
PROCESS = reverse("admin:core_account_process_import")
EXPORT = reverse("admin:core_account_export")
CSV, JSON = "0", "1"
IMPORTER = ("core.view_account", "core.add_account", "core.change_account")


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


@pytest.fixture
def reel(db: None) -> Any:
    return factories.SiteFactory(slug="reel", name="Reel")


def upload(client: Client, content: str | bytes, *, kind: str = CSV, name: str = "people.csv") -> Any:
    content = content.encode() if isinstance(content, str) else content
    return client.post(
        IMPORT, {"import_file": SimpleUploadedFile(name, content), "format": kind, "resource": "0"}
    )


def confirm(client: Client, page: Any, **changes: str) -> Any:
    form = page.context["confirm_form"]
    return client.post(PROCESS, {**form.initial, **changes}, follow=True)


def raw_cache() -> str:
    """Everything that the cache holds, as it is stored."""
    return repr(cache._cache)  # type: ignore[attr-defined]


# ---- preview and confirmation ---------------------------------------------------------------------------


def test_upload_shows_what_it_would_do_and_does_nothing(boss: Client, reel: Any) -> None:
    factories.AccountFactory(site=reel, username="bob")
    factories.AccountFactory(site=reel, username="same")

    page = upload(boss, "site,username,enabled\nreel,anna,yes\nreel,bob,no\nreel,same,yes\n")

    text = page.content.decode()
    assert "The import would bring: 1 new, 1 changed, 1 the same" in text
    assert "anna" in text
    assert "enabled: <bdi>no</bdi>" in text
    assert Account.objects.count() == 2
    assert not AuditEntry.objects.exists()


def test_confirmed_file_is_imported_and_forgotten(boss: Client, reel: Any) -> None:
    page = upload(boss, "site,username,password\nreel,anna,s3cret\n")

    response = confirm(boss, page)

    assert told(response) == ["Imported: 1 new, 0 changed, 0 the same."]
    assert AccountSecret.objects.get(account__username="anna").open() == "s3cret"
    assert not cache._cache  # type: ignore[attr-defined]
    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.verb, entry.object, entry.count) == ("boss", "import", "people.csv", 1)
    assert not LogEntry.objects.exists()


def test_json_is_imported_too(boss: Client, reel: Any) -> None:
    state = factories.state(factories.cookie(value="c00kie"))
    entries = [{"site": "reel", "username": "anna", "storage_state": state}]

    page = upload(boss, json.dumps(entries), kind=JSON, name="people.json")
    confirm(boss, page)

    assert "storage_state: <bdi>set, not shown</bdi>" in page.content.decode()
    assert SessionState.objects.get().open() == state


def test_second_confirmation_says_that_the_file_is_gone(boss: Client, reel: Any) -> None:
    page = upload(boss, "site,username\nreel,anna\n")
    confirm(boss, page)

    response = confirm(boss, page)

    assert told(response)[0].startswith("The file is no longer there")
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(
    "changes", [{"import_file_name": "../../etc/passwd"}, {"format": "7"}, {"import_file_name": ""}]
)
def test_confirmation_that_was_tampered_with_imports_nothing(
    boss: Client, reel: Any, changes: dict[str, str]
) -> None:
    page = upload(boss, "site,username\nreel,anna\n")

    response = confirm(boss, page, **changes)

    assert told(response) == ["Upload the file again: its preview was not confirmed."]
    assert not Account.objects.exists()


def test_what_has_changed_since_the_preview_is_told_and_nothing_imported(boss: Client, reel: Any) -> None:
    page = upload(boss, "site,username\nreel,anna\nreel,bob\n")
    reel.delete()

    text = confirm(boss, page).content.decode()

    assert "2 faults: nothing was imported" in text
    assert "row 2, column site: no site &#x27;reel&#x27;" in text
    assert not AuditEntry.objects.exists()


def test_faults_stand_on_the_page_and_the_file_is_not_kept(boss: Client, reel: Any) -> None:
    page = upload(boss, "site,username,password\nreel,anna,s3cret\nrel,bob,s3cret\nreel,,s3cret\n")

    text = page.content.decode()
    assert "2 faults: nothing was imported" in text
    assert "row 3, column site: no site &#x27;rel&#x27; (did you mean &#x27;reel&#x27;?)" in text
    assert "row 4, column username: must not be empty" in text
    assert "s3cret" not in text
    assert "confirm_form" not in page.context
    assert not cache._cache  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "kind", "fault"),
    [
        ("reel,anna,s3cret\n", CSV, "row 1: no column &#x27;site&#x27;"),
        ("site,username\nreel,anna\n", JSON, "the file is not JSON"),
        ('[{"site": s3cret}]', JSON, "line 1, column 11: not valid JSON"),
        ("[1]", JSON, "accounts[0]: must be an object"),
        ("", CSV, "The submitted file is empty."),
        (
            "site,username\nreel,<script>alert(1)</script>\u202e\n",
            CSV,
            "must be one line without control characters",
        ),
    ],
)
def test_file_that_is_none_is_refused_on_the_page(
    boss: Client, reel: Any, content: str, kind: str, fault: str
) -> None:
    text = upload(boss, content, kind=kind).content.decode()

    assert fault in text
    assert "s3cret" not in text
    assert "<script>alert" not in text


# ---- secrets --------------------------------------------------------------------------------------------


def test_secrets_are_nowhere_in_the_clear_between_preview_and_confirmation(
    boss: Client, reel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    rows = "".join(f"reel,user{number},s3cret{'x' * 900}\n" for number in range(3000))
    content = "site,username,password\n" + rows
    assert len(content) > 2_621_440  # what Django's own settings keep in memory

    page = upload(boss, content)

    assert page.context["confirm_form"]
    assert "s3cret" not in page.content.decode()
    assert "s3cret" not in raw_cache()
    assert not list((tmp_path / "temporary").iterdir())
    assert "s3cret" not in str(dict(boss.session))


def test_upload_never_becomes_a_temporary_file(
    boss: Client, reel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
    monkeypatch.setattr(
        "django.core.files.uploadhandler.TemporaryUploadedFile", lambda *_: pytest.fail("a temporary file")
    )

    text = upload(boss, b"x" * (2 * 1024 * 1024)).content.decode()

    assert "Choose a file. At most 1 MiB." in text


def test_kept_file_opens_for_half_an_hour_under_its_own_name_only(db: None) -> None:
    one, other = SealedStorage(), SealedStorage()
    one.save(b"one")
    other.save(b"other")

    cache.set(f"import-of-accounts-{one.name}", cache.get(f"import-of-accounts-{other.name}"))

    assert SealedStorage(name=other.name).read() == b"other"
    with pytest.raises(Exception, match="no longer there"):
        SealedStorage(name=one.name).read()
    assert KEPT_SECONDS == 1800


def test_without_the_permission_no_secret_is_set(staff: StaffClient, reel: Any) -> None:
    client = staff(*IMPORTER)

    text = upload(client, "site,username,password\nreel,anna,s3cret\n").content.decode()

    assert "row 2, column password: needs the permission to use the secrets of accounts" in text
    assert "s3cret" not in text
    assert confirm(client, upload(client, "site,username,password\nreel,anna,\n")).status_code == 200
    assert Account.objects.get().username == "anna"


def test_with_the_permission_secrets_are_set(staff: StaffClient, reel: Any) -> None:
    client = staff(*IMPORTER, "core.use_account_secrets")

    confirm(client, upload(client, "site,username,password\nreel,anna,s3cret\n"))

    assert AccountSecret.objects.get().open() == "s3cret"


def test_permission_is_that_of_who_confirms(boss: Client, staff: StaffClient, reel: Any) -> None:
    page = upload(boss, "site,username,password\nreel,anna,s3cret\n")

    text = confirm(staff(*IMPORTER), page).content.decode()

    assert "row 2, column password: needs the permission" in text
    assert not Account.objects.exists()


# ---- who may --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["core.add_account", "core.change_account"])
def test_import_needs_add_and_change(staff: StaffClient, reel: Any, missing: str) -> None:
    client = staff(*(name for name in IMPORTER if name != missing))

    assert client.get(IMPORT).status_code == 403
    assert upload(client, "site,username\nreel,anna\n").status_code == 403
    assert client.post(PROCESS, {"import_file_name": "0" * 32, "format": CSV}).status_code == 403
    assert IMPORT not in client.get(LIST).content.decode()


def test_export_needs_view(staff: StaffClient, reel: Any) -> None:
    assert staff("core.view_site").post(EXPORT, {"format": CSV}).status_code == 403
    viewer = staff("core.view_account")
    assert viewer.post(EXPORT, {"format": CSV, "resource": "0"}).status_code == 200
    assert EXPORT in viewer.get(LIST).content.decode()


def test_import_is_not_done_by_a_get(boss: Client, reel: Any) -> None:
    page = upload(boss, "site,username\nreel,anna\n")

    assert boss.get(PROCESS, page.context["confirm_form"].initial).status_code == 405
    assert not Account.objects.exists()


def test_import_wants_the_csrf_token(staff: StaffClient, reel: Any) -> None:
    client = staff(*IMPORTER, csrf=True)

    assert upload(client, "site,username\nreel,anna\n").status_code == 403


# ---- export ---------------------------------------------------------------------------------------------


def export(client: Client, kind: str, query: str = "") -> bytes:
    response = client.post(f"{EXPORT}{query}", {"format": kind, "resource": "0"})
    assert response["Content-Disposition"].startswith('attachment; filename="Account-')
    return bytes(response.content)


@pytest.mark.parametrize("kind", [CSV, JSON])
def test_export_imported_again_changes_nothing(boss: Client, reel: Any, kind: str) -> None:
    for name in ("=cmd|'/c calc'!A0", "'=x", "\u0430\u043d\u043d\u0430 \U0001f600", 'a;b,"c"'):
        factories.AccountFactory(site=reel, username=name, password="s3cret")

    content = export(boss, kind)

    assert b"s3cret" not in content
    if kind == CSV:
        assert "reel,'=cmd" in content.decode("utf-8-sig")
    page = upload(boss, content, kind=kind)
    assert "0 new, 0 changed, 4 the same" in page.content.decode()


def test_export_follows_the_filter_and_is_audited(boss: Client, reel: Any) -> None:
    factories.AccountFactory(site=reel, username="anna")
    factories.AccountFactory(site=reel, username="bob", enabled=False)
    content = export(boss, JSON, "?enabled__exact=0")

    (row,) = json.loads(content)["accounts"]
    assert row["username"] == "bob"
    assert row["has_password"] is True
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.object, entry.count) == ("export", "accounts.json", 1)


# ---- size -----------------------------------------------------------------------------------------------


def test_ten_thousand_rows_are_imported_in_few_queries(
    boss: Client, reel: Any, django_assert_max_num_queries: Any
) -> None:
    rows = "".join(f"reel,user{number:05d},pw{number}\n" for number in range(10_000))
    with django_assert_max_num_queries(30):
        page = upload(boss, "site,username,password\n" + rows)
    assert "and 9900 more" in page.content.decode()

    with django_assert_max_num_queries(180):  # SQLite takes 99 accounts in a statement, PostgreSQL 1000
        response = confirm(boss, page)

    assert told(response) == ["Imported: 10000 new, 0 changed, 0 the same."]
    assert AccountSecret.objects.count() == 10_000
