"""`warmup load`: a checked load file, brought into the database as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from django.db import models, transaction
from django.db.models import QuerySet

from core.errors import InvalidInput, SecretUnreadable
from core.models import Account, Proxy, ProxySecret, Site
from core.types import Target
from warmup import audit, creating
from warmup.audit import Actor
from warmup.loadfile import (
    AccountEntry,
    LoadFile,
    ProxyEntry,
    SiteEntry,
    TaskEntry,
    cross_reference_faults,
    parse_load_file,
    placed,
)
from warmup.models import Playbook, WarmupTask
from warmup.playbooks.schema import PlaybookSpec
from warmup.states import TaskStatus
from warmup.transfer import writing
from warmup.transfer.writing import CHANGED, CREATED, SAME

Report = dict[str, dict[str, int]]


def load(text: str, *, source: str, by: Actor) -> Report:
    """Bring a load file in. The same file again changes nothing.

    Sites are known by slug, accounts by site and username, the others by name. A changed playbook
    becomes a new version; a task that was started keeps the version it has. Returns how many of each
    kind are `created`, `changed` and the `same`. Raises `InvalidInput` with every fault and its place.
    """
    content = parse_load_file(text, source=source)
    report: Report = {}

    def count(kind: str, what: str) -> None:
        report.setdefault(kind, {CREATED: 0, CHANGED: 0, SAME: 0})[what] += 1

    with transaction.atomic():
        faults = _reference_faults(content)
        if faults:
            raise InvalidInput(faults)
        for site in content.sites:
            count("sites", _load_site(site))
        for proxy in content.proxies:
            count("proxies", _load_proxy(proxy))
        faults = []
        _load_accounts(content.accounts, count, faults)
        for playbook in content.playbooks:
            count("playbooks", CREATED if Playbook.save_version(playbook)[1] else SAME)
        for place, task in placed("tasks", content.tasks):
            what = _load_task(place, task, faults, by)
            count("tasks", what)
        if faults:
            raise InvalidInput(faults)
        audit.record(by, "load", source, count=len(content.accounts))
    return report


def _reference_faults(content: LoadFile) -> list[str]:
    sites: Mapping[str, Mapping[str, Target]] = {site.slug: site.target_map() for site in Site.objects.all()}
    return cross_reference_faults(
        content,
        known_sites=sites,
        known_proxies=set(Proxy.objects.values_list("name", flat=True)),
        known_playbooks=_newest_playbooks(),
        known_accounts=lambda slug: set(
            Account.objects.filter(site__slug=slug).values_list("username", flat=True)
        ),
    )


def _newest_playbooks() -> dict[str, PlaybookSpec]:
    newest = {playbook.name: playbook for playbook in Playbook.objects.order_by("name", "version")}
    return {name: playbook.spec() for name, playbook in newest.items()}


def _write(row: models.Model, values: Mapping[str, Any]) -> str:
    """Save what differs of a row; says what that was."""
    new = row.pk is None
    if not new and all(getattr(row, name) == value for name, value in values.items()):
        return SAME
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    return CREATED if new else CHANGED


def _load_site(entry: SiteEntry) -> str:
    site = Site.objects.filter(slug=entry.slug).first() or Site(slug=entry.slug)
    targets = {name: target.model_dump(exclude_none=True) for name, target in entry.targets.items()}
    return _write(
        site,
        {
            "name": entry.name,
            "base_url": entry.base_url,
            "allowed_hosts": list(entry.allowed_hosts),
            "allow_private_addresses": entry.allow_private_addresses,
            "targets": targets,
            "logged_in": entry.logged_in.model_dump() if entry.logged_in else None,
            "log_in": entry.log_in.model_dump() if entry.log_in else None,
            "challenges": list(entry.challenges),
            "concurrency": entry.limits.concurrency,
            "daily_limits": dict(entry.limits.daily),
        },
    )


def _load_proxy(entry: ProxyEntry) -> str:
    proxy = Proxy.objects.select_related("secret").filter(name=entry.name).first() or Proxy(name=entry.name)
    what = _write(proxy, {"server": entry.server})
    stored = getattr(proxy, "secret", None)
    wanted = {"username": entry.username, "password": entry.password}
    if entry.username is None and entry.password is None:
        if stored is None:
            return what
        stored.delete()
    elif stored is not None and _opens_as(stored, wanted):
        return what
    else:
        ProxySecret.store(proxy, wanted)
    return CREATED if what == CREATED else CHANGED


def _opens_as(secret: ProxySecret, value: object) -> bool:
    """Whether a secret is `value`; one that does not open is replaced, as if it were not."""
    try:
        return bool(secret.open() == value)
    except SecretUnreadable:
        return False


def _load_accounts(
    entries: Sequence[AccountEntry], count: Callable[[str, str], None], faults: list[str]
) -> None:
    changes, rejected = writing.compare(entries, sparse=False, lock=True)
    writing.write(changes)
    for change in changes:
        count("accounts", change.what)
    faults += rejected


def _load_task(place: str, entry: TaskEntry, faults: list[str], by: Actor) -> str:
    site = Site.objects.get(slug=entry.site)
    playbook = Playbook.objects.filter(name=entry.playbook).order_by("-version")[0]
    task = WarmupTask.objects.select_related("playbook").filter(name=entry.name).first()
    pacing = {
        "concurrency": entry.concurrency,
        "delay_min_seconds": entry.delay_bounds[0],
        "delay_max_seconds": entry.delay_bounds[1],
    }
    chosen = {"site": site, "all_accounts": entry.accounts == "all", "seed": entry.seed}
    if task is None:
        _create_task(entry, site, playbook, by)
        return CREATED
    if task.status == TaskStatus.PENDING:
        what = _write(task, {**chosen, **pacing, "playbook": playbook})
        return _choose_accounts(task, entry, what)
    differs = [name for name, value in chosen.items() if getattr(task, name) != value]
    if task.playbook.name != entry.playbook:
        differs.append("playbook")
    if entry.accounts != "all" and _usernames(task) != set(entry.accounts):
        differs.append("accounts")
    if differs:
        faults.append(
            f"{place}: task '{entry.name}' is {task.status}, so its {', '.join(differs)} cannot change:"
            " give the new task another name"
        )
    return _write(task, pacing)


def _create_task(entry: TaskEntry, site: Site, playbook: Playbook, by: Actor) -> None:
    shortest, longest = entry.delay_bounds
    definition = creating.Definition(
        name=entry.name,
        playbook=playbook,
        site=site,
        concurrency=entry.concurrency,
        delay_min_seconds=shortest,
        delay_max_seconds=longest,
        seed=entry.seed,
    )
    accounts = None if entry.accounts == "all" else _named(site, entry.accounts)
    creating.create(definition, accounts=accounts, by=by)


def _named(site: Site, usernames: Collection[str]) -> QuerySet[Account]:
    return Account.objects.filter(site=site, username__in=usernames)


def _choose_accounts(task: WarmupTask, entry: TaskEntry, what: str) -> str:
    wanted = set() if entry.accounts == "all" else set(entry.accounts)
    if _usernames(task) == wanted:
        return what
    creating.choose(task, _named(task.site, wanted))
    return CHANGED if what == SAME else what


def _usernames(task: WarmupTask) -> set[str]:
    return set(task.accounts.values_list("username", flat=True))
