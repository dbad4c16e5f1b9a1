"""The forms of the admin: they accept what the load file accepts, and say what is wrong in its words."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.db import IntegrityError, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel, ValidationError
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from core import secrets
from core.errors import InvalidInput, WarmupError
from core.models import Account, AccountSecret, Proxy, ProxySecret, Site
from warmup import services
from warmup.audit import Actor
from warmup.loadfile import AccountEntry, ProxyEntry, SiteEntry
from warmup.models import Playbook, WarmupTask
from warmup.playbooks.documents import read_document
from warmup.playbooks.faults import cleaned_keys, faults_of
from warmup.playbooks.schema import PlaybookSpec, check_playbook
from warmup.playbooks.targets import target_faults

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm

E = TypeVar("E", bound=BaseModel)
INSERT_BATCH = 1000


class DocumentField(forms.CharField):
    """JSON (or YAML) as text; its value is the data, or `empty` when there is none."""

    def __init__(self, *, empty: Any = None, rows: int = 8, **kwargs: Any) -> None:
        self.empty = empty
        widget = UnfoldAdminTextareaWidget(
            attrs={"rows": rows, "class": "wu-document", "spellcheck": "false"}
        )
        super().__init__(widget=widget, strip=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Data as indented JSON; what a person typed as it is."""
        if isinstance(value, str):
            return value
        return "" if value in (None, {}, []) else json.dumps(value, indent=2, ensure_ascii=False)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except forms.ValidationError:
            return True

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.strip():
            return self.empty
        try:
            data, faults = read_document(text)
        except InvalidInput as error:
            raise forms.ValidationError(list(error.faults)) from None
        if faults:
            raise forms.ValidationError(faults)
        return data


def add_faults(form: forms.BaseForm, faults: Iterable[str], fields: Mapping[str, str]) -> None:
    """Put each fault under the field that its place begins with; the others above the form."""
    for fault in faults:
        place = fault.partition(":")[0]
        found = [
            field
            for start, field in fields.items()
            if place == start or place.startswith((f"{start}.", f"{start}["))
        ]
        form.add_error(found[-1] if found else None, fault)


def check_entry(
    form: forms.BaseForm, model: type[E], data: Mapping[str, Any], fields: Mapping[str, str], *, whole: str
) -> E | None:
    """One entry of a load file made of a form's data; None when its faults are among the form's errors."""
    faults: list[str] = []
    cleaned = cleaned_keys(dict(data), place="", faults=faults)
    try:
        entry = model.model_validate(cleaned)
    except ValidationError as error:
        faults += faults_of(error, model, place="", whole=whole)
    # What a field of the form found by itself is said already.
    add_faults(form, [fault for fault in faults if fault.partition(":")[0] not in form.errors], fields)
    return None if form.errors else entry


# ---- sites, proxies, accounts ---------------------------------------------------------------------


class SiteForm(ModelForm):
    """A site, by the rules of a load file's `sites`."""

    allowed_hosts = DocumentField(
        label=_("Allowed hosts"),
        rows=3,
        help_text=_('["example.com", "*.example.com"]: whatever else the pages ask for is not reached.'),
    )
    targets = DocumentField(
        label=_("Targets"),
        empty={},
        required=False,
        help_text=_('{"feed": {"path": "/feed"}, "like": {"selector": ".like"}}: what playbooks name.'),
    )
    logged_in = DocumentField(
        label=_("Logged-in probe"),
        rows=4,
        required=False,
        help_text=_('{"path": "/feed", "selector": ".card"}: visible there means logged in.'),
    )
    log_in = DocumentField(
        label=_("Log-in form"),
        rows=6,
        required=False,
        help_text=_(
            '{"path", "username", "password", "submit"}: where, and the CSS selectors of its fields.'
        ),
    )
    challenges = DocumentField(
        label=_("Challenge probes"),
        rows=3,
        empty=[],
        required=False,
        help_text=_('["#challenge"]: a page that shows one parks the account for a person.'),
    )
    daily_limits = DocumentField(
        label=_("Daily limits per account"),
        rows=3,
        empty={},
        required=False,
        help_text=_('{"like": 20}: how often a day what a step `counts_as` may happen.'),
    )

    class Meta:
        model = Site
        fields = (
            "slug",
            "name",
            "base_url",
            "allowed_hosts",
            "allow_private_addresses",
            "targets",
            "logged_in",
            "log_in",
            "challenges",
            "concurrency",
            "daily_limits",
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        own = {name: data[name] for name in self.Meta.fields[:-2] if name in data}
        limits = {"concurrency": data.get("concurrency"), "daily": data.get("daily_limits", {})}
        places = {name: name for name in self.Meta.fields}
        places |= {"limits.concurrency": "concurrency", "limits.daily": "daily_limits"}
        entry = check_entry(self, SiteEntry, {**own, "limits": limits}, places, whole="site")
        if entry is None:
            return data
        targets = {name: target.model_dump(exclude_none=True) for name, target in entry.targets.items()}
        return {**data, "allowed_hosts": list(entry.allowed_hosts), "targets": targets}


class SecretForm(ModelForm):
    """Fields that are written and never shown; left empty, they leave what is stored as it is."""

    def describe(self, names: Iterable[str], stored: bool) -> None:
        """Say of these fields whether something is stored; without, there is nothing to forget."""
        for name in names:
            if name in self.fields:  # those who may only look have none
                self.fields[name].help_text = (
                    _("Set. Leave it empty to keep it.") if stored else _("Not set.")
                )
        if "forget" in self.fields:
            self.fields["forget"].disabled = not stored


def _password_field(label: str | Promise) -> forms.CharField:
    widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, required=False, strip=False, widget=widget)


class ProxyForm(SecretForm):
    """A proxy, by the rules of a load file's `proxies`."""

    username = forms.CharField(
        label=_("Username"), required=False, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )
    password = _password_field(_("Password"))
    forget = forms.BooleanField(
        label=_("Forget the stored username and password"), required=False, widget=UnfoldBooleanWidget
    )

    class Meta:
        model = Proxy
        fields = ("name", "server")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = ProxySecret.objects.filter(proxy=self.instance.pk).exists() if self.instance.pk else False
        self.describe(("username", "password"), stored)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        entry = {name: data.get(name, "") for name in self.Meta.fields if name in data}
        entry |= {name: data[name] for name in ("username", "password") if data.get(name)}
        check_entry(
            self, ProxyEntry, entry, {name: name for name in (*entry, "username", "password")}, whole="proxy"
        )
        if data.get("password") and not data.get("username"):
            self.add_error("username", _("A new password needs its username with it."))
        return data

    def save_secret(self, proxy: Proxy) -> None:
        """Seal and store what was typed, once the proxy itself is saved."""
        typed = {name: self.cleaned_data.get(name) or None for name in ("username", "password")}
        if any(typed.values()):
            sealed = secrets.encrypt_json(typed)
            ProxySecret.objects.update_or_create(proxy=proxy, defaults={"credentials": sealed})
        elif self.cleaned_data.get("forget"):
            ProxySecret.objects.filter(proxy=proxy).delete()


class AccountForm(SecretForm):
    """An account, by the rules of a load file's `accounts`."""

    password = _password_field(_("Password"))
    forget = forms.BooleanField(
        label=_("Forget the stored password"), required=False, widget=UnfoldBooleanWidget
    )

    class Meta:
        model = Account
        fields = ("site", "username", "proxy", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = (
            AccountSecret.objects.filter(account=self.instance.pk).exists() if self.instance.pk else False
        )
        self.describe(("password",), stored)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        entry = {"site": "any", "username": data.get("username", "-")}
        if data.get("password"):
            entry["password"] = data["password"]
        check_entry(
            self, AccountEntry, entry, {name: name for name in ("username", "password")}, whole="account"
        )
        return data

    def save_secret(self, account: Account) -> None:
        """Seal and store what was typed, once the account itself is saved."""
        if password := self.cleaned_data.get("password"):
            sealed = secrets.encrypt(password.encode())
            AccountSecret.objects.update_or_create(account=account, defaults={"password": sealed})
        elif self.cleaned_data.get("forget"):
            AccountSecret.objects.filter(account=account).delete()


# ---- playbooks ------------------------------------------------------------------------------------


class PlaybookForm(ModelForm):
    """A new version of a playbook; a fault stands under its field, with its place."""

    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("A name that exists gets a new version; the others stay as they are."),
    )
    steps = DocumentField(
        label=_("Steps"),
        rows=20,
        help_text=_(
            'A list in JSON or YAML: [{"do": "open", "target": "feed"}, {"do": "scroll", "pixels": 900}]'
        ),
    )

    class Meta:
        model = Playbook
        fields = ("name",)

    spec: PlaybookSpec

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "name" in data and "steps" in data:
            spec, faults = check_playbook({"name": data["name"], "steps": data["steps"]})
            add_faults(self, faults, {"name": "name", "steps": "steps"})
            if spec is not None:
                self.spec = spec
        return data


# ---- tasks ----------------------------------------------------------------------------------------


def newest_playbooks() -> QuerySet[Playbook]:
    """The newest version of each playbook."""
    newest = Playbook.objects.filter(name=OuterRef("name")).order_by("-version").values("pk")[:1]
    return Playbook.objects.filter(pk=Subquery(newest)).order_by("name")


class WarmUpForm(ModelForm):
    """A task for chosen accounts of one site."""

    class Meta:
        model = WarmupTask
        fields = ("playbook", "name", "concurrency", "delay_min_seconds", "delay_max_seconds", "seed")
        labels = {
            "delay_min_seconds": _("Shortest delay (s)"),
            "delay_max_seconds": _("Longest delay (s)"),
        }
        widgets = {
            "playbook": UnfoldAdminSelectWidget,
            "name": UnfoldAdminTextInputWidget,
            "concurrency": UnfoldAdminIntegerFieldWidget(attrs={"min": 1}),
            "delay_min_seconds": UnfoldAdminDecimalFieldWidget(attrs={"min": 0, "step": "any"}),
            "delay_max_seconds": UnfoldAdminDecimalFieldWidget(attrs={"min": 0, "step": "any"}),
            "seed": UnfoldAdminIntegerFieldWidget,
        }

    def __init__(self, *args: Any, site: Site, **kwargs: Any) -> None:
        super().__init__(*args, prefix="task", **kwargs)
        self.site = site
        playbook: Any = self.fields["playbook"]
        playbook.queryset = newest_playbooks()
        playbook.empty_label = None
        self.initial.setdefault("seed", random.randrange(1, 1_000_000))
        self.initial.setdefault(
            "name", _now("Warm-up %(time)s") % {"time": f"{timezone.localtime():%Y-%m-%d %H:%M:%S}"}
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        low, high = data.get("delay_min_seconds"), data.get("delay_max_seconds")
        if low is not None and high is not None and low > high:
            self.add_error("delay_max_seconds", _("must not be less than the shortest delay"))
        if playbook := data.get("playbook"):
            for fault in target_faults(playbook.spec(), self.site.target_map()):
                self.add_error("playbook", fault)
        return data

    def create_and_start(self, accounts: QuerySet[Account], *, by: Actor) -> tuple[WarmupTask, int] | None:
        """The started task and its number of accounts; None, with the reason among the errors, if it cannot be."""
        try:
            with transaction.atomic():
                task: WarmupTask = self.save(commit=False)
                task.site = self.site
                task.created_by_id = by.pk if by else None
                task.save()
                _choose(task, accounts)
                return task, services.start(task, by=by)
        except WarmupError as error:
            self.add_error(None, str(error))
        except IntegrityError:  # somebody else took the name meanwhile
            self.add_error("name", _("There is a task of this name already."))
        return None


def _choose(task: WarmupTask, accounts: QuerySet[Account]) -> None:
    """In batches: "all of the list" may be ten thousand."""
    link = WarmupTask.accounts.through
    ids = accounts.order_by("pk").values_list("pk", flat=True)
    last = 0
    while batch := list(ids.filter(pk__gt=last)[:INSERT_BATCH]):
        link.objects.bulk_create([link(warmuptask_id=task.pk, account_id=pk) for pk in batch])
        last = batch[-1]


class VerbForm(BaseDialogForm):  # type: ignore[misc]  # unfold has no types
    """What a verb asks besides "really?"."""

    def __init__(self, *, request: HttpRequest, task: WarmupTask, verb: str, data: Any = None) -> None:
        super().__init__(request=request, object_id=task.pk, data=data)
        latest = Playbook.objects.filter(name=task.playbook.name).order_by("-version").first()
        if verb == "restart_all" and task.is_final and latest and latest != task.playbook:
            label = _("Use version %(version)d of the playbook instead of version %(old)d")
            self.fields["latest_playbook"] = forms.BooleanField(
                label=str(label) % {"version": latest.version, "old": task.playbook.version},
                required=False,
                widget=UnfoldBooleanWidget,
            )
