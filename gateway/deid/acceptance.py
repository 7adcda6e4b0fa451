"""Whether an instance goes on: the ``accept`` rules of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gateway.dicom.instance import Instance
from gateway.profile import Origin, Program
from gateway.profile.situation import situation

__all__ = ["Decision", "decide"]

Kind: TypeAlias = Literal["accepted", "rejected", "held"]

_KINDS: Final[Mapping[str, Kind]] = {"accept": "accepted", "reject": "rejected", "hold": "held"}


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an instance, and by which rule.

    Attributes
    ----------
    kind
        ``accepted`` goes on to de-identification; ``rejected`` ends here; ``held`` waits for a human
    because
        the rule's reason; empty where no rule matched
    origin
        where the rule stands; None where no rule matched
    """

    kind: Kind
    because: str = ""
    origin: Origin | None = None

    @property
    def rule(self) -> str:
        """The rule's name for the ledger: profile and line; empty where no rule matched."""
        return "" if self.origin is None else f"{self.origin.layer}:{self.origin.line}"


_NO_RULE: Final = Decision("accepted")


def decide(program: Program, instance: Instance, sender: Mapping[str, str] | None = None) -> Decision:
    """The decision of the first ``accept`` rule that matches; without a match the instance is accepted.

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
        a condition cannot be decided for this instance
    """
    if not program.accept:
        return _NO_RULE
    keywords = frozenset(name for rule in program.accept for name in rule.condition.keywords)
    values = situation(instance, keywords, sender)
    for rule in program.accept:
        if rule.condition.evaluate(values):
            return Decision(_KINDS[rule.decision], rule.because, rule.origin)
    return _NO_RULE
