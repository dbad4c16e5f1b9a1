"""What django-q2 calls, by dotted name. Arguments are ids, results are None.

Each runs under `core.bridge.run`: async Playwright on the event loop of the worker's main thread, every
ORM read and save through the bridge in its one ORM thread.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace

import structlog
from django.conf import settings

from core import browser, lifecycle
from core.bridge import bridged, run
from core.egress import EgressProxy
from core.guard import guarded
from core.owners import owner_marker
from core.page import OpenPage
from warmup import schedules, services, slices, store

log = structlog.get_logger(__name__)

STORE = slices.Store(
    claim=bridged(store.claim),
    seconds_until_work=bridged(store.seconds_until_work),
    poll=bridged(store.poll),
    heartbeat=bridged(store.heartbeat),
    beat=bridged(lambda: store.beat(lifecycle.cluster_name())),
    write_progress=bridged(store.write_progress),
    set_plan_length=bridged(store.set_plan_length),
    record_intent=bridged(store.record_intent),
    save_evidence=bridged(store.save_evidence),
    finish=bridged(store.finish),
)


def run_slice(task_id: int) -> None:
    """Warm up accounts of a task in this worker, for at most a slice; then see to a successor."""
    run(lambda: _run_slice(task_id))


def reconcile() -> None:
    """Make the queue agree with the database, and start what is due."""
    store.beat(lifecycle.cluster_name())
    services.reconcile()
    schedules.fire_due()


def beat() -> None:
    """Do nothing but show that this cluster's workers take jobs from their queue."""
    store.beat(lifecycle.cluster_name())


def browser_options() -> browser.BrowserOptions:
    """The settings, as `core.browser` wants them."""
    return browser.BrowserOptions(
        executable=settings.WARMUP_BROWSER_EXECUTABLE or None,
        endpoint=settings.WARMUP_BROWSER_ENDPOINT or None,
    )


def limits() -> slices.Limits:
    """The settings, as a slice wants them."""
    return slices.Limits(
        contexts=settings.WARMUP_CONTEXTS_PER_WORKER,
        slice_seconds=settings.WARMUP_SLICE_SECONDS,
        lease_seconds=settings.WARMUP_LEASE_SECONDS,
        heartbeat_seconds=settings.WARMUP_HEARTBEAT_SECONDS,
        step_timeout_seconds=settings.WARMUP_STEP_TIMEOUT_SECONDS,
    )


async def _run_slice(task_id: int) -> None:
    await STORE.beat()
    # A message may be late, doubled or stale: no browser is started for nothing.
    if lifecycle.draining() or not await bridged(store.has_work)(task_id):
        return
    log.info("slice_started", task=task_id)
    try:
        async with AsyncExitStack() as stack:
            options, guard = browser_options(), None
            # A browser elsewhere cannot reach a proxy here: its grid has to guard it.
            if options.endpoint is None:
                guard = await stack.enter_async_context(EgressProxy())
                # What the browser does outside of any context has no grant, and is refused.
                options = replace(options, proxy_server=guard.server)
            opened = await stack.enter_async_context(browser.launch(options))
            open_page: OpenPage = guarded(opened.open_page, guard) if guard else opened.open_page
            await slices.Slice(
                task_id,
                store=STORE,
                open_page=open_page,
                browser_alive=lambda: opened.alive,
                draining=lifecycle.draining,
                limits=limits(),
                worker=owner_marker(),
            ).run()
    finally:
        log.info("slice_ended", task=task_id)
    await bridged(services.after_slice)(task_id)
