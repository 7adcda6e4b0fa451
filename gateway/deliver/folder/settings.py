"""The settings of a folder."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from gateway.deliver.destination_settings import DestinationSettings
from gateway.sections.section import FilePath

__all__ = ["SECTION", "FolderSettings"]


class FolderSettings(DestinationSettings):
    """A folder, laid out as `PatientID/StudyInstanceUID/SeriesInstanceUID/SOPInstanceUID.dcm` of the new values."""

    codes: ClassVar[frozenset[str]] = frozenset({"disk-full", "folder", "permission"})

    type: Literal["folder"] = Field(description="a folder")
    path: FilePath = Field(description="the folder; created when missing", examples=["/srv/archive"])

    @property
    def can_be_asked(self) -> bool:
        """It looks whether it has the file."""
        return True

    @property
    def mixes_studies(self) -> bool:
        """Whether a batch may be of several studies, where one has few instances that are due."""
        return True


SECTION: Final = FolderSettings
