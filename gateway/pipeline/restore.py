"""A gateway restored from a backup into an empty data directory, checked before it may run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy.engine import make_url

from gateway.audit import AuditAction, AuditEntry, acting_person
from gateway.config import Settings
from gateway.errors import BackupUnusable, ConfigurationError, SpoolUnavailable
from gateway.ledger import Account, Ledger
from gateway.ledger.audit import verify_trail
from gateway.pipeline.backup import (
    DUMP,
    LEDGER,
    SECRETS,
    SPOOL,
    Manifest,
    copy_file,
    read_manifest,
    read_sums,
    sync_tree,
    write_file,
)
from gateway.pipeline.sealed_secrets import open_secrets
from gateway.spool import Spool
from gateway.spool.disk import make_directory

#: Sequential pseudonyms that are left out: those given since the backup must not become other patients'.
NUMBERS_LEFT_OUT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOrder:
    """What to restore.

    Attributes
    ----------
    source: the backup
    passphrase: opens the secrets, if the backup has them
    numbers_left_out: how many sequential pseudonyms are not given, in each project
    """

    source: Path
    passphrase: str | None = None
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
    settings: the configuration of the gateway that will run
    order: what to restore

    Raises
    ------
    ConfigurationError: the data directory or the ledger is not empty, or the passphrase is missing
    BackupUnusable: the backup is incomplete or changed, or ledger and spool do not fit together
    SpoolUnavailable: a file cannot be written
    """
    manifest = read_manifest(order.source)
    sums = read_sums(order.source, manifest)
    if manifest.secrets and order.passphrase is None:
        raise ConfigurationError(place="restore", problem="the backup holds secrets: give --passphrase-file")
    ledger = _ledger_file(settings, manifest)
    data = settings.data.absolute()
    _require_empty(data, ledger)
    draft = data.with_name(f".{data.name}.restoring")
    apart = None if ledger is None or ledger.is_relative_to(data) else ledger.with_name(f".{ledger.name}.restoring")
    placed = apart if apart is not None or ledger is None else draft / ledger.relative_to(data)
    try:
        _clear(draft, apart)
        files = _copy(order.source, draft, sums, ledger=placed)
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


def _copy(source: Path, draft: Path, sums: Mapping[str, str], *, ledger: Path | None) -> int:
    """Copy all that the backup names, compared with its digests; return how many files of the spool."""
    make_directory(draft, durable=False)
    files = 0
    for name, digest in sums.items():
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts:
            raise BackupUnusable(place=str(source), problem="it names files outside of itself")
        if name in (DUMP, SECRETS) or (name == LEDGER and ledger is None):
            continue
        copy = ledger if name == LEDGER and ledger is not None else draft / place
        make_directory(copy.parent, durable=False)
        try:
            found = copy_file(source / place, copy)
        except FileNotFoundError:
            raise BackupUnusable(place=str(source), problem=f"{name} is missing") from None
        if found != digest:
            raise BackupUnusable(place=str(source), problem=f"{name} was changed")
        files += place.parts[0] == SPOOL
    return files


def _write_secrets(draft: Path, order: RestoreOrder) -> None:
    sealed = (order.source / SECRETS).read_bytes()
    secrets = open_secrets(sealed, order.passphrase or "", place=str(order.source))
    directory = draft / "secrets"
    directory.mkdir(mode=0o700)
    for name, text in secrets.items():
        write_file(directory / Path(name).name, text.encode("utf-8"))


def _check(url: str, root: Path, order: RestoreOrder, manifest: Manifest) -> Account:
    """Open what was restored, bring its schema up to date, and see that its parts fit together."""
    place, spool = str(order.source), Spool(root)
    damaged = {path.name for path in root.glob("damaged/*")}
    with Ledger.open(url, synchronous="full") as ledger:
        account = ledger.account()
        if manifest.ledger == DUMP and not account.received:
            raise BackupUnusable(place=place, problem=f"restore its {DUMP} with pg_restore first")
        if not account.balanced:
            raise BackupUnusable(place=place, problem=f"its account does not balance: {account.problems[0]}")
        flaws = list(verify_trail(ledger.audit_trail(), ledger.audit_end()))
        if flaws:
            raise BackupUnusable(place=place, problem=f"its audit trail: entry {flaws[0].number} {flaws[0].problem}")
        present = set(spool.names())
        missing = {
            name for name in ledger.needed_spool_names() if name not in present and Path(name).name not in damaged
        }
        if missing:
            problem = f"{len(missing)} instances of its ledger are not in its spool, such as {min(missing)}"
            raise BackupUnusable(place=place, problem=problem)
        ledger.skip_numbers(order.numbers_left_out, token=f"left out: {manifest.sums}")
        ledger.audit(
            AuditEntry(
                actor=acting_person(),
                action=AuditAction.BACKUP_RESTORED,
                subject="gateway",
                facts={"made_at": manifest.made_at, "digest": manifest.sums},
            )
        )
        return account
