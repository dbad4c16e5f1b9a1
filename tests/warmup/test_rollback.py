"""Going back to an older saved state."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet

from core.errors import IllegalTransition, NotFound, SecretUnreadable, StateRejected
from core.models import Account, SessionState
from tests import factories
from warmup import store
from warmup.models import AuditEntry
from warmup.rollback import roll_back
from warmup.types import Outcome

pytestmark = pytest.mark.django_db


def states(account: Account, number: int = 3) -> list[SessionState]:
    """That many versions, the oldest first; each has its number in a cookie."""
    return [
        SessionState.save_version(account.pk, factories.state(factories.cookie(value=str(n))))
        for n in range(number)
    ]


def begins_with(account: Account) -> str:
    """Which of them the next run begins with."""
    state = Account.objects.get(pk=account.pk).spec().storage_state
    assert state is not None
    value: str = state["cookies"][0]["value"]
    return value


def test_older_state_becomes_the_newest_and_nothing_is_lost() -> None:
    account, by = factories.AccountFactory(), factories.UserFactory()
    oldest, _middle, newest = states(account)

    restored = roll_back(oldest, by=by)

    assert begins_with(account) == "0"
    assert restored == account.current_state()
    assert (restored.uuid, restored.sealed) != (oldest.uuid, oldest.sealed)
    assert restored.cookie_names == ["session (site.test)"]
    assert account.states.count() == 4
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.object, entry.count) == ("roll back state", account.username, 1)
    assert entry.actor_id == by.pk
    assert str(oldest) in entry.reason
    roll_back(newest, by=by)
    assert begins_with(account) == "2"


def test_the_oldest_that_is_kept_can_still_be_gone_back_to() -> None:
    account = factories.AccountFactory()
    oldest = states(account, SessionState.KEEP)[0]

    roll_back(oldest, by=None)

    assert begins_with(account) == "0"
    assert account.states.count() == SessionState.KEEP


def test_newest_is_nothing_to_go_back_to() -> None:
    account = factories.AccountFactory()
    newest = states(account)[-1]

    with pytest.raises(IllegalTransition, match="newest already"):
        roll_back(newest, by=None)

    assert account.states.count() == 3
    assert not AuditEntry.objects.exists()


def test_state_that_was_pruned_meanwhile_is_not_found() -> None:
    account = factories.AccountFactory()
    oldest = states(account)[0]
    states(account, SessionState.KEEP)

    with pytest.raises(NotFound, match="is gone"):
        roll_back(oldest, by=None)


def test_state_of_an_account_that_runs_stays_until_it_has_ended() -> None:
    task = factories.started_task(1)
    account = task.runs.get().account
    oldest = states(account)[0]
    (spec,) = factories.claim(task)

    with pytest.raises(IllegalTransition, match="is being warmed up now"):
        roll_back(oldest, by=None)
    assert begins_with(account) == "2"

    store.finish(spec.lease, Outcome("FAILED", reason="x"))
    roll_back(oldest, by=None)
    assert begins_with(account) == "0"


def test_state_that_cannot_be_restored_is_none_to_go_back_to(settings: Any) -> None:
    account = factories.AccountFactory()
    oldest = states(account)[0]
    account.site.allowed_hosts = ["elsewhere.test"]
    account.site.save()

    with pytest.raises(StateRejected, match="none of the site's allowed hosts"):
        roll_back(oldest, by=None)
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(SecretUnreadable, match="FIELD_KEYS"):
        roll_back(oldest, by=None)

    assert account.states.count() == 3
    assert not AuditEntry.objects.exists()


def test_unreadable_newest_state_is_left_behind() -> None:
    account = factories.AccountFactory()
    first, _second, newest = states(account)
    account.states.filter(pk=newest.pk).update(sealed=b"gAAAAlost")
    with pytest.raises(SecretUnreadable):
        account.spec()

    roll_back(first, by=None)

    assert begins_with(account) == "0"
    assert bytes(account.states.get(pk=newest.pk).sealed) == b"gAAAAlost"
