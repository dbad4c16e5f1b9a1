"""`manage.py rotate_keys`: re-encrypt every secret with the newest key of FIELD_KEYS."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand

from core import rotation


class Command(BaseCommand):
    help = "Re-encrypts every secret with the newest key of FIELD_KEYS. Can be stopped and run again."

    def handle(self, *_: Any, **__: Any) -> None:
        unreadable = 0
        for name, counts in [*rotation.rotate_rows(), ("artifacts", rotation.rotate_files())]:
            unreadable += counts[rotation.UNREADABLE]
            self.stdout.write(f"{name}: {self._words(counts)}")
        if unreadable:
            self.stderr.write(
                self.style.ERROR(
                    f"{unreadable} do not open with any key of FIELD_KEYS and were left as they are:"
                    " add the key they were written with"
                )
            )
            sys.exit(1)
        self.stdout.write("every secret is on the newest key: older keys may be removed from FIELD_KEYS")

    def _words(self, counts: Counter[str]) -> str:
        order = (rotation.ROTATED, rotation.NEWEST, rotation.UNREADABLE)
        return ", ".join(f"{counts[what]} {what}" for what in order if counts[what]) or "none"
