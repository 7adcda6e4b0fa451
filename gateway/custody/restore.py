"""A gateway restored from a backup into an empty data directory, checked before it may run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from gateway.audit import AuditAction, AuditEntry, acting_person
from gateway.custody.backup import copy_file, digest_of_file, sync_tree, write_file
from gateway.custody.backup_manifest import (
    DUMP,
    LEDGER,
    SECRETS,
    SPOOL,
    Manifest,
    open_part,
    read_manifest,
    read_sums,
)
from gateway.custody.sealed_secrets import open_secrets
from gateway.errors import BackupUnusable, ConfigurationError, SpoolUnavailable
from gateway.ledger import Account, Ledger
from gateway.ledger.audit_trail import verify_trail
from gateway.settings.configuration import Settings
from gateway.spool import Spool
from gateway.spool.disk import make_directory

#: Sequential pseudonyms that are left out: those given since the backup must not become other patients'.
NUMBERS_LEFT_OUT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOrder:
    """What to restore.

    Attributes
    ----------
    source
        the backup
    passphrase
        the backup's: shows that it is whole and opens its secrets
    unauthenticated
        whether a backup without a MAC will do
    numbers_left_out
        how many sequential pseudonyms are not given, in each project
    """

    source: Path
    passphrase: str | None = None
    unauthenticated: bool = False
    numbers_left_out: int = NUMBERS_LEFT_OUT


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was restored: the backup's manifest, how many spool files, and the account of the restored ledger."""

    manifest: Manifest
    files: int
    account: Account


def restore_backup(settings: Settings, order: RestoreOrder) -> RestoreReport:
    """Restore a backup as the data of ``settings``; a PostgreSQL ledger was restored with pg_restore before.

    Everything is copied beside the data directory, compared with its digest, opened and checked; only what is whole
    takes the directory's name.

    Parameters
    ----------
    settings
        the configuration of the gateway that will run
    order
        what to restore

    Raises
    ------
    ConfigurationError
        the data directory or the ledger is not empty, or the passphrase is missing
    BackupUnusable
        the backup is incomplete or changed, or ledger and spool do not fit together
    SpoolUnavailable
        a file cannot be written
    """
    manifest, sums = _verified(order)
    ledger = _ledger_file(settings, manifest)
    data = settings.data.absolute()
    _require_empty(data, ledger)
    draft = data.with_name(f".{data.name}.restoring")
    apart = None if ledger is None or ledger.is_relative_to(data) else ledger.with_name(f".{ledger.name}.restoring")
    placed = apart if apart is not None or ledger is None else draft / ledger.relative_to(data)
    try:
        _clear(draft, apart)
        files = _Copies(order.source, manifest, sums).make(draft, ledger=placed)
        if order.passphrase is not None and manifest.secrets:
            _write_secrets(draft, order)
        account = _check(
            settings.ledger_url if placed is None else f"sqlite:///{placed}",
            draft / SPOOL,
            order,
            manifest,
        )
        sync_tree(draft)
        if apart is not None and ledger is not None:
            apart.replace(ledger)
        if data.exists():
            data.rmdir()
        draft.rename(data)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise SpoolUnavailable(operation="be restored:", name="a file", reason=reason) from None
    finally:
        _clear(draft, apart)
    return RestoreReport(manifest, files, account)


def check_backup(order: RestoreOrder) -> Manifest:
    """Read all of a backup and compare it with what it says of itself; nothing is written.

    Raises
    ------
    ConfigurationError
        the passphrase is missing
    BackupUnusable
        the backup is incomplete or was changed
    SpoolUnavailable
        a file cannot be read
    """
    manifest, sums = _verified(order)
    copies = _Copies(order.source, manifest, sums)
    try:
        for name in sums:
            copies.check(name)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise SpoolUnavailable(operation="be read:", name="a file", reason=reason) from None
    copies.finish()
    return manifest


def _ledger_file(settings: Settings, manifest: Manifest) -> Path | None:
    """Where the ledger's file goes; None if it is PostgreSQL."""
    url = make_url(settings.ledger_url)
    is_file = url.get_backend_name() == "sqlite"
    if is_file != (manifest.ledger == LEDGER):
        kind = "SQLite" if manifest.ledger == LEDGER else "PostgreSQL"
        problem = f"the backup's ledger is {kind}, the configured one is not"
        raise ConfigurationError(place="storage.ledger", problem=problem)
    return Path(url.database or "").absolute() if is_file else None


def _require_empty(data: Path, ledger: Path | None) -> None:
    if data.exists() and any(data.iterdir()):
        raise ConfigurationError(place=str(data), problem="a backup is restored into an empty data directory")
    if ledger is not None and ledger.exists():
        raise ConfigurationError(place=str(ledger), problem="there is a ledger already")


def _clear(draft: Path, apart: Path | None) -> None:
    shutil.rmtree(draft, ignore_errors=True)
    if apart is not None:
        for suffix in ("", "-wal", "-shm"):
            apart.with_name(apart.name + suffix).unlink(missing_ok=True)


class _Copies:
    """The files of a backup, read once, each compared with its digest, and no more of them than the manifest says."""

    def __init__(self, source: Path, manifest: Manifest, sums: Mapping[str, str]) -> None:
        self._source = source
        self._sums = sums
        # Form 1 does not say how much there is: what the disk holds is the limit.
        self._most = manifest.total or None
        self._read = 0

    def make(self, draft: Path, *, ledger: Path | None) -> int:
        """Copy all that the data directory has; return how many files of the spool.

        Parameters
        ----------
        draft
            becomes the data directory
        ledger
            where its file goes; None if it is PostgreSQL
        """
        make_directory(draft, durable=False)
        self._require_room(draft)
        files = 0
        for name in self._sums:
            if name in (DUMP, SECRETS):
                self.check(name)
                continue
            copy = ledger if name == LEDGER and ledger is not None else draft / name
            make_directory(copy.parent, durable=False)
            self._compare(name, copy)
            files += name.startswith(f"{SPOOL}/")
        self.finish()
        return files

    def check(self, name: str) -> None:
        """Read one file and keep nothing of it."""
        self._compare(name, Path(os.devnull))

    def finish(self) -> None:
        """See that nothing is missing."""
        if self._most is not None and self._read != self._most:
            raise self._unusable("it holds less than its manifest says")

    def _compare(self, name: str, copy: Path) -> None:
        try:
            file = open_part(self._source, name)
            digest = digest_of_file(file, self._see) if copy == Path(os.devnull) else copy_file(file, copy, self._see)
        except FileNotFoundError:
            raise self._unusable(f"{name} is missing") from None
        if digest != self._sums[name]:
            raise self._unusable(f"{name} was changed")

    def _see(self, chunk: bytes, _: int) -> None:
        self._read += len(chunk)
        if self._most is not None and self._read > self._most:
            raise self._unusable("it holds more than its manifest says")

    def _require_room(self, draft: Path) -> None:
        free = shutil.disk_usage(draft).free
        if self._most is not None and self._most > free:
            problem = f"its files need {self._most:,} bytes, and {free:,} are free"
            raise ConfigurationError(place=str(draft.parent), problem=problem)

    def _unusable(self, problem: str) -> BackupUnusable:
        return BackupUnusable(place=str(self._source), problem=problem)


def _verified(order: RestoreOrder) -> tuple[Manifest, dict[str, str]]:
    """What the backup says of itself, and that nobody else said it."""
    manifest = read_manifest(order.source)
    manifest.verify(str(order.source), order.passphrase, unauthenticated=order.unauthenticated)
    if manifest.secrets and order.passphrase is None:
        raise ConfigurationError(place="restore", problem="the backup holds secrets: give --passphrase-file")
    return manifest, read_sums(order.source, manifest)


def _write_secrets(draft: Path, order: RestoreOrder) -> None:
    with open_part(order.source, SECRETS) as file:
        sealed = file.read()
    secrets = open_secrets(sealed, order.passphrase or "", place=str(order.source))
    directory = draft / "secrets"
    directory.mkdir(mode=0o700)
    for name, text in secrets.items():
        write_file(directory / name, text.encode("utf-8"))


def _check(url: str, root: Path, order: RestoreOrder, manifest: Manifest) -> Account:
    """Open what was restored, bring its schema up to date, and see that its parts fit together."""
    place, spool = str(order.source), Spool(root)
    damaged = {path.name for path in root.glob("damaged/*")}
    with Ledger.open(url, synchronous="full") as ledger:
        account = ledger.accounts.draw()
        if manifest.ledger == DUMP and not account.received:
            raise BackupUnusable(place=place, problem=f"restore its {DUMP} with pg_restore first")
        if not account.balanced:
            raise BackupUnusable(place=place, problem=f"its account does not balance: {account.problems[0]}")
        flaws = list(verify_trail(ledger.audit.trail(), ledger.audit.end()))
        if flaws:
            raise BackupUnusable(place=place, problem=f"its audit trail: entry {flaws[0].number} {flaws[0].problem}")
        present = set(spool.names())
        missing = {
            name
            for name in ledger.snapshots.needed_spool_names()
            if name not in present and Path(name).name not in damaged
        }
        if missing:
            problem = f"{len(missing)} instances of its ledger are not in its spool, such as {min(missing)}"
            raise BackupUnusable(place=place, problem=problem)
        ledger.numbers.skip(order.numbers_left_out, token=f"left out: {manifest.sums}")
        ledger.audit.write(
            AuditEntry(
                actor=acting_person(),
                action=AuditAction.BACKUP_RESTORED,
                subject="gateway",
                facts={"made_at": manifest.made_at, "digest": manifest.sums},
            )
        )
        return account
