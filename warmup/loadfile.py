"""The load file: sites, proxies, accounts, playbooks and tasks, checked before anything is changed.

`python -m warmup.loadfile > docs/load-file.schema.json` writes its schema as JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import ValidationError

from core.errors import InvalidInput
from core.types import Target
from warmup.loadfile_entries import AccountEntry, ProxyEntry, SiteEntry, TaskEntry
from warmup.playbooks.documents import read_document
from warmup.playbooks.faults import cleaned_keys, faults_of
from warmup.playbooks.fields import Listed, StrictModel
from warmup.playbooks.schema import PlaybookSpec, check_playbook, json_schema_of, write_json
from warmup.playbooks.targets import target_faults
from warmup.playbooks.text import hint, quoted

__all__ = [
    "AccountEntry",
    "LoadFile",
    "ProxyEntry",
    "SiteEntry",
    "TaskEntry",
    "account_reference_faults",
    "cross_reference_faults",
    "duplicate_faults",
    "load_file_json_schema",
    "parse_load_file",
    "placed",
]

T = TypeVar("T")
# In the order of the file: what an entry of a section is told apart by, and what that is called.
_IDENTITIES = {
    "sites": ("slug", ("slug",)),
    "proxies": ("name", ("name",)),
    "accounts": ("account", ("site", "username")),
    "playbooks": ("name", ("name",)),
    "tasks": ("name", ("name",)),
}


class LoadFile(StrictModel):
    """Sites, proxies, accounts, playbooks and tasks, to be added or brought up to date."""

    sites: Annotated[tuple[SiteEntry, ...], Listed()] = ()
    proxies: Annotated[tuple[ProxyEntry, ...], Listed()] = ()
    accounts: Annotated[tuple[AccountEntry, ...], Listed()] = ()
    playbooks: Annotated[tuple[PlaybookSpec, ...], Listed()] = ()
    tasks: Annotated[tuple[TaskEntry, ...], Listed()] = ()


def placed(section: str, entries: Sequence[T]) -> Iterator[tuple[str, T]]:
    """The entries of a section with their places: `accounts[0]`, `accounts[1]`, ..."""
    return ((f"{section}[{index}]", entry) for index, entry in enumerate(entries))


def parse_load_file(text: str, *, source: str) -> LoadFile:
    """The load file in `text`; raises `InvalidInput` with one line for every fault.

    `source` is the file's name: its suffix says whether the text is JSON or YAML (without a known suffix,
    JSON when it begins with a bracket). Whether the names in it refer to something is for
    `cross_reference_faults`.
    """
    data, faults = read_document(text, source=source)
    data = cleaned_keys(data, place="", faults=faults)
    if isinstance(data, dict):
        faults += duplicate_faults(data)
        faults += _check_playbooks(data)
    try:
        load = LoadFile.model_validate(data)
    except ValidationError as error:
        faults += faults_of(error, LoadFile, place="", whole="load file")
    if faults:
        raise InvalidInput(sorted(faults, key=_section_number))
    return load


def cross_reference_faults(
    load: LoadFile,
    *,
    known_sites: Mapping[str, Mapping[str, Target]],
    known_proxies: Set[str],
    known_playbooks: Mapping[str, PlaybookSpec],
    known_accounts: Callable[[str], Set[str]],
) -> list[str]:
    """One line for every name in `load` that refers to nothing.

    What is `known` already is given by slug or name: the targets of the sites, the newest version of the
    playbooks, and the usernames of a site (asked for once, and for known sites only). What the file
    itself defines counts too, and takes the place of what is known.
    """
    sites = {**known_sites, **{site.slug: site.target_map() for site in load.sites}}
    proxies = {*known_proxies, *(proxy.name for proxy in load.proxies)}
    playbooks = {**known_playbooks, **{playbook.name: playbook for playbook in load.playbooks}}
    in_file: dict[str, set[str]] = {}
    for account in load.accounts:
        in_file.setdefault(account.site, set()).add(account.username)

    @cache
    def usernames(site: str) -> Set[str]:
        return {*in_file.get(site, ()), *(known_accounts(site) if site in known_sites else ())}

    faults: list[str] = []
    for place, account in placed("accounts", load.accounts):
        faults += account_reference_faults(place, account, sites=sites, proxies=proxies)
    for place, task in placed("tasks", load.tasks):
        faults += _unknown(f"{place}.playbook", "playbook", task.playbook, playbooks)
        faults += _unknown(f"{place}.site", "site", task.site, sites)
        if task.site in sites:
            playbook = playbooks.get(task.playbook)
            faults += _lacking(place, task, playbook, sites[task.site])
            faults += _strangers(place, task, usernames)
    return faults


def account_reference_faults(
    place: str, account: AccountEntry, *, sites: Mapping[str, object], proxies: Set[str]
) -> list[str]:
    """One line for each name of an account that refers to nothing; sites are known by their slugs."""
    faults = _unknown(f"{place}.site", "site", account.site, sites)
    if account.proxy is not None:
        faults += _unknown(f"{place}.proxy", "proxy", account.proxy, proxies)
    return faults


def load_file_json_schema() -> dict[str, Any]:
    """The schema of a load file, as JSON Schema (draft 2020-12)."""
    return json_schema_of(LoadFile, "Load file")


# ---- within one file ------------------------------------------------------------------------------


def _check_playbooks(data: dict[str, Any]) -> list[str]:
    """Puts the valid playbooks in the place of their data; returns the faults of the others."""
    playbooks = data.get("playbooks")
    faults: list[str] = []
    if isinstance(playbooks, list):
        checked = [check_playbook(item, place=place) for place, item in placed("playbooks", playbooks)]
        data["playbooks"] = [spec for spec, _ in checked if spec]
        for _, found in checked:
            faults += found
    return faults


def duplicate_faults(data: Mapping[str, Any]) -> Iterator[str]:
    """A fault for every entry of a file's data that was there before."""
    for section, (what, keys) in _IDENTITIES.items():
        entries = data.get(section)
        if isinstance(entries, list):
            identities = [
                tuple(entry.get(key) for key in keys) if isinstance(entry, dict) else (None,)
                for entry in entries
            ]
            yield from _repeated(section, what, identities)
    tasks = data.get("tasks")
    for place, task in placed("tasks", tasks if isinstance(tasks, list) else []):
        usernames = task.get("accounts") if isinstance(task, dict) else None
        if isinstance(usernames, list):
            yield from _repeated(f"{place}.accounts", "username", [(username,) for username in usernames])


def _repeated(place: str, what: str, identities: Sequence[tuple[object, ...]]) -> Iterator[str]:
    first: dict[tuple[object, ...], int] = {}
    for index, identity in enumerate(identities):
        # Anything but text is a fault by itself, and may not be hashable.
        if all(isinstance(part, str) for part in identity):
            earlier = first.setdefault(identity, index)
            if earlier != index:
                yield f"{place}[{index}]: same {what} as {place}[{earlier}]"


def _section_number(fault: str) -> int:
    """Where the section of a fault stands in a file; what has no section comes first."""
    begin = re.match(r"\w*", fault)
    sections = list(_IDENTITIES)
    return sections.index(begin[0]) if begin and begin[0] in sections else -1


# ---- between the file and what is known -----------------------------------------------------------


def _unknown(place: str, what: str, name: str, names: Mapping[str, object] | Set[str]) -> list[str]:
    return [] if name in names else [f"{place}: no {what} {quoted(name)}{hint(name, names)}"]


def _lacking(
    place: str, task: TaskEntry, playbook: PlaybookSpec | None, targets: Mapping[str, Target]
) -> list[str]:
    """The targets that the task's playbook uses and its site lacks."""
    faults = target_faults(playbook, targets, site=task.site) if playbook else []
    return [f"{place}.playbook: playbook {quoted(task.playbook)} {fault}" for fault in faults]


def _strangers(place: str, task: TaskEntry, usernames: Callable[[str], Set[str]]) -> list[str]:
    """The accounts of the task that are not on its site."""
    if task.accounts == "all":
        return []
    return [
        f"{place}.accounts[{index}]: no account {quoted(username)} on site {quoted(task.site)}"
        for index, username in enumerate(task.accounts)
        if username not in usernames(task.site)
    ]


if __name__ == "__main__":
    write_json(load_file_json_schema())
