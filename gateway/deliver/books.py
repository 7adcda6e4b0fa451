"""What a destination may ask of those who keep the ledger: what else of a study is on its way, and who has a label."""

from __future__ import annotations

from collections.abc import Collection
from threading import Lock
from typing import NamedTuple, Protocol


class Holder(NamedTuple):
    """Who has a label: the label as it was first given, and what it was given to."""

    label: str
    of: str


class Books(Protocol):
    """The books of one destination. Safe for use from several threads."""

    def awaits(self, study_uid: str, besides: Collection[int]) -> float | None:
        """Whether more of a study is on its way to the destination.

        Parameters
        ----------
        study_uid
            the new Study Instance UID
        besides
            deliveries that are not meant

        Returns
        -------
        Seconds after which it is worth asking again; None if nothing more is on its way.

        Raises
        ------
        TransientError
            the books cannot be read at the moment
        """

    def hold(self, kind: str, label: str, of: str) -> Holder:
        """Who has a label, whatever its case; it is given for ever to ``of`` if nobody has it.

        Parameters
        ----------
        kind
            what is labelled; each kind has labels of its own
        label
            the label
        of
            the pseudonym, or the new UID, that it stands for

        Raises
        ------
        TransientError
            the books cannot be read or written at the moment
        """


class MemoryBooks:
    """Books of one process for itself: nothing more is on its way, and labels are forgotten with it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders: dict[tuple[str, str], Holder] = {}

    def awaits(self, study_uid: str, besides: Collection[int]) -> float | None:  # noqa: ARG002 - the protocol's
        """Nothing."""
        return None

    def hold(self, kind: str, label: str, of: str) -> Holder:
        """Who has a label: see ``Books``."""
        with self._lock:
            return self._holders.setdefault((kind, label.casefold()), Holder(label, of))
