"""Importing: by the rules of the load file, whole or not at all; an export imported again changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.models import Account, AccountSecret, Proxy, SessionState, Site
from tests import factories
from warmup.loadfile import AccountEntry
from warmup.models import AuditEntry
from warmup.transfer.accounts import Plan, exported_rows, import_accounts, plan
from warmup.transfer.checking import NOT_PERMITTED
from warmup.transfer.csv_file import read_csv, write_csv
from warmup.transfer.json_file import read_json, write_json

pytestmark = pytest.mark.django_db

STATE = factories.state(factories.cookie(value="c00kie"))


@pytest.fixture
def site() -> Site:
    Proxy.objects.create(name="office", server="http://10.0.0.1:3128")
    return factories.SiteFactory(slug="reel")


def bring(content: str | list[dict[str, Any]], *, may: bool = True, by: User | None = None) -> Plan:
    """Import CSV text, or JSON entries."""
    table = (
        read_csv(content.encode()) if isinstance(content, str) else read_json(json.dumps(content).encode())
    )
    return import_accounts(table, source="accounts.csv", may_set_secrets=may, by=by)


def faults(content: str | list[dict[str, Any]], *, may: bool = True) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        bring(content, may=may)
    return caught.value.faults


def stored() -> list[tuple[Any, ...]]:
    rows = Account.objects.order_by("site__slug", "username")
    return list(rows.values_list("site__slug", "username", "proxy__name", "enabled"))


# ---- what an import does ----------------------------------------------------------------------------------


def test_import_adds_and_changes_accounts(site: Site) -> None:
    factories.AccountFactory(site=site, username="bob", enabled=True)
    factories.AccountFactory(site=site, username="same", enabled=True)
    boss = User.objects.create(username="boss")

    done = bring(
        "site,username,proxy,enabled,password\nreel,anna,office,,one\nreel,bob,,no,two\nreel,same,,yes,pw\n",
        by=boss,
    )

    assert done.counts() == {"created": 1, "changed": 1, "same": 1}
    assert stored() == [
        ("reel", "anna", "office", True),
        ("reel", "bob", None, False),
        ("reel", "same", None, True),
    ]
    passwords = {secret.account.username: secret.open() for secret in AccountSecret.objects.all()}
    assert passwords == {"anna": "one", "bob": "two", "same": "pw"}


def test_import_leaves_one_audit_entry_with_the_counts(site: Site) -> None:
    boss = User.objects.create(username="boss")

    bring("site,username\nreel,anna\nreel,bob\n", by=boss)

    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.verb, entry.object, entry.count) == ("boss", "import", "accounts.csv", 2)
    assert entry.reason == "2 created, 0 changed, 0 same"


def test_same_file_again_changes_nothing(site: Site) -> None:
    entries = [
        {"site": "reel", "username": "anna", "proxy": "office", "password": "one", "storage_state": STATE}
    ]
    bring(entries)
    before = list(Account.objects.values()), list(AccountSecret.objects.values())

    done = bring(entries)

    assert done.counts() == {"same": 1}
    assert (list(Account.objects.values()), list(AccountSecret.objects.values())) == before
    assert SessionState.objects.count() == 1


def test_columns_that_a_file_does_not_have_stay(site: Site) -> None:
    office = Proxy.objects.get()
    factories.AccountFactory(site=site, username="anna", enabled=False, proxy=office, password="old")

    done = bring("site,username\nreel,anna\n")

    assert done.counts() == {"same": 1}
    assert stored() == [("reel", "anna", "office", False)]
    assert AccountSecret.objects.get().open() == "old"


def test_import_touches_nothing_that_the_machine_keeps(site: Site) -> None:
    account = factories.AccountFactory(site=site, username="anna", failures_in_a_row=4)
    made = account.created_at

    bring("site,username,enabled\nreel,anna,no\n")

    account.refresh_from_db()
    assert (account.failures_in_a_row, account.created_at, account.enabled) == (4, made, False)


def test_states_are_versions_and_the_oldest_go(site: Site) -> None:
    for number in range(SessionState.KEEP + 2):
        state = factories.state(factories.cookie(value=str(number)))
        bring([{"site": "reel", "username": name, "storage_state": state} for name in ("anna", "bob")])

    for account in Account.objects.all():
        assert account.states.count() == SessionState.KEEP
        assert account.spec().storage_state == factories.state(
            factories.cookie(value=str(SessionState.KEEP + 1))
        )


def test_unreadable_password_is_replaced(site: Site, settings: Any) -> None:
    factories.AccountFactory(site=site, username="anna", password="one")
    settings.FIELD_KEYS = ["b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXktMDA="]

    done = bring("site,username,password\nreel,anna,one\n")

    assert done.counts() == {"changed": 1}
    assert AccountSecret.objects.get().open() == "one"


def test_plan_changes_nothing(site: Site) -> None:
    factories.AccountFactory(site=site, username="bob")

    ahead = plan(read_csv(b"site,username,enabled\nreel,anna,yes\nreel,bob,no\n"), may_set_secrets=False)

    assert [(change.what, change.columns) for change in ahead.changes] == [
        ("created", ()),
        ("changed", ("enabled",)),
    ]
    assert stored() == [("reel", "bob", None, True)]
    assert not AuditEntry.objects.exists()


# ---- what it refuses --------------------------------------------------------------------------------------


def test_every_fault_is_told_with_row_and_column_and_nothing_is_imported(site: Site) -> None:
    long = "x" * 1001
    text = "\n".join(
        [
            "site,username,proxy,enabled,password",
            "reel,anna,,,",
            "rel,bob,,,",
            "reel,,,,",
            "reel,carl,ofice,,",
            "reel,dora,,maybe,",
            f"reel,emil,,,{long}",
            "reel,a\0b,,,",
            "reel,a\u202eb,,,",
            "reel,anna,,,",
            "reel,fred",
        ]
    )

    told = faults(text)

    assert told == (
        "row 3, column site: no site 'rel' (did you mean 'reel'?)",
        "row 4, column username: must not be empty",
        "row 5, column proxy: no proxy 'ofice' (did you mean 'office'?)",
        "row 6, column enabled: must be true or false, not text",
        "row 7, column password: must be at most 1000 characters long",
        "row 8, column username: must not hold NUL or a lone surrogate",
        "row 9, column username: must be one line without control characters",
        "row 10: same account as row 2",
        "row 11: 2 cells, but the header has 5",
    )
    assert not Account.objects.exists()
    assert not AuditEntry.objects.exists()


def test_faults_of_json_have_the_places_of_the_load_file(site: Site) -> None:
    told = faults(
        [{"site": "reel", "username": "\ud800"}, {"site": "reel", "username": "bob", "pasword": "x"}]
    )

    assert told == (
        "accounts[0].username: must not hold NUL or a lone surrogate",
        "accounts[1].pasword: unknown key (did you mean 'password'?)",
    )


def test_state_of_another_site_is_refused_without_its_values(site: Site) -> None:
    state = json.dumps(
        {"cookies": [{**factories.cookie(value="c00kie"), "domain": "other.test"}], "origins": []}
    )
    cell = state.replace('"', '""')

    told = faults(f'site,username,storage_state\nreel,anna,\nreel,bob,"{cell}"\n')

    assert told[0].startswith("row 3, column storage_state: cookies[0].domain: 'other.test' is none of")
    assert "c00kie" not in told[0]
    assert not Account.objects.exists()


def test_state_of_the_wrong_form_is_told_with_its_place(site: Site) -> None:
    told = faults('site,username,storage_state\nreel,anna,"{""cookies"": [{}], ""origins"": []}"\n')

    assert told[0] == "row 2, column storage_state, at cookies[0].name: missing"


def test_secrets_need_their_permission_in_each_row_that_has_one(site: Site) -> None:
    text = "site,username,password\nreel,anna,s3cret\nreel,bob,\nreel,carl,s3cret2\n"

    told = faults(text, may=False)

    assert told == tuple(f"row {row}, column password: {NOT_PERMITTED}" for row in (2, 4))
    told = faults([{"site": "reel", "username": "anna", "storage_state": STATE}], may=False)
    assert told == (f"accounts[0].storage_state: {NOT_PERMITTED}",)
    assert not Account.objects.exists()


def test_import_without_secrets_needs_no_permission_for_them(site: Site) -> None:
    assert bring("site,username,password\nreel,anna,\n", may=False).counts() == {"created": 1}


def test_import_that_breaks_off_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the power is gone")

    monkeypatch.setattr("warmup.transfer.writing._write_passwords", broken)

    with pytest.raises(RuntimeError):
        bring("site,username,password\nreel,anna,one\n")

    assert not Account.objects.exists()
    assert not AuditEntry.objects.exists()


# ---- export -----------------------------------------------------------------------------------------------


def test_export_holds_no_secret_and_reads_none(site: Site, django_assert_num_queries: Any) -> None:
    account = factories.AccountFactory(site=site, username="anna", password="s3cret")
    SessionState.save_version(account.pk, STATE)

    with django_assert_num_queries(1) as queries:
        (row,) = exported_rows(Account.objects.all())

    assert row["has_password"] is True
    assert row["state_saved_at"]
    (query,) = queries.captured_queries
    assert '"password"' not in query["sql"]
    assert "sealed" not in query["sql"]
    for content in (write_csv([row]), write_json([row])):
        assert b"s3cret" not in content
        assert b"c00kie" not in content
        assert b"gAAAA" not in content


# What the load file takes for a username.
NAMES = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40) | st.text(
    alphabet="'=+-@;,\" a\U0001f600\u05d0", min_size=1, max_size=10
)


def _is_name(text: str) -> bool:
    try:
        AccountEntry(site="reel", username=text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("form", ["csv", "json"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES.filter(_is_name), min_size=1, max_size=8, unique=True), enabled=st.booleans())
def test_export_and_import_are_the_identity(site: Site, form: str, names: list[str], enabled: bool) -> None:
    Account.objects.all().delete()
    proxy = Proxy.objects.get_or_create(name="=office", server="http://10.0.0.2:3128")[0]
    Account.objects.bulk_create(
        Account(site=site, username=name, enabled=enabled, proxy=proxy if number % 2 else None)
        for number, name in enumerate(names)
    )
    before = stored()
    write, read = (write_csv, read_csv) if form == "csv" else (write_json, read_json)
    content = write(exported_rows(Account.objects.all()))

    again = import_accounts(read(content), source="again", may_set_secrets=False, by=None)
    assert again.counts() == {"same": len(names)}

    Account.objects.all().delete()
    import_accounts(read(content), source="afresh", may_set_secrets=False, by=None)
    assert stored() == before


# ---- size -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accounts", [1000, 3000])
def test_queries_grow_with_batches_and_not_with_accounts(
    site: Site, accounts: int, django_assert_max_num_queries: Any
) -> None:
    entries = [
        {"site": "reel", "username": f"user{number}", "password": "pw", "storage_state": STATE}
        for number in range(accounts)
    ]

    with django_assert_max_num_queries(8 + 60 * accounts // 1000):
        done = bring(entries)

    assert done.counts() == {"created": accounts}
    assert SessionState.objects.count() == AccountSecret.objects.count() == accounts


def test_faults_of_every_row_of_a_large_file_are_told(site: Site) -> None:
    text = "site,username\n" + "".join(f"nowhere,user{number}\n" for number in range(10_000))

    told = faults(text)

    assert len(told) == 10_000
    assert told[-1].startswith("row 10001, column site: no site 'nowhere'")
