"""History and instances of long ago as files: compressed, a line of JSON for each instance, beside the ledger."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from gateway.errors import LedgerUnavailable
from gateway.ledger import Archive, HistoryEntry, Ledger, Written
from gateway.settings.configuration import Settings

__all__ = ["archive_folder", "archive_history", "archive_instances", "archived_history", "departed_history"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Instances of one file, and files of one turn of housekeeping.
_AT_ONCE: Final = 2000
_FILES: Final = 20


def archive_folder(settings: Settings) -> Path:
    """Where the files are; not below the archive of the default destination."""
    return settings.data / "history"


def archive_history(ledger: Ledger, folder: Path, *, keep_seconds: float, now: datetime) -> int:
    """Move the history of instances that were purged long enough ago into files; return of how many.

    Parameters
    ----------
    ledger
        whose
    folder
        where the files go; made if it is missing
    keep_seconds
        since the bytes of an instance were removed
    now
        timezone-aware

    Raises
    ------
    LedgerUnavailable
        the ledger cannot be written, or a file cannot; the ledger has everything as before
    """
    before = now - timedelta(seconds=keep_seconds)

    def file(_after: None) -> tuple[int, bool, None]:
        count = ledger.archives.move(before, _AT_ONCE, partial(_write, folder, "history"), now=now)
        return count, count == _AT_ONCE, None

    count = _files(file, None)
    if count:
        log.info("history archived", count=count)
    return count


def archive_instances(ledger: Ledger, folder: Path, *, keep_seconds: float, now: datetime) -> int:
    """Move all that is known of instances that were purged long enough ago into files; return of how many.

    Parameters
    ----------
    ledger
        whose
    folder
        where the files go; made if it is missing
    keep_seconds
        since the bytes of an instance were removed
    now
        timezone-aware

    Raises
    ------
    LedgerUnavailable
        the ledger cannot be written, or a file cannot; the ledger has everything as before
    """
    before = now - timedelta(seconds=keep_seconds)

    def file(after: tuple[datetime, int] | None) -> tuple[int, bool, tuple[datetime, int] | None]:
        left = ledger.departures.depart(before, _AT_ONCE, partial(_write, folder, "instances"), after=after, now=now)
        return left.count, left.until is not None, left.until

    count = _files(file, None)
    if count:
        log.info("instances archived", count=count)
    return count


def _files(file: Callable[[T], tuple[int, bool, T]], after: T) -> int:
    """Make files one after the other, as many as one turn may; how many instances went.

    Parameters
    ----------
    file
        makes the next one behind ``after``: how many went, whether there is more, and where it came to
    after
        where to begin
    """
    moved, there_is_more = 0, True
    for _ in range(_FILES):
        if not there_is_more:
            break
        count, there_is_more, after = file(after)
        moved += count
    return moved


def departed_history(folder: Path, ledger: Ledger, instance_id: int) -> list[HistoryEntry]:
    """The history of an instance whose rows have left; none if it did not leave.

    Raises
    ------
    LedgerUnavailable
        a file is missing, or not what was written
    """
    for archive in ledger.departures.archives_of(instance_id):
        document = _document(folder, archive, instance_id)
        if document is None:
            continue
        earlier = document["history_in"]
        entries = _entries(document)
        if earlier is not None:
            entries = archived_history(folder, ledger.archives.called(earlier), instance_id) + entries
        return entries
    return []


def archived_history(folder: Path, archive: Archive, instance_id: int) -> list[HistoryEntry]:
    """The history of an instance from its file, in order.

    Raises
    ------
    LedgerUnavailable
        the file is missing, or not what was written
    """
    document = _document(folder, archive, instance_id)
    return [] if document is None else _entries(document)


def _document(folder: Path, archive: Archive, instance_id: int) -> dict[str, Any] | None:
    """What a file says of an instance."""
    try:
        content = (folder / archive.file).read_bytes()
    except OSError as error:
        raise _unreadable(error.strerror or "it cannot be read") from None
    if hashlib.sha256(content).hexdigest() != archive.sha256:
        raise _unreadable(f"{archive.file} is not what was written")
    for line in gzip.decompress(content).splitlines():
        document: dict[str, Any] = json.loads(line)
        if document["instance"] == instance_id:
            return document
    return None


def _entries(document: Mapping[str, Any]) -> list[HistoryEntry]:
    return [
        HistoryEntry(
            at=datetime.fromisoformat(step["at"]),
            delivery_id=step["delivery"],
            destination=step["destination"],
            before=step["before"],
            after=step["after"],
            actor=step["actor"],
            code=step["code"],
            detail=step["detail"],
        )
        for step in document["history"]
    ]


def _write(folder: Path, kind: str, number: int, documents: Sequence[Mapping[str, object]]) -> Written:
    """Write a file, for this account alone, whole or not at all."""
    name = f"{kind}-{number:08}.jsonl.gz"
    lines = "".join(f"{json.dumps(one, sort_keys=True, ensure_ascii=False)}\n" for one in documents)
    content = gzip.compress(lines.encode("utf-8"), mtime=0)
    draft = folder / f".{name}.part"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        draft.replace(folder / name)
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise _unreadable(error.strerror or "it cannot be written") from None
    return Written(file=name, sha256=hashlib.sha256(content).hexdigest())


def _unreadable(reason: str) -> LedgerUnavailable:
    return LedgerUnavailable(operation="use the archive of its history", reason=reason)
