"""What the ledger knows of the series of an instance, for whoever treats it."""

from __future__ import annotations

from gateway.deid import ProjectKey
from gateway.dicom.instance import Instance
from gateway.ledger import Ledger
from gateway.pixels.faces.blanking import Face
from gateway.pixels.sampling import SERIES_INSTANCE_UID
from gateway.service.faces_of_series import NO_SERIES, face_of
from gateway.treatment.circumstances import series_key
from gateway.treatment.series_knowledge import SeriesKnowledge

__all__ = ["SeriesBooks"]


class SeriesBooks:
    """Answers about series, out of the ledger.

    Parameters
    ----------
    ledger
        where the instances are
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        #: Project and keyed hash of a series -> whether a slice of it had text.
        self._texts: dict[tuple[str, str], bool] = {}

    def forget(self) -> None:
        """Ask anew: a batch ends, and others may have found something."""
        self._texts.clear()

    def of(self, instance: Instance, instance_id: int, project: str, key: ProjectKey) -> SeriesKnowledge:
        """What is known of the series of ``instance``.

        Parameters
        ----------
        instance
            as received, open
        instance_id
            its row id
        project
            name of its project
        key
            the project's key
        """
        uid = instance.text(SERIES_INSTANCE_UID)

        def features_settled() -> bool:
            return bool(uid) and self._ledger.holds.series_settled(project, series_key(key, uid))

        def has_text() -> bool:
            return bool(uid) and self._has_text(project, series_key(key, uid))

        def face() -> Face | None:
            return face_of(self._ledger, instance_id) if uid else NO_SERIES

        return SeriesKnowledge(features_settled=features_settled, has_text=has_text, face=face)

    def _has_text(self, project: str, series: str) -> bool:
        """Asked once a batch for a series: what is missed by that is made anew when the result is recorded."""
        known = self._texts.get((project, series))
        if known is None:
            known = self._texts[project, series] = self._ledger.sampling.series_has_text(project, series)
        return known
