"""Load files for `manage.py warmup load`, made for this site.

`python -m demo_site.load --base-url http://127.0.0.1:8801 --accounts 12 > file.json`
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from demo_site.behaviours import password_for, usernames

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a run does and how long it dwells; each a smallest and a largest value."""

    scrolls: tuple[int, int] = (3, 6)
    watch_seconds: tuple[float, float] = (0.3, 1.2)
    delay_seconds: tuple[float, float] = (0, 0.5)


DEMO_PACE = Pace()

_REEL_SITE: Json = {
    "slug": "reel",
    "name": "Reel",
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
}
_ROLLE_SITE: Json = {
    "slug": "rolle",
    "name": "Rolle",
    "targets": {
        "feed": {"path": "/start"},
        "card": {"selector": ".tile"},
        "like": {"selector": ".tile button.heart:not(.on)"},
        "search": {"path": "/suche"},
        "search_box": {"selector": "input[name=stichwort]"},
        "results": {"selector": ".treffer"},
    },
    "logged_in": {"path": "/start", "selector": ".tile"},
    "log_in": {"path": "/anmelden", "username": "#mail", "password": "#kennwort", "submit": "button.los"},
    "challenges": ["#pruefung"],
}


def load_file(
    base_url: str,
    usernames: Sequence[str],
    *,
    concurrency: int = 4,
    seed: int = 7,
    daily_likes: int = 20,
    pace: Pace = DEMO_PACE,
) -> Json:
    """Site `reel`, these accounts, playbook `browse` and task `morning`, for the site's usual face."""
    return {
        "sites": [_site(_REEL_SITE, base_url, concurrency, daily_likes)],
        "proxies": [],
        "accounts": _accounts("reel", usernames),
        "playbooks": [
            {"name": "browse", "steps": _steps(pace, done=".liked", words=["tea", "coffee", "rain"])},
        ],
        "tasks": [_task("morning", "browse", "reel", concurrency, seed, pace)],
    }


def load_file_second_markup(
    base_url: str,
    usernames: Sequence[str],
    *,
    concurrency: int = 4,
    seed: int = 7,
    daily_likes: int = 20,
    pace: Pace = DEMO_PACE,
) -> Json:
    """Site `rolle`, these accounts, playbook `stoebern` and task `abends`, for `--second-markup`."""
    return {
        "sites": [_site(_ROLLE_SITE, base_url, concurrency, daily_likes)],
        "proxies": [],
        "accounts": _accounts("rolle", usernames),
        "playbooks": [
            {
                "name": "stoebern",
                "steps": _steps(pace, done="button.heart.on", words=["Tee", "Kaffee", "Regen"]),
            },
        ],
        "tasks": [_task("abends", "stoebern", "rolle", concurrency, seed, pace)],
    }


def _site(site: Json, base_url: str, concurrency: int, daily_likes: int) -> Json:
    base_url = base_url.rstrip("/")
    host = urlsplit(base_url).hostname
    if not host:
        raise ValueError(f"base URL without a host: {base_url!r}")
    return {
        **site,
        "base_url": base_url,
        "allowed_hosts": [host],
        "allow_private_addresses": True,
        "limits": {"concurrency": max(8, concurrency), "daily": {"like": daily_likes}},
    }


def _accounts(site: str, usernames: Sequence[str]) -> list[Json]:
    return [
        {
            "site": site,
            "username": username,
            "password": password_for(username),
            "proxy": None,
            "storage_state": None,
        }
        for username in usernames
    ]


def _steps(pace: Pace, *, done: str, words: list[str]) -> list[Json]:
    return [
        {"do": "open", "target": "feed"},
        {
            "do": "repeat",
            "times": _range(pace.scrolls),
            "steps": [
                {"do": "scroll", "pixels": 900},
                {"do": "watch", "seconds": _range(pace.watch_seconds)},
            ],
        },
        {"do": "click", "target": "like", "nth": 0, "counts_as": "like", "effect": "once", "done": done},
        {
            "do": "search",
            "target": "search",
            "box": "search_box",
            "text": {"one_of": words},
            "results": "results",
        },
        {"do": "screenshot", "name": "end"},
    ]


def _task(name: str, playbook: str, site: str, concurrency: int, seed: int, pace: Pace) -> Json:
    return {
        "name": name,
        "playbook": playbook,
        "site": site,
        "accounts": "all",
        "concurrency": concurrency,
        "delay_seconds": _range(pace.delay_seconds),
        "seed": seed,
    }


def _range(values: tuple[float, float]) -> Json:
    return {"min": values[0], "max": values[1]}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m demo_site.load", description="Write a load file to stdout."
    )
    parser.add_argument("--base-url", required=True, help="where the demo site runs")
    parser.add_argument("--accounts", type=int, default=12, help="demo01 to demoNN (default: %(default)s)")
    parser.add_argument("--username", action="append", default=[], help="one more account; may be repeated")
    parser.add_argument("--concurrency", type=int, default=4, help="accounts at once (default: %(default)s)")
    parser.add_argument(
        "--second-markup", action="store_true", help="for a site started with --second-markup"
    )
    options = parser.parse_args(arguments)
    make = load_file_second_markup if options.second_markup else load_file
    names = [*usernames(options.accounts), *options.username]
    try:
        content = make(options.base_url, names, concurrency=options.concurrency)
    except ValueError as error:
        parser.error(str(error))
    json.dump(content, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
