"""Receipts: what is written down of a confirmed delivery, and how a chain of receipts is verified.

A receipt says which output went where, what made it, and how the destination confirmed it, without identity: the
original is named by a keyed digest, since unkeyed ones of small objects can be guessed, and no UID or pseudonym stands
in it. Whoever has the original and the project's secret can compute the keyed digest again.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from gateway.deliver.base import Outcome
from gateway.dicom.segments import FileRange, pieces
from gateway.errors import SpoolUnavailable
from gateway.ledger import DeliveryClaim, Receipt, ReceiptChain
from gateway.ledger.chain import ChainCheck, ChainFlaw, digest_of, facts_of
from gateway.treatment.treatment import PIXELS_TREATED
from gateway.version import __version__

#: Version of the documents' form.
FORM: Final = 1
#: Bytes that are read at a time: they are still in the processor's cache when they are hashed, and threads that work on
#: many files do not take turns for every few of them.
_CHUNK: Final = 1 << 20
#: Outputs that are remembered: an instance is confirmed by its several destinations about the same time.
_REMEMBERED: Final = 4096


class OutputDigests:
    """SHA-256 of outputs, each computed once for all destinations. Safe for use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[tuple[FileRange, ...], str]] = OrderedDict()

    def of(self, instance_id: int, parts: Sequence[FileRange], *, known: str | None = None) -> str:
        """The SHA-256 of the output of an instance, in hexadecimal.

        Parameters
        ----------
        instance_id
            row id of the instance
        parts
            byte ranges whose concatenation is the output
        known
            the digest, if the destination computed it from the bytes that it stored

        Raises
        ------
        SpoolUnavailable
            a file cannot be read
        SpoolCorrupt
            a file is shorter than its range
        """
        key = tuple(parts)
        with self._lock:
            remembered = self._known.get(instance_id)
        if remembered is not None and remembered[0] == key and known in (None, remembered[1]):
            return remembered[1]
        digest = known or _sha256(parts)
        with self._lock:
            self._known[instance_id] = (key, digest)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return digest


def receipt_of(
    claim: DeliveryClaim,
    outcome: Outcome,
    *,
    kind: str,
    output_digest: str,
    output_bytes: int,
    confirmed_at: datetime,
) -> dict[str, object]:
    """What the receipt of a confirmed delivery says; the ledger adds number and digest of the receipt before it.

    Parameters
    ----------
    claim
        the delivery, and how its output came to be
    outcome
        the destination's confirmation
    kind
        type of the destination, such as ``dicomweb``
    output_digest
        SHA-256 of what was sent: the output, or the output in the destination's transfer syntax
    output_bytes
        its length
    confirmed_at
        when the confirmation arrived
    """
    return {
        "form": FORM,
        "project": claim.project,
        "gateway": __version__,
        "instance": claim.instance_id,
        "delivery": claim.delivery_id,
        "profile": {"name": claim.profile, "digest": claim.profile_digest},
        "original": {"keyed_digest": claim.content_key, "received_at": _moment(claim.received_at)},
        "output": {"sha256": output_digest, "bytes": output_bytes},
        "actions": dict(sorted(claim.actions.items())),
        "pixels_treated": PIXELS_TREATED in claim.actions,
        "destination": {"name": claim.destination, "type": kind},
        "confirmation": {
            "code": outcome.code,
            "detail": outcome.detail,
            "asked": claim.state.value == "sent",
            "attempts": claim.attempts,
            "at": _moment(confirmed_at),
        },
    }


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that a chain of receipts should not show; ``problem`` says it in words, without identity."""

    project: str
    number: int
    problem: str


def verify_chains(receipts: Iterable[Receipt], ends: Iterable[ReceiptChain]) -> Iterator[Flaw]:
    """Compare every receipt with its digest and with the receipt before it, and the last with the chain's end.

    Parameters
    ----------
    receipts
        all receipts of the chains, by project and number
    ends
        the ends that the ledger keeps; none for an exported copy, whose last receipts nothing vouches for
    """
    expected = {end.project: end for end in ends}
    checks: dict[str, ChainCheck] = {}
    for receipt in receipts:
        check = checks.setdefault(receipt.project, ChainCheck("receipt", "receipts"))
        yield from _of(
            receipt.project,
            check.follow(receipt, belongs=partial(_belongs, receipt)),
        )
    for project in dict.fromkeys([*expected, *checks]) if expected else ():
        check = checks.get(project) or ChainCheck("receipt", "receipts")
        yield from _of(project, check.finish(expected.get(project)))


def _belongs(receipt: Receipt, facts: Mapping[str, object]) -> bool:
    """Whether a document says that it is the receipt of the project and the delivery with which it stands."""
    return facts.get("project") == receipt.project and facts.get("delivery", receipt.delivery_id) == receipt.delivery_id


def _of(project: str, flaws: Iterable[ChainFlaw]) -> Iterator[Flaw]:
    return (Flaw(project, flaw.number, flaw.problem) for flaw in flaws)


def read_export(lines: Iterable[str]) -> Iterator[Receipt]:
    """The receipts of an export, in its order.

    Raises
    ------
    ValueError
        a line is no receipt; its number is in the message
    """
    for number, line in enumerate(lines, 1):
        document = line.rstrip("\n")
        match facts_of(document):
            case {"project": str(project), "number": int(link), "delivery": int(delivery)}:
                pass
            case _:
                raise ValueError(f"line {number} is no receipt")
        digest = digest_of(document)
        yield Receipt(project=project, number=link, delivery_id=delivery, digest=digest, document=document)


def compare_export(export: Iterable[Receipt], present: Iterable[Receipt]) -> Iterator[Flaw]:
    """What an earlier export holds that the ledger's receipts do not hold, or hold otherwise.

    Parameters
    ----------
    export
        receipts that were exported earlier
    present
        all receipts of the ledger
    """
    digests = {(receipt.project, receipt.number): receipt.digest for receipt in present}
    for receipt in export:
        digest = digests.get((receipt.project, receipt.number))
        if digest is None:
            yield Flaw(receipt.project, receipt.number, "was exported and is missing")
        elif digest != receipt.digest:
            yield Flaw(receipt.project, receipt.number, "was exported with another content")


class _Buffer(threading.local):
    """A thread's own: to make one for every instance is to fill it with zeros every time."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_CHUNK))


_BUFFER: Final = _Buffer()


def _sha256(parts: Sequence[FileRange]) -> str:
    digest = hashlib.sha256()
    buffer = _BUFFER.view
    for part in parts:
        try:
            for piece in pieces(part, buffer):
                digest.update(piece)
        except OSError as error:
            raise SpoolUnavailable(operation="read", name=part.path.name, reason=error.strerror) from None
    return digest.hexdigest()


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
