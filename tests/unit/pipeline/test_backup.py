"""Backup and restore: whole, checked, and refused when they are not."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.config import Settings, load_settings
from gateway.dicom.file_meta import FileMeta
from gateway.errors import BackupUnusable, ConfigurationError
from gateway.ledger import DeidentifiedResult, Ledger
from gateway.pipeline.backup import BackupOrder, make_backup
from gateway.pipeline.restore import RestoreOrder, restore_backup
from gateway.pipeline.sealed_secrets import open_secrets, read_passphrase, seal_secrets
from gateway.receive import received_of
from gateway.spool import Spool
from tests.unit.ledger.build import START, claim, deidentified, held, outcome, take

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return at(tmp_path / "data")


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    settings.data.mkdir()
    with Ledger.open(settings.ledger_url) as opened:
        yield opened


@pytest.fixture
def spool(ledger: Ledger, settings: Settings) -> Spool:
    assert ledger.is_a_file
    return Spool(settings.data / "spool")


def at(data: Path) -> Settings:
    return load_settings(None, {"GATEWAY_DATA": str(data)})


def receive(spool: Spool, ledger: Ledger, count: int) -> list[str]:
    names = []
    for number in range(count):
        incoming = spool.incoming(FileMeta("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{number}"))
        incoming.write([b"data set " * 100, bytes([number])])
        record = incoming.commit(peer_address="192.0.2.7", source="ct")
        ledger.record_received([received_of(record)])
        names.append(record.name)
    return names


def fill(spool: Spool, ledger: Ledger) -> list[str]:
    """One instance of each kind that a gateway still has work with, and one that it has none with."""
    names = receive(spool, ledger, 4)
    taken = claim(ledger, limit=3)
    for each in taken:
        spool.write_output(each.spool_name, [b"output"])
    results: Sequence[object] = (
        deidentified(taken[0].instance_id, output_size=6),
        held(taken[1].instance_id),
        deidentified(taken[2].instance_id, study="2.25.2"),
    )
    ledger.finish("worker", results)  # type: ignore[arg-type]
    ledger.number("lungs", "patient", "token-1")
    return names


def backup(settings: Settings, ledger: Ledger, spool: Spool, target: Path, **changes: object) -> Path:
    make_backup(settings, ledger, spool, BackupOrder(target=target, **changes))  # type: ignore[arg-type]
    return target


@pytest.mark.parametrize("link", [False, True])
def test_p3_what_is_restored_is_what_was_there(
    tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool, link: bool
) -> None:
    names = fill(spool, ledger)
    (settings.data / "node").write_text("0123456789abcdef")
    target = backup(settings, ledger, spool, tmp_path / "backup", link=link)
    before = ledger.account()
    restored = at(tmp_path / "elsewhere" / "data")
    report = restore_backup(restored, RestoreOrder(source=target))
    assert report.account == before
    assert report.account.balanced
    assert (restored.data / "node").read_text() == "0123456789abcdef"
    again = Spool(restored.data / "spool")
    assert [again.check(name) for name in again.names()] == [spool.check(name) for name in sorted(names)]
    assert again.output(names[0]).length == 6
    modes = {path.stat().st_mode & 0o077 for path in (target, *target.rglob("*"), *restored.data.rglob("*"))}
    assert modes == {0}
    with Ledger.open(restored.ledger_url) as opened:
        entries = [one.text("action") for one in opened.audit_trail()]
        assert entries == ["backup-made", "backup-restored"]
        # Numbers that may have been given since are nobody's.
        assert opened.number("lungs", "patient", "token-2") == 1002


def test_its_digests_are_those_of_sha256sum(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=target, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_what_arrives_during_the_backup_is_left_or_gets_its_row_later(
    tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(spool, ledger)
    unfinished = spool.incoming(FileMeta("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.9"))
    unfinished.write([b"half of it"])
    snapshot = Ledger.snapshot
    late: list[str] = []

    def slow(self: Ledger, path: Path) -> None:
        snapshot(self, path)
        late.extend(receive(spool, ledger, 1))

    monkeypatch.setattr(Ledger, "snapshot", slow)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    unfinished.abort()
    restored = at(tmp_path / "restored")
    restore_backup(restored, RestoreOrder(source=target))
    found = set(Spool(restored.data / "spool").names())
    assert found == set(spool.names())
    with Ledger.open(restored.ledger_url) as opened:
        # Recovery at start enters it.
        assert found - set(opened.known_spool_names()) == set(late)


def test_what_is_purged_during_the_backup_is_not_missed(
    tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = receive(spool, ledger, 1)
    (taken,) = claim(ledger)
    ledger.finish("worker", [deidentified(taken.instance_id)], now=START)
    delivered(ledger)
    copied = Spool.read_record

    def purged(self: Spool, wanted: str) -> object:
        record = copied(self, wanted)
        self.remove(wanted)
        return record

    monkeypatch.setattr(Spool, "read_record", purged)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    monkeypatch.undo()
    assert not (target / "spool" / "received" / name).exists()
    assert restore_backup(at(tmp_path / "restored"), RestoreOrder(source=target)).account.balanced


def delivered(ledger: Ledger) -> None:
    ledger.record_outcomes("deliverer", [outcome(each.delivery_id) for each in take(ledger)])


def test_an_original_that_rotted_is_told(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    names = fill(spool, ledger)
    path = spool.path(names[1])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    report = make_backup(settings, ledger, spool, BackupOrder(target=tmp_path / "backup"))
    assert report.damaged == (names[1],)


def _remove_manifest(target: Path) -> None:
    (target / "manifest.json").unlink()


def _change_manifest(target: Path) -> None:
    facts = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps({**facts, "schema": "9999"}))


def _change_form(target: Path) -> None:
    facts = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps({**facts, "form": 2}))


def _garbage_manifest(target: Path) -> None:
    (target / "manifest.json").write_text("[]")


def _change_sums(target: Path) -> None:
    sums = (target / "SHA256SUMS").read_text().splitlines(keepends=True)
    (target / "SHA256SUMS").write_text("".join(sums[:-1]))


def _remove_original(target: Path) -> None:
    next((target / "spool" / "received").glob("*/*.dcm")).unlink()


def _change_original(target: Path) -> None:
    path = next((target / "spool" / "received").glob("*/*.dcm"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def _change_ledger(target: Path) -> None:
    with (target / "ledger.sqlite3").open("ab") as file:
        file.write(b"x")


def _forge_path(target: Path) -> None:
    (target / "SHA256SUMS").write_text(f"{'0' * 64}  ../../outside\n")
    _resign(target)


def _drop_original(target: Path) -> None:
    """An original that the ledger needs is in no list."""
    lines = (target / "SHA256SUMS").read_text().splitlines(keepends=True)
    first = next(line for line in lines if "spool/received" in line)
    (target / "SHA256SUMS").write_text("".join(line for line in lines if line != first))
    _resign(target)


def _resign(target: Path) -> None:
    facts = json.loads((target / "manifest.json").read_text())
    sums = hashlib.sha256((target / "SHA256SUMS").read_bytes()).hexdigest()
    (target / "manifest.json").write_text(json.dumps({**facts, "sums": sums}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove_manifest, "never completed"),
        (_garbage_manifest, "form"),
        (_change_form, "form"),
        (_change_manifest, "a later gateway"),
        (_change_sums, "not what the manifest names"),
        (_remove_original, "is missing"),
        (_change_original, "was changed"),
        (_change_ledger, "was changed"),
        (_forge_path, "outside of itself"),
        (_drop_original, "1 instances of its ledger are not in its spool"),
    ],
)
def test_a_damaged_backup_is_refused_and_leaves_nothing(
    tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool, damage: object, message: str
) -> None:
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    damage(target)  # type: ignore[operator]
    place = tmp_path / "restored"
    place.mkdir()
    with pytest.raises(BackupUnusable, match=message):
        restore_backup(at(place / "data"), RestoreOrder(source=target))
    assert list(place.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    with pytest.raises(ConfigurationError, match="empty directory"):
        backup(settings, ledger, spool, target)
    with pytest.raises(ConfigurationError, match="empty data directory"):
        restore_backup(settings, RestoreOrder(source=target))


def test_a_ledger_apart_from_the_data(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    (tmp_path / "db").mkdir()
    configuration = tmp_path / "gateway.yaml"
    configuration.write_text(f"data: restored\nstorage: {{ledger: 'sqlite:///{tmp_path}/db/books.sqlite3'}}\n")
    restored = load_settings(configuration, {})
    assert restore_backup(restored, RestoreOrder(source=target)).account.received == 4
    assert [path.name for path in (tmp_path / "db").iterdir()] == ["books.sqlite3"]
    assert not (restored.data / "ledger.sqlite3").exists()


def test_the_databases_must_be_of_one_kind(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    with pytest.raises(ConfigurationError, match="copied without a dump"):
        backup(settings, ledger, spool, tmp_path / "backup", dump=tmp_path / "dump")
    target = backup(settings, ledger, spool, tmp_path / "backup")
    configuration = tmp_path / "gateway.yaml"
    configuration.write_text("data: restored\nstorage: {ledger: 'postgresql://gateway@localhost/gateway'}\n")
    with pytest.raises(ConfigurationError, match="the backup's ledger is SQLite"):
        restore_backup(load_settings(configuration, {}), RestoreOrder(source=target))


def test_p9_secrets_are_left_out_or_sealed(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    (settings.data / "secrets").mkdir(mode=0o700)
    secret = "5ecre7" * 8
    (settings.data / "secrets" / "default.key").write_text(secret)
    without = backup(settings, ledger, spool, tmp_path / "without")
    sealed = backup(settings, ledger, spool, tmp_path / "sealed", passphrase=PASSPHRASE)
    for target in (without, sealed):
        assert not any(secret.encode() in path.read_bytes() for path in target.rglob("*") if path.is_file())
    with pytest.raises(ConfigurationError, match="holds secrets"):
        restore_backup(at(tmp_path / "a"), RestoreOrder(source=sealed))
    with pytest.raises(BackupUnusable, match="do not open"):
        restore_backup(at(tmp_path / "b"), RestoreOrder(source=sealed, passphrase="another passphrase"))
    restored = at(tmp_path / "c")
    restore_backup(restored, RestoreOrder(source=sealed, passphrase=PASSPHRASE))
    path = restored.data / "secrets" / "default.key"
    assert (path.read_text(), path.stat().st_mode & 0o777) == (secret, 0o600)
    assert sorted(path.name for path in tmp_path.iterdir() if "restor" in path.name) == []


@pytest.mark.parametrize("position", [0, 12, 30, 60])
def test_p9_sealed_secrets_open_unchanged_only(position: int) -> None:
    sealed = bytearray(seal_secrets({"a.key": "b" * 64}, PASSPHRASE))
    assert open_secrets(bytes(sealed), PASSPHRASE, place="x") == {"a.key": "b" * 64}
    sealed[position] ^= 1
    with pytest.raises(BackupUnusable, match="do not open"):
        open_secrets(bytes(sealed), PASSPHRASE, place="x")


def test_a_passphrase_is_long_and_private(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    assert read_passphrase(path) == PASSPHRASE
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_passphrase(path)
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="at least 16"):
        read_passphrase(path)


def test_a_backup_is_of_one_moment(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    """The restored ledger knows of the backup and of nothing after it."""
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    taken = claim(ledger)
    result: DeidentifiedResult = deidentified(taken[0].instance_id, study="2.25.3")
    ledger.finish("worker", [result], now=datetime.now(UTC))
    report = restore_backup(at(tmp_path / "restored"), RestoreOrder(source=target))
    assert sum(project.in_progress for project in report.account.projects) == 1
