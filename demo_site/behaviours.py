"""How the site treats an account: the beginning of its username decides."""

from __future__ import annotations

import re
from enum import StrEnum

# Seconds that the site takes for each request of a `slow…` account.
SLOW_SECONDS = 1.5
# Documents that a `logout…` account is shown before the site drops its session.
PAGES_BEFORE_LOGOUT = 3
# With this in its username, the scripts of an account (crash, busy, alert, popup, download) do not
# run at once but `LATE_MS` after the feed was there, so that they meet a run in the middle of its work.
LATE = "-late"
LATE_MS = 1000
# Seconds in the Retry-After of a 429.
RETRY_AFTER_SECONDS = 1

_DEMO = re.compile(r"demo(\d{2,6})")
_USERNAME = re.compile(r"[a-z][a-z0-9_.-]{0,39}")


class Behaviour(StrEnum):
    """The value is the username's prefix: `hang`, `hang2` and `hang-anna` all hang."""

    NORMAL = "demo"
    CHALLENGE = "challenge"
    """Every page is the challenge, until its form is sent once."""
    HANG = "hang"
    """The feed's request is accepted and never answered."""
    DRIP = "drip"
    """The feed comes at one byte per second, for ever."""
    CRASH = "crash"
    """The feed kills its renderer."""
    BUSY = "busy"
    """The feed runs an endless loop."""
    LIMITED = "limited"
    """Everything answers 429, the log-in too."""
    WRONG = "wrong"
    """No password is ever accepted."""
    LOOP = "loop"
    """The feed redirects to itself."""
    ALERT = "alert"
    """The feed opens one alert after the other, and a question when it is left."""
    POPUP = "popup"
    """The feed opens windows."""
    DOWNLOAD = "download"
    """The feed starts a download without end."""
    SLOW = "slow"
    """Every request takes `SLOW_SECONDS`."""
    ERROR = "error"
    """The feed answers 500."""
    LOGOUT = "logout"
    """The site drops the session after `PAGES_BEFORE_LOGOUT` documents."""


def behaviour_of(username: str) -> Behaviour:
    """The behaviour for a username; `NORMAL` for one without a known prefix."""
    return next((b for b in Behaviour if username.startswith(b.value)), Behaviour.NORMAL)


def password_for(username: str) -> str:
    """The one password of an account."""
    return f"warm-{username}"


def usernames(count: int) -> list[str]:
    """`demo01` to `demoNN`."""
    return [f"demo{number:02d}" for number in range(1, count + 1)]


def account_exists(username: str, *, accounts: int) -> bool:
    """Whether the site knows the account: `demo01` to `demoNN`, and any with a behaviour's prefix."""
    if not _USERNAME.fullmatch(username):
        return False
    if behaviour_of(username) is not Behaviour.NORMAL:
        return True
    match = _DEMO.fullmatch(username)
    if match is None:
        return False
    number = int(match[1])
    return 1 <= number <= accounts and username == f"demo{number:02d}"


def may_log_in(username: str, password: str, *, accounts: int) -> bool:
    """Whether this username and password open a session."""
    return (
        account_exists(username, accounts=accounts)
        and behaviour_of(username) is not Behaviour.WRONG
        and password == password_for(username)
    )
