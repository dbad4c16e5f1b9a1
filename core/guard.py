"""Pages behind the allow-list: each context goes out through the egress proxy, by a grant of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from core.egress import EgressProxy
from core.page import OpenPage, Page
from core.types import AccountSpec, ProxySpec, SiteSpec


def guarded(open_page: OpenPage, proxy: EgressProxy) -> OpenPage:
    """`open_page`, but the page reaches the hosts of its site only; by way of the account's own proxy.

    What is refused is counted in the page's `refused`. Raises what `open_page` raises, and `InvalidInput`
    for a proxy that makes no sense.
    """

    @asynccontextmanager
    async def open_guarded(site: SiteSpec, account: AccountSpec) -> AsyncIterator[Page]:
        with proxy.admit(site, account.proxy) as grant:
            way_out = ProxySpec(proxy.server, grant.username, grant.password)
            async with open_page(site, replace(account, proxy=way_out)) as page:
                page.refused = grant.refused
                yield page

    return open_guarded
