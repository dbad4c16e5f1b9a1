"""The forms of the admin: they accept what the load file accepts, and say what is wrong in its words."""

from warmup.forms.bulk import ProxyChoiceForm
from warmup.forms.playbook import PlaybookForm
from warmup.forms.rows import AccountForm, ProxyForm, SiteForm
from warmup.forms.schedule import ScheduleForm
from warmup.forms.task import VerbForm, WarmUpForm, newest_playbooks

__all__ = [
    "AccountForm",
    "PlaybookForm",
    "ProxyChoiceForm",
    "ProxyForm",
    "ScheduleForm",
    "SiteForm",
    "VerbForm",
    "WarmUpForm",
    "newest_playbooks",
]
