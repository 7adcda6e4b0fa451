"""Pixels on their way: what pixel rules and a person's decision make of them, and the check of the result.

A process has one stage, with one child that runs the codecs and one finder of text; both begin when they are needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance
from gateway.dicom.segments import Segment
from gateway.errors import BurnedInTextSuspected, ConfigurationError, RuleFailed, SpoolUnavailable
from gateway.ledger import ReviewRecord
from gateway.pixels.embedded import Embedded, embedded_in
from gateway.pixels.pixel_check import check_pixels
from gateway.pixels.pixel_treatment import Examination, PixelOutcome, PixelTreatment
from gateway.pixels.review import Review
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.surplus import drop_surplus
from gateway.pixels.text import TextFinder
from gateway.profile import Program
from gateway.profile.pixel_program import Pass, Rectangle
from gateway.settings.pixel_settings import PixelSettings
from gateway.treatment.series_knowledge import NOTHING_KNOWN, SeriesKnowledge
from gateway.verify.harvest import harvest
from gateway.verify.output_reader import read_output
from gateway.verify.recollection import Recollection

__all__ = ["PixelStage", "identifying_words", "review_of"]

_PICTURES: Final = {
    "picture": "a picture in a sequence stays",
    "document": "an encapsulated document stays",
    "private": "a private element stays that may be a picture",
}


class PixelStage:
    """What treats the pixels of any number of instances, of all projects of a process.

    Parameters
    ----------
    settings
        what a frame may cost
    """

    def __init__(self, settings: PixelSettings) -> None:
        self.sandbox: Final = Sandbox(settings)
        self.finder: Final = TextFinder(settings) if TextFinder.available() else None
        self._treatment = PixelTreatment(sandbox=self.sandbox, finder=self.finder)
        #: What is embedded in the parts that instances have in common.
        self._embedded = Recollection[tuple[Embedded, ...]]()

    def close(self) -> None:
        """End the child that runs the codecs, if there is one."""
        self.sandbox.close()

    def treated(
        self,
        program: Program,
        instance: Instance,
        *,
        work: Path,
        review: Review | None,
        series: SeriesKnowledge = NOTHING_KNOWN,
    ) -> PixelOutcome:
        """What becomes of the pixels of ``instance``; to be closed when its frames are needed no more.

        Parameters
        ----------
        program
            specialised for the instance
        instance
            as received
        work
            directory for frames
        review
            what a person decided
        series
            what is known of the instance's series

        Raises
        ------
        InstanceError
            the instance has to be held
        DecoderUnavailable, SpoolUnavailable
            it may work later
        """
        with _on_disk(), _models():
            outcome = self._treatment.treat(
                program,
                instance,
                work=work,
                words=lambda: identifying_words(instance),
                review=review,
                features_settled=series.features_settled,
                series_has_text=series.has_text,
                face_of=series.face,
            )
        try:
            drop_surplus(program, instance, outcome, review, longest=self.sandbox.settings.frame_bytes)
        except BaseException:
            outcome.close()
            raise
        return outcome

    def examine(self, program: Program, instance: Instance) -> Examination:
        """Tell a reviewer what rules and the finder of text say.

        Parameters
        ----------
        program
            specialised for the instance
        instance
            as received

        Raises
        ------
        InstanceError
            the pixels cannot be read, or a rule cannot be applied
        DecoderUnavailable
            it may work later
        """
        with _models():
            return self._treatment.examine(program, instance, words=lambda: identifying_words(instance))

    def check(
        self,
        program: Program,
        instance: Instance,
        segments: Sequence[Segment],
        outcome: PixelOutcome,
        *,
        work: Path,
        limits: Limits,
        review: Review | None,
    ) -> None:
        """Compare the pixels of an output with what was meant, and look for pictures that nobody looked at.

        Parameters
        ----------
        program
            specialised for the instance
        instance
            as received
        segments
            the output
        outcome
            what became of the pixels
        work
            directory for what has to be read back
        limits
            of a data set
        review
            what a person decided

        Raises
        ------
        InstanceError
            the instance has to be held
        DecoderUnavailable, SpoolUnavailable
            it may work later
        """
        with _on_disk():
            check_pixels(instance, segments, outcome, work=work, limits=limits, sandbox=self.sandbox)
        if not (review is not None and review.text) and not any(isinstance(rule, Pass) for rule in program.pixels):
            self._check_embedded(instance, segments)

    def _check_embedded(self, instance: Instance, segments: Sequence[Segment]) -> None:
        """Hold an instance of whose other pictures and documents one is still in the output."""
        received = {(one.kind, one.where, one.digest): one for one in self._embedded_in(instance)}
        if not received:
            return
        output = read_output(instance, segments)
        left = deque((one.kind, one.where, one.digest) for one in embedded_in(output.buffer, output.elements))
        # Long values are not loaded with an output: they are those that were received.
        copied = {tag for tag, _vr, _start, _end in output.holes}
        left.extend(key for key, one in received.items() if len(one.where) == 1 and one.where[0] in copied)
        for key in left:
            if key in received:
                reason = f"{_PICTURES[key[0]]} at {received[key]}"
                raise BurnedInTextSuspected(reason=reason)

    def _embedded_in(self, instance: Instance) -> Iterator[Embedded]:
        known = self._embedded.of(instance.implicit)
        for raw, elements in instance.parts:
            embedded = known.get(raw) if raw else None
            if embedded is None:
                embedded = tuple(embedded_in(instance.buffer, elements))
                if raw:
                    self._embedded.keep(instance.implicit, raw, embedded)
            yield from embedded


def identifying_words(instance: Instance) -> frozenset[str]:
    """The values of the header by which burned-in text identifies: names, identifiers, dates, places."""
    return frozenset(finding.text for finding in harvest(instance).findings)


def review_of(record: ReviewRecord | None) -> Review | None:
    """A decision of the ledger as the pixels room takes it."""
    if record is None:
        return None
    boxes = tuple(Rectangle(*box) for box in record.boxes)
    return Review(
        decision=record.decision,
        boxes=boxes,
        actor=record.actor,
        because=record.because,
        text=record.text,
        features=record.features,
    )


class _on_disk:  # noqa: N801  (reads as a statement)
    """What the disk says while frames are written or read back: it may pass."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise SpoolUnavailable(operation="write", name="frames", reason=error.strerror or "unknown") from None


class _models:  # noqa: N801  (reads as a statement)
    """A model that is not the known one holds the instance: the check of the profile cannot see that."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ConfigurationError):
            raise RuleFailed(where="the search for text", reason=error.message) from None
