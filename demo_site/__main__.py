"""`python -m demo_site`: serve until told to stop."""

from __future__ import annotations

import argparse
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from demo_site.markup import REEL, ROLLE
from demo_site.server import DemoSite

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # Blocked in this thread and, inherited, in every other: sigwait below takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        site = DemoSite(
            host=options.host,
            port=options.port,
            ledger=options.ledger,
            accounts=options.accounts,
            latency_ms=options.latency_ms,
            markup=ROLLE if options.second_markup else REEL,
        )
    except OSError as error:
        sys.stderr.write(f"demo site: cannot listen on {options.host}:{options.port}: {error.strerror}\n")
        return 1
    except sqlite3.Error as error:
        sys.stderr.write(f"demo site: cannot open the ledger {options.ledger}: {error}\n")
        return 1
    with site:
        sys.stdout.write(f"demo site: {site.url}/\n")
        sys.stdout.flush()
        signal.sigwait(STOP_SIGNALS)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo_site", description="A small web site to warm accounts on."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=_number(65_535), default=8801, help="0 picks a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="SQLite file of the ledger (default: in memory)"
    )
    parser.add_argument(
        "--accounts", type=_number(999_999), default=12, help="demo01 to demoNN (default: %(default)s)"
    )
    parser.add_argument("--latency-ms", type=_number(60_000), default=0, help="added to every request")
    parser.add_argument("--second-markup", action="store_true", help="other paths, ids, classes, in German")
    return parser


def _number(highest: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        value = int(text)
        if not 0 <= value <= highest:
            raise ValueError
        return value

    convert.__name__ = f"number from 0 to {highest}"
    return convert


if __name__ == "__main__":
    sys.exit(main())
