"""One instance through accept rules, pixel rules, engine and verifier, without storing anything."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from gateway.deid import Deidentified, Deidentifier, ProjectKey
from gateway.deid.acceptance import decide
from gateway.deid.trace import Trace
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance
from gateway.errors import InstanceError
from gateway.profile import Origin, Program
from gateway.settings.pixel_settings import PixelSettings
from gateway.treatment.pixel_stage import PixelStage, specialised
from gateway.treatment.treatment import OpeningRules, holding
from gateway.verify import Verifier

__all__ = ["DEMONSTRATION_KEY", "Numbers", "Rehearsal", "Rehearser", "opening"]

#: Keys what is shown of a profile without a project. Anybody can compute with it: nothing keyed by it may be released.
DEMONSTRATION_KEY: Final = ProjectKey(b"known to everybody: for tests and previews only")
_MOST_REENCODED: Final = 1 << 30


class Numbers:
    """Gives the numbers of sequential pseudonyms, from 1; those of a project come from its ledger."""

    def __init__(self) -> None:
        self._given: dict[str, dict[str, int]] = {}

    def number(self, purpose: str, token: str) -> int:
        """The number of ``token`` among those of its ``purpose``: the same for the same token."""
        given = self._given.setdefault(purpose, {})
        return given.setdefault(token, len(given) + 1)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would become of an instance.

    Attributes
    ----------
    state: ``accepted`` means de-identified and verified
    reason: why it is rejected or held; never a value of the instance
    rule: where the accept rule stands that decided, if one did
    output: the verified output, whose segments need the instance and the rehearser open; None unless accepted
    trace: what happened to each element, as far as the engine came
    """

    state: Literal["accepted", "rejected", "held"]
    reason: str
    rule: Origin | None
    output: Deidentified | None
    trace: Trace


def opening(work: Path) -> OpeningRules:
    """How files are opened that no configuration limits: ``work`` takes re-encoded copies."""
    return OpeningRules(work=work, limits=Limits(), max_reencode_bytes=_MOST_REENCODED)


class Rehearser:
    """Treats instances as the gateway would; a context manager that deletes frames which were written for it.

    Parameters
    ----------
    program: the compiled profile
    key: what pseudonyms are computed with
    """

    def __init__(self, program: Program, key: ProjectKey) -> None:
        self._program = program
        self._deidentifier = Deidentifier(program, key, numbers=Numbers())
        self._verifier = Verifier(program)
        self._pixels = PixelStage(PixelSettings())
        self._frames = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.close()
        self._pixels.close()

    def rehearse(self, instance: Instance, sender: Mapping[str, str] | None = None) -> Rehearsal:
        """Treat ``instance``, which is open. Frames that are written for it lie beside its file until the end.

        Parameters
        ----------
        instance: the instance as received
        sender: ``source``, ``calling_ae``, ``called_ae``, ``route`` for conditions; those missing are empty
        """
        trace, rule = Trace(), None
        # What is written of an image is as well protected as the file beside which it stands (promise P9).
        opened = opening(instance.path.parent)
        try:
            with holding("acceptance"):
                decision = decide(self._program, instance, sender)
            rule = decision.origin
            if decision.kind != "accepted":
                return Rehearsal(decision.kind, decision.because, rule, None, trace)
            with holding("the pixels"):
                program = specialised(self._program, instance, sender)
                outcome = self._frames.enter_context(
                    self._pixels.treated(program, instance, work=opened.work, review=None)
                )
            with holding("de-identification"):
                output = self._deidentifier.apply(instance, sender, trace=trace, pixels=outcome.change)
            with holding("verification"):
                self._verifier.check(instance, output.segments, sender, pixels=outcome.change)
                self._pixels.check(
                    program,
                    instance,
                    output.segments,
                    outcome,
                    work=opened.work,
                    limits=opened.limits,
                    review=None,
                )
        except InstanceError as error:
            return Rehearsal("held", error.message, rule, None, trace)
        return Rehearsal("accepted", "", rule, output, trace)
