"""Django's debug pages and error mails without values: they would show passwords and sessions."""

from __future__ import annotations

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class NamesOnly(SafeExceptionReporterFilter):
    """Variables and posted fields by name only; settings and headers as Django filters them, and addresses.

    Set as DEFAULT_EXCEPTION_REPORTER_FILTER; unlike Django's, it is at work in DEBUG too.
    """

    # An address may hold a password.
    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|COOKIE|URL|LOCATION|ENDPOINT|REDIS", re.IGNORECASE
    )

    def is_active(self, request: HttpRequest | None) -> bool:  # noqa: ARG002 - Django's signature
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        """The names of what was posted."""
        return dict.fromkeys(request.POST, self.cleansed_substitute) if request else {}

    def get_traceback_frame_variables(
        self,
        request: HttpRequest | None,  # noqa: ARG002 - Django's signature
        tb_frame: FrameType,
    ) -> ItemsView[str, Any]:
        """The names of a frame's variables."""
        return dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute).items()
