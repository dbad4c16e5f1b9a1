"""Frozen specs that cross the async line; no ORM object does.

They carry secrets in the clear, because a password has to be typed: such fields stay out of `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# What Playwright's `storage_state` returns: {"cookies": [...], "origins": [...]}.
StorageState = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A named place of a site: a path to open, a CSS selector to act on, or both."""

    name: str
    path: str | None = None
    selector: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedInProbe:
    """Logged in means: `path` was opened and `selector` is visible there."""

    path: str
    selector: str


@dataclass(frozen=True, slots=True)
class LogInForm:
    """Where and how to log in: a path, and the CSS selectors of its fields."""

    path: str
    username: str
    password: str
    submit: str


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """A site as a run sees it."""

    slug: str
    base_url: str
    allowed_hosts: tuple[str, ...]
    targets: Mapping[str, Target]
    logged_in: LoggedInProbe | None = None
    log_in: LogInForm | None = None
    challenges: tuple[str, ...] = ()
    allow_private_addresses: bool = False
    daily_limits: Mapping[str, int] = field(default_factory=dict)

    def url(self, path: str) -> str:
        """The absolute URL of `path` (which begins with `/`) below the base URL.

        Joined as text: by the rules for references, `/http://elsewhere/` would leave the site.
        """
        return self.base_url.rstrip("/") + path


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """An upstream proxy: `server` is `scheme://host:port`."""

    server: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account as a run sees it."""

    id: int
    username: str
    password: str | None = field(default=None, repr=False)
    proxy: ProxySpec | None = None
    storage_state: StorageState | None = field(default=None, repr=False)


class Attempt(NamedTuple):
    """What a page tried to reach, and why it came to nothing.

    Hosts are normalised: ASCII, at most 253 characters.
    """

    host: str
    port: int
    reason: str
