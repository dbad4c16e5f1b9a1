"""Who may do what, page by page: written by hand, so that the code is not its own witness.

A page that is in none of these tables fails the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["anonymous", "viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("anonymous", "viewer", "operator", "admin")
STAFF: tuple[Role, ...] = ("viewer", "operator", "admin")
MOVERS: tuple[Role, ...] = ("operator", "admin")

# What viewers, operators and admins may do with a model's pages: see, add, change, delete.
MODELS: dict[str, tuple[str, str, str]] = {
    "core.Site": ("s", "s", "sacd"),
    "core.Proxy": ("s", "s", "sacd"),
    "core.Account": ("s", "s", "sacd"),
    "core.SessionState": ("s", "s", "s"),
    "warmup.Playbook": ("s", "s", "sad"),
    "warmup.WarmupTask": ("s", "s", "sd"),
    "warmup.WarmupAccount": ("s", "s", "s"),
    "warmup.WarmupSchedule": ("s", "sac", "sacd"),
    "warmup.ScheduleFiring": ("s", "s", "s"),
    "warmup.StepRecord": ("s", "s", "s"),
    "warmup.LogLine": ("s", "s", "s"),
    "warmup.Artifact": ("s", "s", "s"),
    "warmup.DailyCount": ("s", "s", "s"),
    "warmup.AuditEntry": ("s", "s", "s"),
    "warmup.ClusterPulse": ("s", "s", "s"),
    "django_q.Success": ("s", "s", "s"),
    "django_q.Failure": ("s", "s", "s"),
    "django_q.OrmQ": ("s", "s", "s"),
    "django_q.Schedule": ("s", "s", "s"),
    "auth.User": ("", "", "sacd"),
    "auth.Group": ("", "", "s"),
    "axes.AccessAttempt": ("", "", "sd"),
    "axes.AccessLog": ("", "", "s"),
}

# Who may do what with chosen rows of a list; "delete_selected" goes with "d".
ACTIONS: dict[str, dict[str, tuple[Role, ...]]] = {
    "core.Account": {"warm_up": MOVERS, "assign_proxy": ("admin",), "delete_chosen": ("admin",)},
    "warmup.WarmupSchedule": dict.fromkeys(("pause", "resume", "run_now"), MOVERS),
    "warmup.WarmupTask": dict.fromkeys(
        ("start", "pause", "resume", "stop", "force_stop", "restart_failed", "restart_all"), MOVERS
    ),
}


@dataclass(frozen=True)
class Page:
    """A page that is none of a model's ordinary ones: whom it answers, and whose POST changes something.

    Everybody else is answered with 403; who is not logged in is sent to the log-in.
    """

    get: int = 200
    get_by: tuple[Role, ...] = STAFF
    post: int = 200
    post_by: tuple[Role, ...] = STAFF
    changes: tuple[Role, ...] = ()
    records: bool = False  # a POST that changes nothing is in the audit all the same
    anonymous: int = 302
    anonymous_post: int = 302


PAGES: dict[str, Page] = {
    "home": Page(get=302, post=302),
    "own_password": Page(post=302, changes=STAFF),
    "admin:index": Page(),
    "admin:search": Page(),
    # A log-in while logged in; without, the form and its faults.
    "admin:login": Page(get=302, post=200, anonymous=200, anonymous_post=200),
    "admin:logout": Page(get=405, post=200),
    "admin:password_change": Page(post=302, changes=STAFF),
    "admin:password_change_done": Page(post=405),
    "admin:autocomplete": Page(get=403, post=405),  # nothing is looked up without a field
    "admin:jsi18n": Page(post=405),
    "admin:view_on_site": Page(get=404, post=404),
    "admin:app_list": Page(),
    "admin:admin/(?P<url>.*)$": Page(get=404, post=404),
    "admin:core_account_import": Page(get_by=("admin",), post_by=("admin",)),  # up to the preview
    "admin:core_account_process_import": Page(
        get=405, get_by=("admin",), post=302, post_by=("admin",), changes=("admin",)
    ),
    "admin:core_account_export": Page(records=True),
    "admin:core_sessionstate_roll_back": Page(
        get_by=("admin",), post=302, post_by=("admin",), changes=("admin",)
    ),
    "admin:warmup_warmupschedule_preview": Page(get=405, get_by=MOVERS, post_by=MOVERS),
    "admin:warmup_warmupschedule_verb": Page(get_by=MOVERS, post=302, post_by=MOVERS, changes=MOVERS),
    "admin:warmup_artifact_file": Page(post=405),
    "admin:warmup_warmuptask_board": Page(),
    "admin:warmup_warmuptask_live": Page(),
    "admin:warmup_warmuptask_verb": Page(get_by=MOVERS, post=302, post_by=MOVERS, changes=MOVERS),
    "admin:warmup_warmuptask_restart_cluster": Page(get_by=MOVERS, post=302, post_by=MOVERS, changes=MOVERS),
    "admin:warmup_warmupaccount_live": Page(),
    "admin:warmup_warmupaccount_settle": Page(get=405, post=302, post_by=MOVERS, changes=MOVERS),
    "admin:warmup_warmupaccount_solved": Page(get=405, post=302, post_by=MOVERS, changes=MOVERS),
    "admin:auth_user_password_change": Page(
        get_by=("admin",), post=302, post_by=("admin",), changes=("admin",)
    ),
}


def may(role: Role, label: str, what: str) -> bool:
    """Whether the table gives a role this on the pages of a model."""
    return role != "anonymous" and what in MODELS[label][STAFF.index(role)]
