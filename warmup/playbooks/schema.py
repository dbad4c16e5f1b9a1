"""The schema of a playbook: a name and a list of steps.

`python -m warmup.playbooks.schema > docs/playbook.schema.json` writes it as JSON Schema.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union

from pydantic import Field, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from core.errors import InvalidInput
from warmup.playbooks.actions import ACTIONS
from warmup.playbooks.faults import cleaned_keys, faults_of, place_of
from warmup.playbooks.fields import ActionStep, Listed, Name, StrictModel, Times, bounds

MAX_DECLARED_STEPS = 200
MAX_CONCRETE_STEPS = 2_000
MAX_REPEAT_DEPTH = 4


class RepeatStep(StrictModel):
    """Do `steps` several times over."""

    do: Literal["repeat"]
    times: Times
    steps: Annotated[tuple[Step, ...], Listed(1)]

    def most_steps(self) -> int:
        """How many concrete steps this becomes at most."""
        return int(bounds(self.times)[1]) * sum(step.most_steps() for step in self.steps)


if TYPE_CHECKING:
    Step: TypeAlias = ActionStep | RepeatStep
else:  # the actions are known by looking into their folder
    Step = Annotated[
        Union[(*(action.step for action in ACTIONS.values()), RepeatStep)],
        Field(discriminator="do"),
    ]


class PlaybookSpec(StrictModel):
    """What one run does, step by step."""

    # Made by `parse_playbook`, which also keeps the bounds on the number of steps.
    name: Name
    steps: Annotated[tuple[Step, ...], Listed(1)]

    def definition(self) -> dict[str, Any]:
        """The canonical JSON form: defaults left out, single-valued ranges as plain values."""
        return {"name": self.name, "steps": [_written(step) for step in self.steps]}

    def digest(self) -> str:
        """SHA-256 of the definition, in hexadecimal: the same for playbooks that say the same."""
        canonical = json.dumps(self.definition(), sort_keys=True, separators=(",", ":"))
        return sha256(canonical.encode()).hexdigest()

    def most_steps(self) -> int:
        """How many concrete steps this becomes at most."""
        return sum(step.most_steps() for step in self.steps)


RepeatStep.model_rebuild()


def parse_playbook(data: object, *, place: str = "") -> PlaybookSpec:
    """`data` (JSON values) as a playbook; raises `InvalidInput` with one line for every fault.

    `place` is put before the place of every fault: `playbooks[0]`.
    """
    spec, faults = check_playbook(data, place=place)
    if spec is None:
        raise InvalidInput(faults)
    return spec


def check_playbook(data: object, *, place: str = "") -> tuple[PlaybookSpec | None, list[str]]:
    """The playbook and no faults, or None and every fault."""
    faults: list[str] = []
    data = cleaned_keys(data, place=place, faults=faults)
    top = place_of(["steps"], place)
    if isinstance(data, dict) and "steps" in data:
        count, data["steps"] = _bounded(data["steps"], top, 0, faults)
        if count > MAX_DECLARED_STEPS:
            faults.append(f"{top}: {count} steps are declared, at most {MAX_DECLARED_STEPS}")
    try:
        spec = PlaybookSpec.model_validate(data)
    except ValidationError as error:
        return None, faults + faults_of(error, PlaybookSpec, place=place, whole="playbook")
    most = spec.most_steps()
    if most > MAX_CONCRETE_STEPS:
        faults.append(f"{top}: up to {most} concrete steps, at most {MAX_CONCRETE_STEPS}")
    return (None if faults else spec), faults


class _UntitledFields(GenerateJsonSchema):
    """Without a title for each field that only says its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """Never."""
        return False


def playbook_json_schema() -> dict[str, Any]:
    """The schema of a playbook, as JSON Schema (draft 2020-12)."""
    return json_schema_of(PlaybookSpec, "Playbook")


def json_schema_of(model: type[StrictModel], title: str) -> dict[str, Any]:
    """The JSON Schema of a model, under `title`."""
    schema = model.model_json_schema(schema_generator=_UntitledFields)
    return {"$schema": _UntitledFields.schema_dialect, **schema, "title": title}


def write_json(schema: dict[str, Any]) -> None:
    """Write a schema to standard output, as it stands in `docs/`."""
    sys.stdout.write(json.dumps(schema, indent=2) + "\n")


def _bounded(steps: object, place: str, depth: int, faults: list[str]) -> tuple[int, object]:
    """How many steps are declared here and below, and a copy without what is nested too deep."""
    if not isinstance(steps, list):
        return 0, steps
    count, kept = len(steps), []
    for index, step in enumerate(steps):
        inner = place_of([index], place)
        if not isinstance(step, dict) or step.get("do") != "repeat" or "steps" not in step:
            kept.append(step)
        elif depth == MAX_REPEAT_DEPTH:
            faults.append(f"{inner}: repeat is nested {depth + 1} deep, at most {MAX_REPEAT_DEPTH}")
            kept.append({"do": "back"})  # a harmless step in its stead, so that the rest is still looked at
        else:
            below, inner_steps = _bounded(step["steps"], place_of(["steps"], inner), depth + 1, faults)
            kept.append({**step, "steps": inner_steps})
            count += below
    return count, kept


def _written(step: ActionStep | RepeatStep) -> dict[str, Any]:
    """A step as JSON values: what it does first, what every step may carry last."""
    values = step.model_dump(exclude_defaults=True, exclude={"steps"})
    written = {
        key: _canonical(values[key]) for key in sorted(values, key=lambda key: key in ActionStep.common)
    }
    if isinstance(step, RepeatStep):
        written["steps"] = [_written(inner) for inner in step.steps]
    return written


def _canonical(value: Any) -> Any:
    """One way of writing for values that mean the same: `2` for `2.0`, `3` for 3 to 3."""
    if isinstance(value, float) and value == int(value):
        return int(value)
    if not isinstance(value, dict):
        return value
    if "one_of" in value:
        options = value["one_of"]
        return options[0] if len(options) == 1 else {"one_of": list(options)}
    low, high = _canonical(value["min"]), _canonical(value["max"])
    return low if low == high else {"min": low, "max": high}


if __name__ == "__main__":
    write_json(playbook_json_schema())
