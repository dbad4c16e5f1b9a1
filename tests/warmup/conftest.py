"""What several tests of warm-ups share."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.stdlib import ProcessorFormatter

pytest.register_assert_rewrite("tests.warmup.canaries", "tests.warmup.poison")


@pytest.fixture
def caught_logs(settings: Any) -> Iterator[list[io.StringIO]]:
    """All that is logged, at every level, as the lines that people and machines get."""
    config = settings.LOGGING["formatters"]["structured"]
    *processors, console = config["processors"]
    loggers = [logging.getLogger(name) for name in ("", "django-q", "django.server", "django")]
    before = [(logger, logger.level) for logger in loggers]
    handlers = []
    for renderer in (console, structlog.processors.JSONRenderer()):
        handler = logging.StreamHandler(io.StringIO())
        handler.setFormatter(
            ProcessorFormatter(
                processors=[*processors, renderer], foreign_pre_chain=config["foreign_pre_chain"]
            )
        )
        handlers.append(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        if logger.name in {"root", "django-q", "django.server"}:  # the others pass on what they hear
            logger.handlers += handlers
    yield [handler.stream for handler in handlers]
    for logger, level in before:
        logger.setLevel(level)
        logger.handlers = [handler for handler in logger.handlers if handler not in handlers]
