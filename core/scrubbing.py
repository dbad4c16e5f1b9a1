"""Keeping secrets out of what is said: errors, logs, reports, pages that are kept as evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from core.text import joined
from core.types import AccountSpec

HIDDEN = "[hidden]"
# Shorter values of a site's own are no secrets, and hiding them would garble what is said.
SECRET_CHARACTERS = 8
# A site may store thousands of values; each costs a look at every text.
MOST_VALUES = 200
MOST_CHARACTERS = 4096


class Scrubber:
    """Replaces the secrets that it knows, be they plain, in a URL, or in JSON."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.hide(secret)

    def hide(self, secret: str | None) -> None:
        """Know one more."""
        if not secret:
            return
        # A URL has no lone surrogates; browsers write U+FFFD instead.
        text = joined(secret)
        in_urls = (quote(text), quote(text, safe=""), quote_plus(text))
        forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], *in_urls}
        # The longest first: one secret may be part of another.
        self._secrets = sorted({*self._secrets, *forms}, key=lambda form: (-len(form), form))

    def __call__(self, text: str) -> str:
        """`text` without them."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def secrets_of(account: AccountSpec) -> list[str | None]:
    """What of an account must appear nowhere: its password, its proxy's credentials, what its site stored."""
    proxy, state = account.proxy, account.storage_state or {}
    # A proxy's username often names a session; a short one is an ordinary word.
    stored: list[Any] = [proxy.username] if proxy else []
    stored += [cookie.get("value") for cookie in state.get("cookies") or []]
    for origin in state.get("origins") or []:
        stored += [item.get("value") for item in origin.get("localStorage") or []]
    tokens = [
        value
        for value in stored
        if isinstance(value, str) and SECRET_CHARACTERS <= len(value) <= MOST_CHARACTERS
    ]
    return [account.password, proxy.password if proxy else None, *tokens[:MOST_VALUES]]


def forget_context(error: BaseException | None) -> None:
    """Have a traceback not quote what had failed before, which may be what a page said.

    Of its causes too: asgiref carries the exception that is being handled into its threads.
    """
    while error is not None:
        error.__suppress_context__ = True
        error = error.__cause__
