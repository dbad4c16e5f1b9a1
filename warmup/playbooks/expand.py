"""From a playbook and a seed to a plan: pure, total, and the same in every process.

Every concrete step draws from a stream of its own, made from the seed and the step's path through the
playbook (which step, which repetition). So a change to one step never changes what another step draws.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256

from warmup.plan import Plan, PlanStep
from warmup.playbooks.action import Planned
from warmup.playbooks.actions import ACTIONS
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import DWELL_SLICE_SECONDS, ActionStep, dwell_parts
from warmup.playbooks.schema import PlaybookSpec, RepeatStep, Step
from warmup.playbooks.text import plain


def expand(spec: PlaybookSpec, seed: int) -> Plan:
    """The concrete steps of one run, numbered from 0; the same seed always gives the same plan."""
    plan: list[PlanStep] = []
    for step, place, path in _walk(spec.steps, "steps", "", seed):
        planned = ACTIONS[step.do].plan(step, Draw(seed, path))
        for number, part in enumerate(_split(planned, step.do)):
            plan.append(
                PlanStep(
                    index=len(plan),
                    place=place,
                    do=step.do,
                    label=part.label,
                    args=part.args,
                    effect=step.effect,
                    done=step.done,
                    counts_as=step.counts_as if number == 0 else None,  # one step uses its limit up once
                    timeout_seconds=step.timeout_seconds,
                    dwell_seconds=part.dwell_seconds,
                )
            )
    return tuple(plan)


def worst_case_steps(spec: PlaybookSpec) -> int:
    """How many concrete steps `expand` makes at most, whatever the seed."""
    return spec.most_steps()


def run_seed(task_seed: int, site_slug: str, username: str) -> int:
    """The seed of one account's run within a task: 0 to 2**63 - 1."""
    key = json.dumps([task_seed, site_slug, username])
    return int.from_bytes(sha256(key.encode()).digest()[:8], "big") >> 1


def start_delay(seed: int, minimum: float, maximum: float) -> float:
    """How many seconds a run waits before it starts: from `minimum` to `maximum`, in whole milliseconds."""
    return Draw(seed, "start").between(minimum, maximum)


def _walk(steps: Sequence[Step], place: str, path: str, seed: int) -> Iterator[tuple[ActionStep, str, str]]:
    """Every concrete step in order, with where it is declared and its path."""
    for number, step in enumerate(steps):
        step_place, step_path = f"{place}[{number}]", f"{path}{number}"
        if not isinstance(step, RepeatStep):
            yield step, step_place, step_path
            continue
        for turn in range(Draw(seed, step_path).whole(step.times)):
            yield from _walk(step.steps, f"{step_place}.steps", f"{step_path}.{turn}.", seed)


def _split(planned: Planned, do: str) -> Iterator[Planned]:
    """The step itself, or the parts of a dwell that is too long for one step."""
    count = dwell_parts(planned.dwell_seconds)
    if count == 1:
        yield planned
        return
    for number in range(count):
        left = round(planned.dwell_seconds - number * DWELL_SLICE_SECONDS, 3)
        seconds = min(left, float(DWELL_SLICE_SECONDS))
        label = f"{do} {plain(seconds)} s ({number + 1} of {count})"
        yield Planned(label, {"seconds": seconds}, seconds)
