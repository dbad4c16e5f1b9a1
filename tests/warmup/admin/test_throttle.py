"""Log-ins under guessing: how many passwords are looked at, who is locked out, and who is not."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

LOG_IN = reverse("admin:login")
PASSWORD = "correct horse battery"
HOME, ELSEWHERE = "192.0.2.1", "203.0.113.9"


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were looked at."""
    seen: list[str] = []
    plain = ModelBackend.authenticate

    def authenticate(self: Any, request: Any, username: Any = None, password: Any = None, **more: Any) -> Any:
        seen.append(password)
        return plain(self, request, username=username, password=password, **more)

    monkeypatch.setattr(ModelBackend, "authenticate", authenticate)
    return seen


@pytest.fixture
def anna(db: None) -> User:
    return User.objects.create_user("anna", password=PASSWORD, is_staff=True)


def log_in(name: str = "anna", password: str = PASSWORD, *, address: str = HOME, **headers: str) -> Any:
    client = Client(REMOTE_ADDR=address, headers=headers)
    return client.post(LOG_IN, {"username": name, "password": password})


def is_in(response: HttpResponse) -> bool:
    return response.status_code == 302


def guess(times: int, **more: Any) -> None:
    for number in range(times):
        assert not is_in(log_in(password=f"guess {number}", **more))


def test_of_1000_guesses_five_are_evaluated(anna: User, evaluated: list[str]) -> None:
    guess(1000, address=ELSEWHERE)

    assert len(evaluated) == 5
    assert not is_in(log_in(address=ELSEWHERE))  # not the right one either
    assert len(evaluated) == 5


def test_many_names_from_one_address_are_one_guesser(anna: User, evaluated: list[str]) -> None:
    for number in range(30):
        log_in(f"user{number}", "pw", address=ELSEWHERE)

    assert len(evaluated) == 5


def test_one_name_from_many_addresses_is_one_guess_after_the_other(anna: User, evaluated: list[str]) -> None:
    for number in range(30):
        log_in(password="pw", address=f"203.0.113.{number}")

    assert len(evaluated) == 5


def test_ipv6_client_is_its_network(anna: User, evaluated: list[str]) -> None:
    for number in range(1, 30):
        log_in(f"user{number}", "pw", address=f"2001:db8::{number:x}")

    assert len(evaluated) == 5


def test_user_agents_do_not_help(anna: User, evaluated: list[str]) -> None:
    for number in range(30):
        log_in(password="pw", address=ELSEWHERE, User_Agent=f"agent {number}")

    assert len(evaluated) == 5


def test_outsider_does_not_lock_out_a_user_from_where_they_log_in(anna: User, evaluated: list[str]) -> None:
    assert is_in(log_in(address=HOME))

    guess(30, address=ELSEWHERE)

    assert is_in(log_in(address=HOME))
    assert not is_in(log_in(address="198.51.100.7"))


def test_guesses_from_inside_and_outside_are_ten_at_most(anna: User, evaluated: list[str]) -> None:
    log_in(address=HOME)
    evaluated.clear()

    for number in range(60):
        log_in(password="pw", address=HOME if number % 2 else ELSEWHERE)

    assert 5 < len(evaluated) <= 10


def test_own_log_in_forgives_no_guesses_at_others(anna: User, evaluated: list[str]) -> None:
    User.objects.create_user("mallory", password=PASSWORD, is_staff=True)

    for _ in range(10):
        guess(4, address=ELSEWHERE)
        log_in("mallory", address=ELSEWHERE)

    assert len([password for password in evaluated if password != PASSWORD]) == 5


def test_log_in_forgives_own_failures(anna: User) -> None:
    for _ in range(3):
        guess(4)
        assert is_in(log_in())


def test_lock_ends_by_itself(anna: User) -> None:
    guess(6)

    with time_machine.travel(timezone.now() + timedelta(minutes=29)):
        assert not is_in(log_in())
    with time_machine.travel(timezone.now() + timedelta(minutes=31)):
        assert is_in(log_in())


def test_locked_page_says_so(anna: User) -> None:
    guess(5)

    response = log_in()

    assert response.status_code == 429
    assert response["Retry-After"] == "1800"
    assert "not tried for 30 minutes" in response.content.decode()
    assert "ask an admin to unlock you" in response.content.decode()


def test_wrong_password_says_no_more_than_before(anna: User) -> None:
    response = log_in(password="pw")

    assert response.status_code == 200
    assert "Please enter the correct username and password" in response.content.decode()


def test_what_is_kept_of_a_failure_holds_no_secret(anna: User) -> None:
    log_in("my s3cret in the wrong field", "my s3cret", address=ELSEWHERE)
    log_in("anna", "my s3cret", address=HOME)

    rows = list(AccessAttempt.objects.order_by("pk").values_list("username", "get_data", "post_data"))
    assert "s3cret" not in str(rows)
    assert rows[0][0].startswith("unknown-")
    assert rows[1][0] == "anna"


def test_forwarded_address_counts_only_behind_a_proxy(
    anna: User, evaluated: list[str], settings: Any
) -> None:
    for number in range(30):
        log_in(f"user{number}", "pw", X_Forwarded_For=f"203.0.113.{number}")
    assert len(evaluated) == 5  # what the client wrote was not believed

    settings.TRUSTED_PROXIES = 1
    evaluated.clear()
    for number in range(30):
        log_in(f"user{number}", "pw", X_Forwarded_For=f"1.2.3.{number}, 203.0.113.9")
    assert len(evaluated) == 5  # what the proxy added was
    log_in(password="pw", X_Forwarded_For="203.0.113.10")
    assert len(evaluated) == 6


def test_no_address_at_all_is_one_address(anna: User, evaluated: list[str]) -> None:
    for number in range(30):
        log_in(f"user{number}", "pw", address="")

    assert len(evaluated) == 5


@pytest.fixture
def anna_for_threads(transactional_db: None) -> User:
    return User.objects.create_user("anna", password=PASSWORD, is_staff=True)


def test_guesses_at_the_same_moment_are_evaluated_one_by_one(
    anna_for_threads: User, evaluated: list[str]
) -> None:
    barrier = threading.Barrier(8)

    def several() -> None:
        barrier.wait()
        for number in range(5):
            log_in(password=f"guess {number}", address=ELSEWHERE)
        connection.close()

    threads = [threading.Thread(target=several) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(evaluated) == 5
