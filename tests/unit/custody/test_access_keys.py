"""Another key does not go unnoticed: recorded at first use, refused when it differs, changed only on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.custody.ownership import check_custody, own_token
from gateway.custody.project_keys import establish_keys
from gateway.custody.secret import previous_secrets, project_secret, project_secrets, secret_path
from gateway.deid import ProjectKey
from gateway.errors import ConfigurationError
from gateway.ledger import Ledger, Received
from gateway.settings.accounts import SHORTEST_TOKEN
from gateway.settings.configuration import Settings, load_settings
from tests.fixtures.ledgers import new_ledger

NOW = datetime(2026, 11, 21, tzinfo=UTC)
FIRST, SECOND, THIRD = (
    "first-0123456789abcdef-0123456789",
    "second-0123456789abcdef-012345678",
    "third-" + "0123456789" * 4,
)


def settings_of(folder: Path, project: str = "", **environ: str) -> Settings:
    file = folder / "gateway.yaml"
    file.write_text(f"data: data\nprojects: {{chest: {{{project}}}}}\n")
    return load_settings(file, environ)


def keyed(folder: Path, secret: str, version: int = 1, more: str = "", **environ: str) -> Settings:
    return settings_of(folder, f"secret: '${{KEY}}', key_version: {version}{more}", KEY=secret, **environ)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = new_ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


def receive(ledger: Ledger, name: str = "A") -> None:
    row = Received(
        spool_name=f"2026-11-21/{name}.dcm", received_at=NOW, size=10, crc32=1, source="s", calling_ae="C",
        called_ae="G", peer_address="10.0.0.1",
    )  # fmt: skip
    ledger.instances.record([row])


def versions(ledger: Ledger) -> list[tuple[int, str]]:
    return [(one.version, one.key_id) for one in ledger.keys.versions("chest")]


def key_id(secret: str) -> str:
    return ProjectKey(secret.encode()).id


def test_the_identifier_tells_keys_apart_and_nothing_else() -> None:
    assert key_id(FIRST) == key_id(FIRST) != key_id(SECOND)
    assert len(key_id(FIRST)) == 16
    assert key_id(FIRST) not in ProjectKey(FIRST.encode()).digest("uid", "key-id").hex()


def test_a_key_is_recorded_once(tmp_path: Path, ledger: Ledger) -> None:
    for _ in range(2):
        establish_keys(keyed(tmp_path, FIRST), ledger, now=NOW)
    assert versions(ledger) == [(1, key_id(FIRST))]
    assert ledger.audit.end() is None  # a first key changes nothing


def test_another_key_under_the_same_number_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    establish_keys(keyed(tmp_path, FIRST), ledger, now=NOW)
    with pytest.raises(ConfigurationError) as caught:
        establish_keys(keyed(tmp_path, SECOND), ledger, now=NOW)
    assert "every patient would become another" in caught.value.message
    assert "key_version: 2" in caught.value.message
    assert SECOND not in caught.value.message
    assert versions(ledger) == [(1, key_id(FIRST))]


def test_a_change_on_purpose_is_recorded_and_audited(tmp_path: Path, ledger: Ledger) -> None:
    establish_keys(keyed(tmp_path, FIRST), ledger, now=NOW)
    for _ in range(2):
        establish_keys(keyed(tmp_path, SECOND, 2), ledger, now=NOW)
    assert versions(ledger) == [(1, key_id(FIRST)), (2, key_id(SECOND))]
    [entry] = ledger.audit.trail()
    assert (entry.text("action"), entry.text("subject")) == ("key-changed", "chest")
    assert entry.facts == {"version": "2", "key": key_id(SECOND), "before": key_id(FIRST)}
    assert FIRST not in entry.document
    assert SECOND not in entry.document


def test_a_change_that_changes_nothing_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    establish_keys(keyed(tmp_path, FIRST), ledger, now=NOW)
    with pytest.raises(ConfigurationError, match="is the one of version 1"):
        establish_keys(keyed(tmp_path, FIRST, 2), ledger, now=NOW)


def test_going_back_needs_a_number_of_its_own(tmp_path: Path, ledger: Ledger) -> None:
    establish_keys(keyed(tmp_path, FIRST), ledger, now=NOW)
    establish_keys(keyed(tmp_path, SECOND, 2), ledger, now=NOW)
    with pytest.raises(ConfigurationError, match=r"version 2 is in use since 2026-11-21.*version 3"):
        establish_keys(keyed(tmp_path, FIRST), ledger, now=NOW)
    establish_keys(keyed(tmp_path, FIRST, 3), ledger, now=NOW)
    assert versions(ledger)[-1] == (3, key_id(FIRST))


def test_p2_nothing_may_be_under_way_when_the_key_changes(tmp_path: Path, ledger: Ledger) -> None:
    establish_keys(keyed(tmp_path, FIRST), ledger, now=NOW)
    receive(ledger)
    with pytest.raises(ConfigurationError, match="1 instances are under way or held"):
        establish_keys(keyed(tmp_path, SECOND, 2), ledger, now=NOW)
    assert versions(ledger) == [(1, key_id(FIRST))]
    establish_keys(keyed(tmp_path, FIRST), ledger, now=NOW)  # with the former key it goes on


def test_a_made_key_is_kept_beside_the_next_one(tmp_path: Path, ledger: Ledger) -> None:
    establish_keys(settings_of(tmp_path), ledger, now=NOW)
    first = project_secret(settings_of(tmp_path), "chest", create=False)
    changed = settings_of(tmp_path, "key_version: 2")
    with pytest.raises(ConfigurationError):
        project_secret(changed, "chest", create=False)
    establish_keys(changed, ledger, now=NOW)
    second = project_secret(changed, "chest", create=False)
    assert first != second
    assert project_secrets(changed, "chest") == (second, first)
    assert secret_path(changed, "chest", version=2).name == "chest@2.key"


def test_a_made_key_that_is_gone_is_not_made_again(tmp_path: Path, ledger: Ledger) -> None:
    settings = settings_of(tmp_path)
    establish_keys(settings, ledger, now=NOW)
    secret_path(settings, "chest").unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        establish_keys(settings, ledger, now=NOW)
    assert not secret_path(settings, "chest").exists()


def test_previous_keys_must_be_what_they_were(tmp_path: Path, ledger: Ledger) -> None:
    establish_keys(keyed(tmp_path, FIRST), ledger, now=NOW)
    previous = ", previous_keys: [{version: 1, secret: '${OLD}'}]"
    with pytest.raises(ConfigurationError, match="not the key that version 1 was"):
        establish_keys(keyed(tmp_path, SECOND, 2, previous, OLD=THIRD), ledger, now=NOW)
    assert versions(ledger) == [(1, key_id(FIRST))]
    settings = keyed(tmp_path, SECOND, 2, previous, OLD=FIRST)
    establish_keys(settings, ledger, now=NOW)
    assert previous_secrets(settings, "chest") == {1: FIRST.encode()}


@pytest.mark.parametrize(
    "project",
    [
        "key_version: 0",
        "key_version: 1.5",
        "key_version: 2, previous_keys: [{version: 2, secret: '${KEY}'}]",  # not below
        "key_version: 3, previous_keys: [{version: 1, secret: '${KEY}'}, {version: 1, secret: '${KEY}'}]",
        "key_version: 2, previous_keys: [{version: 1}]",
        "key_version: 2, previous_keys: [{version: 1, secret: '${KEY}', secret_file: x}]",
    ],
)
def test_wrong_settings(tmp_path: Path, project: str) -> None:
    with pytest.raises(ConfigurationError):
        settings_of(tmp_path, project, KEY=FIRST)


def test_two_gateways_on_one_ledger_have_one_key(tmp_path: Path, ledger: Ledger) -> None:
    """The second of two that start at once finds the first one's record and refuses."""
    assert ledger.keys.record("chest", 1, key_id(FIRST), now=NOW).key_id == key_id(FIRST)
    assert ledger.keys.record("chest", 1, key_id(SECOND), now=NOW).key_id == key_id(FIRST)
    with pytest.raises(ConfigurationError, match="every patient"):
        establish_keys(keyed(tmp_path, SECOND), ledger, now=NOW)


# Custody ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mode", "remedy"),
    [
        (".", 0o775, "chmod go-w"),  # others could put another spool in its place
        ("spool", 0o750, "chmod 700"),
        ("ledger.sqlite3", 0o640, "chmod 600"),
        ("ledger.sqlite3-wal", 0o604, "chmod 600"),
        ("secrets", 0o711, "chmod 700"),
        ("secrets/chest.key", 0o440, "chmod 600"),
    ],
)
def test_p9_what_others_may_use_is_refused(tmp_path: Path, name: str, mode: int, remedy: str) -> None:
    settings = settings_of(tmp_path)
    for directory in ("spool", "secrets"):
        (settings.data / directory).mkdir(mode=0o700, parents=True)
    for file in ("ledger.sqlite3", "ledger.sqlite3-wal", "secrets/chest.key"):
        (settings.data / file).touch(mode=0o600)
    settings.data.chmod(0o755)  # a list of names is no secret
    check_custody(settings)
    (settings.data / name).chmod(mode)
    with pytest.raises(ConfigurationError) as caught:
        check_custody(settings)
    assert remedy in caught.value.message
    assert str((settings.data / name).resolve()) in str(Path(str(caught.value.facts["place"])).resolve())


def test_what_does_not_exist_yet_is_fine(tmp_path: Path) -> None:
    check_custody(settings_of(tmp_path))


DICOMWEB = (
    "destinations: {d: {type: dicomweb, url: 'https://h/', auth: {type: client-certificate, certificate_file: KEY}}}"
)


def test_p9_keys_of_doors_and_destinations(tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch(mode=0o600)
    (tmp_path / "open.pem").touch(mode=0o604)
    (tmp_path / "open.pem").chmod(0o604)
    for text in (
        "dicom: {tls: {certificate_file: c.pem, key_file: KEY}}",
        "http: {tls: {certificate_file: KEY}}",
        "destinations: {d: {type: dicom, host: h, called_ae: A, tls: {certificate_file: KEY}}}",
        DICOMWEB,
    ):
        file = tmp_path / "gateway.yaml"
        file.write_text(text.replace("KEY", "key.pem") + "\ndata: data\n")
        check_custody(load_settings(file, {}))
        file.write_text(text.replace("KEY", "open.pem") + "\ndata: data\n")
        with pytest.raises(ConfigurationError, match=r"open\.pem: others than the owner"):
            check_custody(load_settings(file, {}))


def test_p10_the_own_token_is_made_once_and_for_this_account(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    settings.data.mkdir()
    token = own_token(settings)
    path = settings.data / "http.token"
    assert len(token) > SHORTEST_TOKEN
    assert path.stat().st_mode & 0o777 == 0o600
    assert own_token(settings) == token
    check_custody(settings)
    path.unlink()
    assert own_token(settings) != token
    assert [one.name for one in settings.data.iterdir()] == ["http.token"]


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("", 0o600, "holds no token"),  # cut off by a full disk
        ("short", 0o600, "holds no token"),
        ("a b" * 20, 0o600, "holds no token"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}" * 50, 0o600, "holds no token"),
        ("t" * 43, 0o644, "chmod"),
        ("t" * 43, 0o620, "chmod"),
    ],
)
def test_p10_a_token_file_that_nobody_can_trust(tmp_path: Path, content: str, mode: int, words: str) -> None:
    settings = settings_of(tmp_path)
    settings.data.mkdir()
    path = settings.data / "http.token"
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=words):
        own_token(settings)


def test_with_users_there_is_no_own_token(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("data: data\nusers: {a: {role: viewer, token: '${T}'}}\n")
    settings = load_settings(file, {"T": "t" * 43})
    assert own_token(settings) == ""
    assert not settings.data.exists()
