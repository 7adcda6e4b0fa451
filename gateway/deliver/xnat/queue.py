"""The parcels of a study that are to be sent, in batches, and what is learned from one upload for the next.

XNAT says that it cannot read an instance when that is so, and when its disk is full. So an instance is at fault only if
XNAT took another one afterwards. As long as it has taken none, instances are tried from both ends, and after some the
rest is left for later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from gateway.deliver.base import Parcel, Verdict
from gateway.deliver.xnat import verdict
from gateway.deliver.xnat.settings import XnatSettings
from gateway.deliver.xnat.upload import SETBACKS_IN_A_ROW, Upload

#: So many instances that were refused alone, while none was taken, are the server's fault.
_REFUSED_ALONE: Final = 3


class UploadQueue:
    """What is left to send.

    Parameters
    ----------
    parcels
        of one study
    options
        the limits of a batch

    Attributes
    ----------
    suspects
        instances that XNAT says it cannot read, and after which it took no other one yet
    witness
        the largest instance that it took; None if there is none
    stopped
        why nothing more is sent, if that is so
    """

    def __init__(self, parcels: Sequence[Parcel], options: XnatSettings) -> None:
        self._batches = deque(_batches(parcels, options))
        self._setbacks = 0
        self._from_end = False
        self.suspects: list[Parcel] = []
        self.witness: Parcel | None = None
        self.stopped: Verdict | None = None

    def __bool__(self) -> bool:
        """Whether anything is left."""
        return bool(self._batches)

    def next(self) -> list[Parcel]:
        """The next batch; nothing when none is left."""
        if not self._batches:
            return []
        return self._batches.pop() if self._from_end else self._batches.popleft()

    def again(self, batches: Sequence[list[Parcel]]) -> None:
        """Put back what is to be sent again in parts, to be sent next."""
        if self._from_end:
            self._batches.extend(batches)
        else:
            self._batches.extendleft(reversed(batches))

    def rest(self) -> list[Parcel]:
        """All that is left, which is then not sent."""
        left = [parcel for batch in self._batches for parcel in batch]
        self._batches.clear()
        return left

    def note(self, uploads: Sequence[Upload]) -> None:
        """Learn from what came of a batch."""
        for one in uploads:
            if one.taken:
                self.found([one])
            elif one.unread and len(one.parcels) == 1:
                self.suspects += one.parcels
                self._from_end = self.witness is None and not self._from_end
        self._setbacks = self._setbacks + 1 if any(one.setback for one in uploads) else 0
        last = uploads[-1]
        if last.stop or self._setbacks >= SETBACKS_IN_A_ROW:
            self.stopped = last.missing
        elif self.witness is None and len(self.suspects) >= _REFUSED_ALONE:
            self.stopped = verdict.UNREAD

    def found(self, uploads: Sequence[Upload]) -> None:
        """Learn what XNAT has taken, by its answer or by its listings."""
        for parcel in (parcel for one in uploads for parcel in one.parcels):
            if self.witness is None or parcel.length > self.witness.length:
                self.witness = parcel


def _batches(parcels: Sequence[Parcel], options: XnatSettings) -> list[list[Parcel]]:
    """In order, within the limits, and no UID twice: two files of one name are one file."""
    batches: list[list[Parcel]] = []
    size, uids = 0, set[str]()
    for parcel in parcels:
        full = bool(batches) and (len(batches[-1]) >= options.max_instances or size + parcel.length > options.max_bytes)
        if not batches or full or parcel.sop_uid in uids:
            batches.append([])
            size, uids = 0, set()
        batches[-1].append(parcel)
        size += parcel.length
        uids.add(parcel.sop_uid)
    return batches
