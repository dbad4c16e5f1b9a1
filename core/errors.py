"""The one exception tree. Each docstring says what happens to the run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta


class WarmupError(Exception):
    """Root of everything that this project raises on purpose; the text is one line for a person."""


# ---- input and operation: nothing was changed -------------------------------------------------


class InvalidInput(WarmupError):
    """A load file, playbook or setting is wrong. Nothing was changed.

    `faults` holds one line each, with its place: `accounts[3].site: no site 'rel'`.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class IllegalTransition(WarmupError):
    """A status change that the table does not allow from the present status. Nothing was changed."""


class NotFound(WarmupError):
    """No such task, account, site or playbook. Nothing was changed."""


class AppendOnly(WarmupError):
    """A row of the audit was to be changed or deleted. Nothing was changed."""


class SecretUnreadable(WarmupError):
    """A stored secret opens with no key of FIELD_KEYS, or not where it is. It is kept; the run FAILS."""


class MessageRefused(WarmupError):
    """A queue message that is not ours was to be sent. It is not; nothing else changes."""


class DiskFull(WarmupError):
    """Too little is free on the disk for evidence. It is not kept; the run goes on as if it were."""


# ---- runs that are left where they are ------------------------------------------------------------


class Abandoned(WarmupError):
    """Base: the run's coroutine ends and writes nothing more; lease and reconciler take it from there."""


class LeaseLost(Abandoned):
    """The run belongs to somebody else now, or its lease is too old to act on."""


class DatabaseUnavailable(Abandoned):
    """The database did not answer, also when asked again for a while. The slice ends; no run is lost."""


# ---- the browser ----------------------------------------------------------------------------------


class BrowserError(WarmupError):
    """Something that the browser, or a site through it, did. `core.browser` raises only these."""


class BrowserUnavailable(BrowserError):
    """No browser could be found or started. No run is claimed; the slice ends with this error."""


class BrowserLost(BrowserError):
    """The browser or its driver died or froze. The run goes back to the queue until its attempts end."""


class PageCrashed(BrowserError):
    """The page's renderer died. The run goes back to the queue until its attempts end."""


class PageTimeout(BrowserError):
    """A call on the page did not end by its deadline. The run FAILS."""


class NavigationFailed(BrowserError):
    """The page could not be reached (`net::ERR_...`). The run FAILS."""


class ForbiddenUrl(BrowserError):
    """A URL outside the site's allowed hosts, or not http(s). It was not opened; the run FAILS."""


class ElementMissing(BrowserError):
    """The element was not there, or could not be acted on, by the deadline. The run FAILS."""


class StateRejected(BrowserError):
    """A storage state is damaged, of another site, or too large to restore. It is not saved; a run FAILS."""


class HttpError(BrowserError):
    """The site answered a navigation with an error status. The run FAILS."""

    def __init__(self, status: int, url: str) -> None:
        self.status = status
        super().__init__(f"the site answered {status} for {url}")


class RateLimited(HttpError):
    """The site answered 429. The run backs off and goes back to the queue until its attempts end."""

    def __init__(self, url: str, retry_after: timedelta | None) -> None:
        self.retry_after = retry_after
        super().__init__(429, url)


# ---- what parks an account for a person ---------------------------------------------------------


class Parked(WarmupError):
    """Base of what only a person can settle. The run is PARKED with `reason`; its state is kept."""

    reason = ""


class ChallengeShown(Parked):
    """A challenge (CAPTCHA, code by mail) is on the page."""

    reason = "challenge"


class LoggedOut(Parked):
    """The account is not logged in and no log-in could be tried, or the log-in was refused."""

    reason = "logged_out"


class InDoubt(Parked):
    """A `once` step was begun by an earlier owner, and nothing tells whether it happened."""

    reason = "in_doubt"
