"""What happens to one instance between the spool and its output: open, de-identify, verify, store.

The gateway's workers and ``gateway deid`` use this same sequence. Any error on the way means that no output exists;
so does a rule of the profile that rejects or holds the instance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from gateway.deid import Deidentified, Deidentifier, ProjectKey
from gateway.deid.acceptance import decide
from gateway.deid.numbers import NumberSource
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance, open_instance
from gateway.dicom.segments import Segment
from gateway.errors import GatewayError, HeldByRule, RejectedByRule, RuleFailed
from gateway.profile import Program
from gateway.verify import Verifier

Stored = TypeVar("Stored")


@dataclass(frozen=True, slots=True)
class Treated(Generic[Stored]):
    """A verified output: what de-identification says of it, what storing it gave, and the seconds that it took."""

    output: Deidentified
    stored: Stored
    deidentify_seconds: float
    verify_seconds: float


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
        InstanceError: the file is no instance that can be processed
        """
        return open_instance(path, work=self.work, limits=self.limits, max_reencode_bytes=self.max_reencode_bytes)


class Treatment:
    """A program with a project's key, ready for any number of instances.

    Parameters
    ----------
    program: the compiled profile
    key: the project's key
    numbers: where sequential pseudonyms come from; without it a rule that asks for one holds the instance
    """

    def __init__(self, program: Program, key: ProjectKey, *, numbers: NumberSource | None = None) -> None:
        self._deidentifier = Deidentifier(program, key, numbers=numbers)
        self._verifier = Verifier(program)

    @property
    def program(self) -> Program:
        """The program that is applied."""
        return self._deidentifier.program

    def admit(self, instance: Instance, sender: Mapping[str, str] | None = None) -> None:
        """Let ``instance`` go on if no ``accept`` rule of the profile keeps it from that.

        Parameters
        ----------
        instance: as received
        sender: ``source``, ``calling_ae``, ``called_ae`` and ``route`` as far as they are known

        Raises
        ------
        RejectedByRule: a rule rejects it
        HeldByRule: a rule holds it
        RuleFailed: a condition cannot be decided
        """
        with holding("acceptance"):
            decision = decide(self.program, instance, sender)
        if decision.kind != "accepted":
            kind = RejectedByRule if decision.kind == "rejected" else HeldByRule
            raise kind(rule=decision.rule, because=decision.because.rstrip("."))

    def treat(
        self,
        instance: Instance,
        store: Callable[[Sequence[Segment]], Stored],
        sender: Mapping[str, str] | None = None,
    ) -> Treated[Stored]:
        """De-identify and verify ``instance``, if it is admitted, then hand the output to ``store``.

        Parameters
        ----------
        instance: open; its file must stay open while ``store`` runs
        store: called once, only with a verified output
        sender: ``source``, ``calling_ae``, ``called_ae`` and ``route`` as far as they are known

        Raises
        ------
        RejectedByRule: a rule of the profile rejects it; ``store`` was not called
        InstanceError: the instance has to be held; ``store`` was not called
        GatewayError: ``store`` failed
        """
        self.admit(instance, sender)
        started = time.perf_counter()
        with holding("de-identification"):
            output = self._deidentifier.apply(instance, sender)
        deidentified = time.perf_counter()
        with holding("verification"):
            self._verifier.check(instance, output.segments, sender)
        verified = time.perf_counter()
        return Treated(output, store(output.segments), deidentified - started, verified - deidentified)


class holding:  # noqa: N801  (reads as a statement)
    """Turns any foreign error of a step into one that holds the instance, without its text (promises P2, P9).

    Errors of the operating system pass: they tell of the disk, not of the instance.

    Parameters
    ----------
    step: what is being done, for the message
    """

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, GatewayError | OSError) or not isinstance(error, Exception):
            return
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "?"
        raise RuleFailed(where=self._step, reason=f"{type(error).__name__} at {place}") from None


__all__ = ["OpeningRules", "Treated", "Treatment", "holding"]
