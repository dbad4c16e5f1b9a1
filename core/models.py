"""Sites, proxies and accounts: what every browser job needs, and nothing about warm-ups.

Secrets stand in one-to-one tables of their own, which lists never load.
"""

from __future__ import annotations

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import secrets
from core.errors import SecretUnreadable
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
        credentials = secrets.decrypt_json(secret.credentials) if secret else {}
        return ProxySpec(self.server, credentials.get("username"), credentials.get("password"))


class ProxySecret(models.Model):
    """The credentials of a proxy: a sealed `{"username", "password"}`."""

    proxy = models.OneToOneField(Proxy, models.CASCADE, related_name="secret")
    credentials = secrets.SealedField()

    class Meta:
        verbose_name = _("proxy credentials")
        verbose_name_plural = _("proxy credentials")

    def __str__(self) -> str:
        return f"credentials of {self.proxy_id}"


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
        constraints = [models.UniqueConstraint(fields=["site", "username"], name="account_once_per_site")]

    def __str__(self) -> str:
        return self.username

    def current_state(self) -> SessionState | None:
        """The newest saved state."""
        return self.states.order_by("-pk").first()

    def spec(self) -> AccountSpec:
        """What a run needs of the account, secrets in the clear; raises `SecretUnreadable`."""
        secret = getattr(self, "secret", None)
        state = self.current_state()
        return AccountSpec(
            id=self.pk,
            username=self.username,
            password=secrets.decrypt(secret.password).decode() if secret else None,
            proxy=self.proxy.spec() if self.proxy else None,
            storage_state=state.open() if state else None,
        )


class AccountSecret(models.Model):
    """The sealed password of an account."""

    account = models.OneToOneField(Account, models.CASCADE, related_name="secret")
    password = secrets.SealedField()

    class Meta:
        verbose_name = _("account password")
        verbose_name_plural = _("account passwords")

    def __str__(self) -> str:
        return f"password of {self.account_id}"


class SessionState(models.Model):
    """One saved version of an account's browser state. Rows are only added and pruned, never changed."""

    KEEP = 5  # versions per account

    account = models.ForeignKey(Account, models.CASCADE, related_name="states")
    sealed = secrets.SealedField()
    size_bytes = models.PositiveIntegerField(_("size in bytes"))
    cookies = models.PositiveIntegerField(_("cookies"))
    origins = models.PositiveIntegerField(_("origins"))
    created_at = models.DateTimeField(_("saved"), auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("saved state")
        verbose_name_plural = _("saved states")

    def __str__(self) -> str:
        return f"state {self.pk} of account {self.account_id}"

    @classmethod
    def save_version(cls, account_id: int, state: StorageState) -> SessionState:
        """Add a version and prune to the newest KEEP."""
        sealed = secrets.encrypt_json(state)
        version = cls.objects.create(
            account_id=account_id,
            sealed=sealed,
            size_bytes=len(sealed),
            cookies=len(state.get("cookies", [])),
            origins=len(state.get("origins", [])),
        )
        kept = cls.objects.filter(account_id=account_id).order_by("-pk").values("pk")[: cls.KEEP]
        cls.objects.filter(account_id=account_id).exclude(
            pk__in=list(kept.values_list("pk", flat=True))
        ).delete()
        return version

    def open(self) -> StorageState:
        """The state in the clear; raises `SecretUnreadable`."""
        state: Any = secrets.decrypt_json(self.sealed)
        if not isinstance(state, dict):
            raise SecretUnreadable("a saved state is damaged: it holds no object")
        return state
