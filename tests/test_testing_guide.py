"""The example of `docs/testing.md`, word for word; the last test compares the two."""

import asyncio
from pathlib import Path

from django.test import TestCase, TransactionTestCase

from core import bridge
from core.bridge import bridged
from tests import factories
from warmup import store
from warmup.types import Outcome


class PlainHelperTests(TestCase):
    """The helper as a function: fast, rolled back, no bridge."""

    def test_finish_completes_the_run(self) -> None:
        task = factories.started_task(1)
        (spec,) = factories.claim(task)

        self.assertTrue(store.finish(spec.lease, Outcome("COMPLETED")))

        self.assertEqual(task.runs.get().status, "COMPLETED")


class AwaitedHelperTests(TestCase):
    """The helper awaited: an `async def` test of a `TestCase` sees its own rows, and is rolled back."""

    async def test_finish_completes_the_run(self) -> None:
        task = await bridged(factories.started_task)(1)
        (spec,) = await bridged(factories.claim)(task)

        self.assertTrue(await bridged(store.finish)(spec.lease, Outcome("COMPLETED")))

        self.assertEqual((await bridged(task.runs.get)()).status, "COMPLETED")


class WholeJobTests(TransactionTestCase):
    """As a job does it: the ORM thread has a connection of its own, so rows must be committed."""

    def test_many_crossings_at_once(self) -> None:
        task = factories.started_task(3)
        specs = factories.claim(task, 3)

        async def job() -> list[bool]:
            finish = bridged(store.finish)
            return await asyncio.gather(*(finish(spec.lease, Outcome("COMPLETED")) for spec in specs))

        self.assertEqual(bridge.run(job), [True, True, True])
        task.refresh_from_db()
        self.assertEqual(task.status, "COMPLETED")


def test_the_guide_shows_this_file() -> None:
    guide = Path("docs/testing.md").read_text().split("```python\n")[1].split("```")[0]
    here = Path(__file__).read_text()
    assert guide.strip() in here.replace("from pathlib import Path\n", "")
