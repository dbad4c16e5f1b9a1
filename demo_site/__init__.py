"""A small, real web site to warm accounts on: log-in, feed, video, search, like, follow, and trouble.

It keeps a ledger of what its visitors did, which is what a run's own records are compared with.
Standard library only; nothing here knows the rest of the project.

    with DemoSite(accounts=3, port=0) as site:
        ...  # site.url, site.ledger(), site.summary(), site.storage_state("demo01")
"""

from demo_site.behaviours import Behaviour, behaviour_of, password_for, usernames
from demo_site.ledger import Action, Ledger, Row, Summary
from demo_site.markup import REEL, ROLLE, Markup
from demo_site.server import DemoSite

__all__ = [
    "REEL",
    "ROLLE",
    "Action",
    "Behaviour",
    "DemoSite",
    "Ledger",
    "Markup",
    "Row",
    "Summary",
    "behaviour_of",
    "password_for",
    "usernames",
]
