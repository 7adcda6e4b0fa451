"""Who may ask over HTTP: passwords, tokens, roles, and what guessing costs."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterable
from typing import Literal

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.association.addresses import is_loopback
from gateway.console.authentication import FAILURES, LOCAL, WINDOW_SECONDS, Authenticator, Denial, Person
from gateway.settings.accounts import (
    Role,
    User,
    checked_password_hash,
    checked_token_hash,
    hash_password,
    make_token,
    token_digest,
)

#: As cheap as a hash may be.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
PASSWORD = "correct horse battery"
#: The form of a hash; of which password, nobody knows.
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
TOKEN = "tWnJ5p3m_example-of-a-token_0123456789-abcde"
MARIA = User(name="maria", role=Role.DATA_PROTECTION_OFFICER, password_hash=HASHER.hash(PASSWORD))
PROMETHEUS = User(name="prometheus", role=Role.VIEWER, token_digest=token_digest(TOKEN))


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counting(PasswordHasher):
    """Counts the hashes that it computes."""

    count = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the base's name
        type(self).count += 1
        return super().verify(hash, password)


class Watched(Authenticator):
    """Tells how many hashes it computes."""

    def __init__(self, clock: Clock) -> None:
        super().__init__((MARIA, PROMETHEUS), clock=clock)
        self._hasher = Counting()
        self._before = Counting.count

    @property
    def hashes(self) -> int:
        return Counting.count - self._before


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(clock: Clock) -> Watched:
    return Watched(clock)


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def ask(
    door: Authenticator, authorization: str | None, *, peer: str = "10.0.0.5", headers: Iterable[tuple[str, str]] = ()
) -> Person | Denial:
    given = dict(headers) | ({} if authorization is None else {"Authorization": authorization})
    return door.recognise(given.get, peer=peer)


@pytest.mark.parametrize(
    ("authorization", "found"),
    [
        (basic("maria", PASSWORD), Person("maria", Role.DATA_PROTECTION_OFFICER)),
        (basic("maria", PASSWORD).replace("Basic", "bASIC"), Person("maria", Role.DATA_PROTECTION_OFFICER)),
        (f"Bearer {TOKEN}", Person("prometheus", Role.VIEWER)),
        (f"bearer   {TOKEN}", Person("prometheus", Role.VIEWER)),
        (None, Denial.MISSING),
        ("", Denial.MISSING),
        ("Digest username=maria", Denial.MISSING),  # another scheme
        (basic("maria", PASSWORD + " "), Denial.WRONG),
        (basic("maria", ""), Denial.WRONG),
        (basic("MARIA", PASSWORD), Denial.WRONG),  # names are compared as they stand
        (basic("nobody", PASSWORD), Denial.WRONG),
        (basic("prometheus", TOKEN), Denial.WRONG),  # a token is no password
        (basic("prometheus", ""), Denial.WRONG),  # and a user with a token has no empty one
        (f"Bearer {PASSWORD}", Denial.WRONG),
        ("Bearer ", Denial.WRONG),
        ("Bearer \N{SNOWMAN}", Denial.WRONG),
        ("Basic !!!", Denial.WRONG),  # no base64
        ("Basic " + b64encode(b"maria").decode(), Denial.WRONG),  # no colon
        ("Basic " + b64encode(b"maria:\xff").decode(), Denial.WRONG),  # no UTF-8
    ],
)
def test_p10_credentials(door: Watched, authorization: str | None, found: Person | Denial) -> None:
    assert ask(door, authorization) == found


def test_an_unknown_user_costs_as_much_as_a_wrong_password(door: Watched) -> None:
    ask(door, basic("nobody", PASSWORD))
    ask(door, basic("maria", "wrong"))
    assert door.hashes == 2


def test_a_verified_password_is_remembered_for_a_while_and_no_other_with_it(door: Watched, clock: Clock) -> None:
    right = basic("maria", PASSWORD)
    for _ in range(5):
        assert isinstance(ask(door, right), Person)
    assert door.hashes == 1
    assert ask(door, basic("maria", PASSWORD[:-1])) is Denial.WRONG
    assert door.hashes == 2
    clock.now += 301
    assert isinstance(ask(door, right), Person)
    assert door.hashes == 3


@settings(deadline=None)
@given(st.text() | st.binary().map(lambda raw: "Basic " + b64encode(raw).decode()) | st.text().map("Bearer ".__add__))
def test_p7_no_header_is_too_strange(authorization: str) -> None:
    assert isinstance(ask(Authenticator((PROMETHEUS,)), authorization), Denial)


def test_tokens_cost_no_hash(door: Watched) -> None:
    ask(door, f"Bearer {TOKEN}")
    ask(door, "Bearer wrong")
    assert door.hashes == 0


def test_p10_guessing_is_stopped_for_the_address_that_guesses(door: Watched, clock: Clock) -> None:
    right = basic("maria", PASSWORD)
    assert isinstance(ask(door, right, peer="10.0.0.6"), Person)
    for number in range(FAILURES):
        assert ask(door, basic("maria", f"guess {number}")) is Denial.WRONG
    hashes = door.hashes
    assert ask(door, basic("maria", "guess")) is Denial.TOO_MANY
    assert ask(door, right) is Denial.TOO_MANY  # or a remembered password could be guessed without a limit
    assert door.hashes == hashes
    assert isinstance(ask(door, right, peer="10.0.0.6"), Person)  # others are not shut out by it
    assert isinstance(ask(door, f"Bearer {TOKEN}"), Person)  # nor is monitoring at the same address
    clock.now += WINDOW_SECONDS
    assert isinstance(ask(door, right), Person)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("10.0.0.5", "::ffff:10.0.0.5", True),  # IPv4 on a socket for both
        ("2001:db8::1", "2001:db8::ffff:2", True),  # one network of 64 bits is one subscriber
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.0.0.5", "10.0.0.6", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_which_addresses_are_one(door: Watched, first: str, second: str, same: bool) -> None:
    for _ in range(FAILURES):
        ask(door, "Bearer wrong", peer=first)
    assert (ask(door, "Bearer wrong", peer=second) is Denial.TOO_MANY) is same


def test_addresses_are_not_remembered_without_end(door: Watched) -> None:
    for number in range(5000):
        ask(door, "Bearer wrong", peer=f"10.1.{number >> 8}.{number & 255}")
    assert len(door._failures._counts) == 4096


def test_several_threads_count_every_failure(door: Watched) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(ask(door, "Bearer wrong"))) for _ in range(3 * FAILURES)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found.count(Denial.WRONG) == FAILURES
    assert found.count(Denial.TOO_MANY) == 2 * FAILURES


@pytest.mark.parametrize(
    ("peer", "headers", "local"),
    [
        ("127.0.0.1", {}, True),
        ("127.8.9.10", {"Host": "localhost:8080"}, True),
        ("::1", {"Host": "[::1]:8080"}, True),
        ("::ffff:127.0.0.1", {"Host": "127.0.0.1"}, True),
        ("127.0.0.1", {"Host": "[::1]"}, True),
        ("10.0.0.5", {}, False),
        ("10.0.0.5", {"Host": "localhost"}, False),
        ("not an address", {}, False),
        ("127.0.0.1", {"Host": "attacker.example:8080"}, False),  # a browser here, a page from there
        ("127.0.0.1", {"Host": "127.0.0.1.attacker.example"}, False),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.5"}, False),  # a proxy here, the asker elsewhere
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, False),
        ("127.0.0.1", {"Via": ""}, False),
    ],
)
def test_p10_what_is_open_to_this_machine_without_users(peer: str, headers: dict[str, str], local: bool) -> None:
    assert Authenticator().is_open_to(headers.get, peer=peer) is local
    # What is not open asks for credentials, wherever the request comes from.
    assert ask(Authenticator(), None, peer=peer, headers=headers.items()) is Denial.MISSING


@pytest.mark.parametrize(
    ("own", "shown", "found"),
    [
        ("o" * 43, "o" * 43, LOCAL),
        ("o" * 43, "p" * 43, Denial.WRONG),
        ("o" * 43, "", Denial.WRONG),
        ("", "", Denial.WRONG),  # none was made: nothing is let in
        ("", "o" * 43, Denial.WRONG),
    ],
)
def test_p10_without_users_the_gateways_own_token_counts(own: str, shown: str, found: object) -> None:
    door = Authenticator(own_token=own)
    assert ask(door, f"Bearer {shown}", peer="10.0.0.5") == found
    assert ask(door, "Basic " + b64encode(f"local:{shown}".encode()).decode(), peer="10.0.0.6") is Denial.WRONG


def test_with_users_this_machine_has_no_privilege(door: Watched) -> None:
    assert ask(door, None, peer="127.0.0.1") is Denial.MISSING
    assert not door.is_open_to({"Host": "localhost"}.get, peer="127.0.0.1")


def test_with_users_the_gateways_own_token_does_not_count() -> None:
    user = User(name="a", role=Role.VIEWER, token_digest=token_digest("u" * 40))
    assert ask(Authenticator((user,), own_token="o" * 43), f"Bearer {'o' * 43}") is Denial.WRONG


@pytest.mark.parametrize(
    ("role", "includes"),
    [
        (Role.VIEWER, {Role.VIEWER}),
        (Role.DATA_PROTECTION_OFFICER, {Role.VIEWER, Role.DATA_PROTECTION_OFFICER}),
        (Role.ADMINISTRATOR, set(Role)),
    ],
)
def test_roles(role: Role, includes: set[Role]) -> None:
    assert {other for other in Role if role.includes(other)} == includes


def test_hashes_are_salted_and_verify() -> None:
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)
    assert first != second
    assert checked_password_hash(first) == first
    door = Authenticator((User(name="a", role=Role.VIEWER, password_hash=first),))
    assert isinstance(ask(door, basic("a", PASSWORD)), Person)


def test_a_short_password_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 12 characters"):
        hash_password("x" * 11)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PASSWORD,  # not hashed
        "$argon2i$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g",  # another variant
        HASH.replace("m=19456", "m=8192"),  # too cheap
        HASH.replace("t=2", "t=1"),
        HASH.replace("m=19456", "m=4194304"),  # would exhaust the machine
        HASH.replace("t=2", "t=1000"),
        "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",  # bcrypt
    ],
)
def test_hashes_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="gateway access hash"):
        checked_password_hash(text)


@pytest.mark.parametrize(
    "text", ["", "sha256:", "0" * 64, "sha256:" + "0" * 63, "sha256:" + "G" * 64, "md5:" + "0" * 64]
)
def test_token_hashes_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="gateway access token"):
        checked_token_hash(text)


@pytest.mark.parametrize("token", ["", "x" * 31, "with blank" * 4, "ü" * 40, "\t" * 40])
def test_tokens_that_are_refused(token: str) -> None:
    with pytest.raises(ValueError, match="gateway access token"):
        token_digest(token)


def test_tokens_are_long_and_different() -> None:
    made = {make_token() for _ in range(100)}
    assert len(made) == 100
    assert all(len(token) >= 43 for token in made)


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),  # every address of the machine
        ("::", False),
        ("gateway.example", False),
    ],
)
def test_loopback(host: str, is_one: bool) -> None:
    assert is_loopback(host) is is_one


def test_p9_nothing_secret_is_shown() -> None:
    assert "argon2" not in repr(MARIA)
    assert PROMETHEUS.token_digest not in repr(PROMETHEUS)
