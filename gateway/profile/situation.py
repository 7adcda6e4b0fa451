"""What conditions ask about: the values of an instance, and who sent it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from gateway.dicom.instance import Instance
from gateway.dicom.value import values_by_keyword
from gateway.profile.condition_types import SOP_CLASS, sop_class_keyword
from gateway.profile.program import Program

__all__ = ["NOBODY", "Truths", "decided", "situation"]

_SOP_CLASS_UID: Final = 0x00080016
#: How the conditions of a program came out for one instance, in their order.
Truths: TypeAlias = "tuple[bool, ...]"

#: The sender of an instance that did not come by the network.
NOBODY: Final[Mapping[str, str]] = {"source": "", "calling_ae": "", "called_ae": "", "route": ""}


def situation(
    instance: Instance, keywords: Iterable[str], sender: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The values that ``Condition.evaluate`` and ``Program.truths`` take.

    Parameters
    ----------
    instance
        the instance as received
    keywords
        the names that the conditions use: ``Program.keywords``
    sender
        ``source``, ``calling_ae``, ``called_ae`` and ``route`` as far as they are known

    Raises
    ------
    RuleFailed
        an element has a VR without comparable values, or its value does not fit its VR
    """
    names = frozenset(keywords)
    values: dict[str, object] = dict(values_by_keyword(instance, names))
    if SOP_CLASS in names:
        values[SOP_CLASS] = sop_class_keyword(instance.text(_SOP_CLASS_UID) or instance.meta.sop_class_uid)
    return {**values, **NOBODY, **(sender or {})}


def decided(program: Program, instance: Instance, sender: Mapping[str, str] | None = None) -> Truths:
    """How the conditions of ``program`` come out for ``instance``: asked once, for all that treat it.

    Parameters
    ----------
    program
        the compiled profile
    instance
        the instance as received
    sender
        ``source``, ``calling_ae``, ``called_ae`` and ``route`` as far as they are known

    Raises
    ------
    RuleFailed
        a condition cannot be decided
    """
    if not program.conditions:
        return ()
    names = frozenset(name for condition in program.conditions for name in condition.keywords)
    return program.truths(situation(instance, names, sender))
