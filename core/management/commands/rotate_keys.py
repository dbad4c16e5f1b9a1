"""`manage.py rotate_keys`: re-encrypt every secret with the newest key of FIELD_KEYS."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core import rotation


class Command(BaseCommand):
    help = (
        "Re-encrypts every secret with the newest key of FIELD_KEYS, and reports what is on which key."
        " Can be stopped at any moment and run again. Exits 1 while anything is not on the newest key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only report; change nothing")

    def handle(self, *_: Any, check: bool = False, **__: Any) -> None:
        if not check:
            self.stdout.write(f"{rotation.rotate()} re-encrypted")
        # Looked at afterwards: a worker that has not been restarted yet still writes with its old key.
        report = rotation.report()
        for column, counts in report.columns.items():
            words = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
            self.stdout.write(f"{column}: {words or 'none'}")
        problems = self._problems(report)
        for problem in problems:
            self.stderr.write(self.style.ERROR(problem))
        if problems:
            sys.exit(1)
        self.stdout.write("every secret is on the newest key: older keys may be removed from FIELD_KEYS")

    def _problems(self, report: rotation.Report) -> list[str]:
        """What is not as it should be, what to do about it, and where."""
        problems = []
        if old := report.total(rotation.OLD):
            problems.append(
                f"{old} still on an old key: restart the workers and the admin with the new FIELD_KEYS,"
                " then run rotate_keys again"
            )
        if unreadable := report.total(rotation.UNREADABLE):
            problems.append(
                f"{unreadable} do not open with any key of FIELD_KEYS, or are damaged, and were left as they"
                " are: add the key they were written with"
            )
        if misplaced := report.total(rotation.MISPLACED):
            problems.append(
                f"{misplaced} were sealed for another place and do not open where they are: put back what"
                " belongs there, or enter it again"
            )
        return [*problems, *(f"  {place}" for place in report.places)]
