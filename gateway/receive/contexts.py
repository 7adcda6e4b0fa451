"""Which presentation contexts are accepted (PS3.8 7.1.1.13)."""

from __future__ import annotations

import re
from typing import Final

from pydicom.uid import UID

from gateway.association.pdu import AnsweredContext, ContextResult, ProposedContext
from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.dicom.transfer_syntax import transfer_syntax

VERIFICATION: Final = "1.2.840.10008.1.1"
_STANDARD: Final = "1.2.840.10008."
#: Where the standard registers storage classes; an edition later than ours adds to it.
_STORAGE_ARC: Final = "1.2.840.10008.5.1.4.1.1."
#: Stands beside a refusal if the sender offered nothing that could.
_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
#: Looser than PS3.5 9.1, which senders break by leading zeros: what is not even this cannot be a UID.
_UID: Final = re.compile(r"[0-9.]{1,64}")


def is_uid(text: str) -> bool:
    """Whether ``text`` can be a UID."""
    return _UID.fullmatch(text) is not None


def is_storage(uid: str, *, accept_unknown: bool) -> bool:
    """Whether instances of the SOP class ``uid`` are taken.

    Parameters
    ----------
    uid
        abstract syntax or SOP class
    accept_unknown
        take private classes, and standard ones of editions later than the gateway's
    """
    if uid in STORAGE_SOP_CLASSES:
        return True
    if not accept_unknown or not is_uid(uid):
        return False
    if not uid.startswith(_STANDARD):
        return True
    name = UID(uid).name
    return uid.startswith(_STORAGE_ARC) and (name == uid or "Storage" in name)


def negotiate(proposed: tuple[ProposedContext, ...], *, accept_unknown: bool) -> tuple[AnsweredContext, ...]:
    """The answer to each of the presentation contexts of a request, in their order.

    Of the transfer syntaxes offered the first is taken that the standard defines, else the first: nothing is
    transcoded at the door, so the sender's preference decides.

    Parameters
    ----------
    proposed
        the presentation contexts of the A-ASSOCIATE-RQ
    accept_unknown
        also take unknown and private abstract and transfer syntaxes
    """
    return tuple(_answer(context, accept_unknown=accept_unknown) for context in proposed)


def _answer(context: ProposedContext, *, accept_unknown: bool) -> AnsweredContext:
    uid = context.abstract_syntax
    result = ContextResult.ACCEPTANCE
    chosen = next((syntax for syntax in context.transfer_syntaxes if transfer_syntax(syntax) is not None), None)
    if uid != VERIFICATION and not is_storage(uid, accept_unknown=accept_unknown):
        result = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif chosen is None:
        chosen = next(filter(is_uid, context.transfer_syntaxes), None)
        if chosen is None or not accept_unknown:
            result = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    # A refusal has the item too, without meaning (PS3.8 table 9-18).
    return AnsweredContext(context.context_id, result, uid, chosen or _IMPLICIT_VR_LITTLE_ENDIAN)
