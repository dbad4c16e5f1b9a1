"""How names, texts and numbers from a file are shown to a person, and which characters they may hold."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache

# NUL and lone surrogates: neither PostgreSQL nor UTF-8 can hold them.
UNCLEAN = re.compile("[\x00\ud800-\udfff]")
# A fixed list, not `str.isprintable()`, whose answer follows the Unicode version of the Python in use:
# control characters, line separators, and what turns the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHOWN_LENGTH = 60


def shown(text: str) -> str:
    """`text` on one line of at most 60 characters: unprintable ones escaped, the end cut off."""
    begin = text[: _SHOWN_LENGTH + 1]
    line = _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), begin)
    return line if len(line) <= _SHOWN_LENGTH else line[: _SHOWN_LENGTH - 3] + "..."


def quoted(text: str) -> str:
    """`text` as `shown`, in single quotes."""
    return f"'{shown(text)}'"


def plain(number: float) -> str:
    """A number as a person writes it: `3` and not `3.0`."""
    return str(int(number)) if number == int(number) else str(number)


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """`did you mean 'scroll'?`, or an empty string when no option is close to `name`."""
    close = _closest(name, tuple(sorted(options))) if len(name) <= 100 else ""
    return f"did you mean {quoted(close)}?" if close else ""


def hint(name: str, options: Iterable[str]) -> str:
    """` (did you mean 'scroll'?)`, to be put behind a message, or an empty string."""
    question = did_you_mean(name, options)
    return f" ({question})" if question else ""


# The same wrong name often stands in every row of a file, and the comparison is slow.
@lru_cache(maxsize=1024)
def _closest(name: str, options: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(name, options, n=1)), "")
