"""The bridged save helpers: synchronous, fenced reads and saves of a run.

One function is one transaction and one crossing of the bridge. They take and give frozen shapes
(`warmup.types`), never model instances. A write names its lease; when the run is no longer the
lease's, nothing is written and the answer says so. Unit-test them as plain functions, and through the
bridge as `await bridged(finish)(lease, outcome)`: see `docs/testing.md`.
"""

from warmup.store.claim import claim, free_slots, has_work, seconds_until_work
from warmup.store.ending import expire, finish, settle_task
from warmup.store.leases import database_now, heartbeat, poll
from warmup.store.progress import record_intent, save_evidence, set_plan_length, write_progress
from warmup.store.pulse import beat, forget_old_pulses, seconds_since_beat

__all__ = [
    "beat",
    "claim",
    "database_now",
    "expire",
    "finish",
    "forget_old_pulses",
    "free_slots",
    "has_work",
    "heartbeat",
    "poll",
    "record_intent",
    "save_evidence",
    "seconds_since_beat",
    "seconds_until_work",
    "set_plan_length",
    "settle_task",
    "write_progress",
]
