"""`manage.py healthcheck`: exit 1, and say what is wrong, when the system does not do its work."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from warmup import health


class Command(BaseCommand):
    help = "Exits 1 when work has not moved for too long, or workers, browser, database or broker are gone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--no-browser", action="store_true", help="do not start a browser (it takes a second of CPU)"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        found = health.problems(with_browser=not options["no_browser"])
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not found, "problems": found}, ensure_ascii=False))
        elif found:
            for part, problem in found.items():
                self.stderr.write(self.style.ERROR(f"{part}: {problem}"))
        else:
            self.stdout.write("all is well")
        if found:
            sys.exit(1)
