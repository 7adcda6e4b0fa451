"""Faces out of whole series: when one is complete, its volume, the command that finds the face, and the check of that.

A worker does one series between its batches. What it finds is kept for each instance, whose own way through the worker
blanks it; a worker that dies at it leaves nothing but a lease that ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Final, Self, get_args

import numpy as np
import structlog
from numpy.typing import NDArray

from gateway.dicom.instance import Instance
from gateway.errors import InstanceError, SeriesUnfit, SpoolCorrupt
from gateway.ledger import ClaimedSeries, FaceRecord, Ledger
from gateway.metrics import Metrics
from gateway.pixels.faces.blanking import Blank, Face, FaceKind, blank_of, packed
from gateway.pixels.faces.checking import doubt_about
from gateway.pixels.faces.face_command import Finding, Stopped, find_face
from gateway.pixels.faces.places import Slice, places_of
from gateway.pixels.faces.volume import SeriesVolume, build, frame_values
from gateway.pixels.frames import FrameReader, open_frames
from gateway.pixels.sandbox import Sandbox
from gateway.service.projects import Project
from gateway.settings.configuration import Settings
from gateway.spool import Spool
from gateway.treatment.treatment import OpeningRules, holding

__all__ = ["NO_SERIES", "FacesOfSeries", "Found", "face_of", "look_at", "volume_of"]

log = structlog.get_logger(__name__)

#: What is found of an instance that belongs to no series.
NO_SERIES: Final = Face(kind="doubt", reason="the instance has no Series Instance UID")
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
    kind, reason
        as of ``Face``
    volume
        the series as a volume; None if it is none
    mask
        where its face is, of the shape of the volume's values; None if nowhere
    """

    kind: FaceKind
    reason: str
    volume: SeriesVolume | None = None
    mask: NDArray[np.bool_] | None = None

    def record(self, key: int) -> FaceRecord:
        """What is kept for one of the series's instances."""
        face = self.face(key)
        return FaceRecord(verdict=face.kind, reason=face.reason, mask=face.mask)

    def face(self, key: int) -> Face:
        """The same for who needs no record."""
        mask = None
        if self.volume is not None and self.mask is not None:
            volume, area = self.volume, self.mask
            mask = packed(volume.mask_of(area, one) for one in volume.places.get(key, ()))
        return Face(kind=self.kind, reason=self.reason, mask=mask)


@dataclass(slots=True, kw_only=True)
class FacesOfSeries:
    """Looks at series that are complete, of the projects whose profiles take faces away.

    Parameters
    ----------
    settings
        the configuration
    ledger, spool, opening, sandbox
        of the process
    projects
        all of them
    metrics
        where series are counted
    owner
        as whom it claims
    stopping
        whether to give up
    """

    settings: Settings
    ledger: Ledger
    spool: Spool
    opening: OpeningRules
    sandbox: Sandbox
    projects: Mapping[str, Project]
    metrics: Metrics
    owner: str
    stopping: Callable[[], bool]
    _looks: frozenset[str] = field(init=False)
    _look_at: float = 0.0

    def __post_init__(self) -> None:
        self._looks = frozenset(
            name for name, project in self.projects.items() if project.treatment.program.pixels.defaces
        )

    def step(self, *, busy: bool = False) -> bool:
        """Look at a series, if one is complete; whether one was.

        Parameters
        ----------
        busy
            whether instances wait for the worker, which then come first for a while

        Raises
        ------
        LedgerUnavailable, SpoolUnavailable, DecoderUnavailable
            it may work later
        """
        now = time.monotonic()
        if not self._looks or now < self._look_at + (_BUSY_SECONDS if busy else 0.0):
            return False
        faces = self.settings.deface
        claimed = self.ledger.faces.claim(
            self.owner,
            self._looks,
            quiet_seconds=faces.quiet_seconds,
            lease_seconds=faces.seconds + _MORE_SECONDS,
        )
        if claimed is None:
            self._look_at = now + _LOOK_SECONDS
            return False
        try:
            finding = self._find(claimed)
        except Stopped:
            self.ledger.faces.give_back(self.owner)
            return False
        except BaseException:
            # Whatever it is, the next one must be able to try.
            with suppress(Exception):
                self.ledger.faces.give_back(self.owner)
            raise
        records = {one.instance_id: finding.record(one.instance_id) for one in claimed.members}
        kept = self.ledger.faces.record(self.owner, claimed, records)
        if kept:
            self.metrics.series_looked_at(project=claimed.project, verdict=finding.kind)
        log.info(
            "series looked at for faces",
            project=claimed.project,
            verdict=finding.kind if kept else "lost",
            instances=len(claimed.members),
            detail=finding.reason,
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
            lambda key: self.opening.open(self.spool.path(members[key])),
            self.settings,
            opening=self.opening,
            sandbox=self.sandbox,
            stopping=self.stopping,
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
    keys
        of its instances
    opened
        gives an instance, open; a context manager
    settings
        the configuration
    opening
        whose work directory gets the scratch directory
    sandbox
        where frames are decoded
    stopping
        whether to give up

    Raises
    ------
    Stopped
        ``stopping`` said so
    SpoolUnavailable, DecoderUnavailable
        it may work later
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
    keys, opened, sandbox, stopping
        as for ``look_at``
    faces
        what was found of the face in each instance, which is then blanked

    Raises
    ------
    SeriesUnfit
        it is none
    InstanceError, SpoolCorrupt
        an instance cannot be read
    Stopped
        ``stopping`` said so
    DecoderUnavailable
        it may work later
    """
    places: list[Slice] = []
    for key in keys:
        _go_on(stopping)
        with opened(key) as instance:
            places.extend(places_of(instance, key)[0])
    with _Reading(opened, sandbox, faces) as reading:

        def frame_of(slice_: Slice) -> NDArray[np.generic]:
            _go_on(stopping)
            return reading.frame(slice_)

        return build(places, frame_of)


class _Reading:
    """Frames of instances, of which the last one stays open: those of one follow each other. A context manager."""

    def __init__(
        self, opened: Callable[[int], Instance], sandbox: Sandbox, faces: Callable[[int], Face | None] | None
    ) -> None:
        self._opened, self._sandbox, self._faces = opened, sandbox, faces
        self._open = ExitStack()
        self._key: int | None = None
        self._frames: FrameReader | None = None
        self._blank: Blank | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def frame(self, slice_: Slice) -> NDArray[np.generic]:
        """The stored values of a slice, without what was found of its face."""
        if self._frames is None or slice_.key != self._key:
            self._frames = self._take(slice_.key)
        frame, blank = self._frames.frame(slice_.frame).copy(), self._blank
        shown = frame if blank is None else blank.apply(frame, slice_.frame, int(frame.min()))
        return frame_values(shown, self._frames.description)

    def _take(self, key: int) -> FrameReader:
        self._open.close()
        self._key, self._frames = key, None
        instance = self._open.enter_context(self._opened(key))
        _, description = places_of(instance, key)
        face = None if self._faces is None else self._faces(key)
        self._blank = None if face is None else blank_of(face, instance, description)
        return self._open.enter_context(open_frames(instance, description, sandbox=self._sandbox))


def face_of(ledger: Ledger, instance_id: int) -> Face | None:
    """What was found of a face in the series of an instance; None if nothing yet.

    Raises
    ------
    LedgerUnavailable
        the ledger cannot be read
    """
    record = ledger.faces.of(instance_id)
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
