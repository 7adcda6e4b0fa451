"""PDUs as bytes: those that open and end an association, and those that carry messages (PS3.8 9.3, PS3.7 D.3.3).

What is not understood in a request is passed over, as the standard asks. Of what is optional, roles can be negotiated;
operations are synchronous, identities of users are not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
P_DATA_TF: Final = 0x04
A_RELEASE_RQ: Final = 0x05
A_RELEASE_RP: Final = 0x06
A_ABORT: Final = 0x07
PDU_TYPES: Final = range(A_ASSOCIATE_RQ, A_ABORT + 1)

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"

#: Type and length of every PDU.
PDU_HEADER: Final = Struct(">BxI")
#: Item length, which counts the two bytes after it, presentation context, message control (PS3.8 9.3.5.1, E.2).
PDV_HEADER: Final = Struct(">IBB")
#: Bits of a message control header (PS3.8 E.2).
IS_COMMAND: Final = 0x01
IS_LAST: Final = 0x02
#: Both headers of a P-DATA-TF PDU with one PDV, and how many bytes of them its length counts.
_DATA: Final = Struct(">BBIIBB")
PDV_OVERHEAD: Final = 6
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
_ROLE_ITEM: Final = 0x54
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

    Attributes
    ----------
    is_version_1
        whether the sender speaks the only version of the protocol that there is
    called_ae
        called AE title as sent, 16 characters
    calling_ae
        calling AE title as sent, 16 characters
    application_context
        name of the application context, "" if there is none
    contexts
        proposed presentation contexts, in the sender's order
    max_pdu_bytes
        longest P-DATA-TF PDU that the sender takes, 0 for no limit
    titles
        the bytes that an acceptance sends back
    roles
        SOP class -> the item by which roles are proposed for it (PS3.7 D.3.3.4.1)
    """

    is_version_1: bool
    called_ae: str
    calling_ae: str
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_pdu_bytes: int
    titles: bytes
    roles: Mapping[str, bytes] = field(default_factory=dict)


def parse_request(body: bytes) -> AssociationRequest:
    """The request in the A-ASSOCIATE-RQ PDU that has ``body`` after its header of six bytes.

    Raises
    ------
    ProtocolViolation
        it is cut off, or a presentation context has no proper id
    """
    if len(body) < _FIXED.size:
        raise ProtocolViolation(reason="an A-ASSOCIATE-RQ that is cut off")
    version, called, calling = _FIXED.unpack_from(body)
    application_context, contexts, longest = "", [], 0
    roles: dict[str, bytes] = {}
    for kind, value in _items(body[_FIXED.size :]):
        if kind == _APPLICATION_CONTEXT_ITEM:
            application_context = _uid(value)
        elif kind == _PROPOSED_CONTEXT_ITEM:
            contexts.append((_remembered_context if len(value) <= _LONGEST_REMEMBERED else _context)(value))
        elif kind == _USER_INFORMATION_ITEM:
            longest = _longest(value)
            roles = {_role_class(item): item for kind, item in _items(value) if kind == _ROLE_ITEM}
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
        roles=roles,
    )


def acceptance(
    request: AssociationRequest,
    contexts: Sequence[AnsweredContext],
    *,
    max_pdu_bytes: int,
    roles: Collection[str] = (),
) -> bytes:
    """The A-ASSOCIATE-AC PDU (PS3.8 9.3.3).

    Parameters
    ----------
    request
        what is accepted
    contexts
        the answer to each of its presentation contexts
    max_pdu_bytes
        longest P-DATA-TF PDU that is taken, 0 for no limit
    roles
        SOP classes whose roles are accepted as proposed; others keep the default
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
        _user_information(max_pdu_bytes, [item for uid, item in request.roles.items() if uid in roles]),
    ))  # fmt: skip
    return PDU_HEADER.pack(A_ASSOCIATE_AC, len(body)) + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """An A-ASSOCIATE-AC (PS3.8 9.3.3).

    Attributes
    ----------
    contexts
        presentation context id -> result (PS3.8 table 9-18) and transfer syntax, "" if there is none
    max_pdu_bytes
        longest P-DATA-TF PDU that the acceptor takes, 0 for no limit
    """

    contexts: Mapping[int, tuple[int, str]]
    max_pdu_bytes: int


def request(contexts: Sequence[ProposedContext], *, called_ae: str, calling_ae: str, max_pdu_bytes: int) -> bytes:
    """The A-ASSOCIATE-RQ PDU (PS3.8 9.3.2).

    Parameters
    ----------
    contexts
        at most 128, with odd ids
    called_ae
        called AE title
    calling_ae
        calling AE title
    max_pdu_bytes
        longest P-DATA-TF PDU that is taken, 0 for no limit
    """
    body = b"".join((
        _FIXED.pack(_VERSION_1, _title(called_ae), _title(calling_ae)),
        _item(_APPLICATION_CONTEXT_ITEM, APPLICATION_CONTEXT.encode()),
        *[
            _item(
                _PROPOSED_CONTEXT_ITEM,
                bytes((context.context_id, 0, 0, 0))
                + _item(_ABSTRACT_SYNTAX_ITEM, context.abstract_syntax.encode())
                + b"".join(_item(_TRANSFER_SYNTAX_ITEM, syntax.encode()) for syntax in context.transfer_syntaxes),
            )
            for context in contexts
        ],
        _user_information(max_pdu_bytes),
    ))  # fmt: skip
    return PDU_HEADER.pack(A_ASSOCIATE_RQ, len(body)) + body


def parse_acceptance(body: bytes) -> Acceptance:
    """The acceptance in the A-ASSOCIATE-AC PDU that has ``body`` after its header of six bytes.

    Raises
    ------
    ProtocolViolation
        it is cut off
    """
    if len(body) < _FIXED.size:
        raise ProtocolViolation(reason="an A-ASSOCIATE-AC that is cut off")
    contexts, longest = {}, 0
    for kind, value in _items(body[_FIXED.size :]):
        if kind == _ANSWERED_CONTEXT_ITEM:
            if len(value) < _RESULT.size:
                raise ProtocolViolation(reason="an item of an A-ASSOCIATE PDU is cut off")
            context_id, result = _RESULT.unpack_from(value)
            syntaxes = [_uid(content) for detail, content in _items(value[_RESULT.size :])
                        if detail == _TRANSFER_SYNTAX_ITEM]  # fmt: skip
            contexts[context_id] = (result, syntaxes[0] if syntaxes else "")
        elif kind == _USER_INFORMATION_ITEM:
            longest = _longest(value)
    return Acceptance(contexts=contexts, max_pdu_bytes=longest)


def rejection(result: int, source: int, reason: int) -> bytes:
    """The A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""
    return PDU_HEADER.pack(A_ASSOCIATE_RJ, 4) + bytes((0, result, source, reason))


def release_request() -> bytes:
    """The A-RELEASE-RQ PDU (PS3.8 9.3.6)."""
    return PDU_HEADER.pack(A_RELEASE_RQ, 4) + bytes(4)


def release_response() -> bytes:
    """The A-RELEASE-RP PDU (PS3.8 9.3.7)."""
    return PDU_HEADER.pack(A_RELEASE_RP, 4) + bytes(4)


class AbortReason(IntEnum):
    """Why the service provider aborts (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNEXPECTED_PDU = 2


def abort(reason: AbortReason | None = None) -> bytes:
    """The A-ABORT PDU of the service provider; without a reason, of the service user (PS3.8 9.3.8)."""
    return PDU_HEADER.pack(A_ABORT, 4) + (bytes(4) if reason is None else bytes((0, 0, 2, reason)))


def data_pdus(context_id: int, content: memoryview, *, room: int, control: int, last: bool) -> list[bytes | memoryview]:
    """P-DATA-TF PDUs with one PDV each (PS3.8 9.3.5), as header and fragment in turn; none without content.

    Parameters
    ----------
    context_id
        presentation context
    content
        what they carry
    room
        bytes of it per PDU
    control
        ``IS_COMMAND`` or 0
    last
        whether the message's command or data set ends here
    """
    vectors: list[bytes | memoryview] = []
    for start in range(0, len(content), room):
        fragment = content[start : start + room]
        size = len(fragment) + 2
        flags = control | (IS_LAST if last and start + room >= len(content) else 0)
        vectors += (_DATA.pack(P_DATA_TF, 0, size + 4, size, context_id, flags), fragment)
    return vectors


def command_pdus(context_id: int, command_set: bytes, max_length: int) -> bytes:
    """P-DATA-TF PDUs that carry a command set (PS3.8 9.3.5).

    Parameters
    ----------
    context_id
        presentation context
    command_set
        encoded command
    max_length
        what the peer takes per PDU, 0 for no limit
    """
    room = max(max_length - PDV_OVERHEAD, 1) if max_length else len(command_set)
    return b"".join(data_pdus(context_id, memoryview(command_set), room=room, control=IS_COMMAND, last=True))


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


def _longest(user_information: bytes) -> int:
    """Maximum Length Received (PS3.8 D.1), 0 if there is none."""
    longest = 0
    for kind, value in _items(user_information):
        if kind == _MAXIMUM_LENGTH_ITEM:
            longest = _maximum(value)
    return longest


def _role_class(encoded: bytes) -> str:
    """The SOP class of a role selection: its length, the UID, one byte for each role."""
    length = int.from_bytes(encoded[:2], "big")
    if len(encoded) != length + 4:
        raise ProtocolViolation(reason="a role selection that is cut off")
    return _uid(encoded[2 : 2 + length])


def _user_information(max_pdu_bytes: int, roles: Sequence[bytes] = ()) -> bytes:
    return _item(
        _USER_INFORMATION_ITEM,
        _item(_MAXIMUM_LENGTH_ITEM, _MAXIMUM.pack(max_pdu_bytes))
        + _item(_IMPLEMENTATION_CLASS_ITEM, IMPLEMENTATION_CLASS_UID.encode())
        + b"".join(_item(_ROLE_ITEM, role) for role in roles)
        + _item(_IMPLEMENTATION_VERSION_ITEM, IMPLEMENTATION_VERSION_NAME.encode()),
    )


def _title(title: str) -> bytes:
    return title.encode("ascii", "replace").ljust(16)[:16]


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
            raise ProtocolViolation(reason="an item of an A-ASSOCIATE PDU is cut off")
        kind, length = _ITEM.unpack_from(encoded, pos)
        pos += _ITEM.size
        if length > end - pos:
            raise ProtocolViolation(reason="an item of an A-ASSOCIATE PDU is cut off")
        yield kind, encoded[pos : pos + length]
        pos += length


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _uid(encoded: bytes) -> str:
    """UIDs have no padding here (PS3.8 F), but senders give them one."""
    return encoded.rstrip(b"\0 ").decode("latin-1")
