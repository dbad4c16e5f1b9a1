"""Whether the account is logged in, and what stands in its way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.errors import ChallengeShown, HttpError, LoggedOut, PageTimeout
from core.types import AccountSpec, SiteSpec
from tests.fakes import FakePage, Screen, Screens
from tests.warmup.support import (
    CHALLENGE,
    FEED,
    FORM,
    INSIDE,
    PASSWORD,
    SCREENS,
    SITE,
    STATE,
    LoopClock,
    account,
    in_virtual_time,
    now,
    screens,
)
from warmup.gate import NAVIGATING, Gate
from warmup.plan import PlanStep

TIMEOUT = 10.0
FRESH = account(storage_state=None)
EXPIRED = account(storage_state={"cookies": [], "origins": []})
LOGIN = SITE.url("/login")
BLANK = Screen()


def stand(
    site_screens: Screens = SCREENS, *, site: SiteSpec = SITE, who: AccountSpec | None = None
) -> tuple[Gate, FakePage]:
    """A gate and its page."""
    who = who or account()
    page = FakePage(site, site_screens, account=who, clock=LoopClock())  # type: ignore[arg-type]
    return Gate(page, site, who, TIMEOUT), page


def opened(page: FakePage) -> list[str]:
    return [call[1] for call in page.calls if call[0] == "goto"]


def filled(page: FakePage) -> list[tuple[Any, ...]]:
    return [call[1:] for call in page.calls if call[0] == "fill"]


def step(do: str) -> PlanStep:
    return PlanStep(0, "steps[0]", do, do)


# ---- the way in -------------------------------------------------------------------------------------


@in_virtual_time
async def test_enter_with_a_state_that_still_works_only_looks() -> None:
    gate, page = stand()

    await gate.enter()

    assert opened(page) == [FEED]
    assert filled(page) == []
    assert not gate.logged_in_now


@in_virtual_time
async def test_enter_waits_for_a_probe_that_appears_late() -> None:
    gate, page = stand(screens(feed=Screen(appears={".card": 3})))
    begin = now()

    await gate.enter()

    assert 3 <= now() - begin < 3.2
    assert filled(page) == []


@pytest.mark.parametrize(
    ("who", "first"), [(EXPIRED, FEED), (FRESH, LOGIN)], ids=["expired state", "no state"]
)
@in_virtual_time
async def test_enter_without_a_working_state_logs_in(who: AccountSpec, first: str) -> None:
    gate, page = stand(who=who)

    await gate.enter()

    assert gate.logged_in_now
    assert opened(page)[0] == first
    assert opened(page)[-2:] == [LOGIN, FEED]
    assert filled(page) == [("#username", "user1"), ("#password", "[hidden]")]
    assert page.state == STATE


@in_virtual_time
async def test_enter_logs_in_on_a_site_that_answers_without_another_page() -> None:
    def log_in(page: FakePage) -> None:
        page.state = STATE
        page.show(".card")

    form = replace(FORM, on_click={"#go": log_in})
    gate, _ = stand(screens(login=form), who=FRESH)
    begin = now()

    await gate.enter()

    assert gate.logged_in_now
    assert now() == begin


@in_virtual_time
async def test_enter_gives_the_site_time_to_answer_the_log_in() -> None:
    def log_in(page: FakePage) -> None:
        page.state = STATE

    form = replace(FORM, on_click={"#go": log_in}, appears={".card": 4})
    gate, page = stand(screens(login=form), who=FRESH)
    begin = now()

    await gate.enter()

    assert gate.logged_in_now
    assert 4 <= now() - begin < 4.2
    assert page.navigations == 2


@in_virtual_time
async def test_enter_leaves_it_to_the_probe_when_the_log_in_is_answered_by_nothing() -> None:
    def log_in(page: FakePage) -> None:
        page.state = STATE

    gate, _ = stand(screens(login=replace(FORM, on_click={"#go": log_in})), who=FRESH)
    begin = now()

    await gate.enter()

    assert gate.logged_in_now
    assert TIMEOUT - 0.2 < now() - begin < TIMEOUT + 0.2


@in_virtual_time
async def test_enter_with_a_refused_password_is_logged_out() -> None:
    gate, page = stand(who=replace(FRESH, password="wrong"))

    with pytest.raises(LoggedOut, match="the log-in was refused"):
        await gate.enter()

    assert not gate.logged_in_now
    assert page.state == {"cookies": [], "origins": []}


@in_virtual_time
async def test_enter_never_shows_the_password() -> None:
    gate, page = stand(who=FRESH)
    page.record("console", f"typed {PASSWORD}")

    await gate.enter()

    assert PASSWORD not in repr((page.calls, page.events))


@pytest.mark.parametrize(
    ("changes", "who", "lack"),
    [
        ({"log_in": None}, EXPIRED, "the site has no log-in form"),
        ({"log_in": None}, FRESH, "the site has no log-in form"),
        ({}, replace(EXPIRED, password=None), "the account has no password"),
        ({}, replace(FRESH, password=None), "the account has no password"),
    ],
)
@in_virtual_time
async def test_enter_that_can_try_nothing_is_logged_out_and_says_why(
    changes: dict[str, Any], who: AccountSpec, lack: str
) -> None:
    gate, page = stand(site=replace(SITE, **changes), who=who)

    with pytest.raises(LoggedOut, match=f"not logged in, and {lack}"):
        await gate.enter()

    assert opened(page) == [FEED]


@in_virtual_time
async def test_enter_without_a_password_needs_none_where_the_probe_passes() -> None:
    gate, page = stand(screens(feed=INSIDE), who=replace(FRESH, password=None))

    await gate.enter()

    assert opened(page) == [FEED]


@in_virtual_time
async def test_enter_that_sees_nothing_telling_tries_the_log_in_at_last() -> None:
    def late(page: FakePage) -> Screen:
        return INSIDE if page.state["cookies"] else BLANK

    gate, _ = stand(screens(feed=late), who=EXPIRED)
    begin = now()

    await gate.enter()

    assert gate.logged_in_now
    assert now() - begin > TIMEOUT - 0.2


@in_virtual_time
async def test_enter_a_site_without_a_probe_opens_nothing() -> None:
    gate, page = stand(site=replace(SITE, logged_in=None), who=FRESH)

    await gate.enter()

    assert page.calls == []


@in_virtual_time
async def test_enter_a_site_that_is_broken_raises_what_the_page_raises() -> None:
    gate, _ = stand(screens(feed=Screen(status=503)))

    with pytest.raises(HttpError, match="503"):
        await gate.enter()


# ---- challenges -------------------------------------------------------------------------------------


@in_virtual_time
async def test_enter_that_meets_a_challenge_on_the_probe_types_nothing() -> None:
    # The challenge counts, though a form and even the probe are visible with it.
    gate, page = stand(screens(feed=Screen(visible=["#challenge", "#password", ".card"])))

    with pytest.raises(ChallengeShown, match=r"a challenge is shown$"):
        await gate.enter()

    assert filled(page) == []


@in_virtual_time
async def test_enter_that_meets_a_challenge_on_the_form_types_nothing() -> None:
    gate, page = stand(screens(login=replace(FORM, visible=[*FORM.visible, "#challenge"])), who=FRESH)

    with pytest.raises(ChallengeShown, match=r"a challenge is shown$"):
        await gate.enter()

    assert filled(page) == []


@in_virtual_time
async def test_enter_that_meets_a_challenge_after_the_log_in_says_so() -> None:
    def challenged(page: FakePage) -> Screen:
        page.state = STATE
        return CHALLENGE

    gate, page = stand(screens(session=challenged, feed=CHALLENGE), who=FRESH)

    with pytest.raises(ChallengeShown, match="a challenge is shown after the log-in"):
        await gate.enter()

    assert not gate.logged_in_now
    assert len(filled(page)) == 2


@in_virtual_time
async def test_enter_that_is_answered_by_a_challenge_in_place_does_not_wait_longer() -> None:
    form = replace(FORM, on_click={"#go": lambda page: page.show("#challenge")})
    gate, _ = stand(screens(login=form, feed=CHALLENGE), who=FRESH)
    begin = now()

    with pytest.raises(ChallengeShown):
        await gate.enter()

    assert now() == begin


@in_virtual_time
async def test_every_challenge_of_the_site_is_looked_for() -> None:
    site = replace(SITE, challenges=("#challenge", "#code"))
    gate, _ = stand(screens(feed=Screen(visible=["#code", ".card"])), site=site)

    with pytest.raises(ChallengeShown):
        await gate.enter()


# ---- after a step -----------------------------------------------------------------------------------


async def on_page(screen: Screen, *, site: SiteSpec = SITE) -> Gate:
    gate, page = stand(screens(away=screen), site=site)
    await page.goto(site.url("/away"), timeout=TIMEOUT)
    return gate


@pytest.mark.parametrize("do", sorted(NAVIGATING))
@in_virtual_time
async def test_check_after_a_navigating_step_parks_on_what_stands_in_the_way(do: str) -> None:
    with pytest.raises(ChallengeShown):
        await (await on_page(CHALLENGE)).check_after(step(do))
    with pytest.raises(LoggedOut, match="the site asks to log in again"):
        await (await on_page(FORM)).check_after(step(do))
    await (await on_page(INSIDE)).check_after(step(do))


@in_virtual_time
async def test_check_after_another_step_does_not_look() -> None:
    gate = await on_page(CHALLENGE)

    await gate.check_after(step("scroll"))


@in_virtual_time
async def test_check_after_on_a_site_without_a_form_knows_challenges_only() -> None:
    gate = await on_page(FORM, site=replace(SITE, log_in=None))

    await gate.check_after(step("open"))


# ---- what was opened a moment ago -------------------------------------------------------------------


@in_virtual_time
async def test_just_opened_is_the_page_of_the_probe_until_something_is_done() -> None:
    gate, page = stand()
    assert not gate.just_opened(FEED)

    await gate.enter()
    assert gate.just_opened(FEED)
    assert not gate.just_opened(SITE.url("/away"))

    await gate.check_after(step("scroll"))
    assert not gate.just_opened(FEED)
    assert page.url == FEED


@in_virtual_time
async def test_just_opened_ends_when_the_page_goes_elsewhere() -> None:
    gate, page = stand()
    await gate.enter()

    await page.goto(SITE.url("/away"), timeout=TIMEOUT)

    assert not gate.just_opened(FEED)


@in_virtual_time
async def test_just_opened_is_no_page_on_which_the_probe_did_not_pass() -> None:
    gate, _ = stand(who=EXPIRED, site=replace(SITE, log_in=None))

    with pytest.raises(LoggedOut):
        await gate.enter()

    assert not gate.just_opened(FEED)


# ---- the way out ------------------------------------------------------------------------------------


@in_virtual_time
async def test_still_logged_in_on_the_page_of_the_probe_looks_without_opening() -> None:
    gate, page = stand()
    await page.goto(FEED, timeout=TIMEOUT)

    assert await gate.still_logged_in(None)

    assert opened(page) == [FEED]


@in_virtual_time
async def test_still_logged_in_elsewhere_opens_the_page_of_the_probe() -> None:
    gate, page = stand()
    await page.goto(SITE.url("/away"), timeout=TIMEOUT)

    assert await gate.still_logged_in(None)

    assert opened(page) == [SITE.url("/away"), FEED]


@in_virtual_time
async def test_still_logged_in_is_false_when_the_probe_does_not_pass() -> None:
    gate, page = stand(who=EXPIRED)
    await page.goto(SITE.url("/away"), timeout=TIMEOUT)

    assert not await gate.still_logged_in(None)
    assert not await gate.still_logged_in(None)  # on the page of the probe by now


@in_virtual_time
async def test_still_logged_in_raises_for_a_challenge() -> None:
    gate, _ = stand(screens(feed=CHALLENGE))

    with pytest.raises(ChallengeShown, match="at the end"):
        await gate.still_logged_in(None)


@in_virtual_time
async def test_still_logged_in_is_false_when_the_page_does_not_answer_in_the_time_given() -> None:
    gate, page = stand()
    page.hanging = True
    begin = now()

    assert not await gate.still_logged_in(2)

    assert now() - begin == 2


@in_virtual_time
async def test_still_logged_in_waits_for_a_probe_no_longer_than_the_time_given() -> None:
    gate, _ = stand(screens(feed=BLANK))
    begin = now()

    assert not await gate.still_logged_in(2)

    assert now() - begin == pytest.approx(2)


@in_virtual_time
async def test_still_logged_in_on_a_site_without_a_probe_is_taken_for_granted() -> None:
    gate, page = stand(site=replace(SITE, logged_in=None))

    assert await gate.still_logged_in(None)

    assert page.calls == []


@in_virtual_time
async def test_still_logged_in_on_a_page_that_hangs_where_the_probe_is_raises() -> None:
    gate, page = stand()
    await page.goto(FEED, timeout=TIMEOUT)
    page.hanging = True

    with pytest.raises(PageTimeout):
        await gate.still_logged_in(2)
