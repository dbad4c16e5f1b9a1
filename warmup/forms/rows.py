"""Sites, proxies and accounts, by the rules of the load file; their secrets are written and never shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from core.models import Account, AccountSecret, Proxy, ProxySecret, Site
from warmup.forms.fields import DocumentField, ModelForm, check_entry
from warmup.loadfile import AccountEntry, ProxyEntry, SiteEntry

# What an entry of a load file has under the same name.
SITE_FIELDS = (
    "slug",
    "name",
    "base_url",
    "allowed_hosts",
    "allow_private_addresses",
    "targets",
    "logged_in",
    "log_in",
    "challenges",
)


class BaseUrlField(forms.URLField):
    """A URL; one without a scheme is taken for https."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"assume_scheme": "https", **kwargs})


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
        field_classes = {"base_url": BaseUrlField}
        fields = (*SITE_FIELDS, "concurrency", "daily_limits")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        own = {name: data[name] for name in SITE_FIELDS if name in data}
        limits = {"concurrency": data.get("concurrency"), "daily": data.get("daily_limits", {})}
        places = {name: name for name in SITE_FIELDS}
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
            if name in self.fields:  # a page leaves them out for those who may not use secrets
                self.fields[name].help_text = (
                    _("Set. Leave it empty to keep it.") if stored else _("Not set.")
                )
        if "forget" in self.fields:
            self.fields["forget"].disabled = not stored


def _password_field(label: Any) -> forms.CharField:
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
        entry = {name: data[name] for name in ("name", "server", "username", "password") if data.get(name)}
        check_entry(self, ProxyEntry, entry, {name: name for name in entry}, whole="proxy")
        if data.get("password") and not data.get("username"):
            self.add_error("username", _("A new password needs its username with it."))
        return data

    def save_secret(self, proxy: Proxy) -> None:
        """Seal and store what was typed, once the proxy itself is saved."""
        typed = {name: self.cleaned_data.get(name) or None for name in ("username", "password")}
        if any(typed.values()):
            ProxySecret.store(proxy, typed)
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
            AccountSecret.store(account, password)
        elif self.cleaned_data.get("forget"):
            AccountSecret.objects.filter(account=account).delete()
