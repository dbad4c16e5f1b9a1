"""Checked entries of accounts against the database: what each would change, and bringing it in.

Both in batches: ten thousand accounts are an ordinary file. The number of queries grows with the number of
batches and not with the number of accounts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from core.errors import SecretUnreadable, StateRejected
from core.models import Account, AccountSecret, Proxy, SessionState, Site
from core.storage_state import check_own, check_state
from core.types import StorageState
from warmup.loadfile import AccountEntry

CREATED, CHANGED, SAME = "created", "changed", "same"
BATCH = 1000
# What an entry may set of the account's own row.
COLUMNS = ("proxy", "enabled")


@dataclass(frozen=True, slots=True)
class Change:
    """What an entry does to an account. Secrets are here only where they are to be set."""

    account: Account  # as it is to become
    what: str  # CREATED, CHANGED or SAME
    columns: tuple[str, ...]  # what is set anew, secrets among it
    password: str | None = field(default=None, repr=False)
    storage_state: StorageState | None = field(default=None, repr=False)
    digest: str = ""  # of the storage state


def compare(
    entries: Sequence[AccountEntry], *, sparse: bool, lock: bool = False
) -> tuple[list[Change], list[str]]:
    """What entries, whose sites and proxies are there, would change; and the faults of their states.

    With `sparse`, an entry says nothing about a column that it does not name. No password, and no state,
    leaves the stored one. With `lock`, within a transaction, the accounts stay as they are until its end.
    """
    sites = {site.slug: site for site in Site.objects.filter(slug__in={entry.site for entry in entries})}
    proxies = {proxy.name: proxy for proxy in Proxy.objects.all()}
    changes: list[Change] = []
    faults: list[str] = []
    for start in range(0, len(entries), BATCH):
        batch = entries[start : start + BATCH]
        known = _known(batch, lock=lock)
        for index, entry in enumerate(batch, start=start):
            site = sites[entry.site]
            wanted = _wanted(entry, proxies, sparse=sparse)
            try:
                changes.append(_change(entry, site, known.get((site.pk, entry.username)), wanted))
            except StateRejected as error:
                faults.append(f"accounts[{index}].storage_state: {error}")
    return changes, faults


def _known(batch: Sequence[AccountEntry], *, lock: bool) -> dict[tuple[int, str], Account]:
    names = [entry.username for entry in batch]
    rows = Account.objects.filter(site__slug__in={entry.site for entry in batch}, username__in=names)
    rows = rows.order_by("pk").select_related("proxy")
    if any(entry.password is not None for entry in batch):
        rows = rows.select_related("proxy", "secret")
    if lock:
        rows = rows.select_for_update(of=("self",))
    return {(row.site_id, row.username): row for row in rows}


def _wanted(entry: AccountEntry, proxies: Mapping[str, Proxy], *, sparse: bool) -> dict[str, Any]:
    """The columns that an entry sets."""
    named = entry.model_fields_set if sparse else type(entry).model_fields.keys()
    wanted: dict[str, Any] = {name: getattr(entry, name) for name in COLUMNS if name in named}
    if "proxy" in wanted:
        wanted["proxy"] = proxies[entry.proxy] if entry.proxy is not None else None
    return wanted


def _change(entry: AccountEntry, site: Site, known: Account | None, wanted: Mapping[str, Any]) -> Change:
    account = known or Account(username=entry.username)
    account.site = site
    columns = [name for name, value in wanted.items() if getattr(account, name) != value]
    for name, value in wanted.items():
        setattr(account, name, value)
    password = entry.password if _is_new_password(known, entry.password) else None
    if password is not None:
        columns.append("password")
    state, digest = entry.storage_state, ""
    if state is not None:
        digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
        if digest == account.loaded_state_digest:
            state, digest = None, ""
        else:
            check_state(state)
            check_own(state, site.allowed_hosts)
            columns.append("storage_state")
    what = CREATED if known is None else CHANGED if columns else SAME
    return Change(account, what, tuple(columns), password, state, digest)


def _is_new_password(known: Account | None, password: str | None) -> bool:
    if password is None:
        return False
    secret: AccountSecret | None = getattr(known, "secret", None)
    try:
        return secret is None or secret.open() != password
    except SecretUnreadable:
        return True  # it is replaced, as if it were not


# ---- bringing in ----------------------------------------------------------------------------------


def write(changes: Sequence[Change]) -> None:
    """Bring changes in, within the caller's transaction."""
    todo = [change for change in changes if change.what != SAME]
    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        _write_accounts(batch)
        _write_passwords(batch)
        _write_states(batch)


def _write_accounts(batch: Iterable[Change]) -> None:
    """Add or bring up to date in one kind of statement; afterwards the accounts have their keys."""
    rows = {}
    for change in batch:
        account = change.account
        if change.what == CREATED or {*COLUMNS, "storage_state"} & set(change.columns):
            rows[account.site_id, account.username] = (
                account,
                Account(
                    site_id=account.site_id,
                    username=account.username,
                    proxy_id=account.proxy_id,
                    enabled=account.enabled,
                    loaded_state_digest=change.digest or account.loaded_state_digest,
                ),
            )
    saved = Account.objects.bulk_create(
        [copy for _account, copy in rows.values()],
        update_conflicts=True,
        unique_fields=["site", "username"],
        update_fields=[*COLUMNS, "loaded_state_digest", "updated_at"],
    )
    for row in saved:
        rows[row.site_id, row.username][0].pk = row.pk


def _write_passwords(batch: Iterable[Change]) -> None:
    AccountSecret.objects.bulk_create(
        [AccountSecret.sealed(change.account, change.password) for change in batch if change.password],
        update_conflicts=True,
        unique_fields=["account"],
        update_fields=["password"],
    )


def _write_states(batch: Iterable[Change]) -> None:
    """Add a version for each state, and prune as `SessionState.save_version` does."""
    versions = [
        SessionState.prepared(change.account.pk, change.account.site, change.storage_state)
        for change in batch
        if change.storage_state is not None
    ]
    if not versions:
        return
    SessionState.objects.bulk_create(versions)
    newest_first = Window(RowNumber(), partition_by=F("account_id"), order_by="-pk")
    ranked = SessionState.objects.filter(account__in=[version.account_id for version in versions])
    old = ranked.annotate(rank=newest_first).filter(rank__gt=SessionState.KEEP).order_by()
    SessionState.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
