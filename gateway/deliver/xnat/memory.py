"""What one process remembers of the studies that it has sent, to know when XNAT has done with them.

Nothing in here is needed: what is forgotten, with the process or beyond the limit, is waited for once more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from gateway.deliver.base import Outcome
from gateway.deliver.xnat.listing import PrearchiveRow

_MOST_STUDIES: Final = 10_000
#: So often the time between two questions doubles.
_DOUBLINGS: Final = 4


@dataclass(slots=True)
class _Study:
    #: Whether the last answer about it was clear: XNAT does nothing that it has not said.
    clear: bool = False
    #: What was seen of it last, and how often in a row.
    seen: object = None
    times: int = 0
    #: Deliveries that XNAT has taken, whose state may not be in the books yet.
    taken: set[int] = field(default_factory=set)
    #: Deliveries of instances that XNAT had before, and of which it did not say that it took the new version.
    doubted: set[int] = field(default_factory=set)
    noted: bool = False


class Memory:
    """The studies of a destination by their new UIDs; for several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._studies: OrderedDict[str, _Study] = OrderedDict()

    def answered(self, study_uid: str, *, clear: bool) -> None:
        """Note that XNAT has answered for a study, or has not: then it may still be at work on it."""
        with self._lock:
            study = self._of(study_uid)
            study.clear = clear
            study.seen = None

    def is_clear(self, study_uid: str) -> bool:
        """Whether XNAT has answered this process for all that it sent of the study."""
        with self._lock:
            return self._of(study_uid).clear

    def has_rested(self, study_uid: str, seen: object) -> bool:
        """Whether the study looks as it did when it was last asked about."""
        with self._lock:
            study = self._of(study_uid)
            same = study.seen == seen
            study.times = study.times + 1 if same else 0
            study.seen = seen
            return same

    def pause(self, study_uid: str, *, ask_seconds: float) -> float:
        """How long to wait before the next question: the longer, the longer nothing has changed."""
        with self._lock:
            return float(ask_seconds * 2 ** min(self._of(study_uid).times, _DOUBLINGS))

    def ended(self, study_uid: str, outcomes: Iterable[Outcome]) -> None:
        """Note which deliveries XNAT has taken, and which are to be sent again."""
        with self._lock:
            study = self._of(study_uid)
            taken = study.taken
            for outcome in outcomes:
                if outcome.state != "sent":
                    study.doubted.discard(outcome.delivery_id)
                (taken.add if outcome.state in ("sent", "confirmed") else taken.discard)(outcome.delivery_id)

    def taken(self, study_uid: str) -> Collection[int]:
        """Deliveries of the study that XNAT has taken."""
        with self._lock:
            return frozenset(self._of(study_uid).taken)

    def doubt(self, study_uid: str, delivery_ids: Iterable[int], *, sure: Iterable[int]) -> None:
        """Note of which deliveries a file of their name proves nothing, and which XNAT has said that it took."""
        with self._lock:
            doubted = self._of(study_uid).doubted
            doubted.update(delivery_ids)
            doubted.difference_update(sure)

    def doubted(self, study_uid: str) -> Collection[int]:
        """Deliveries of the study of which a file of their name proves nothing."""
        with self._lock:
            return frozenset(self._of(study_uid).doubted)

    def note(self, study_uid: str) -> bool:
        """Whether this is the first time that it is asked for."""
        with self._lock:
            study = self._of(study_uid)
            noted, study.noted = study.noted, True
            return not noted

    def _of(self, study_uid: str) -> _Study:
        study = self._studies.setdefault(study_uid, _Study())
        self._studies.move_to_end(study_uid)
        if len(self._studies) > _MOST_STUDIES:
            self._studies.popitem(last=False)
        return study


def likeness(rows: Iterable[PrearchiveRow], count: int) -> object:
    """What a study looks like: its rows in the prearchive, and how many files are listed of it."""
    return tuple((row.source, row.status, row.changed) for row in rows), count
