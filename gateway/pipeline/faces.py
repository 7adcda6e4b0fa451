"""Faces out of whole series: when one is complete, its volume, the command that finds the face, and the check of that.

A worker does one series between its batches. What it finds is kept for each instance, whose own way through the worker
blanks it; a worker that dies at it leaves nothing but a lease that ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np
import structlog
from numpy.typing import NDArray

from gateway.config import Settings
from gateway.dicom.instance import Instance
from gateway.errors import InstanceError, SeriesUnfit, SpoolCorrupt
from gateway.ledger import ClaimedSeries, FaceRecord, Ledger
from gateway.pipeline.projects import Project
from gateway.pipeline.treatment import OpeningRules, holding
from gateway.pixels.faces.blanking import Face, FaceKind, blank_of, packed
from gateway.pixels.faces.checking import doubt_about
from gateway.pixels.faces.command import Finding, Stopped, find_face
from gateway.pixels.faces.volume import SeriesVolume, Slice, build, frame_values, place_of
from gateway.pixels.frames import open_frames
from gateway.pixels.sandbox import Sandbox
from gateway.spool import Spool

__all__ = ["FacesOfSeries", "Found", "face_of", "look_at", "volume_of"]

log = structlog.get_logger(__name__)

#: How often is looked whether a series is complete, in seconds.
_LOOK_SECONDS: Final = 1.0
#: For so long after a series other work comes first.
_BUSY_SECONDS: Final = 10.0
#: What reading a series and checking its mask take besides the command, in seconds.
_MORE_SECONDS: Final = 600.0
#: Claims after which a series is suspected to kill its workers.
_MOST_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a series.

    Attributes
    ----------
    kind, reason: as of ``Face``
    volume: the series as a volume; None if it is none
    mask: where its face is, of the shape of the volume's values; None if nowhere
    """

    kind: FaceKind
    reason: str
    volume: SeriesVolume | None = None
    mask: NDArray[np.bool_] | None = None

    def record(self, key: int) -> FaceRecord:
        """What is kept for one of the series's instances."""
        slice_ = None if self.volume is None else self.volume.places.get(key)
        mask = None
        if slice_ is not None and self.volume is not None and self.mask is not None:
            mask = packed(self.volume.mask_of(self.mask, slice_))
        return FaceRecord(verdict=self.kind, reason=self.reason, mask=mask)


class FacesOfSeries:
    """Looks at series that are complete, of the projects whose profiles take faces away.

    Parameters
    ----------
    settings: the configuration
    ledger, spool, opening, sandbox: of the process
    projects: all of them
    owner: as whom it claims
    stopping: whether to give up
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ledger: Ledger,
        spool: Spool,
        opening: OpeningRules,
        sandbox: Sandbox,
        projects: Mapping[str, Project],
        owner: str,
        stopping: Callable[[], bool],
    ) -> None:
        self._settings, self._ledger, self._spool, self._opening = settings, ledger, spool, opening
        self._sandbox, self._owner, self._stopping = sandbox, owner, stopping
        self._projects = frozenset(
            name for name, project in projects.items() if project.treatment.program.pixels.defaces
        )
        self._look_at = 0.0

    def step(self, *, busy: bool = False) -> bool:
        """Look at a series, if one is complete; whether one was.

        Parameters
        ----------
        busy: whether instances wait for the worker, which then come first for a while

        Raises
        ------
        LedgerUnavailable, SpoolUnavailable, DecoderUnavailable: it may work later
        """
        now = time.monotonic()
        if not self._projects or now < self._look_at + (_BUSY_SECONDS if busy else 0.0):
            return False
        faces = self._settings.deface
        claimed = self._ledger.claim_series(
            self._owner,
            self._projects,
            quiet_seconds=faces.quiet_seconds,
            lease_seconds=faces.seconds + _MORE_SECONDS,
        )
        if claimed is None:
            self._look_at = now + _LOOK_SECONDS
            return False
        try:
            found = self._find(claimed)
        except Stopped:
            self._ledger.give_back_series(self._owner)
            return False
        except BaseException:
            # Whatever it is, the next one must be able to try.
            with suppress(Exception):
                self._ledger.give_back_series(self._owner)
            raise
        records = {one.instance_id: found.record(one.instance_id) for one in claimed.members}
        kept = self._ledger.series_found(self._owner, claimed, records)
        log.info(
            "series looked at for faces",
            project=claimed.project,
            verdict=found.kind if kept else "lost",
            instances=len(claimed.members),
            detail=found.reason,
            seconds=round(time.monotonic() - now, 1),
        )
        self._look_at = time.monotonic()
        return True

    def _find(self, claimed: ClaimedSeries) -> Found:
        if claimed.attempts > _MOST_ATTEMPTS:
            return Found("doubt", f"{claimed.attempts - 1} attempts to look for its face ended without a result")
        if claimed.gone:
            return Found("doubt", f"{claimed.gone} instances of its series are not in the spool any more")
        members = {one.instance_id: one.spool_name for one in claimed.members}
        return look_at(
            members.keys(),
            lambda key: self._opening.open(self._spool.path(members[key])),
            self._settings,
            opening=self._opening,
            sandbox=self._sandbox,
            stopping=self._stopping,
        )


def look_at(
    keys: Iterable[int],
    opened: Callable[[int], Instance],
    settings: Settings,
    *,
    opening: OpeningRules,
    sandbox: Sandbox,
    stopping: Callable[[], bool] = bool,
) -> Found:
    """Look for a face in a series.

    Parameters
    ----------
    keys: of its instances
    opened: gives an instance, open; a context manager
    settings: the configuration
    opening: whose work directory gets the scratch directory
    sandbox: where frames are decoded
    stopping: whether to give up

    Raises
    ------
    Stopped: ``stopping`` said so
    SpoolUnavailable, DecoderUnavailable: it may work later
    """
    try:
        with holding("the series"):
            volume = volume_of(keys, opened, sandbox=sandbox, stopping=stopping)
            finding = find_face(volume, settings.deface, work=opening.work, stopping=stopping)
            return _checked(volume, finding)
    except (SeriesUnfit, InstanceError, SpoolCorrupt) as error:
        return Found("unsure", error.message)


def volume_of(
    keys: Iterable[int],
    opened: Callable[[int], Instance],
    *,
    sandbox: Sandbox,
    stopping: Callable[[], bool] = bool,
    faces: Callable[[int], Face | None] | None = None,
) -> SeriesVolume:
    """The volume of a series.

    Parameters
    ----------
    keys, opened, sandbox, stopping: as for ``look_at``
    faces: what was found of the face in each instance, which is then blanked

    Raises
    ------
    SeriesUnfit: it is none
    InstanceError, SpoolCorrupt: an instance cannot be read
    Stopped: ``stopping`` said so
    DecoderUnavailable: it may work later
    """
    places: list[Slice] = []
    for key in keys:
        _go_on(stopping)
        with opened(key) as instance:
            places.append(place_of(instance, key)[0])

    def frame_of(slice_: Slice) -> NDArray[np.generic]:
        _go_on(stopping)
        with opened(slice_.key) as instance:
            _, description = place_of(instance, slice_.key)
            with open_frames(instance, description, sandbox=sandbox) as frames:
                frame = frames.frame(0).copy()
            face = None if faces is None else faces(slice_.key)
            blank = None if face is None else blank_of(face, instance, description)
            return frame_values(frame if blank is None else blank.apply(frame, int(frame.min())), description)

    return build(places, frame_of)


def face_of(ledger: Ledger, instance_id: int) -> Face | None:
    """What was found of a face in the series of an instance; None if nothing yet.

    Raises
    ------
    LedgerUnavailable: the ledger cannot be read
    """
    record = ledger.face_of(instance_id)
    if record is None:
        return None
    kinds: tuple[FaceKind, ...] = get_args(FaceKind)
    kind = next((one for one in kinds if one == record.verdict), None)
    return Face(kind=kind or "doubt", reason=record.reason, mask=record.mask)


def _checked(volume: SeriesVolume, finding: Finding) -> Found:
    if finding.kind != "face" or finding.mask is None:
        return Found("none" if finding.kind == "none" else "unsure", finding.reason, volume)
    doubt = doubt_about(volume, finding.mask)
    if doubt is not None:
        return Found("doubt", f"{finding.reason}, and {doubt}", volume, finding.mask)
    return Found("blank", finding.reason, volume, finding.mask)


def _go_on(stopping: Callable[[], bool]) -> None:
    if stopping():
        raise Stopped
