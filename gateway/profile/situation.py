"""What conditions ask about: the values of an instance, and who sent it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.dicom.instance import Instance
from gateway.dicom.value import values_by_keyword

__all__ = ["NOBODY", "situation"]

#: The sender of an instance that did not come by the network.
NOBODY: Final[Mapping[str, str]] = {"source": "", "calling_ae": "", "called_ae": "", "route": ""}


def situation(
    instance: Instance, keywords: Iterable[str], sender: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The values that ``Condition.evaluate`` and ``Program.truths`` take.

    Parameters
    ----------
    instance: the instance as received
    keywords: the names that the conditions use: ``Program.keywords``
    sender: ``source``, ``calling_ae``, ``called_ae`` and ``route`` as far as they are known

    Raises
    ------
    RuleFailed: an element has a VR without comparable values, or its value does not fit its VR
    """
    values: dict[str, object] = dict(values_by_keyword(instance, keywords))
    return {**values, **NOBODY, **(sender or {})}
