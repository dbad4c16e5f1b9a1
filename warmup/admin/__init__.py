"""The operators' pages: one module for each concept. Importing this package registers them."""

from warmup.admin import (
    accounts,
    people,
    playbooks,
    proxies,
    queue_pages,
    records,
    runs,
    schedules,
    session_states,
    sites,
    tasks,
)

__all__ = [
    "accounts",
    "people",
    "playbooks",
    "proxies",
    "queue_pages",
    "records",
    "runs",
    "schedules",
    "session_states",
    "sites",
    "tasks",
]
