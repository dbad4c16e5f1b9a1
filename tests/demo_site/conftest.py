from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo_site import REEL, ROLLE, DemoSite, Markup
from tests.demo_site.visitor import Visitor


@pytest.fixture
def site() -> Iterator[DemoSite]:
    with DemoSite(port=0, accounts=12) as running:
        yield running


@pytest.fixture
def visitor(site: DemoSite) -> Iterator[Visitor]:
    """Someone at `site`, not logged in."""
    with Visitor(site) as someone:
        yield someone


@pytest.fixture
def member(visitor: Visitor) -> Visitor:
    """The same, logged in as `demo01`: the ledger begins with that."""
    visitor.log_in("demo01")
    return visitor


@pytest.fixture(params=[REEL, ROLLE], ids=lambda markup: str(markup.slug))
def markup(request: pytest.FixtureRequest) -> Markup:
    face: Markup = request.param
    return face
