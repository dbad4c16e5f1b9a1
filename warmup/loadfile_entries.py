"""The entries of a load file: what a site, a proxy, an account and a task are made of."""

from __future__ import annotations

import json
import re
from collections.abc import Set
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from core.storage_state import MAX_BYTES as MAX_STATE_BYTES
from core.storage_state import MAX_ORIGINS as MAX_STATE_ORIGINS
from core.types import StorageState, Target
from warmup.playbooks.faults import LISTED, SELECTION, fault
from warmup.playbooks.fields import (
    CounterName,
    Listed,
    Name,
    Seconds,
    Selector,
    StrictModel,
    bounds,
    clean,
    one_line,
)
from warmup.playbooks.hosts import MAX_HOST, host_of, is_allowed, is_host, is_wildcard
from warmup.playbooks.text import quoted

MAX_SLUG = 50  # characters
MAX_URL = 200  # characters
MAX_PATH = 500  # characters
MAX_USERNAME = 150  # characters
MAX_PASSWORD = 1000  # characters
MAX_CONCURRENCY = 1000
MAX_PER_DAY = 1_000_000

_SLUG = re.compile(r"\A[A-Za-z0-9_-]+\Z")
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0]")


# ---- texts of a particular form -------------------------------------------------------------------


def _slug(text: str) -> str:
    if not _SLUG.match(text):
        raise fault("must be letters, digits, - and _")
    return text


def _path(text: str) -> str:
    clean(text)
    if not text.startswith("/") or text.startswith("//"):
        raise fault("must begin with one /")
    if _SPACE_OR_CONTROL.search(text):
        raise fault("must not hold spaces or control characters")
    return text


def _absolute(text: str, schemes: Set[str]) -> None:
    """Refuses what is no absolute URL, or holds credentials; never shows it."""
    try:
        parts = urlsplit(text)
        usable = is_host(parts.hostname or "") and parts.port != 0 and not _SPACE_OR_CONTROL.search(text)
    except ValueError:  # a port that is no number, half an IPv6 address
        usable = False
    if not usable or parts.scheme not in schemes:
        raise fault(f"must be an absolute URL ({', '.join(sorted(schemes))}) with a host")
    if "@" in parts.netloc:
        raise fault("must not hold a username or password")
    if parts.query or parts.fragment:
        raise fault("must not have a query or fragment")


def _base_url(text: str) -> str:
    _absolute(text, {"http", "https"})
    return text


def _proxy_server(text: str) -> str:
    _absolute(text, {"http", "https", "socks5"})
    return text


def _allowed_host(text: str) -> str:
    host = text.lower()
    if not is_host(host) and not is_wildcard(host):
        raise fault("must be a host name or IP address without a port, or *.example.com")
    return host


Slug = Annotated[str, Field(min_length=1, max_length=MAX_SLUG), AfterValidator(_slug)]
Path = Annotated[str, Field(min_length=1, max_length=MAX_PATH), AfterValidator(_path)]
Username = Annotated[str, Field(min_length=1, max_length=MAX_USERNAME), AfterValidator(one_line)]
Password = Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD), AfterValidator(clean)]
BaseUrl = Annotated[str, Field(min_length=1, max_length=MAX_URL), AfterValidator(_base_url)]
ProxyServer = Annotated[str, Field(min_length=1, max_length=MAX_URL), AfterValidator(_proxy_server)]
AllowedHost = Annotated[str, Field(min_length=1, max_length=MAX_HOST), AfterValidator(_allowed_host)]
Concurrency = Annotated[int, Field(ge=1, le=MAX_CONCURRENCY)]


# ---- sites and proxies ----------------------------------------------------------------------------


class TargetEntry(StrictModel):
    """A named place of a site: a path to open, a CSS selector to act on, or both."""

    path: Path | None = None
    selector: Selector | None = None

    @model_validator(mode="after")
    def _one_at_least(self) -> TargetEntry:
        if self.path is None and self.selector is None:
            raise fault("needs a path, a selector or both")
        return self


class LoggedInEntry(StrictModel):
    """Logged in means: `path` was opened and `selector` is visible there."""

    path: Path
    selector: Selector


class LogInEntry(StrictModel):
    """The log-in form: its path, and the CSS selectors of its fields."""

    path: Path
    username: Selector
    password: Selector
    submit: Selector


class LimitsEntry(StrictModel):
    """Accounts at once on the site (None: no limit of its own), and counts for each account and day."""

    concurrency: Concurrency | None = None
    daily: dict[CounterName, Annotated[int, Field(ge=0, le=MAX_PER_DAY)]] = {}


class SiteEntry(StrictModel):
    """Where accounts live."""

    slug: Slug
    name: Name
    base_url: BaseUrl
    allowed_hosts: Annotated[tuple[AllowedHost, ...], Listed(1, 100)]
    allow_private_addresses: bool = False
    targets: dict[Name, TargetEntry] = {}
    logged_in: LoggedInEntry | None = None
    log_in: LogInEntry | None = None
    challenges: Annotated[tuple[Selector, ...], Listed(0, 50)] = ()
    limits: LimitsEntry = LimitsEntry()

    @field_validator("allowed_hosts")
    @classmethod
    def _includes_own_host(cls, hosts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        own = host_of(info.data.get("base_url", ""))
        if own and not is_allowed(own, hosts):
            raise fault(f"must include the host of base_url, {quoted(own)}")
        return hosts

    def target_map(self) -> dict[str, Target]:
        """The targets by name, as runs see them."""
        return {
            name: Target(name=name, path=entry.path, selector=entry.selector)
            for name, entry in self.targets.items()
        }


class ProxyEntry(StrictModel):
    """An upstream proxy: `server` is `scheme://host:port`."""

    name: Name
    server: ProxyServer
    username: Username | None = None
    password: Annotated[Password | None, Field(repr=False)] = None


# ---- accounts -------------------------------------------------------------------------------------


class _StateModel(BaseModel):
    """Part of a storage state: Playwright's format, which may gain keys that are not ours to refuse."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, hide_input_in_errors=True)


class CookieShape(_StateModel):
    """One cookie."""

    name: str
    value: str
    domain: str
    path: str
    expires: Annotated[float, Field(allow_inf_nan=False)] = -1  # seconds since 1970; -1: with the session
    httpOnly: bool = False  # noqa: N815
    secure: bool = False
    sameSite: Literal["Strict", "Lax", "None"] = "Lax"  # noqa: N815


class StoredItemShape(_StateModel):
    """One entry of localStorage."""

    name: str
    value: str


class OriginShape(_StateModel):
    """What one origin keeps."""

    origin: Annotated[str, Field(min_length=1)]
    localStorage: Annotated[tuple[StoredItemShape, ...], Listed()]  # noqa: N815


class StateShape(_StateModel):
    """What Playwright's `storage_state` returns."""

    cookies: Annotated[tuple[CookieShape, ...], Listed()]
    origins: Annotated[tuple[OriginShape, ...], Listed(0, MAX_STATE_ORIGINS)]


def _storage_state(value: object) -> object:
    """The storage state as it was given, once its shape is known to be right."""
    if value is None:
        return None
    StateShape.model_validate(value)
    try:
        size = len(json.dumps(value, allow_nan=False))
    except ValueError:
        raise fault("must hold finite numbers only") from None
    if size > MAX_STATE_BYTES:
        raise fault(f"must be at most {MAX_STATE_BYTES} bytes of JSON, not {size}")
    return value


class AccountEntry(StrictModel):
    """One identity on one site."""

    site: Slug
    username: Username
    password: Annotated[Password | None, Field(repr=False)] = None
    proxy: Name | None = None
    storage_state: Annotated[
        StorageState | None,
        PlainValidator(_storage_state, json_schema_input_type=StateShape | None),
        Field(repr=False),
    ] = None


# ---- tasks ----------------------------------------------------------------------------------------


def _selection_tag(value: object) -> str:
    return LISTED if isinstance(value, list | tuple) else SELECTION


class TaskEntry(StrictModel):
    """A playbook for some accounts of a site."""

    name: Name
    playbook: Name
    site: Slug
    accounts: Annotated[
        Annotated[Literal["all"], Tag(SELECTION)] | Annotated[tuple[Username, ...], Listed(1), Tag(LISTED)],
        Discriminator(_selection_tag),
    ]
    concurrency: Concurrency = 4
    delay_seconds: Seconds = 0.0
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] = 0

    @property
    def delay_bounds(self) -> tuple[float, float]:
        """The shortest and the longest delay, in seconds."""
        return bounds(self.delay_seconds)
