"""Pages behind the allow-list: each context goes out through the egress proxy, by a grant of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from core.egress import EgressProxy
from core.page import OpenPage, Page
from core.types import AccountSpec, ProxySpec, SiteSpec

log = structlog.get_logger(__name__)


def guarded(open_page: OpenPage, proxy: EgressProxy) -> OpenPage:
    """`open_page`, but the page reaches the hosts of its site only; by way of the account's own proxy.

    Raises what `open_page` raises, and `InvalidInput` for a proxy that makes no sense.
    """

    @asynccontextmanager
    async def open_guarded(site: SiteSpec, account: AccountSpec) -> AsyncIterator[Page]:
        with proxy.admit(site, account.proxy) as grant:
            way_out = ProxySpec(proxy.server, grant.username, grant.password)
            try:
                async with open_page(site, replace(account, proxy=way_out)) as page:
                    yield page
            finally:
                for attempt, times in grant.refused.items():
                    log.warning("egress_refused", account=account.id, times=times, **attempt._asdict())

    return open_guarded
