"""Everything that is sealed, damaged and moved about: 0 crashes, 0 wrong opens, 0 lost.

The columns are found by looking at the models: a new one fails here until it has rows to be tested with.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client
from django.urls import reverse

from core import artifacts, rotation, secrets
from core.errors import SecretUnreadable
from core.models import AccountSecret, Proxy, ProxySecret, SessionState
from tests import factories
from warmup import store
from warmup.models import PlaybookSecret
from warmup.types import Evidence

pytestmark = pytest.mark.django_db

Blob = bytes


@dataclass(frozen=True)
class Sealed:
    """Something sealed, wherever it is kept."""

    name: str
    open: Callable[[], object]
    read: Callable[[], Blob]
    write: Callable[[Blob], object]


def in_column(row: models.Model, column: str, open_: Callable[[Any], object]) -> Sealed:
    """Read and written past the models, as damage is."""
    table, model = row._meta.db_table, type(row)

    def read() -> Blob:
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT "{column}" FROM "{table}" WHERE id = %s', [row.pk])
            return bytes(cursor.fetchone()[0])

    def write(blob: Blob) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f'UPDATE "{table}" SET "{column}" = %s WHERE id = %s', [blob, row.pk])

    name = secrets.place_of(row, column)
    return Sealed(name, lambda: open_(model._base_manager.get(pk=row.pk)), read, write)


def passwords() -> list[models.Model]:
    return [factories.AccountFactory(password=f"pw{n}").secret for n in range(2)]


def credentials() -> list[models.Model]:
    proxies = [Proxy.objects.create(name=f"p{n}", server="http://127.0.0.1:1") for n in range(2)]
    for proxy in proxies:
        ProxySecret.store(proxy, {"username": proxy.name, "password": "pw"})
    return list(ProxySecret.objects.order_by("pk"))


def states() -> list[models.Model]:
    """Two versions of one account, and one of another."""
    first, second = factories.AccountFactory.create_batch(2)
    owners = [first, first, second]
    return [
        SessionState.save_version(owner.pk, factories.state(factories.cookie(value=str(n))))
        for n, owner in enumerate(owners)
    ]


def secret_texts() -> list[models.Model]:
    for name in ("one", "two"):
        PlaybookSecret.store(factories.make_playbook(name), {"steps[0]": name})
    return list(PlaybookSecret.objects.order_by("pk"))


ROWS: dict[str, Callable[[], list[models.Model]]] = {
    "core.AccountSecret.password": passwords,
    "core.ProxySecret.credentials": credentials,
    "core.SessionState.sealed": states,
    "warmup.PlaybookSecret.texts": secret_texts,
}


def columns() -> dict[str, str]:
    return {f"{model._meta.label}.{field.name}": field.name for model, field in rotation.sealed_columns()}


def test_every_sealed_column_is_tested() -> None:
    assert set(columns()) == set(ROWS)


@pytest.fixture
def everything(data_dir: Path) -> list[Sealed]:
    found = [
        in_column(row, name, lambda stored: stored.open())
        for label, name in columns().items()
        for row in ROWS[label]()
    ]
    for number in range(2):
        key = uuid.uuid4()
        artifacts.write(key, b"evidence %d" % number)
        path = artifacts.path_of(key)

        def opened(key: uuid.UUID = key) -> object:
            return artifacts.read(key)

        found.append(Sealed(artifacts.place_of(path), opened, path.read_bytes, path.write_bytes))
    return found


def damaged(blob: Blob) -> Iterator[Blob]:
    """Cut at every length, every bit flipped once, doubled, of other kinds."""
    for length in range(len(blob)):
        yield blob[:length]
    for position in range(len(blob)):
        yield blob[:position] + bytes([blob[position] ^ 1 << position % 8]) + blob[position + 1 :]
    yield from (blob + blob, blob + b"=", b"gAAAAA", b"clear", b"\xff\x00\xfe", b"null", b"{}")


def outcome(sealed: Sealed) -> object:
    """What opening gives, or the reason why it is refused."""
    try:
        return sealed.open()
    except SecretUnreadable as error:
        return f"refused: {error}"


def test_damaged_blob_never_opens_as_something_else_and_is_kept(everything: list[Sealed]) -> None:
    refused = 0
    for sealed in everything:
        whole, content = sealed.read(), sealed.open()
        for blob in damaged(whole):
            sealed.write(blob)

            opened = outcome(sealed)

            # The last characters of base64 have bits that mean nothing: those may flip.
            assert opened == content or str(opened).startswith(f"refused: {sealed.name}: ")
            refused += opened != content
            assert sealed.read() == blob
        sealed.write(whole)
        assert sealed.open() == content
    assert refused > 1000


def test_every_bit_counts(everything: list[Sealed]) -> None:
    """The same for each single bit, without the way through the database."""
    for sealed in everything:
        blob = sealed.read()
        whole = secrets.decrypt(blob, sealed.name)
        for bit in range(len(blob) * 8):
            flipped = bytearray(blob)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                assert secrets.decrypt(bytes(flipped), sealed.name) == whole
            except SecretUnreadable:
                continue


def test_blob_opens_at_its_own_place_only(everything: list[Sealed]) -> None:
    blobs = [sealed.read() for sealed in everything]
    contents = [sealed.open() for sealed in everything]
    assert len(everything) == 11

    for here, sealed in enumerate(everything):
        for blob in blobs[:here] + blobs[here + 1 :]:
            sealed.write(blob)
            with pytest.raises(SecretUnreadable, match="another place"):
                sealed.open()
            assert sealed.read() == blob
        sealed.write(blobs[here])

    assert [sealed.open() for sealed in everything] == contents


def test_rotation_keeps_what_is_damaged_or_misplaced(everything: list[Sealed], settings: Any) -> None:
    first, second, third, *rest = everything
    contents = [sealed.open() for sealed in everything]
    blobs = [sealed.read() for sealed in everything]
    first.write(blobs[1])
    second.write(blobs[0])
    third.write(blobs[2][:-5])
    settings.FIELD_KEYS = ["bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleTE=", *settings.FIELD_KEYS]

    rotation.rotate()
    report = rotation.report()

    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    assert report.total(rotation.MISPLACED) == 2
    assert report.total(rotation.UNREADABLE) == 1
    assert report.places == [
        f"{first.name}: misplaced",
        f"{second.name}: misplaced",
        f"{third.name}: unreadable",
    ]
    assert third.read() == blobs[2][:-5]
    assert [sealed.open() for sealed in rest] == contents[3:]
    # Back where they belong they open again, now with the newest key.
    swapped = first.read()
    first.write(second.read())
    second.write(swapped)
    assert [first.open(), second.open()] == contents[:2]


# ---- pages ----------------------------------------------------------------------------------------

BREAKS: dict[str, Callable[[Blob], Blob]] = {
    "empty": lambda _blob: b"",
    "cut": lambda blob: blob[:20],
    "binary": lambda _blob: b"\xff\x00\xfe",
    "misplaced": lambda _blob: secrets.encrypt(b"{}", "elsewhere"),
}


@pytest.mark.parametrize("how", [*BREAKS, "no key"])
def test_no_page_breaks_on_unreadable_secrets(
    client: Client, everything: list[Sealed], settings: Any, tmp_path: Path, how: str
) -> None:
    settings.STATIC_ROOT = tmp_path
    client.force_login(User.objects.create_superuser("boss"))
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    store.save_evidence(Evidence(spec.lease, 1, 0, "html", "end", b"<p>"))
    AccountSecret.objects.exclude(account__runs=None).delete()
    account = AccountSecret.objects.earliest("pk").account
    account.proxy = Proxy.objects.earliest("pk")
    account.save()
    if how in BREAKS:
        for sealed in everything:
            sealed.write(BREAKS[how](sealed.read()))
    else:
        settings.FIELD_KEYS = ["b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXktMDA="]

    statuses = {url: client.get(url).status_code for url in urls()}

    assert len(statuses) > 20
    assert {url: status for url, status in statuses.items() if status != 200} == {}


def urls() -> Iterator[str]:
    """The list of each model of ours, and the pages of its rows."""
    for model in admin.site._registry:
        if model._meta.app_label not in {"core", "warmup"}:
            continue
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        for row in model._base_manager.all()[:10]:
            yield reverse(f"{name}_change", args=[row.pk])
