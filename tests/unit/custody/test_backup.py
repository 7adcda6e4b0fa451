"""Backup and restore: whole, checked, and refused when they are not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from gateway.custody import sealed_secrets
from gateway.custody.backup import BackupOrder, make_backup
from gateway.custody.backup_manifest import read_manifest
from gateway.custody.history_archive import archive_folder, archive_history, archive_instances, departed_history
from gateway.custody.restore import RestoreOrder, check_backup, restore_backup
from gateway.custody.sealed_secrets import open_secrets, read_passphrase, seal_secrets
from gateway.dicom.file_meta import FileMeta
from gateway.errors import BackupUnusable, ConfigurationError
from gateway.ledger import DeidentifiedResult, Ledger
from gateway.ledger.snapshot import Snapshots
from gateway.receive import received_of
from gateway.settings.configuration import Settings, load_settings
from gateway.spool import Spool
from tests.unit.ledger.build import START, claim, deidentified, held, outcome, take

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module", autouse=True)
def quick_keys() -> Iterator[None]:
    """Keys that are made with little work: a third of a second each is for who guesses passphrases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed_secrets, "_COST", 1 << 4)
        yield


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
    assert ledger.snapshots.is_a_file
    return Spool(settings.data / "spool")


def at(data: Path) -> Settings:
    return load_settings(None, {"GATEWAY_DATA": str(data)})


def receive(spool: Spool, ledger: Ledger, count: int) -> list[str]:
    names = []
    for number in range(count):
        incoming = spool.incoming(FileMeta("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{number}"))
        incoming.write([b"data set " * 100, bytes([number])])
        record = incoming.commit(peer_address="192.0.2.7", source="ct")
        ledger.instances.record([received_of(record)])
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
    ledger.instances.finish("worker", results)  # type: ignore[arg-type]
    ledger.numbers.of("lungs", "patient", "token-1")
    return names


def backup(settings: Settings, ledger: Ledger, spool: Spool, target: Path, **changes: object) -> Path:
    """A backup with a passphrase, as one should be."""
    order = {"passphrase": PASSPHRASE, **changes}
    make_backup(settings, ledger, spool, BackupOrder(target=target, **order))  # type: ignore[arg-type]
    return target


def ordered(source: Path, passphrase: str | None = PASSPHRASE, **changes: bool) -> RestoreOrder:
    return RestoreOrder(source=source, passphrase=passphrase, **changes)


@pytest.mark.parametrize("link", [False, True])
def test_p3_what_is_restored_is_what_was_there(
    tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool, link: bool
) -> None:
    names = fill(spool, ledger)
    (settings.data / "node").write_text("0123456789abcdef")
    target = backup(settings, ledger, spool, tmp_path / "backup", link=link)
    before = ledger.accounts.draw()
    restored = at(tmp_path / "elsewhere" / "data")
    report = restore_backup(restored, ordered(target))
    assert report.account == before
    assert report.account.balanced
    assert (restored.data / "node").read_text() == "0123456789abcdef"
    again = Spool(restored.data / "spool")
    assert [again.check(name) for name in again.names()] == [spool.check(name) for name in sorted(names)]
    assert again.output(names[0]).length == 6
    modes = {path.stat().st_mode & 0o077 for path in (target, *target.rglob("*"), *restored.data.rglob("*"))}
    assert modes == {0}
    with Ledger.open(restored.ledger_url) as opened:
        entries = [one.text("action") for one in opened.audit.trail()]
        assert entries == ["backup-made", "backup-restored"]
        # Numbers that may have been given since are nobody's.
        assert opened.numbers.of("lungs", "patient", "token-2") == 1002


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
    snapshot = Snapshots.take
    late: list[str] = []

    def slow(self: Snapshots, path: Path) -> None:
        snapshot(self, path)
        late.extend(receive(spool, ledger, 1))

    monkeypatch.setattr(Snapshots, "take", slow)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    unfinished.abort()
    restored = at(tmp_path / "restored")
    restore_backup(restored, ordered(target))
    found = set(Spool(restored.data / "spool").names())
    assert found == set(spool.names())
    with Ledger.open(restored.ledger_url) as opened:
        # Recovery at start enters it.
        assert found - set(opened.instances.known_spool_names()) == set(late)


def test_what_is_purged_during_the_backup_is_not_missed(
    tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = receive(spool, ledger, 1)
    (taken,) = claim(ledger)
    ledger.instances.finish("worker", [deidentified(taken.instance_id)], now=START)
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
    assert restore_backup(at(tmp_path / "restored"), ordered(target)).account.balanced


def delivered(ledger: Ledger) -> None:
    ledger.deliveries.record("deliverer", [outcome(each.delivery_id) for each in take(ledger)])


def test_an_original_that_rotted_is_told(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    names = fill(spool, ledger)
    path = spool.path(names[1])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    report = make_backup(settings, ledger, spool, BackupOrder(target=tmp_path / "backup"))
    assert report.damaged == (names[1],)


def test_p3_what_left_the_ledger_for_files_is_backed_up(
    tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool
) -> None:
    fill(spool, ledger)
    ledger.deliveries.record("deliverer", [outcome(each.delivery_id) for each in take(ledger, seconds=1e8)])
    now = datetime.now(UTC) + timedelta(days=2)
    for given_up in ledger.retention.purge(now, 2, now=now):
        spool.remove(given_up.spool_name)
    folder, later = archive_folder(settings), now + timedelta(days=1)
    history = ledger.history.of(1)
    assert archive_history(ledger, folder, keep_seconds=0, now=later) == 1
    assert archive_instances(ledger, folder, keep_seconds=0, now=later) == 1
    (folder / "notes.txt").write_text("not the gateway's")
    before = ledger.accounts.draw()
    target = backup(settings, ledger, spool, tmp_path / "backup")
    restored = at(tmp_path / "elsewhere" / "data")
    report = restore_backup(restored, ordered(target))
    assert report.account == before
    assert sorted(path.name for path in archive_folder(restored).iterdir()) == [
        "history-00000001.jsonl.gz", "instances-00000002.jsonl.gz",
    ]  # fmt: skip
    with Ledger.open(restored.ledger_url) as opened:
        assert departed_history(archive_folder(restored), opened, 1) == history
    # A file that rotted, and one that is missing, are told.
    path = folder / "history-00000001.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (folder / "instances-00000002.jsonl.gz").unlink()
    again = make_backup(settings, ledger, spool, BackupOrder(target=tmp_path / "again"))
    assert set(again.damaged) == {"history/history-00000001.jsonl.gz", "history/instances-00000002.jsonl.gz"}


Damage: TypeAlias = Callable[[Path], object]


def facts(target: Path, **changes: object) -> None:
    """Change what the manifest says."""
    content = json.loads((target / "manifest.json").read_text())
    content.update(changes)
    (target / "manifest.json").write_text(json.dumps({name: one for name, one in content.items() if one is not None}))


def lines(target: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Change the list of files, and let the manifest name the changed one with the right counts, as a forger does."""
    before = (target / "SHA256SUMS").read_text().splitlines()
    after = "".join(f"{line}\n" for line in change(before))
    (target / "SHA256SUMS").write_text(after)
    names = [line.partition("  ")[2] for line in after.splitlines()]
    sizes = {name: (target / name).stat().st_size for name in names if name and (target / name).is_file()}
    spool = [name for name in names if name.startswith("spool/")]
    facts(
        target,
        sums=hashlib.sha256(after.encode()).hexdigest(),
        files=len(spool),
        size=sum(sizes.get(name, 0) for name in spool),
        total=sum(sizes.values()),
    )


def planted(name: str, content: bytes = b"5ecre7" * 8) -> Damage:
    """A file more, properly listed."""

    def plant(target: Path) -> None:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        lines(target, lambda before: [*before, f"{hashlib.sha256(content).hexdigest()}  {name}"])

    return plant


def listed(line: str) -> Damage:
    """A line more."""
    return lambda target: lines(target, lambda before: [*before, line])


def original(target: Path) -> Path:
    return next((target / "spool" / "received").glob("*/*.dcm"))


def _change_original(target: Path) -> None:
    path = original(target)
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def _change_ledger(target: Path) -> None:
    with (target / "ledger.sqlite3").open("r+b") as file:
        file.seek(100)
        file.write(b"x")


def _longer(target: Path) -> None:
    """A file that goes on and on must not fill the disk before its digest is known."""
    with original(target).open("ab") as file:
        file.truncate(1 << 40)


def _link(target: Path) -> None:
    path = original(target)
    path.rename(target / "elsewhere")
    path.symlink_to(target / "elsewhere")


def _link_directory(target: Path) -> None:
    (target / "spool" / "received").rename(target / "elsewhere")
    (target / "spool" / "received").symlink_to(target / "elsewhere")


def _link_manifest(target: Path) -> None:
    (target / "manifest.json").rename(target / "elsewhere")
    (target / "manifest.json").symlink_to(target / "elsewhere")


def _pipe(target: Path) -> None:
    path = original(target)
    path.unlink()
    os.mkfifo(path)


def _directory(target: Path) -> None:
    path = original(target)
    path.unlink()
    path.mkdir()


def _swap(target: Path) -> None:
    """Two originals change places: every file is one of the gateway's."""

    def swapped(before: list[str]) -> list[str]:
        digests = {name: digest for digest, _, name in (line.partition("  ") for line in before)}
        one, other = [name for name in digests if "received" in name][:2]
        digests[one], digests[other] = digests[other], digests[one]
        return [f"{digest}  {name}" for name, digest in digests.items()]

    one, other = sorted((target / "spool" / "received").glob("*/*.dcm"))[:2]
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    lines(target, swapped)


OTHER = "0" * 64
#: What somebody may do to a backup who has not its passphrase, and what the restore says of it. Only where ``seen`` is
#: true does it say so, too, of a backup without a MAC.
TAMPERED: Sequence[tuple[str, Damage, str, bool]] = [
    # What the manifest says.
    ("no-manifest", lambda target: (target / "manifest.json").unlink(), "never completed", True),
    ("no-object", lambda target: _written(target, "[]"), "form", True),
    ("no-json", lambda target: _written(target, "{"), "cannot be read", True),
    ("deep", lambda target: _written(target, "[" * 60_000), "cannot be read", True),
    ("endless", lambda target: _written(target, "{" + " " * 100_000 + "}"), "cannot be read", True),
    ("manifest-is-a-link", _link_manifest, "no plain file", True),
    ("form", lambda target: facts(target, form=3), "form", True),
    ("later", lambda target: facts(target, schema="9999"), "a later gateway", True),
    ("unknown-fact", lambda target: facts(target, more=1), "damaged", True),
    ("missing-fact", lambda target: facts(target, files=None), "damaged", True),
    ("wrong-type", lambda target: facts(target, files="4"), "damaged", True),
    ("negative", lambda target: facts(target, total=-1), "damaged", True),
    ("other-ledger", lambda target: facts(target, ledger="../ledger.sqlite3"), "damaged", True),
    ("moment", lambda target: facts(target, made_at="2020-01-01T00:00:00+00:00"), "manifest was changed", False),
    ("counts", lambda target: facts(target, files=0), "manifest was changed|another number", True),
    ("secrets-denied", lambda target: facts(target, secrets=False), "manifest was changed|disagree about", True),
    # The list.
    ("sums-cut", lambda target: (target / "SHA256SUMS").write_text(""), "not what the manifest names", True),
    ("sums-gone", lambda target: (target / "SHA256SUMS").unlink(), "cannot be read", True),
    ("key", planted("secrets/default.key"), "manifest was changed|no backup has", True),
    ("node-below", planted("node/x"), "manifest was changed|no backup has|no plain file", True),
    ("configuration", planted("gateway.yaml"), "manifest was changed|no backup has", True),
    ("metrics", planted("metrics/x.db"), "manifest was changed|no backup has", True),
    ("journal", planted("ledger.sqlite3-wal"), "manifest was changed|no backup has", True),
    ("hidden", planted("spool/received/.x"), "manifest was changed|no backup has", True),
    ("work", planted(str(Path("spool", "work", "x"))), "manifest was changed|no backup has", True),
    ("upper-case", planted("SPOOL/received/2026-01-01/01ARZ3NDEKTSV4RRFFQ69G5FAV.dcm"),
     "manifest was changed|no backup has", True),
    ("outside", listed(f"{OTHER}  ../../outside"), "manifest was changed|no backup has", True),
    ("absolute", listed(f"{OTHER}  /etc/passwd"), "manifest was changed|no backup has", True),
    ("dots-inside", listed(f"{OTHER}  spool/received/../../secrets/a.key"), "manifest was changed|no backup has", True),
    ("digits-of-another-script", listed(f"{OTHER}  spool/received/٢٠٢٦-٠١-٠١/01ARZ3NDEKTSV4RRFFQ69G5FAV.dcm"),
     "manifest was changed|none of a backup", True),
    ("no-digest", listed("x  node"), "manifest was changed|none of a backup", True),
    ("one-space", listed(f"{OTHER} node"), "manifest was changed|none of a backup", True),
    ("empty-line", listed(""), "manifest was changed|none of a backup", True),
    ("twice", lambda target: lines(target, lambda before: [*before, before[0]]),
     "manifest was changed|a second time", True),
    ("no-ledger", lambda target: lines(target, lambda before: before[1:]),
     "manifest was changed|does not name the ledger", True),
    ("both-ledgers", planted("ledger.dump"), "manifest was changed|does not name the ledger", True),
    ("an-original-less", lambda target: lines(
        target, lambda before: [line for line in before if line != next(x for x in before if "received" in x)]),
     "manifest was changed|1 instances of its ledger are not in its spool", True),
    ("swapped-originals", _swap, "manifest was changed", False),
    # The files.
    ("node-too-long", planted("node", b"n" * 1000), "manifest was changed|longer than", True),
    ("original-gone", lambda target: original(target).unlink(), "is missing", True),
    ("original-changed", _change_original, "was changed", True),
    ("original-endless", _longer, "more than its manifest says", True),
    ("original-is-a-link", _link, "no plain file", True),
    ("directory-is-a-link", _link_directory, "no plain file", True),
    ("original-is-a-pipe", _pipe, "no plain file", True),
    ("original-is-a-directory", _directory, "no plain file", True),
    ("ledger-changed", _change_ledger, "was changed", True),
    ("secrets-changed", lambda target: (target / "secrets.sealed").write_bytes(b"x" * 200), "was changed|more than",
     True),
    # Its protection.
    ("mac-gone", lambda target: facts(target, mac="", salt=""), "unauthenticated", False),
    ("form-1", lambda target: facts(target, form=1, mac="", salt=""), "unauthenticated", False),
    ("form-1-with-mac", lambda target: facts(target, form=1), "damaged", False),
    ("salt-gone", lambda target: facts(target, salt=""), "damaged", False),
    ("another-mac", lambda target: facts(target, mac="0" * 64), "manifest was changed", False),
    ("another-salt", lambda target: facts(target, salt="0" * 32), "manifest was changed", False),
]  # fmt: skip


def _written(target: Path, content: str) -> None:
    (target / "manifest.json").write_text(content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with everything that one may hold."""
    folder = tmp_path_factory.mktemp("whole")
    settings = at(folder / "data")
    settings.data.mkdir()
    (settings.data / "secrets").mkdir()
    (settings.data / "secrets" / "default.key").write_text("5ecre7" * 8)
    with Ledger.open(settings.ledger_url) as ledger:
        spool = Spool(settings.data / "spool")
        fill(spool, ledger)
        return backup(settings, ledger, spool, folder / "backup", secrets=True)


@pytest.mark.parametrize(("damage", "message", "seen"), [pytest.param(*row[1:], id=row[0]) for row in TAMPERED])
def test_a_changed_backup_is_refused_and_leaves_nothing(
    tmp_path: Path, whole: Path, damage: Damage, message: str, seen: bool
) -> None:
    target = tmp_path / "backup"
    shutil.copytree(whole, target)
    damage(target)
    place = tmp_path / "restored"
    place.mkdir()
    with pytest.raises(BackupUnusable, match=message):
        restore_backup(at(place / "data"), ordered(target))
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("damage", "message"), [pytest.param(*row[1:3], id=row[0]) for row in TAMPERED if row[3]])
def test_what_is_seen_without_a_mac(tmp_path: Path, whole: Path, damage: Damage, message: str) -> None:
    """The names, kinds and sizes do not depend on the passphrase being right."""
    target = tmp_path / "backup"
    shutil.copytree(whole, target)
    facts(target, mac="", salt="")
    damage(target)
    order = ordered(target, unauthenticated=True)
    with pytest.raises(BackupUnusable, match=message) as raised:
        check_backup(order) if "instances of its ledger" not in message else restore_backup(at(tmp_path / "x"), order)
    assert "manifest was changed" not in raised.value.message


def test_an_untouched_backup_passes_the_same_way(tmp_path: Path, whole: Path) -> None:
    target = tmp_path / "backup"
    shutil.copytree(whole, target)
    assert check_backup(ordered(target)) == read_manifest(target)
    assert restore_backup(at(tmp_path / "restored"), ordered(target)).account.balanced


def test_a_backup_without_a_mac_is_restored_only_if_that_is_said(
    tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool
) -> None:
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup", passphrase=None)
    for order in (ordered(target, None), ordered(target)):
        with pytest.raises(BackupUnusable, match=r"nothing shows who made it.*--unauthenticated"):
            restore_backup(at(tmp_path / "restored"), order)
    assert restore_backup(at(tmp_path / "restored"), ordered(target, None, unauthenticated=True)).account.balanced


def test_a_backup_of_an_earlier_gateway(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    """Form 1: no MAC, no total."""
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup", passphrase=None)
    facts(target, form=1, mac=None, salt=None, total=None)
    with pytest.raises(BackupUnusable, match="unauthenticated"):
        restore_backup(at(tmp_path / "restored"), ordered(target, None))
    assert restore_backup(at(tmp_path / "restored"), ordered(target, None, unauthenticated=True)).account.balanced


def test_another_passphrase_opens_nothing(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    with pytest.raises(BackupUnusable, match="the passphrase is another"):
        restore_backup(at(tmp_path / "restored"), ordered(target, "another passphrase"))
    with pytest.raises(ConfigurationError, match="passphrase-file"):
        restore_backup(at(tmp_path / "restored"), ordered(target, None, unauthenticated=True))


def test_nothing_is_written_over(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    with pytest.raises(ConfigurationError, match="empty directory"):
        backup(settings, ledger, spool, target)
    with pytest.raises(ConfigurationError, match="empty data directory"):
        restore_backup(settings, ordered(target))


def test_a_ledger_apart_from_the_data(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    fill(spool, ledger)
    target = backup(settings, ledger, spool, tmp_path / "backup")
    (tmp_path / "db").mkdir()
    configuration = tmp_path / "gateway.yaml"
    configuration.write_text(f"data: restored\nstorage: {{ledger: 'sqlite:///{tmp_path}/db/books.sqlite3'}}\n")
    restored = load_settings(configuration, {})
    assert restore_backup(restored, ordered(target)).account.received == 4
    assert [path.name for path in (tmp_path / "db").iterdir()] == ["books.sqlite3"]
    assert not (restored.data / "ledger.sqlite3").exists()


def test_the_databases_must_be_of_one_kind(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    with pytest.raises(ConfigurationError, match="copied without a dump"):
        backup(settings, ledger, spool, tmp_path / "backup", dump=tmp_path / "dump")
    target = backup(settings, ledger, spool, tmp_path / "backup")
    configuration = tmp_path / "gateway.yaml"
    configuration.write_text("data: restored\nstorage: {ledger: 'postgresql://gateway@localhost/gateway'}\n")
    with pytest.raises(ConfigurationError, match="the backup's ledger is SQLite"):
        restore_backup(load_settings(configuration, {}), ordered(target))


def test_p9_secrets_are_left_out_or_sealed(tmp_path: Path, settings: Settings, ledger: Ledger, spool: Spool) -> None:
    (settings.data / "secrets").mkdir(mode=0o700)
    secret = "5ecre7" * 8
    own = dict.fromkeys(("default.key", "default@2.key", "@gateway.key", "@gateway@2.key"), secret)
    for name in own:
        (settings.data / "secrets" / name).write_text(secret)
    without = backup(settings, ledger, spool, tmp_path / "without")
    sealed = backup(settings, ledger, spool, tmp_path / "sealed", secrets=True)
    for target in (without, sealed):
        assert not any(secret.encode() in path.read_bytes() for path in target.rglob("*") if path.is_file())
    with pytest.raises(BackupUnusable, match="another"):
        restore_backup(at(tmp_path / "b"), ordered(sealed, "another passphrase"))
    restored = at(tmp_path / "c")
    restore_backup(restored, ordered(sealed))
    found = list((restored.data / "secrets").iterdir())
    assert {path.name: path.read_text() for path in found} == own
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
    assert sorted(path.name for path in tmp_path.iterdir() if "restor" in path.name) == []


@pytest.mark.parametrize("position", [0, 12, 30, 60])
def test_p9_sealed_secrets_open_unchanged_only(position: int) -> None:
    sealed = bytearray(seal_secrets({"a.key": "b" * 64}, PASSPHRASE))
    assert open_secrets(bytes(sealed), PASSPHRASE, place="x") == {"a.key": "b" * 64}
    sealed[position] ^= 1
    with pytest.raises(BackupUnusable, match="do not open"):
        open_secrets(bytes(sealed), PASSPHRASE, place="x")


@pytest.mark.parametrize(
    "name", ["../spool/x.key", ".key", "a/b.key", "default.key\n", "id_rsa", "x" * 80 + ".key", "@other.key"]
)
def test_p9_only_secrets_of_projects_are_opened(name: str) -> None:
    with pytest.raises(BackupUnusable, match="not those of projects"):
        open_secrets(seal_secrets({name: "b" * 64}, PASSPHRASE), PASSPHRASE, place="x")


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
    ledger.instances.finish("worker", [result], now=datetime.now(UTC))
    report = restore_backup(at(tmp_path / "restored"), ordered(target))
    assert sum(project.in_progress for project in report.account.projects) == 1
