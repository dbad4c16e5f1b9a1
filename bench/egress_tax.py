"""What the egress proxy costs: CPU seconds per account, of the whole process tree, with and without it.

`python -m bench.egress_tax [--rounds N] [--accounts N]`: the ways are run in turn, round after round, in
one browser, against the demo site in a process of its own that is not counted. One account is a context
with a saved state, the feed, 5 scrolls, a like, a search, and the state saved. Prints medians with n.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import psutil
from playwright.async_api import Browser, StorageState, async_playwright

from core.browser.challenge import FirstChallenge
from core.browser_finder import find_browser
from core.egress import EgressProxy
from core.types import SiteSpec
from demo_site.behaviours import password_for

SCROLLS = 5
AT_ONCE = 2
SETTLE_SECONDS = 0.3
# CPU seconds of python, node and chromium.
Costs = dict[str, float]
WAYS = ("none", "proxy", "proxy, credentials by Playwright")


@asynccontextmanager
async def demo_site() -> AsyncIterator[tuple[str, int]]:
    """URL and process id of the demo site."""
    command = [sys.executable, "-m", "demo_site", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().split()[-1].rstrip("/"), process.pid
    finally:
        process.terminate()
        await process.wait()


async def cpu_seconds(without: int) -> Costs:
    """CPU seconds so far of this process, the driver and the browser, also of their ended children."""
    this = psutil.Process()
    while True:
        await asyncio.sleep(SETTLE_SECONDS)
        costs = {"python": sum(this.cpu_times()[:2]), "node": 0.0, "chromium": 0.0}
        try:
            for child in this.children(recursive=True):
                if child.pid != without:
                    # Not by name: node calls its process after its main thread.
                    part = "node" if "run-driver" in child.cmdline() else "chromium"
                    costs[part] += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # a renderer was still ending
        return costs


def ledger(url: str) -> dict[str, int]:
    """How often the site saw what."""
    with urllib.request.urlopen(url + "/ledger/summary.json", timeout=10) as summary:
        actions: dict[str, int] = json.load(summary)["actions"]
    return actions


async def log_in(browser: Browser, url: str) -> StorageState:
    """The saved state of a logged-in account."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(url + "/login")
    await page.fill("#username", "demo01")
    await page.fill("#password", password_for("demo01"))
    await page.click("button[type=submit]")
    await page.wait_for_selector(".card")
    state = await context.storage_state()
    await context.close()
    return state


async def account(
    browser: Browser, way: str, spec: SiteSpec, state: StorageState, proxy: EgressProxy
) -> None:
    """One account's visit."""
    with proxy.admit(spec) if way != "none" else nullcontext() as grant:
        if grant is None:
            context = await browser.new_context(storage_state=state)
        elif way == "proxy":
            context = await browser.new_context(storage_state=state, proxy={"server": grant.server})
        else:
            context = await browser.new_context(
                storage_state=state,
                proxy={"server": grant.server, "username": grant.username, "password": grant.password},
            )
        page = await context.new_page()
        if grant is not None and way == "proxy":
            session = await context.new_cdp_session(page)
            await FirstChallenge(session, grant.username, grant.password).expect()
        await page.goto(spec.base_url + "/feed")
        await page.wait_for_selector(".card")
        for _ in range(SCROLLS):
            await page.mouse.wheel(0, 900)
            await page.evaluate("new Promise(requestAnimationFrame)")
        await page.locator(".card .like").first.click()
        await page.goto(spec.base_url + "/search")
        await page.fill("#q", "tea")
        await page.press("#q", "Enter")
        await page.wait_for_selector(".hit")
        await context.storage_state()
        await context.close()


async def measure(rounds: int, accounts: int) -> None:
    """All rounds of all ways, in turn."""
    costs: dict[str, list[Costs]] = {way: [] for way in WAYS}
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with demo_site() as (url, pid), EgressProxy() as proxy, async_playwright() as playwright:
        spec = SiteSpec("demo", url, ("127.0.0.1",), {}, allow_private_addresses=True)
        browser = await playwright.chromium.launch(executable_path=find_browser(), args=arguments)
        state = await log_in(browser, url)
        for turn in range(rounds + 1):
            # Each way follows each other one equally often.
            for way in WAYS[turn % len(WAYS) :] + WAYS[: turn % len(WAYS)]:
                before = await cpu_seconds(pid)
                for _ in range(accounts // AT_ONCE):
                    await asyncio.gather(*(account(browser, way, spec, state, proxy) for _ in range(AT_ONCE)))
                after = await cpu_seconds(pid)
                if turn:  # the first one warms up
                    costs[way].append({part: (after[part] - before[part]) / accounts for part in after})
        await browser.close()
        done = await asyncio.to_thread(ledger, url)
    visits = (rounds + 1) * len(WAYS) * accounts
    assert done["like"] + done.get("unlike", 0) == done["search"] == visits, done
    report(costs)


def report(costs: dict[str, list[Costs]]) -> None:
    """Medians; of the ratios within each round also the quartiles."""
    print("| way | CPU s/account | python | node | chromium | vs none (quartiles) | n |")
    print("|---|---|---|---|---|---|---|")
    totals = {way: [sum(cost.values()) for cost in costs[way]] for way in WAYS}
    for way in WAYS:
        ratios = [cost / none for cost, none in zip(totals[way], totals["none"], strict=True)]
        low, ratio, high = statistics.quantiles(ratios, n=4)
        parts = [statistics.median(cost[part] for cost in costs[way]) for part in costs[way][0]]
        shown = " | ".join(f"{value:.3f}" for value in (statistics.median(totals[way]), *parts))
        print(f"| {way} | {shown} | {ratio:.3f} ({low:.3f} to {high:.3f}) | {len(ratios)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--accounts", type=int, default=8, help="in each round and way")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.rounds, arguments.accounts))


if __name__ == "__main__":
    main()
