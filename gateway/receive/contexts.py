"""Which presentation contexts are accepted (PS3.8 7.1.1.13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context

from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.dicom.transfer_syntax import transfer_syntax

VERIFICATION: Final = "1.2.840.10008.1.1"
_STANDARD: Final = "1.2.840.10008."
#: Where the standard registers storage classes; an edition later than ours adds to it.
_STORAGE_ARC: Final = "1.2.840.10008.5.1.4.1.1."


def is_storage(uid: str, *, accept_unknown: bool) -> bool:
    """Whether instances of the SOP class ``uid`` are taken.

    Args:
        uid: abstract syntax or SOP class
        accept_unknown: take private classes, and standard ones of editions later than the gateway's
    """
    if uid in STORAGE_SOP_CLASSES:
        return True
    if not accept_unknown:
        return False
    if not uid.startswith(_STANDARD):
        return True
    name = UID(uid).name
    return uid.startswith(_STORAGE_ARC) and (name == uid or "Storage" in name)


def supported(requested: Iterable[PresentationContext], *, accept_unknown: bool) -> list[PresentationContext]:
    """Contexts that answer exactly what was asked for: one per acceptable abstract syntax.

    Of the transfer syntaxes offered the first is taken that the standard defines, else the first: nothing is
    transcoded at the door, so the sender's preference decides.

    Args:
        requested: the presentation contexts of the A-ASSOCIATE-RQ
        accept_unknown: also take unknown and private abstract and transfer syntaxes
    """
    offered: dict[str, list[str]] = {}
    for context in requested:
        abstract = context.abstract_syntax
        if abstract is not None and (abstract == VERIFICATION or is_storage(abstract, accept_unknown=accept_unknown)):
            offered.setdefault(abstract, []).extend(context.transfer_syntax)
    answer = []
    for uid, syntaxes in offered.items():
        chosen = _preferred(syntaxes, accept_unknown=accept_unknown)
        if chosen:
            answer.append(build_context(uid, [*chosen]))
    return answer


def _preferred(offered: Sequence[str], *, accept_unknown: bool) -> list[str]:
    unique = list(dict.fromkeys(offered))
    known = [uid for uid in unique if transfer_syntax(uid) is not None]
    unknown = [uid for uid in unique if transfer_syntax(uid) is None]
    return [*known, *unknown] if accept_unknown else known
