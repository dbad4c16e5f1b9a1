"""Where an uploaded file is between its preview and its confirmation: sealed, in the cache, for half an hour.

The cache is shared by all web processes, and forgets by itself; no file is written, and the session holds
nothing of it. The upload itself stays in memory (`FILE_UPLOAD_HANDLERS`).
"""

from __future__ import annotations

import uuid

from django.core.cache import cache
from django.utils.translation import gettext as _
from import_export.tmp_storages import BaseStorage

from core import secrets
from core.errors import InvalidInput, SecretUnreadable

KEPT_SECONDS = 1800


class SealedStorage(BaseStorage):  # type: ignore[misc]  # django-import-export is not typed
    """One file; `name` is what the page of the preview posts back."""

    def save(self, data: bytes) -> None:
        """Seal and keep the content of a file, under a name that nobody can guess."""
        self.name = uuid.uuid4().hex
        cache.set(self._place, secrets.encrypt(data, self._place), KEPT_SECONDS)

    def read(self) -> bytes:
        """The content; raises `InvalidInput` when it is gone."""
        token = cache.get(self._place)
        try:
            if token is not None:
                return secrets.decrypt(token, self._place)
        except SecretUnreadable:
            cache.delete(self._place)  # its key has left the ring: as good as gone
        raise InvalidInput([_("The file is no longer there: it was imported, or half an hour has passed.")])

    def remove(self) -> None:
        """Forget the file."""
        cache.delete(self._place)

    @property
    def _place(self) -> str:
        return f"import-of-accounts-{self.name}"
