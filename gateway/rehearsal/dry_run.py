"""One instance through its whole treatment, traced, without storing anything."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from gateway.deid import Deidentified, ProjectKey
from gateway.deid.trace import Trace
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance
from gateway.errors import InstanceError
from gateway.profile import Origin, Program
from gateway.settings.pixel_settings import PixelSettings
from gateway.treatment.pixel_stage import PixelStage
from gateway.treatment.treatment import OpeningRules, Treatment

__all__ = ["DEMONSTRATION_KEY", "DryRun", "DryRunResult", "Numbers", "opening"]

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
class DryRunResult:
    """What would become of an instance.

    Attributes
    ----------
    state
        ``accepted`` means de-identified and verified
    reason
        why it is rejected or held; never a value of the instance
    rule
        where the accept rule stands that decided, if one did
    output
        the verified output, whose segments need the instance and the dry run open; None unless accepted
    trace
        what happened to each element, as far as the engine came
    """

    state: Literal["accepted", "rejected", "held"]
    reason: str
    rule: Origin | None
    output: Deidentified | None
    trace: Trace


def opening(work: Path) -> OpeningRules:
    """How files are opened that no configuration limits: ``work`` takes re-encoded copies."""
    return OpeningRules(work=work, limits=Limits(), max_reencode_bytes=_MOST_REENCODED)


class DryRun:
    """Treats instances as the gateway would; a context manager that deletes frames which were written for it.

    Parameters
    ----------
    program
        the compiled profile
    key
        what pseudonyms are computed with
    """

    def __init__(self, program: Program, key: ProjectKey) -> None:
        self._pixels = PixelStage(PixelSettings())
        self._treatment = Treatment(program, key, numbers=Numbers(), pixels=self._pixels)
        self._outputs = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._outputs.close()
        self._pixels.close()

    def of(self, instance: Instance, sender: Mapping[str, str] | None = None) -> DryRunResult:
        """Treat ``instance``, which is open. Frames that are written for it lie beside its file until the end.

        Parameters
        ----------
        instance
            the instance as received
        sender
            ``source``, ``calling_ae``, ``called_ae``, ``route`` for conditions; those missing are empty
        """
        trace, rule = Trace(), None
        try:
            admission = self._treatment.decide(instance, sender)
            rule = admission.decision.origin
            if admission.decision.kind != "accepted":
                return DryRunResult(admission.decision.kind, admission.decision.because, rule, None, trace)
            # What is written of an image is as well protected as the file beside which it stands (promise P9).
            treated = self._outputs.enter_context(
                self._treatment.treat(admission, opening=opening(instance.path.parent), trace=trace)
            )
        except InstanceError as error:
            return DryRunResult("held", error.message, rule, None, trace)
        return DryRunResult("accepted", "", rule, treated.output, trace)
