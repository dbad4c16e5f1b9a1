"""Canaries: one in each secret field, and where to look for them."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connection, connections
from django.db.models import TextField
from django.db.models.functions import Cast
from django_q import core_signing
from django_q.conf import Conf

MARK = "TELLTALEofAsecret"
# With what JSON, URLs and HTML write otherwise.
PASSWORD, PROXY_USERNAME, PROXY_PASSWORD, COOKIE, LOCAL_STORAGE, TYPED, DRAWN = (
    f'x {MARK}"{kind}/ö&<y>'
    for kind in ("password", "proxyuser", "proxypw", "cookie", "local", "typed", "drawn")
)
ALL = (PASSWORD, PROXY_USERNAME, PROXY_PASSWORD, COOKIE, LOCAL_STORAGE, TYPED, DRAWN)
STATE: dict[str, Any] = {
    "cookies": [
        {
            "name": "s",
            "value": COOKIE,
            "domain": "site.test",
            "path": "/",
            "expires": -1,
            "httpOnly": True,
            "secure": False,
            "sameSite": "Lax",
        }
    ],
    "origins": [{"origin": "http://site.test", "localStorage": [{"name": "jwt", "value": LOCAL_STORAGE}]}],
}


def _encodings() -> list[bytes]:
    """The mark as it is, in hexadecimal, in base64 at each of its three offsets, and in UTF-16."""
    plain = MARK.encode()
    # The characters at the ends depend on what stands beside the mark.
    shifted = [base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 : -4] for shift in range(3)]
    return [plain, plain.hex().encode(), MARK.encode("utf-16-le"), *shifted]


_FORMS = re.compile(b"|".join(re.escape(form) for form in _encodings()))


def hits(content: bytes | str) -> list[str]:
    """Where canaries are seen, with what stands around them."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return [repr(data[max(found.start() - 80, 0) : found.end() + 40]) for found in _FORMS.finditer(data)]


def load_file(usernames: list[str], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """A load file with a canary in every secret field; accounts named `new...` have no saved state."""
    return {
        "sites": [
            {
                "slug": "reel",
                "name": "Reel",
                "base_url": "http://site.test",
                "allowed_hosts": ["site.test"],
                "targets": {
                    "feed": {"path": "/feed"},
                    "away": {"path": "/away"},
                    "search": {"path": "/search"},
                    "card": {"selector": ".card"},
                    "like": {"selector": ".like"},
                    "echo": {"selector": ".echo"},
                    "box": {"selector": "#box"},
                },
                "logged_in": {"path": "/feed", "selector": ".card"},
                "log_in": {
                    "path": "/login",
                    "username": "#username",
                    "password": "#password",
                    "submit": "#go",
                },
                "challenges": ["#challenge"],
            }
        ],
        "proxies": [
            {
                "name": "office",
                "server": "http://127.0.0.1:3128",
                "username": PROXY_USERNAME,
                "password": PROXY_PASSWORD,
            }
        ],
        "accounts": [
            {
                "site": "reel",
                "username": name,
                "password": PASSWORD,
                "proxy": "office",
                "storage_state": None if name.startswith("new") else STATE,
            }
            for name in usernames
        ],
        "playbooks": [{"name": "browse", "steps": steps}],
        "tasks": [
            {
                "name": "morning",
                "playbook": "browse",
                "site": "reel",
                "accounts": "all",
                "concurrency": len(usernames),
            }
        ],
    }


# ---- where to look ----------------------------------------------------------------------------------


def database_hits() -> dict[str, list[str]]:
    """In every column of every table as it is stored, and with SQLite in the file and its log."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        for column in model._meta.concrete_fields:
            rows = model._base_manager.annotate(raw_=Cast(column.attname, TextField()))
            for value in rows.values_list("raw_", flat=True):
                text = value if isinstance(value, bytes) else str(value)
                if seen := hits(text):
                    found[f"{model._meta.label}.{column.name}"] = seen
    if connection.vendor == "sqlite":
        path = Path(str(connection.settings_dict["NAME"]))
        for file in (path, path.with_name(f"{path.name}-wal")):
            if file.exists() and (seen := hits(file.read_bytes())):
                found[file.name] = seen[:3]
    return found


def file_hits(folder: Path) -> dict[str, list[str]]:
    """In every file of the data directory."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return {str(path): seen for path in files if (seen := hits(path.read_bytes()))}


def messages() -> Iterator[str]:
    """What the queue's messages say, out of their signatures and compression."""
    for payload in apps.get_model("django_q", "OrmQ").objects.values_list("payload", flat=True):
        yield payload
        yield json.dumps(
            core_signing.loads(payload, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=_Raw), default=str
        )


class _Raw:
    """Shows a pickle instead of reading it."""

    @staticmethod
    def loads(data: bytes) -> str:
        return data.decode("latin-1")


def assert_unseen(logs: Sequence[io.StringIO], data_dir: Path) -> None:
    """Nothing in the database, in its files, in the data directory, in the queue, and in the logs."""
    assert database_hits() == {}
    assert [seen for message in messages() for seen in hits(message)] == []
    connections.close_all()  # all that was written is in the files now
    assert database_hits() == {}
    shown = [seen for stream in logs for seen in hits(stream.getvalue())]
    assert shown == []
    if (data_dir / "artifacts").exists():
        assert file_hits(data_dir) == {}
