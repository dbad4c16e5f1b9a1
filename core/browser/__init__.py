"""The browser behind the runs: the only package that imports Playwright.

`launch` gives a `Browser`, whose `open_page` gives each account a page in a context of its own. Every
call has a deadline, every error is one of `core.errors`, and no end leaves a process or a file behind.
"""

from core.browser.options import BrowserOptions
from core.browser.probe import probe
from core.browser.processes import reap_orphans
from core.browser.session import Browser, launch
from core.browser.urls import check_url, shown_url
from core.origins import host_allowed, origin_of
from core.storage_state import MAX_BYTES, MAX_ORIGINS

__all__ = [
    "MAX_BYTES",
    "MAX_ORIGINS",
    "Browser",
    "BrowserOptions",
    "check_url",
    "host_allowed",
    "launch",
    "origin_of",
    "probe",
    "reap_orphans",
    "shown_url",
]
