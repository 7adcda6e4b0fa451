"""What happens to one instance between the spool and its output: admit, treat pixels, de-identify, verify.

Whoever treats an instance uses this sequence: the workers, ``gateway deid``, previews, the tests of profiles. Any error
on the way means that no output exists; so does a rule of the profile that rejects or holds the instance. Conditions are
decided once, and what they came to is handed down.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from gateway.deid import Deidentified, Deidentifier, ProjectKey
from gateway.deid.acceptance import Decision, decide
from gateway.deid.number_source import NumberSource
from gateway.deid.trace import Trace
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance, open_instance
from gateway.errors import GatewayError, HeldByRule, RejectedByRule, RuleFailed
from gateway.pixels.review import Review
from gateway.profile import Program
from gateway.profile.situation import decided
from gateway.settings.configuration import Settings
from gateway.settings.pixel_settings import PixelSettings
from gateway.treatment.pixel_stage import PixelStage
from gateway.treatment.series_knowledge import NOTHING_KNOWN, SeriesKnowledge
from gateway.verify import Verifier

#: Among the actions of an output: its pixels are not those received.
PIXELS_TREATED: Final = "treat-pixels"
#: Among the actions of an output: bytes of its Pixel Data that were no pixels have gone.
SURPLUS_DROPPED: Final = "drop-beside-pixels"

#: Among the actions of an output: a face was taken out of its series.
DEFACED: Final = "deface"


@dataclass(frozen=True, slots=True)
class Treated:
    """A verified output: what de-identification says of it, and the seconds that it took.

    ``areas`` counts what was blackened on every frame; None if the pixels are those received. ``surplus`` counts bytes
    of Pixel Data that were no pixels and have gone; None if there were none. ``sampled`` tells whether only a sample of
    its series speaks for it, ``series_text`` whether it is a slice that had text, ``faceless`` whether a face
    was taken out of its series.
    """

    output: Deidentified
    areas: int | None
    pixel_seconds: float
    deidentify_seconds: float
    verify_seconds: float
    sampled: bool = False
    series_text: bool = False
    surplus: int | None = None
    faceless: bool = False

    @property
    def actions(self) -> dict[str, int]:
        """How often each verb was applied, on how many areas pixels were treated, how many bytes beside them went."""
        if self.areas is None and self.surplus is None and not self.faceless:
            return self.output.actions
        more = {PIXELS_TREATED: self.areas, SURPLUS_DROPPED: self.surplus, DEFACED: 1 if self.faceless else None}
        return {**self.output.actions, **{name: count for name, count in more.items() if count is not None}}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRules:
    """How instances are opened: where re-encoded copies go, and the limits of what is accepted."""

    work: Path
    limits: Limits
    max_reencode_bytes: int

    def open(self, path: Path) -> Instance:
        """Open the instance stored at ``path``; a context manager.

        Raises
        ------
        InstanceError
            the file is no instance that can be processed
        """
        return open_instance(path, work=self.work, limits=self.limits, max_reencode_bytes=self.max_reencode_bytes)


def opening_rules(settings: Settings, work: Path) -> OpeningRules:
    """How instances are opened under these settings."""
    return OpeningRules(
        work=work,
        limits=Limits(depth=settings.limits.depth, elements=settings.limits.elements),
        max_reencode_bytes=settings.limits.reencode_bytes,
    )


@dataclass(frozen=True, slots=True)
class Admission:
    """An instance, and what the ``accept`` rules decided about it.

    Attributes
    ----------
    instance
        as received, open
    sender
        ``source``, ``calling_ae``, ``called_ae`` and ``route`` as far as they are known
    decision
        whether it goes on, and by which rule
    """

    instance: Instance
    sender: Mapping[str, str] | None
    decision: Decision

    def required(self) -> Self:
        """The same, of an instance that goes on.

        Raises
        ------
        RejectedByRule
            a rule rejects it
        HeldByRule
            a rule holds it
        """
        if self.decision.kind != "accepted":
            kind = RejectedByRule if self.decision.kind == "rejected" else HeldByRule
            raise kind(rule=self.decision.rule, because=self.decision.because.rstrip("."))
        return self


class Treatment:
    """A program with a project's key, ready for any number of instances.

    Parameters
    ----------
    program
        the compiled profile
    key
        the project's key
    numbers
        where sequential pseudonyms come from; without it a rule that asks for one holds the instance
    pixels
        what treats pixels, one for all projects of a process; without it one with the settings' defaults
    """

    def __init__(
        self,
        program: Program,
        key: ProjectKey,
        *,
        numbers: NumberSource | None = None,
        pixels: PixelStage | None = None,
    ) -> None:
        self._deidentifier = Deidentifier(program, key, numbers=numbers)
        self._verifier = Verifier(program)
        self._pixels = PixelStage(PixelSettings()) if pixels is None else pixels

    @property
    def program(self) -> Program:
        """The program that is applied."""
        return self._deidentifier.program

    def decide(self, instance: Instance, sender: Mapping[str, str] | None = None) -> Admission:
        """What the ``accept`` rules of the profile decide about ``instance``.

        Parameters
        ----------
        instance
            as received
        sender
            ``source``, ``calling_ae``, ``called_ae`` and ``route`` as far as they are known

        Raises
        ------
        RuleFailed
            a condition cannot be decided
        """
        with holding("acceptance"):
            return Admission(instance, sender, decide(self.program, instance, sender))

    def admit(self, instance: Instance, sender: Mapping[str, str] | None = None) -> Admission:
        """Let ``instance`` go on if no ``accept`` rule of the profile keeps it from that.

        Parameters
        ----------
        instance
            as received
        sender
            ``source``, ``calling_ae``, ``called_ae`` and ``route`` as far as they are known

        Raises
        ------
        RejectedByRule
            a rule rejects it
        HeldByRule
            a rule holds it
        RuleFailed
            a condition cannot be decided
        """
        return self.decide(instance, sender).required()

    @contextmanager
    def treat(
        self,
        admission: Admission,
        *,
        opening: OpeningRules,
        review: Review | None = None,
        series: SeriesKnowledge = NOTHING_KNOWN,
        trace: Trace | None = None,
    ) -> Iterator[Treated]:
        """Treat the pixels of an instance that goes on, de-identify and verify it.

        The output can be read as long as the block lasts, and the instance is open.

        Parameters
        ----------
        admission
            of the instance
        opening
            how it was opened; frames that are written lie in its work directory until the block ends
        review
            what a person decided who looked at the pixels
        series
            what is known of the instance's series
        trace
            gets one entry for every element that is met

        Raises
        ------
        RejectedByRule
            a rule of the profile rejects it
        InstanceError
            the instance has to be held
        DecoderUnavailable, SpoolUnavailable
            it may work later
        """
        admission.required()
        instance = admission.instance
        started = time.perf_counter()
        with holding("the pixels"):
            truths = decided(self.program, instance, admission.sender)
            program = self.program.specialise(truths)
            outcome = self._pixels.treated(program, instance, work=opening.work, review=review, series=series)
        with outcome:
            pixels_done = time.perf_counter()
            with holding("de-identification"):
                output = self._deidentifier.apply(instance, truths, trace=trace, pixels=outcome.change)
            deidentified = time.perf_counter()
            with holding("verification"):
                self._verifier.check(instance, output.segments, truths, pixels=outcome.change)
                self._pixels.check(
                    program,
                    instance,
                    output.segments,
                    outcome,
                    work=opening.work,
                    limits=opening.limits,
                    review=review,
                )
            verified = time.perf_counter()
            yield Treated(
                output=output,
                areas=len(outcome.areas) if outcome.edit else None,
                surplus=outcome.surplus,
                faceless=outcome.change is not None and outcome.change.features_cleaned,
                pixel_seconds=pixels_done - started,
                deidentify_seconds=deidentified - pixels_done,
                verify_seconds=verified - deidentified,
                sampled=outcome.sampled,
                series_text=outcome.series_text,
            )


class holding:  # noqa: N801  (reads as a statement)
    """Turns any foreign error of a step into one that holds the instance, without its text (promises P2, P9).

    Errors of the operating system pass: they tell of the disk, not of the instance. That it has no memory for an
    instance is the instance's: another try would meet it before all that wait behind it.

    Parameters
    ----------
    step
        what is being done, for the message
    """

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, GatewayError) or not isinstance(error, Exception):
            return
        if isinstance(error, OSError) and error.errno != errno.ENOMEM:
            return
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "?"
        raise RuleFailed(where=self._step, reason=f"{type(error).__name__} at {place}") from None


__all__ = [
    "DEFACED",
    "PIXELS_TREATED",
    "SURPLUS_DROPPED",
    "Admission",
    "OpeningRules",
    "Treated",
    "Treatment",
    "holding",
    "opening_rules",
]
