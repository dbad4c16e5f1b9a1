"""Django's shared caches, which store pickles, read as plain values only.

A row of the cache table and a key in Redis can be written by others than us; what is not plain there counts
as absent.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import structlog
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.redis import RedisSerializer
from django.db import connections, router
from django.utils.timezone import now

from core import pickles
from core.text import one_line

log = structlog.get_logger(__name__)


def _plain(data: bytes | str) -> tuple[bool, Any]:
    """Whether `data` (a text is base64) is a pickle of plain values, and what it holds."""
    try:
        return True, pickles.loads(base64.b64decode(data) if isinstance(data, str) else data)
    except Exception as error:  # a hostile or damaged pickle may raise anything
        log.error("cache_entry_refused", reason=one_line(f"{type(error).__name__}: {error}", 200))
        return False, None


class PlainDatabaseCache(DatabaseCache):
    """Values in a table; see the module."""

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """As Django's, but for how a value is read."""
        by_key = {self.make_and_validate_key(key, version=version): key for key in keys}
        if not by_key:
            return {}
        connection = connections[router.db_for_read(self.cache_model_class)]
        name = connection.ops.quote_name
        table = name(self._table)  # type: ignore[attr-defined]  # not in the stubs
        key_, value_, expires_ = name("cache_key"), name("value"), name("expires")
        places = ", ".join(["%s"] * len(by_key))
        query = f"SELECT {key_}, {value_} FROM {table} WHERE {expires_} > %s AND {key_} IN ({places})"  # noqa: S608
        found = {}
        with connection.cursor() as cursor:
            moment = connection.ops.adapt_datetimefield_value(now().replace(microsecond=0))
            cursor.execute(query, [moment, *by_key])
            rows = cursor.fetchall()
        for key, value in rows:
            is_plain, content = _plain(value)
            if is_plain:
                found[by_key[key]] = content
        return found


class PlainRedisSerializer(RedisSerializer):
    """For `OPTIONS["serializer"]` of Django's Redis cache; see the module."""

    def loads(self, data: bytes) -> Any:  # type: ignore[override]  # the stubs split it in two
        """As Django's, but for how a value is read; None for what is not plain."""
        try:
            return int(data)
        except ValueError:
            return _plain(data)[1]
