"""Tokens of what the owner of an instance knows it by, so that it is found again and nothing of it is readable.

Patient ID, Accession Number (further ones of either, too) and the UIDs of study, series and instance are keyed with the
gateway's own secret when an instance is recorded: its project is not known yet at that time, and an instance without
one must be found as well.
Each kind has its label, so that equal texts of two kinds have nothing in common. Whoever has the ledger alone cannot
try guesses; whoever has the secret as well can, as with every pseudonym.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Final

import structlog

from gateway.deid import ProjectKey
from gateway.dicom.identifiers import normalised, read_identifiers
from gateway.dicom.shape import Shape
from gateway.dicom.transfer_syntax import transfer_syntax
from gateway.errors import SpoolCorrupt
from gateway.ledger import KnownBy, Ledger, Received
from gateway.receive import received_of
from gateway.spool import Spool, SpoolRecord

__all__ = ["KINDS", "Originals", "tokens_of"]

log = structlog.get_logger(__name__)

#: Kind of identifier -> how people call it.
KINDS: Final = {
    "accession": "accession number",
    "patient": "patient id",
    "study": "Study Instance UID",
    "series": "Series Instance UID",
    "instance": "SOP Instance UID",
}
_LABEL: Final = "find-"
#: Identifiers whose tokens are remembered: the instances of a study come together and have most of them in common.
_REMEMBERED: Final = 1024
#: Associations that are remembered how their instances lie; each is served by one thread.
_SHAPES: Final = 64
_AT_ONCE: Final = 500


class Originals:
    """Makes the tokens of instances in the spool, also of those that were recorded without.

    ``known_by`` may be called from several threads at once; a process makes its own.

    Parameters
    ----------
    spool
        where the instances are
    ledger
        where they are recorded
    secret
        the gateway's own
    """

    def __init__(self, spool: Spool, ledger: Ledger, secret: bytes) -> None:
        self._spool = spool
        self._ledger = ledger
        key = ProjectKey(secret)
        self._key = key
        self._token = lru_cache(_REMEMBERED)(partial(_token, key))
        self._common = lru_cache(_REMEMBERED)(self._tokens_of)
        self._shape = lru_cache(_SHAPES)(_shape_of)
        #: The last instance that was looked at for want of tokens.
        self._after = 0

    def known_by(self, record: SpoolRecord, head: bytes = b"") -> KnownBy | None:
        """The tokens of an instance; what cannot be read of it has none, and nothing is refused for it.

        Parameters
        ----------
        record
            Of its spool file.
        head
            The first bytes of its data set, if they are at hand: then its file is mostly not read.

        Returns
        -------
        None if none could be made: that is tried again later.
        """
        instance_uid = record.meta.sop_instance_uid
        try:
            identifiers = read_identifiers(
                partial(self._spool.path, record.name),
                offset=record.offset,
                length=record.length,
                syntax=transfer_syntax(record.meta.transfer_syntax),
                instance_uid=instance_uid,
                head=head,
                shape=self._shape(record.association, record.meta.transfer_syntax) if record.association else None,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, an instance that is kept can be delivered
            log.warning("no tokens made", kind=type(error).__name__)
            return None
        patient, accession, study, series, also = self._common(
            identifiers.patient_id, identifiers.accession_number, identifiers.study_uid, identifiers.series_uid,
            identifiers.other_patient_ids, identifiers.other_accession_numbers,
        )  # fmt: skip
        return KnownBy(
            patient=patient,
            accession=accession,
            study=study,
            series=series,
            instance=_instance_token(self._key, identifiers.instance_uid),
            also=also,
        )

    def _tokens_of(
        self,
        patient: str,
        accession: str,
        study: str,
        series: str,
        other_patients: tuple[str, ...],
        other_accessions: tuple[str, ...],
    ) -> tuple[str, str, str, str, tuple[tuple[str, str], ...]]:
        """The tokens of what the instances of a series have in common."""
        token = self._token
        return (
            token("patient", patient),
            token("accession", accession),
            token("study", study),
            token("series", series),
            tuple(
                (kind, token(kind, text))
                for kind, texts in (("patient", other_patients), ("accession", other_accessions))
                for text in texts
                if normalised(text)
            ),
        )

    def rebuild(self, names: Iterable[str]) -> int:
        """Record instances from their files in the spool; return how many rows there are of them.

        One that was purged after it was listed is passed over; one that is damaged gets a row by which it is held.

        Raises
        ------
        SpoolUnavailable
            a file cannot be read
        LedgerUnavailable
            the ledger cannot be written
        """
        rows: list[Received] = []
        for name in names:
            try:
                record = self._spool.read_record(name)
            except SpoolCorrupt:
                if self._spool.path(name).exists():
                    rows.append(unread(name))
            else:
                rows.append(received_of(record, self.known_by(record)))
        return len(self._ledger.instances.record(rows))

    def fill(self, *, seconds: float | None = None) -> int:
        """Make the tokens of instances that have none and whose bytes are kept, for so long at most.

        Returns
        -------
        How many instances have them now that had none.

        Raises
        ------
        SpoolUnavailable
            a file cannot be read
        LedgerUnavailable
            the ledger cannot be read or written
        """
        until = None if seconds is None else time.monotonic() + seconds
        done = 0
        while until is None or time.monotonic() < until:
            rows = self._ledger.studies.without_tokens(after=self._after, limit=_AT_ONCE)
            if not rows:
                break
            tokens = dict(self._of_files(rows))
            self._ledger.studies.record_tokens(tokens)
            self._after = rows[-1][0]
            done += len(tokens)
        if done:
            log.info("tokens made", count=done)
        return done

    def _of_files(self, rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, KnownBy]]:
        for number, name in rows:
            try:
                known_by = self.known_by(self._spool.read_record(name))
            except SpoolCorrupt:
                # Held as what it is; nothing is known of it.
                continue
            if known_by is not None:
                yield number, known_by


def unread(name: str) -> Received:
    """The row of a spool file whose record cannot be read.

    It may have been acknowledged: with a row it is held and accounted for, not forgotten (promise P3).
    """
    return Received(spool_name=name, received_at=datetime.now(UTC), size=0, crc32=0)


def tokens_of(secrets: Iterable[bytes], text: str, *, kinds: Iterable[str] = KINDS) -> dict[str, list[str | int]]:
    """The tokens that an identifier has as each of ``kinds``, by every secret that the gateway has had.

    Parameters
    ----------
    secrets
        the gateway's own, and those before it
    text
        as somebody writes it
    kinds
        of ``KINDS``
    """
    tokens: defaultdict[str, list[str | int]] = defaultdict(list)
    for key in map(ProjectKey, secrets):
        for kind in kinds:
            token = _instance_token(key, text) if kind == "instance" else _token(key, kind, text)
            if token:
                tokens[kind].append(token)
    return dict(tokens)


def _shape_of(association: int, syntax: str) -> Shape:  # noqa: ARG001 - remembered by them
    return Shape()


def _token(key: ProjectKey, kind: str, text: str) -> str:
    plain = normalised(text)
    return key.token(_LABEL + kind, plain) if plain else ""


def _instance_token(key: ProjectKey, text: str) -> int | None:
    plain = normalised(text)
    return int.from_bytes(key.digest(_LABEL + "instance", plain)[:8], "big", signed=True) if plain else None
