"""Is the account logged in, and is nothing in its way: the probe, the log-in, the challenges.

No CAPTCHA is solved and no code is typed here: what only a person can do parks the account.
"""

from __future__ import annotations

from typing import Literal

from core.errors import ChallengeShown, LoggedOut, PageTimeout
from core.page import Page
from core.types import AccountSpec, SiteSpec
from warmup.plan import PlanStep

# How often a page that is being waited for is looked at.
LOOK_SECONDS = 0.1
# Actions that may bring another page, after which a challenge or a log-in form may stand there.
NAVIGATING = frozenset({"open", "click", "search", "visit", "back"})

Sight = Literal["logged_in", "form", "challenge", "nothing"]


class Gate:
    """Watches over one account's page. Raises `ChallengeShown` and `LoggedOut`."""

    def __init__(self, page: Page, site: SiteSpec, account: AccountSpec, timeout: float) -> None:
        self.page, self.site, self.account, self.timeout = page, site, account, timeout
        self.logged_in_now = False
        # The page's navigations when the password was typed.
        self.typed_at: int | None = None
        self._fresh_url: str | None = None

    async def enter(self) -> None:
        """Make sure that the account is logged in; where it is not, log in if that is possible."""
        probe = self.site.logged_in
        if probe is None:
            return
        can_log_in = self.site.log_in is not None and self.account.password is not None
        if self.account.storage_state is not None or not can_log_in:
            sight = await self._probe()
            if sight == "logged_in":
                return
            if sight == "challenge":
                raise ChallengeShown("a challenge is shown")
            if not can_log_in:
                lack = (
                    "the site has no log-in form"
                    if self.site.log_in is None
                    else "the account has no password"
                )
                raise LoggedOut(f"not logged in, and {lack}")
        await self._log_in()

    async def _log_in(self) -> None:
        form = self.site.log_in
        assert form is not None  # noqa: S101 - told by enter()
        assert self.account.password is not None  # noqa: S101
        await self.page.goto(self.site.url(form.path), timeout=self.timeout)
        await self._refuse_challenge(self.timeout)
        await self.page.fill(form.username, self.account.username, timeout=self.timeout)
        self.typed_at = self.page.navigations
        await self.page.fill(form.password, self.account.password, secret=True, timeout=self.timeout)
        before = self.page.navigations
        await self.page.click(form.submit, timeout=self.timeout)
        await self._answered(before)
        sight = await self._probe()
        if sight == "challenge":
            raise ChallengeShown("a challenge is shown after the log-in")
        if sight != "logged_in":
            raise LoggedOut("the log-in was refused")
        self.logged_in_now = True

    async def _answered(self, before: int) -> None:
        """Wait until the site has answered the log-in: another document, or what it shows once inside."""
        for _ in range(self._looks()):
            if self.page.navigations != before or await self._look() in {"logged_in", "challenge"}:
                return
            await self.page.dwell(LOOK_SECONDS)
        # A site may answer with neither; the probe that follows decides.

    async def _probe(self) -> Sight:
        """Open the probe's path and say what is there, as soon as anything telling is."""
        assert self.site.logged_in is not None  # noqa: S101 - told by the callers
        url = self.site.url(self.site.logged_in.path)
        await self.page.goto(url, timeout=self.timeout)
        for _ in range(self._looks()):
            sight = await self._look()
            if sight == "logged_in":
                self._fresh_url = url
            if sight != "nothing":
                return sight
            await self.page.dwell(LOOK_SECONDS)
        return "nothing"

    def _looks(self) -> int:
        return max(1, round(self.timeout / LOOK_SECONDS))

    async def _look(self) -> Sight:
        """What is to be seen at this moment; a challenge counts before all else."""
        seen = self.page.is_visible
        for selector in self.site.challenges:
            if await seen(selector, timeout=self.timeout):
                return "challenge"
        if self.site.logged_in and await seen(self.site.logged_in.selector, timeout=self.timeout):
            return "logged_in"
        if self.site.log_in and await seen(self.site.log_in.password, timeout=self.timeout):
            return "form"
        return "nothing"

    async def _refuse_challenge(self, timeout: float) -> None:
        for selector in self.site.challenges:
            if await self.page.is_visible(selector, timeout=timeout):
                raise ChallengeShown("a challenge is shown")

    async def check(self, *, timeout: float) -> None:
        """Raise when a challenge, or the log-in form, stands on the page."""
        await self._refuse_challenge(timeout)
        form = self.site.log_in
        if form and await self.page.is_visible(form.password, timeout=timeout):
            raise LoggedOut("the site asks to log in again")

    async def check_after(self, step: PlanStep) -> None:
        """After a step that may have brought another page: see that nothing stands in the way."""
        self._fresh_url = None
        if step.do in NAVIGATING:
            await self.check(timeout=self.timeout)

    def just_opened(self, url: str) -> bool:
        """Whether the probe opened `url` a moment ago and nothing was done on it since."""
        return self._fresh_url == url and self.page.url == url

    async def still_logged_in(self, timeout: float | None) -> bool:
        """The probe at the end. A site without one counts as logged in. Raises `ChallengeShown`."""
        if self.site.logged_in is None:
            return True
        if timeout is not None:
            self.timeout = timeout
        if self.page.url == self.site.url(self.site.logged_in.path):
            sight = await self._look()
        else:
            try:
                sight = await self._probe()
            except PageTimeout:
                return False
        if sight == "challenge":
            raise ChallengeShown("a challenge is shown at the end")
        return sight == "logged_in"
