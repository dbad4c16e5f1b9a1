"""Playbooks: versions that never change once they are saved."""

from __future__ import annotations

from typing import Any

from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from core import secrets
from core.errors import InvalidInput, SecretUnreadable, WarmupError
from warmup.playbooks import secret_texts
from warmup.playbooks.schema import PlaybookSpec, parse_playbook

RE_ENTER = f"'{secret_texts.HIDDEN}' stands for a secret text, which is not shown: enter the text again"


class Playbook(models.Model):
    """One version of a named, validated list of steps. A change is a new version.

    The texts of secret steps are not in the definition: they stand sealed in a table of their own.
    """

    name = models.CharField(_("name"), max_length=100)
    version = models.PositiveIntegerField(_("version"))
    definition = models.JSONField(_("definition"))
    digest = models.CharField(_("digest"), max_length=64, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ["name", "-version"]
        verbose_name = _("playbook")
        verbose_name_plural = _("playbooks")
        constraints = [models.UniqueConstraint(fields=["name", "version"], name="playbook_version_once")]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the version; raises `WarmupError` for one that is already saved."""
        if not self._state.adding:
            raise WarmupError(f"playbook {self} is a saved version and never changes: save a new version")
        super().save(*args, **kwargs)

    def spec(self) -> PlaybookSpec:
        """The validated definition, its secret texts hidden."""
        return parse_playbook(self.definition)

    def revealed(self) -> dict[str, Any]:
        """The definition with its secret texts, to run it; raises `SecretUnreadable`."""
        secret = getattr(self, "secret", None)
        try:
            return secret_texts.reveal(self.definition, secret.open() if secret else {})
        except KeyError:
            raise SecretUnreadable(f"playbook {self}: a secret text of it is lost: enter it again") from None

    @classmethod
    def save_version(cls, spec: PlaybookSpec) -> tuple[Playbook, bool]:
        """The newest version when it already says this, else a new one; and whether it is new.

        Raises `InvalidInput` for a secret text that is not there, but only what a page shows of it.
        """
        whole = spec.definition()
        if faults := secret_texts.missing(whole):
            raise InvalidInput([f"playbook '{spec.name}': {place}: {RE_ENTER}" for place in faults])
        latest = cls.objects.select_related("secret").filter(name=spec.name).order_by("-version").first()
        if latest and latest._says(whole):
            return latest, False
        definition, texts = secret_texts.hide(whole)
        with transaction.atomic():
            version = cls(
                name=spec.name,
                version=latest.version + 1 if latest else 1,
                definition=definition,
                digest=parse_playbook(definition).digest(),
            )
            version.save()
            if texts:
                PlaybookSecret.store(version, texts)
        return version, True

    def _says(self, definition: dict[str, Any]) -> bool:
        """Whether this is what this version does; one whose texts do not open does not say it."""
        try:
            return self.revealed() == definition
        except SecretUnreadable:
            return False


class PlaybookSecret(models.Model):
    """The sealed texts of a playbook's secret steps: `{"steps[2]": "..."}`."""

    playbook = models.OneToOneField(Playbook, models.CASCADE, related_name="secret")
    texts = secrets.SealedField(bound_to=("playbook_id",))

    class Meta:
        verbose_name = _("secret texts")
        verbose_name_plural = _("secret texts")

    def __str__(self) -> str:
        return f"secret texts of {self.playbook_id}"

    @classmethod
    def store(cls, playbook: Playbook, texts: dict[str, Any]) -> None:
        """Seal and save."""
        row = cls(playbook=playbook)
        row.texts = secrets.encrypt_json(texts, secrets.place_of(row, "texts"))
        row.save()

    def open(self) -> dict[str, Any]:
        """The texts in the clear; raises `SecretUnreadable`."""
        opened: dict[str, Any] = secrets.decrypt_json(self.texts, secrets.place_of(self, "texts"))
        return opened
