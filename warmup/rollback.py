"""Going back to an older version of an account's saved browser state."""

from __future__ import annotations

from django.db import transaction

from core.errors import IllegalTransition, NotFound
from core.models import Account, SessionState
from warmup import audit
from warmup.audit import Actor
from warmup.models import WarmupAccount


def roll_back(version: SessionState, *, by: Actor) -> SessionState:
    """Make an older state the one that the next run begins with; returns it as a new version.

    It is sealed anew, and no version is changed, so that there is a way back from this too. Raises
    `IllegalTransition` when it is the newest already or a run of the account would save over it,
    `NotFound` when it has been pruned meanwhile, and `SecretUnreadable` or `StateRejected` when it is none
    to go back to. Then nothing was changed.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(pk=version.account_id)
        chosen = account.states.filter(pk=version.pk).select_related("account__site").first()
        if chosen is None:
            raise NotFound(f"{version} is gone: newer ones have taken its place")
        if chosen == account.current_state():
            raise IllegalTransition(f"{version} is the newest already")
        if WarmupAccount.objects.active().filter(account=account).exists():
            raise IllegalTransition(
                f"'{account}' is being warmed up now, and its run saves a state of its own at the end:"
                " stop its task or wait until it has ended, then go back"
            )
        restored = SessionState.save_version(account.pk, chosen.open())
        saved = chosen.created_at.isoformat(" ", "seconds")
        audit.record(by, "roll back state", account, count=1, reason=f"to {chosen}, saved {saved}")
    return restored
