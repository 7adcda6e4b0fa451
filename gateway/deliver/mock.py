"""A destination that does what it is told, for tests of everything that delivers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Final, TypeAlias

from gateway.deliver.base import Outcome, OutcomeState, Parcel

#: What the mock answers for a parcel: a state, or a function of the parcel.
Step: TypeAlias = "OutcomeState | Callable[[Parcel], Outcome]"

_CONFIRMED: Final[OutcomeState] = "confirmed"


class MockDestination:
    """Answers from a script and records what it was given.

    Parameters
    ----------
    name
        the destination's name
    script
        what to answer, one step per parcel in the order of arrival, sent or asked for; when it is used up,
        ``confirmed``
    read
        whether to read the bytes of each parcel that it confirms into ``content``
    """

    def __init__(self, name: str = "mock", *, script: Iterable[Step] = (), read: bool = True) -> None:
        self._name = name
        self._script = iter(script)
        self._read = read
        self._lock = Lock()
        #: Every batch as it was given.
        self.batches: list[tuple[Parcel, ...]] = []
        #: Every batch that it was asked about.
        self.asked: list[tuple[Parcel, ...]] = []
        #: SOP Instance UID -> the bytes of each confirmed delivery, in order.
        self.content: dict[str, list[bytes]] = {}
        self.closed = False

    @property
    def name(self) -> str:
        """The destination's name."""
        return self._name

    @property
    def parcels(self) -> list[Parcel]:
        """Every parcel that it was given, in order."""
        return [parcel for batch in self.batches for parcel in batch]

    def send(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Answer the next steps of the script."""
        with self._lock:
            self.batches.append(tuple(parcels))
            return [self._answer(parcel) for parcel in parcels]

    def confirm(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Answer the next steps of the script."""
        with self._lock:
            self.asked.append(tuple(parcels))
            return [self._answer(parcel) for parcel in parcels]

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def _answer(self, parcel: Parcel) -> Outcome:
        step = next(self._script, _CONFIRMED)
        if callable(step):
            outcome = step(parcel)
        else:
            outcome = Outcome(parcel.delivery_id, step, "stored" if step == "confirmed" else "scripted")
        if self._read and outcome.state == "confirmed":
            self.content.setdefault(parcel.sop_uid, []).append(_bytes_of(parcel))
        return outcome


def _bytes_of(parcel: Parcel) -> bytes:
    pieces = []
    for part in parcel.parts:
        with part.path.open("rb") as file:
            file.seek(part.offset)
            pieces.append(file.read(part.length))
    return b"".join(pieces)
