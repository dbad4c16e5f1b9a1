"""Load files to test with: the whole example of the interface, and single entries."""

from __future__ import annotations

import json
from typing import Any

from warmup.loadfile import LoadFile, parse_load_file

SECRET = "hunter2"
BACK = {"do": "back"}


def site(**more: object) -> dict[str, Any]:
    return {
        "slug": "reel",
        "name": "Reel",
        "base_url": "http://reel.test",
        "allowed_hosts": ["reel.test"],
        **more,
    }


def account(**more: object) -> dict[str, Any]:
    return {"site": "reel", "username": "anna", **more}


def task(**more: object) -> dict[str, Any]:
    return {"name": "morning", "playbook": "browse", "site": "reel", "accounts": "all", **more}


def state(**more: object) -> dict[str, Any]:
    return {"cookies": [], "origins": [], **more}


COOKIE = {"name": "sid", "value": "x", "domain": "reel.test", "path": "/"}

# The example of the interface, which is a contract.
FULL: dict[str, Any] = {
    "sites": [
        {
            "slug": "reel",
            "name": "Reel",
            "base_url": "http://127.0.0.1:8801",
            "allowed_hosts": ["127.0.0.1"],
            "allow_private_addresses": True,
            "targets": {
                "feed": {"path": "/feed"},
                "card": {"selector": ".card"},
                "like": {"selector": ".card .like:not(.liked)"},
                "search": {"path": "/search"},
                "search_box": {"selector": "#q"},
                "results": {"selector": ".hit"},
            },
            "logged_in": {"path": "/feed", "selector": ".card"},
            "log_in": {
                "path": "/login",
                "username": "#username",
                "password": "#password",
                "submit": "button[type=submit]",
            },
            "challenges": ["#challenge"],
            "limits": {"concurrency": 8, "daily": {"like": 20}},
        }
    ],
    "proxies": [{"name": "office", "server": "http://127.0.0.1:3128", "username": None, "password": None}],
    "accounts": [
        {"site": "reel", "username": "anna", "password": SECRET, "proxy": None, "storage_state": None}
    ],
    "playbooks": [
        {
            "name": "browse",
            "steps": [
                {"do": "open", "target": "feed"},
                {
                    "do": "repeat",
                    "times": {"min": 3, "max": 6},
                    "steps": [
                        {"do": "scroll", "pixels": 900},
                        {"do": "watch", "seconds": {"min": 1, "max": 4}},
                    ],
                },
                {"do": "click", "target": "like", "nth": 0, "counts_as": "like", "done": ".liked"},
                {
                    "do": "search",
                    "target": "search",
                    "box": "search_box",
                    "text": {"one_of": ["tea", "coffee"]},
                    "results": "results",
                },
                {"do": "screenshot", "name": "end"},
            ],
        }
    ],
    "tasks": [
        {
            "name": "morning",
            "playbook": "browse",
            "site": "reel",
            "accounts": "all",
            "concurrency": 4,
            "delay_seconds": {"min": 0, "max": 1},
            "seed": 7,
        }
    ],
}


def parse(data: object) -> LoadFile:
    return parse_load_file(json.dumps(data), source="load.json")
