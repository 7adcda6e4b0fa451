"""PDUs that open and end an association, as its acceptor reads and writes them (PS3.8 9.3, PS3.7 D.3.3).

What is not understood in a request is passed over, as the standard asks; nothing optional is negotiated: roles stay as
they are by default, operations synchronous, identities of users are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway.dicom.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.errors import ProtocolViolation

A_ASSOCIATE_RQ: Final = 0x01
A_ASSOCIATE_AC: Final = 0x02
A_ASSOCIATE_RJ: Final = 0x03
A_RELEASE_RQ: Final = 0x05
A_RELEASE_RP: Final = 0x06
A_ABORT: Final = 0x07

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"

_PDU: Final = Struct(">BxI")
#: Protocol version, called and calling AE title, reserved (PS3.8 table 9-11).
_FIXED: Final = Struct(">Hxx16s16s32x")
_TITLES: Final = slice(4, 68)
_ITEM: Final = Struct(">BxH")
_MAXIMUM: Final = Struct(">I")
#: Presentation context id, result; each with its reserved neighbour (PS3.8 table 9-18).
_RESULT: Final = Struct(">BxBx")
_VERSION_1: Final = 1

_APPLICATION_CONTEXT_ITEM: Final = 0x10
_PROPOSED_CONTEXT_ITEM: Final = 0x20
_ANSWERED_CONTEXT_ITEM: Final = 0x21
_ABSTRACT_SYNTAX_ITEM: Final = 0x30
_TRANSFER_SYNTAX_ITEM: Final = 0x40
_USER_INFORMATION_ITEM: Final = 0x50
_MAXIMUM_LENGTH_ITEM: Final = 0x51
_IMPLEMENTATION_CLASS_ITEM: Final = 0x52
_IMPLEMENTATION_VERSION_ITEM: Final = 0x55

#: Senders propose the same contexts with every association: so many are remembered, if they have no more bytes.
_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 512


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context of a request (PS3.8 9.3.2.2); its UIDs are as sent, but for padding."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class ContextResult(IntEnum):
    """The answer to a presentation context (PS3.8 table 9-18)."""

    ACCEPTANCE = 0
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class AnsweredContext:
    """A presentation context as it is answered; without acceptance its transfer syntax has no meaning."""

    context_id: int
    result: ContextResult
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRequest:
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2).

    Attributes:
        is_version_1: whether the sender speaks the only version of the protocol that there is
        called_ae: called AE title as sent, 16 characters
        calling_ae: calling AE title as sent, 16 characters
        application_context: name of the application context, "" if there is none
        contexts: proposed presentation contexts, in the sender's order
        max_pdu_bytes: longest P-DATA-TF PDU that the sender takes, 0 for no limit
        titles: the bytes that an acceptance sends back
    """

    is_version_1: bool
    called_ae: str
    calling_ae: str
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_pdu_bytes: int
    titles: bytes


def parse_request(body: bytes) -> AssociationRequest:
    """The request in the A-ASSOCIATE-RQ PDU that has ``body`` after its header of six bytes.

    Raises:
        ProtocolViolation: it is cut off, or a presentation context has no proper id
    """
    if len(body) < _FIXED.size:
        raise ProtocolViolation(reason="an A-ASSOCIATE-RQ that is cut off")
    version, called, calling = _FIXED.unpack_from(body)
    application_context, contexts, longest = "", [], 0
    for kind, value in _items(body[_FIXED.size :]):
        if kind == _APPLICATION_CONTEXT_ITEM:
            application_context = _uid(value)
        elif kind == _PROPOSED_CONTEXT_ITEM:
            contexts.append((_remembered_context if len(value) <= _LONGEST_REMEMBERED else _context)(value))
        elif kind == _USER_INFORMATION_ITEM:
            for detail, content in _items(value):
                if detail == _MAXIMUM_LENGTH_ITEM:
                    longest = _maximum(content)
    if len({context.context_id for context in contexts}) < len(contexts):
        raise ProtocolViolation(reason="two presentation contexts with one id")
    return AssociationRequest(
        # Other bits speak of versions to come, which include this one (PS3.8 table 9-11).
        is_version_1=bool(version & _VERSION_1),
        called_ae=called.decode("latin-1"),
        calling_ae=calling.decode("latin-1"),
        application_context=application_context,
        contexts=tuple(contexts),
        max_pdu_bytes=longest,
        titles=body[_TITLES],
    )


def acceptance(request: AssociationRequest, contexts: Sequence[AnsweredContext], *, max_pdu_bytes: int) -> bytes:
    """The A-ASSOCIATE-AC PDU (PS3.8 9.3.3).

    Args:
        request: what is accepted
        contexts: the answer to each of its presentation contexts
        max_pdu_bytes: longest P-DATA-TF PDU that is taken, 0 for no limit
    """
    body = b"".join((
        _VERSION_1.to_bytes(2, "big"),
        bytes(2),
        request.titles,
        _item(_APPLICATION_CONTEXT_ITEM, APPLICATION_CONTEXT.encode()),
        *[
            _item(
                _ANSWERED_CONTEXT_ITEM,
                _RESULT.pack(context.context_id, context.result)
                + _item(_TRANSFER_SYNTAX_ITEM, context.transfer_syntax.encode()),
            )
            for context in contexts
        ],
        _item(
            _USER_INFORMATION_ITEM,
            _item(_MAXIMUM_LENGTH_ITEM, _MAXIMUM.pack(max_pdu_bytes))
            + _item(_IMPLEMENTATION_CLASS_ITEM, IMPLEMENTATION_CLASS_UID.encode())
            + _item(_IMPLEMENTATION_VERSION_ITEM, IMPLEMENTATION_VERSION_NAME.encode()),
        ),
    ))  # fmt: skip
    return _PDU.pack(A_ASSOCIATE_AC, len(body)) + body


def rejection(result: int, source: int, reason: int) -> bytes:
    """The A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""
    return _PDU.pack(A_ASSOCIATE_RJ, 4) + bytes((0, result, source, reason))


def release_response() -> bytes:
    """The A-RELEASE-RP PDU (PS3.8 9.3.7)."""
    return _PDU.pack(A_RELEASE_RP, 4) + bytes(4)


class AbortReason(IntEnum):
    """Why the service provider aborts (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNEXPECTED_PDU = 2


def abort(reason: AbortReason) -> bytes:
    """The A-ABORT PDU of the service provider (PS3.8 9.3.8)."""
    return _PDU.pack(A_ABORT, 4) + bytes((0, 0, 2, reason))


def _context(encoded: bytes) -> ProposedContext:
    """Presentation context id, three reserved bytes, and the syntaxes (PS3.8 table 9-13)."""
    context_id = encoded[0] if encoded else 0
    if not context_id & 1:
        raise ProtocolViolation(reason="a presentation context whose id is not odd")
    abstract, transfers = "", []
    for kind, value in _items(encoded[4:]):
        if kind == _ABSTRACT_SYNTAX_ITEM:
            abstract = _uid(value)
        elif kind == _TRANSFER_SYNTAX_ITEM:
            transfers.append(_uid(value))
    return ProposedContext(context_id, abstract, tuple(transfers))


_remembered_context: Final = lru_cache(maxsize=_REMEMBERED)(_context)


def _maximum(encoded: bytes) -> int:
    try:
        return int(_MAXIMUM.unpack(encoded)[0])
    except struct_error:
        raise ProtocolViolation(reason="a maximum length that is not a number of four bytes") from None


def _items(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of the items that ``encoded`` is made of."""
    pos, end = 0, len(encoded)
    while pos < end:
        if end - pos < _ITEM.size:
            raise ProtocolViolation(reason="an item of an A-ASSOCIATE-RQ is cut off")
        kind, length = _ITEM.unpack_from(encoded, pos)
        pos += _ITEM.size
        if length > end - pos:
            raise ProtocolViolation(reason="an item of an A-ASSOCIATE-RQ is cut off")
        yield kind, encoded[pos : pos + length]
        pos += length


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _uid(encoded: bytes) -> str:
    """UIDs have no padding here (PS3.8 F), but senders give them one."""
    return encoded.rstrip(b"\0 ").decode("latin-1")
