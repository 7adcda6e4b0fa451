"""A glance at the first bytes of a data set, before its receipt is acknowledged.

Whether an instance can be processed is decided later, by those who read it whole; here it is refused if it cannot be
what its command says: another SOP Instance, another transfer syntax, no data set at all.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from struct import Struct
from typing import Final

from gateway.association.command_set import Status
from gateway.dicom.encoded import HEADER_SIZE
from gateway.dicom.tag import UNDEFINED_LENGTH
from gateway.dicom.transfer_syntax import TransferSyntax
from gateway.errors import InstanceUnusable

#: Bytes that are looked at: the SOP Instance UID is among the first elements of a data set.
HEAD_LENGTH: Final = 4096

_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
#: (0008,0006) Language Code Sequence, the one sequence that may come before the UIDs.
_SEQUENCE: Final = 0x00080006
#: No other element before the UIDs is longer than this.
_LONGEST: Final = 0x1000

_EXPLICIT: Final = {"<": Struct("<HH2sH"), ">": Struct(">HH2sH")}
_IMPLICIT: Final = {"<": Struct("<HHI"), ">": Struct(">HHI")}
_LENGTH: Final = {"<": Struct("<I"), ">": Struct(">I")}


def check_head(
    head: bytes, *, whole: bool, syntax: TransferSyntax | None, sop_class_uid: bytes, sop_instance_uid: bytes
) -> None:
    """Compare the beginning of a data set with its command.

    Parameters
    ----------
    head
        the first bytes as sent
    whole
        whether that is the whole data set
    syntax
        its transfer syntax; None for one that the gateway does not know, of which nothing can be said
    sop_class_uid
        Affected SOP Class UID of the command, without padding
    sop_instance_uid
        Affected SOP Instance UID of the command, without padding

    Raises
    ------
    InstanceUnusable
        0xC000, the bytes are no data set in this transfer syntax; 0xA900, it is another instance
    """
    if not head:
        raise _cannot_understand("the data set is empty")
    if syntax is None:
        return
    if syntax.deflated:
        head, whole = _inflate(head)
    wanted = {_SOP_CLASS_UID: sop_class_uid, _SOP_INSTANCE_UID: sop_instance_uid}
    try:
        missing = _search(head, dict(wanted), whole=whole, syntax=syntax)
    except InstanceUnusable as error:
        if error.facts["status"] != Status.CANNOT_UNDERSTAND or syntax.big_endian:
            raise
        # Some senders write implicit VR under the name of an explicit syntax, and the other way round. If the UIDs
        # are there when it is read like that, whoever reads it whole will find that out too.
        other = replace(syntax, implicit=not syntax.implicit)
        try:
            missing = _search(head, dict(wanted), whole=whole, syntax=other)
        except InstanceUnusable:
            raise error from None
    if missing:
        raise _does_not_match("the data set lacks its SOP class or instance")


def _search(head: bytes, wanted: dict[int, bytes], *, whole: bool, syntax: TransferSyntax) -> bool:
    """Compare the elements ``wanted``; whether the data set lacks one, as far as ``head`` can tell."""
    pos = 0
    while wanted and pos + 8 <= len(head):
        tag, value, length = _element(head, pos, syntax)
        if pos == 0 and tag >> 16 != 0x0008:
            raise _cannot_understand("the data set does not begin with group 0008")
        if tag > _SOP_INSTANCE_UID:
            return True
        if tag == _SEQUENCE and length == UNDEFINED_LENGTH:
            return False
        if tag != _SEQUENCE and length > _LONGEST:
            raise _cannot_understand("the data set is not in the transfer syntax that was agreed")
        pos = value + length
        if pos > len(head):
            if whole:
                raise _cannot_understand("the data set is truncated")
            return False
        expected = wanted.pop(tag, None)
        if expected is not None and head[value:pos].rstrip(b"\0 ") != expected:
            raise _does_not_match("SOP class or instance of data set and command differ")
    return bool(wanted) and whole


def _element(head: bytes, pos: int, syntax: TransferSyntax) -> tuple[int, int, int]:
    """Tag, start and length of the value of the element at ``pos``."""
    order = ">" if syntax.big_endian else "<"
    if syntax.implicit:
        group, number, length = _IMPLICIT[order].unpack_from(head, pos)
        return group << 16 | number, pos + 8, length
    group, number, vr, length = _EXPLICIT[order].unpack_from(head, pos)
    size = HEADER_SIZE.get(vr)
    if size is None:
        raise _cannot_understand("the data set is not in the transfer syntax that was agreed")
    if size == 12:
        # A header cut by the end of what was looked at reads as a value that goes beyond it.
        length = _LENGTH[order].unpack_from(head, pos + 8)[0] if pos + 12 <= len(head) else 0
    return group << 16 | number, pos + size, length


def _inflate(head: bytes) -> tuple[bytes, bool]:
    try:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        return stream.decompress(head, HEAD_LENGTH), stream.eof
    except zlib.error:
        raise _cannot_understand("the data set is not deflated") from None


def _cannot_understand(reason: str) -> InstanceUnusable:
    return InstanceUnusable(status=int(Status.CANNOT_UNDERSTAND), reason=reason)


def _does_not_match(reason: str) -> InstanceUnusable:
    return InstanceUnusable(status=int(Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS), reason=reason)
