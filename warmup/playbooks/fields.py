"""What the fields of steps are made of: texts, ranges, target names, and the base of every step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    model_validator,
)
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

from warmup.plan import Effect
from warmup.playbooks.faults import NUMBER, ONE_OF, RANGE, TEXT, UNCLEAN_TEXT, WHOLE, fault
from warmup.playbooks.text import UNCLEAN, plain

MAX_NAME = 100  # characters
MAX_COUNTER = 50  # characters
MAX_TEXT = 500  # characters
MAX_SELECTOR = 500  # characters
MAX_OPTIONS = 100
MAX_SECONDS = 3600
MAX_STEP_TIMEOUT_SECONDS = 120
MAX_PIXELS = 100_000
MAX_NTH = 1000
MAX_TIMES = 1000
# A slice may give a run back at a step boundary only, so that no single step may dwell longer.
DWELL_SLICE_SECONDS = 30

# With the bidirectional overrides and isolates, which make a name read as another one (CVE-2021-42574).
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class StrictModel(BaseModel):
    """Frozen; refuses unknown keys and never turns one type into another."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class Listed:
    """Marks a tuple field: any JSON list of `least` to `most` items.

    Pydantic's own bounds count the items that are valid, so that one wrong item makes "empty" out of a
    list of one; and its strict mode refuses a list for a tuple.
    """

    least: int = 0
    most: int | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(self._check, {**handler(source), "strict": False})

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        limits = {"minItems": self.least or None, "maxItems": self.most}
        return {**handler(schema), **{key: limit for key, limit in limits.items() if limit is not None}}

    def _check(self, value: object) -> object:
        count = len(value) if isinstance(value, list | tuple) else self.least
        if count < self.least:
            raise fault("must not be empty")
        if self.most is not None and count > self.most:
            raise fault(f"must have at most {self.most} items, not {count}")
        return value


# ---- texts ----------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Refuses what no database and no UTF-8 can hold."""
    if UNCLEAN.search(text):
        raise fault(UNCLEAN_TEXT)
    return text


def one_line(text: str) -> str:
    """Refuses what is no clean, visible single line."""
    clean(text)
    if not text.strip():
        raise fault("must not be empty")
    if _CONTROL.search(text):
        raise fault("must be one line without control characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(one_line)]
CounterName = Annotated[str, Field(min_length=1, max_length=MAX_COUNTER), AfterValidator(one_line)]
Selector = Annotated[str, Field(min_length=1, max_length=MAX_SELECTOR), AfterValidator(one_line)]
TypedText = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(clean)]


class OneOf(StrictModel):
    """One of these texts, drawn for each run."""

    one_of: Annotated[
        tuple[TypedText, ...],
        Listed(1, MAX_OPTIONS),
        Field(repr=False),
    ]


def _text_tag(value: object) -> str:
    return ONE_OF if isinstance(value, dict | OneOf) else TEXT


# A text, or one of several.
Text = Annotated[
    Annotated[TypedText, Tag(TEXT)] | Annotated[OneOf, Tag(ONE_OF)],
    Discriminator(_text_tag),
]


# ---- numbers --------------------------------------------------------------------------------------


def _to_milliseconds(seconds: float) -> float:
    return round(seconds, 3)


class Range(StrictModel):
    """From `min` to `max`, both included; a number is drawn for each step of each run."""

    min: float
    max: float

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.min > self.max:
            raise fault(f"min {plain(self.min)} is greater than max {plain(self.max)}")
        return self


# Whole milliseconds, so that a number drawn from a range and rounded stays within it.
_SecondsNumber = Annotated[
    float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False), AfterValidator(_to_milliseconds)
]


class SecondsRange(Range):
    """A range of seconds."""

    min: _SecondsNumber
    max: _SecondsNumber


def _not_zero(pixels: int) -> int:
    if pixels == 0:
        raise fault("must not be 0")
    return pixels


_PixelsNumber = Annotated[
    int,
    Field(ge=-MAX_PIXELS, le=MAX_PIXELS, json_schema_extra={"not": {"const": 0}}),
    AfterValidator(_not_zero),
]


class PixelsRange(Range):
    """A range of pixels, all down (positive) or all up (negative)."""

    min: _PixelsNumber
    max: _PixelsNumber

    @model_validator(mode="after")
    def _one_direction(self) -> PixelsRange:
        if self.min < 0 < self.max:
            raise fault("the range must not include 0")
        return self


_TimesNumber = Annotated[int, Field(ge=1, le=MAX_TIMES)]


class TimesRange(Range):
    """A range of repetitions."""

    min: _TimesNumber
    max: _TimesNumber


def _number_tag(value: object) -> str:
    return RANGE if isinstance(value, dict | Range) else NUMBER


def _whole_tag(value: object) -> str:
    return RANGE if isinstance(value, dict | Range) else WHOLE


Seconds = Annotated[
    Annotated[_SecondsNumber, Tag(NUMBER)] | Annotated[SecondsRange, Tag(RANGE)],
    Discriminator(_number_tag),
]
Pixels = Annotated[
    Annotated[_PixelsNumber, Tag(WHOLE)] | Annotated[PixelsRange, Tag(RANGE)],
    Discriminator(_whole_tag),
]
Times = Annotated[
    Annotated[_TimesNumber, Tag(WHOLE)] | Annotated[TimesRange, Tag(RANGE)],
    Discriminator(_whole_tag),
]


def bounds(value: float | Range) -> tuple[float, float]:
    """The least and the greatest that `value` may become."""
    return (value.min, value.max) if isinstance(value, Range) else (value, value)


def dwell_parts(seconds: float) -> int:
    """How many steps a dwell is cut into."""
    return max(1, -(-round(seconds * 1000) // (DWELL_SLICE_SECONDS * 1000)))


# ---- targets and steps ----------------------------------------------------------------------------

Need = Literal["path", "selector"]


@dataclass(frozen=True, slots=True)
class Needs:
    """Marks a field as the name of a target, and says what the site must define for it."""

    what: Need


PathTarget = Annotated[Name, Needs("path")]
SelectorTarget = Annotated[Name, Needs("selector")]


class ActionStep(StrictModel):
    """What every step but `repeat` may carry."""

    # The keys of this base, which stand last when a step is written.
    common: ClassVar[frozenset[str]] = frozenset({"effect", "done", "counts_as", "timeout_seconds"})

    do: str
    effect: Effect = "repeatable"
    done: Selector | None = None
    counts_as: CounterName | None = None
    timeout_seconds: Annotated[
        float | None, Field(gt=0, le=MAX_STEP_TIMEOUT_SECONDS, allow_inf_nan=False)
    ] = None

    def most_steps(self) -> int:
        """How many concrete steps this becomes at most."""
        return 1


class DwellStep(ActionStep):
    """A step that only lets time pass; long ones are cut into several concrete steps."""

    seconds: Seconds

    def most_steps(self) -> int:
        """How many concrete steps this becomes at most."""
        return dwell_parts(bounds(self.seconds)[1])


# Concrete JSON values, as an action planned them.
Args = dict[str, Any]
