"""A backup of a gateway while it runs: ledger, spool, and what says that all of it is there.

The ledger is copied first, then the spool: every instance that the copied ledger knows has its file, unless it was
delivered and purged meanwhile; files that came after it get their rows when the restored gateway starts.

::

    <target>/manifest.json       what this is, under a MAC; written last, so a backup without it is none
    <target>/SHA256SUMS          digest of every file, as ``sha256sum --check`` reads it
    <target>/ledger.sqlite3      or ledger.dump, made by pg_dump
    <target>/spool/...           originals and outputs
    <target>/history/...         what left the ledger for files
    <target>/node                the name of this gateway
    <target>/secrets.sealed      only if asked for
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from gateway import checksum
from gateway.audit import AuditAction, AuditEntry, acting_person
from gateway.custody.backup_manifest import (
    DUMP,
    FORM,
    HISTORY,
    LEDGER,
    MANIFEST,
    NODE,
    SECRETS,
    SPOOL,
    SUMS,
    Manifest,
    is_part,
)
from gateway.custody.history_archive import archive_folder
from gateway.custody.sealed_secrets import SECRET_NAME, seal_secrets
from gateway.errors import ConfigurationError, SpoolCorrupt, SpoolFull, SpoolUnavailable
from gateway.ledger import SCHEMA_VERSION, Archive, Ledger
from gateway.settings.configuration import Settings
from gateway.spool import Spool, SpoolRecord
from gateway.spool.disk import make_directory
from gateway.version import __version__

#: The parts of the spool that a gateway needs again.
PARTS: Final = ("received", "out", "damaged")
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was backed up: the manifest, and names of originals that are not what was received, and of files of history
    that are missing or not what was written.
    """

    manifest: Manifest
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOrder:
    """What to back up.

    Attributes
    ----------
    target
        directory to make; it must not exist, or be empty
    dump
        what pg_dump made of a PostgreSQL ledger, before
    passphrase
        shows at the restore that nobody else made or changed it, and encrypts the secrets; None: nothing does
    secrets
        whether the secrets of the data directory go into it; only with a passphrase
    link
        files of the spool become hard links: quick, no space, and no help against a broken disk
    """

    target: Path
    dump: Path | None = None
    passphrase: str | None = None
    secrets: bool = False
    link: bool = False


def make_backup(settings: Settings, ledger: Ledger, spool: Spool, order: BackupOrder) -> BackupReport:
    """Back up a gateway, which may be running.

    Parameters
    ----------
    settings
        its configuration
    ledger, spool
        its own
    order
        what goes where

    Raises
    ------
    ConfigurationError
        the target is not empty, or the ledger is PostgreSQL and its dump is missing
    LedgerUnavailable
        the ledger cannot be copied
    SpoolUnavailable, SpoolFull
        a file cannot be read or written; the target holds no manifest
    """
    if ledger.snapshots.is_a_file == (order.dump is not None):
        problem = (
            "the ledger is PostgreSQL: dump it with pg_dump first, and give the dump with --ledger-dump"
            if order.dump is None
            else "the ledger is SQLite: it is copied without a dump"
        )
        raise ConfigurationError(place="backup", problem=problem)
    if order.secrets and order.passphrase is None:
        raise ConfigurationError(place="backup", problem="secrets go into a backup with a passphrase only")
    target = order.target.absolute()
    begun = datetime.now(UTC)
    try:
        make_directory(target, durable=True)
        if any(target.iterdir()):
            raise ConfigurationError(place=str(target), problem="a backup goes into an empty directory")
        target.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(place=str(target), problem=f"no backup can be made there: {error.strerror}") from None
    ledger.audit.write(
        AuditEntry(
            actor=acting_person(),
            action=AuditAction.BACKUP_MADE,
            subject="gateway",
            facts={"gateway": __version__, "secrets": order.secrets},
        )
    )
    try:
        return _Backup(settings, ledger, spool, order, target).make(begun)
    except OSError as error:
        raise _disk(error) from None


class _Backup:
    def __init__(self, settings: Settings, ledger: Ledger, spool: Spool, order: BackupOrder, target: Path) -> None:
        self._settings = settings
        self._ledger = ledger
        self._spool = spool
        self._order = order
        self._target = target
        self._sums: list[str] = []
        self._damaged: list[str] = []
        self._size = self._total = 0

    def make(self, begun: datetime) -> BackupReport:
        # Before the ledger is copied: what the copy names besides was written afterwards, and is not in it yet.
        archived = self._ledger.archives.all()
        if self._order.dump is None:
            self._ledger.snapshots.take(self._target / LEDGER)
            self._add(LEDGER, digest_of_file(self._target / LEDGER))
        else:
            self._add(DUMP, copy_file(self._order.dump, self._target / DUMP))
        files = sum(1 for _ in self._copy_spool())
        self._copy_history(archived)
        node = self._settings.data / NODE
        if node.exists():
            self._add(NODE, copy_file(node, self._target / NODE))
        if self._order.secrets and self._order.passphrase is not None:
            self._write(SECRETS, seal_secrets(self._secrets(), self._order.passphrase))
        sums = "".join(self._sums).encode("utf-8")
        write_file(self._target / SUMS, sums)
        manifest = Manifest(
            form=FORM,
            gateway=__version__,
            schema=SCHEMA_VERSION,
            made_at=begun.isoformat(timespec="seconds"),
            ledger=LEDGER if self._order.dump is None else DUMP,
            secrets=self._order.secrets,
            files=files,
            size=self._size,
            total=self._total,
            sums=hashlib.sha256(sums).hexdigest(),
        )
        if self._order.passphrase is not None:
            manifest = manifest.sealed(self._order.passphrase)
        sync_tree(self._target)
        write_file(self._target / MANIFEST, manifest.encoded())
        sync_tree(self._target)
        return BackupReport(manifest, tuple(self._damaged))

    def _copy_spool(self) -> Iterator[str]:
        root = self._settings.data / SPOOL
        for part in PARTS:
            for path in _files(root / part):
                name = path.relative_to(root).as_posix()
                if not is_part(f"{SPOOL}/{name}"):  # nothing of the gateway's
                    continue
                check = self._whole(path) if part == "received" else None
                if part == "received" and check is None:
                    continue
                copy = self._target / SPOOL / name
                # Purged, or replaced by a newer output, since it was listed.
                with suppress(FileNotFoundError):
                    digest = self._copied(path, copy, check)
                    self._size += copy.stat().st_size
                    self._add(f"{SPOOL}/{name}", digest)
                    yield name

    def _copy_history(self, archived: Sequence[Archive]) -> None:
        """Copy the files that the ledger's history went to; of one that is missing or was changed it is told."""
        known = {archive.file: archive.sha256 for archive in archived}
        folder = archive_folder(self._settings)
        for path in _files(folder):
            name = f"{HISTORY}/{path.relative_to(folder).as_posix()}"
            if not is_part(name):
                continue
            copy = self._target / name
            make_directory(copy.parent, durable=False)
            digest = copy_file(path, copy)
            self._add(name, digest)
            if known.pop(path.name, digest) != digest:
                self._damaged.append(name)
        self._damaged += [f"{HISTORY}/{name}" for name in known]

    def _whole(self, path: Path) -> SpoolRecord | None:
        """The record of a received file; None for one that nobody was told of: still arriving, or gone."""
        name = f"{path.parent.name}/{path.name}"
        try:
            return self._spool.read_record(name)
        except SpoolCorrupt:
            return None

    def _copied(self, path: Path, copy: Path, record: SpoolRecord | None) -> str:
        make_directory(copy.parent, durable=False)
        crc32 = 0

        def see(chunk: bytes, at: int) -> None:
            nonlocal crc32
            if record is not None and at + len(chunk) > record.offset:
                crc32 = checksum.crc32(memoryview(chunk)[max(0, record.offset - at) :], crc32)

        if self._order.link:
            copy.hardlink_to(path)
            digest = digest_of_file(copy, see)
        else:
            digest = copy_file(path, copy, see)
        if record is not None and crc32 != record.crc32:
            self._damaged.append(record.name)
        return digest

    def _secrets(self) -> dict[str, str]:
        directory = self._settings.data / "secrets"
        paths = sorted(directory.iterdir()) if directory.exists() else []
        return {path.name: path.read_text(encoding="utf-8") for path in paths if SECRET_NAME.fullmatch(path.name)}

    def _write(self, name: str, content: bytes) -> None:
        write_file(self._target / name, content)
        self._add(name, hashlib.sha256(content).hexdigest())

    def _add(self, name: str, digest: str) -> None:
        self._total += (self._target / name).stat().st_size
        self._sums.append(f"{digest}  {name}\n")


def copy_file(source: Path | BinaryIO, copy: Path, see: Callable[[bytes, int], None] | None = None) -> str:
    """Copy a file, flushed and for this account alone; return its SHA-256.

    Parameters
    ----------
    source
        a file, or one that is open, which is closed
    copy
        must not exist
    see
        called with every piece and its position

    Raises
    ------
    OSError
        a file cannot be read or written; nothing is left at ``copy``
    """
    digest, at = hashlib.sha256(), 0
    with source.open("rb", buffering=0) if isinstance(source, Path) else source as original:
        try:
            with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
                while chunk := original.read(_CHUNK):
                    digest.update(chunk)
                    if see is not None:
                        see(chunk, at)
                    at += len(chunk)
                    left = memoryview(chunk)
                    while left:
                        left = left[file.write(left) :]
                os.fsync(file.fileno())
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
    return digest.hexdigest()


def digest_of_file(source: Path | BinaryIO, see: Callable[[bytes, int], None] | None = None) -> str:
    """SHA-256 of a file; parameters as for :func:`copy_file`."""
    digest, at = hashlib.sha256(), 0
    with source.open("rb", buffering=0) if isinstance(source, Path) else source as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if see is not None:
                see(chunk, at)
            at += len(chunk)
    return digest.hexdigest()


def write_file(path: Path, content: bytes) -> None:
    """Write a file that must not exist, flushed and for this account alone."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_tree(root: Path) -> None:
    """Flush the entries of a directory and of all below it."""
    for directory, _, _ in os.walk(root):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _files(directory: Path) -> Iterator[Path]:
    if not directory.exists():
        return
    for parent, folders, names in os.walk(directory):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names) if not name.endswith(".tmp"))


def _disk(error: OSError) -> SpoolFull | SpoolUnavailable:
    return SpoolUnavailable(operation="be copied:", name="a file", reason=os.strerror(error.errno or 0))
