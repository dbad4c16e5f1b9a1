"""`manage.py purge_artifacts`: delete evidence that is too old or too much, now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.artifacts import MIB
from warmup import retention


class Command(BaseCommand):
    help = (
        "Deletes artifacts older than the retention, the oldest beyond the quota, files without a row"
        " and rows without a file. Workers do the same once a day, but for the rows."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *_: Any, dry_run: bool = False, **__: Any) -> None:
        done = retention.purge(dry_run=dry_run)
        self.stdout.write(
            f"{'would delete' if dry_run else 'deleted'}: {done.expired} expired, {done.over_quota} over the"
            f" quota, {done.without_file} rows without a file, {done.without_row} files without a row;"
            f" {done.bytes / MIB:.1f} MiB"
        )
