"""Sites, proxies and accounts: what every browser job needs, and nothing about warm-ups.

Secrets stand in one-to-one tables of their own, which lists never load.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core import secrets
from core.errors import StateRejected
from core.storage_state import check_own, check_state, summary_of
from core.types import AccountSpec, LoggedInProbe, LogInForm, ProxySpec, SiteSpec, StorageState, Target


class Site(models.Model):
    """Where accounts live."""

    slug = models.SlugField(_("slug"), unique=True)
    name = models.CharField(_("name"), max_length=100)
    base_url = models.URLField(_("base URL"))
    allowed_hosts = models.JSONField(_("allowed hosts"), default=list)
    allow_private_addresses = models.BooleanField(_("allow private addresses"), default=False)
    targets = models.JSONField(_("targets"), default=dict, blank=True)
    logged_in = models.JSONField(_("logged-in probe"), null=True, blank=True)
    log_in = models.JSONField(_("log-in form"), null=True, blank=True)
    challenges = models.JSONField(_("challenge probes"), default=list, blank=True)
    concurrency = models.PositiveIntegerField(
        _("accounts at once"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    daily_limits = models.JSONField(_("daily limits per account"), default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("site")
        verbose_name_plural = _("sites")

    def __str__(self) -> str:
        return self.name

    def target_map(self) -> dict[str, Target]:
        """The targets by name."""
        return {name: Target(name=name, **value) for name, value in self.targets.items()}

    def spec(self) -> SiteSpec:
        """What a run needs of the site."""
        return SiteSpec(
            slug=self.slug,
            base_url=self.base_url,
            allowed_hosts=tuple(self.allowed_hosts),
            targets=self.target_map(),
            logged_in=LoggedInProbe(**self.logged_in) if self.logged_in else None,
            log_in=LogInForm(**self.log_in) if self.log_in else None,
            challenges=tuple(self.challenges),
            allow_private_addresses=self.allow_private_addresses,
            daily_limits=dict(self.daily_limits),
        )


class Proxy(models.Model):
    """An upstream proxy that accounts may go out through."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    server = models.CharField(_("server"), max_length=200, help_text=_("scheme://host:port"))

    class Meta:
        ordering = ["name"]
        verbose_name = _("proxy")
        verbose_name_plural = _("proxies")

    def __str__(self) -> str:
        return self.name

    def spec(self) -> ProxySpec:
        """Server and credentials; raises `SecretUnreadable`."""
        secret = getattr(self, "secret", None)
        credentials = secret.open() if secret else {}
        return ProxySpec(self.server, credentials.get("username"), credentials.get("password"))


class ProxySecret(models.Model):
    """The credentials of a proxy: a sealed `{"username", "password"}`."""

    proxy = models.OneToOneField(Proxy, models.CASCADE, related_name="secret")
    credentials = secrets.SealedField(bound_to=("proxy_id",))

    class Meta:
        verbose_name = _("proxy credentials")
        verbose_name_plural = _("proxy credentials")

    def __str__(self) -> str:
        return f"credentials of {self.proxy_id}"

    @classmethod
    def store(cls, proxy: Proxy, credentials: Mapping[str, str | None]) -> None:
        """Seal and save, in the place of what was stored."""
        place = secrets.place_of(cls(proxy=proxy), "credentials")
        sealed = secrets.encrypt_json(dict(credentials), place)
        cls.objects.update_or_create(proxy=proxy, defaults={"credentials": sealed})

    def open(self) -> dict[str, str | None]:
        """`{"username", "password"}` in the clear; raises `SecretUnreadable`."""
        opened: dict[str, str | None] = secrets.decrypt_json(
            self.credentials, secrets.place_of(self, "credentials")
        )
        return opened


class Account(models.Model):
    """One identity on one site."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="accounts", verbose_name=_("site"))
    username = models.CharField(_("username"), max_length=150)
    proxy = models.ForeignKey(
        Proxy, models.PROTECT, null=True, blank=True, related_name="accounts", verbose_name=_("proxy")
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    last_warmup_at = models.DateTimeField(_("last warm-up"), null=True, blank=True, editable=False)
    last_login_at = models.DateTimeField(_("last log-in"), null=True, blank=True, editable=False)
    failures_in_a_row = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    # SHA-256 of the storage state that was last loaded from a file: the same file loaded again must not
    # put an old state over the ones that runs have saved since.
    loaded_state_digest = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["site_id", "username"]
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        permissions = [("use_account_secrets", _("Can use what may hold secrets of accounts"))]
        constraints = [models.UniqueConstraint(fields=["site", "username"], name="account_once_per_site")]

    def __str__(self) -> str:
        return self.username

    def current_state(self) -> SessionState | None:
        """The newest version of the saved state."""
        return self.states.order_by("-pk").first()

    def spec(self) -> AccountSpec:
        """What a run needs of the account, secrets in the clear.

        Raises `SecretUnreadable`, and `StateRejected` when the saved state is not one to be restored.
        """
        secret = getattr(self, "secret", None)
        state = self.current_state()
        if state is not None:
            state.account = self
        return AccountSpec(
            id=self.pk,
            username=self.username,
            password=secret.open() if secret else None,
            proxy=self.proxy.spec() if self.proxy else None,
            storage_state=state.open() if state else None,
        )


class AccountSecret(models.Model):
    """The sealed password of an account."""

    account = models.OneToOneField(Account, models.CASCADE, related_name="secret")
    password = secrets.SealedField(bound_to=("account_id",))

    class Meta:
        verbose_name = _("account password")
        verbose_name_plural = _("account passwords")

    def __str__(self) -> str:
        return f"password of {self.account_id}"

    @classmethod
    def sealed(cls, account: Account, password: str) -> AccountSecret:
        """A row to save, for a saved account."""
        secret = cls(account=account)
        secret.password = secrets.encrypt(password.encode(), secrets.place_of(secret, "password"))
        return secret

    @classmethod
    def store(cls, account: Account, password: str) -> None:
        """Seal and save, in the place of what was stored."""
        sealed = cls.sealed(account, password).password
        cls.objects.update_or_create(account=account, defaults={"password": sealed})

    def open(self) -> str:
        """The password in the clear; raises `SecretUnreadable`."""
        return secrets.decrypt(self.password, secrets.place_of(self, "password")).decode()


class SessionState(models.Model):
    """One saved version of an account's browser state. Rows are only added and pruned, never changed.

    Beside what is sealed stand numbers and names for people, and no value. The newest version is the one
    that the next run begins with.
    """

    KEEP = 5  # versions per account

    account = models.ForeignKey(Account, models.CASCADE, related_name="states")
    # Known before the row is saved, other than its key: what is sealed is bound to this very version.
    uuid = models.UUIDField(default=uuid.uuid4, editable=False)
    sealed = secrets.SealedField(bound_to=("account_id", "uuid"))
    size_bytes = models.PositiveIntegerField(_("size in bytes"))
    cookies = models.PositiveIntegerField(_("cookies"))
    origins = models.PositiveIntegerField(_("origins"))
    cookie_names = models.JSONField(_("names of cookies"), default=list)
    origin_names = models.JSONField(_("names of origins"), default=list)
    # Of the cookies that keep the account logged in (`core.storage_state.Summary`).
    expires_first = models.DateTimeField(_("first log-in cookie expires"), null=True, blank=True)
    expires_last = models.DateTimeField(_("last log-in cookie expires"), null=True, blank=True)
    created_at = models.DateTimeField(_("saved"), auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("saved state")
        verbose_name_plural = _("saved states")

    def __str__(self) -> str:
        return f"state {self.pk} of account {self.account_id}"

    @classmethod
    def prepared(cls, account_id: int, site: Site, state: StorageState) -> SessionState:
        """A version to save, for a saved account of the site.

        Raises `StateRejected` when the state is damaged, too large, or of another site.
        """
        check_state(state)
        check_own(state, site.allowed_hosts)
        version = cls(account_id=account_id)
        version.sealed = secrets.encrypt_json(state, secrets.place_of(version, "sealed"))
        version.size_bytes = len(version.sealed)
        for name, value in asdict(summary_of(state, site.base_url, timezone.now())).items():
            setattr(version, name, value)
        return version

    @classmethod
    def save_version(cls, account_id: int, state: StorageState) -> SessionState:
        """Add a version and prune to the newest KEEP.

        Raises `StateRejected` when the state is damaged, too large, or of another site.
        """
        version = cls.prepared(account_id, Site.objects.get(accounts=account_id), state)
        version.save()
        newest = cls.objects.filter(account_id=account_id).order_by("-pk").values_list("pk", flat=True)
        kept = list(newest[: cls.KEEP])
        # Below the last one that is kept: a version that is added at this moment is not touched.
        cls.objects.filter(account_id=account_id, pk__lt=kept[-1]).delete()
        return version

    def open(self) -> StorageState:
        """The state in the clear.

        Raises `SecretUnreadable`, and `StateRejected` when it is damaged, too large, or of another site.
        """
        state: Any = secrets.decrypt_json(self.sealed, secrets.place_of(self, "sealed"))
        try:
            check_state(state)
            check_own(state, self.account.site.allowed_hosts)
        except StateRejected as error:
            raise StateRejected(f"{self}: {error}, or go back to another version") from None
        return cast(StorageState, state)
