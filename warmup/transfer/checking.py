"""The rows of a file as entries, checked by the rules of a load file's `accounts`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set

from pydantic import ValidationError

from core.errors import InvalidInput
from warmup.loadfile import AccountEntry, account_reference_faults, duplicate_faults
from warmup.playbooks.faults import faults_of
from warmup.transfer.columns import SECRET, Table

NOT_PERMITTED = (
    "needs the permission to use the secrets of accounts: leave it out, or ask somebody who has it"
)
_SAME = re.compile(r"accounts\[(\d+)\](: same account as )accounts\[(\d+)\]")
_PLACE = re.compile(r"accounts\[(\d+)\](?:\.(\w+))?")


class AccountRow(AccountEntry):
    """One account of a file. What a row does not name stays as it is; a new account is enabled."""

    enabled: bool = True


def checked_rows(
    table: Table, *, sites: Mapping[str, object], proxies: Set[str], may_set_secrets: bool
) -> list[AccountRow]:
    """The entries of a file, in its order; raises `InvalidInput` with every fault of every row.

    `sites` are known by their slugs. No fault shows a password or anything of a storage state.
    """
    entries: list[AccountRow] = []
    faults = [*table.faults, *duplicate_faults({"accounts": [row.data for row in table.rows]})]
    for index, row in enumerate(table.rows):
        place = f"accounts[{index}]"
        if row.faults:
            faults += [place + fault for fault in row.faults]
            continue
        try:
            entry = AccountRow.model_validate(row.data)
        except ValidationError as error:
            faults += faults_of(error, AccountRow, place=place, whole="file")
            continue
        faults += account_reference_faults(place, entry, sites=sites, proxies=proxies)
        if not may_set_secrets:
            faults += _forbidden(place, entry)
        entries.append(entry)
    if faults:
        raise InvalidInput([worded(table, fault) for fault in sorted(faults, key=_index)])
    return entries


def _forbidden(place: str, entry: AccountRow) -> Iterator[str]:
    for name in SECRET:
        if getattr(entry, name) is not None:
            yield f"{place}.{name}: {NOT_PERMITTED}"


def _index(fault: str) -> int:
    found = _PLACE.match(fault)
    return int(found[1]) if found else -1


def worded(table: Table, fault: str) -> str:
    """A fault with its place as in the file: `row 3, column proxy: ...` for `accounts[1].proxy: ...`."""
    if not table.is_csv:
        return fault
    if same := _SAME.fullmatch(fault):
        first, second = (table.rows[int(same[number])].number for number in (1, 3))
        return f"row {first}{same[2]}row {second}"
    found = _PLACE.match(fault)
    if found is None:
        return fault
    place = f"row {table.rows[int(found[1])].number}"
    if found[2]:
        place += f", column {found[2]}"
    rest = fault[found.end() :]
    return place + rest if rest.startswith((":", ",")) else f"{place}, at {rest.lstrip('.')}"
