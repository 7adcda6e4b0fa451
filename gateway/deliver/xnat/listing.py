"""What an XNAT server says that it holds: sessions, their files, and the prearchive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.deliver.base import Parcel
from gateway.deliver.xnat.client import XnatClient, path_of
from gateway.deliver.xnat.file_names import Holdings

_CONFLICT: Final = frozenset({"CONFLICT", "ERROR"})
_OPEN: Final = frozenset({"RECEIVING", "RECEIVING_INTERRUPT"})


@dataclass(frozen=True, slots=True)
class Session:
    """A session of the archive: its label and the Study Instance UID that XNAT knows of it, or empty."""

    label: str
    study_uid: str


@dataclass(frozen=True, slots=True)
class PrearchiveRow:
    """A session of the prearchive.

    Attributes
    ----------
    project: ID, or ``Unassigned``
    timestamp, folder: where it is
    label: what the session is to be called
    status: as XNAT names it, such as ``READY``; a leading ``_`` means that somebody is at work on it
    """

    project: str
    timestamp: str
    folder: str
    label: str
    status: str

    @property
    def source(self) -> str:
        """The path that names it in requests of other services."""
        return path_of("prearchive", "projects", self.project, self.timestamp, self.folder)

    @property
    def path(self) -> str:
        """Its path below the base URL."""
        return f"/data{self.source}"

    @property
    def is_in_conflict(self) -> bool:
        """Whether XNAT cannot archive it by itself."""
        return self.status in _CONFLICT

    @property
    def is_ready(self) -> bool:
        """Whether it is complete as far as XNAT knows, and can be archived."""
        return self.status == "READY"

    @property
    def is_open(self) -> bool:
        """Whether XNAT waits for more instances of it."""
        return self.status in _OPEN


def editable_projects(client: XnatClient) -> set[str]:
    """IDs of the projects in which the user may create subjects.

    Raises
    ------
    DeliveryFailed: XNAT does not tell
    """
    query = {"permissions": "edit", "dataType": "xnat:subjectData"}
    rows = _rows(client, path_of("data", "projects"), query)
    return {_text(row, "ID") or _text(row, "id") for row in rows}


def project_id(client: XnatClient, project: str) -> str | None:
    """The ID of a project as XNAT writes it; None if there is none that the user may see.

    Raises
    ------
    DeliveryFailed: XNAT does not tell
    """
    fields = _fields(client, path_of("data", "projects", project))
    return None if fields is None else _text(fields, "ID")


def subject_label(client: XnatClient, project: str, subject: str) -> str | None:
    """The label of a subject as XNAT writes it, whatever the case asked for; None if there is none.

    Raises
    ------
    DeliveryFailed: XNAT does not tell
    """
    fields = _fields(client, path_of("data", "projects", project, "subjects", subject))
    return None if fields is None else _text(fields, "label")


def session_path(project: str, subject: str, session: str) -> str:
    """Where a session of the archive is."""
    return path_of("data", "projects", project, "subjects", subject, "experiments", session)


def session(client: XnatClient, path: str) -> Session | None:
    """A session of the archive; None if there is none.

    Raises
    ------
    DeliveryFailed: XNAT does not tell
    """
    fields = _fields(client, path)
    return None if fields is None else Session(label=_text(fields, "label"), study_uid=_text(fields, "UID"))


def archived(client: XnatClient, path: str, parcels: Sequence[Parcel]) -> Holdings:
    """What a session of the archive holds, scan by scan until all of the parcels have been found.

    Raises
    ------
    DeliveryFailed: XNAT does not tell
    """
    holdings = Holdings()
    for scan in _names(client, f"{path}/scans", "ID"):
        # The files of all resources of the scan: XNAT keeps some SOP classes apart from the resource DICOM.
        holdings.add(_files(client, f"{path}/scans{path_of(scan)}/files"))
        if all(holdings.hold(parcel) for parcel in parcels):
            break
    return holdings


def waiting(client: XnatClient, row: PrearchiveRow) -> Holdings:
    """What a session of the prearchive holds.

    Raises
    ------
    DeliveryFailed: XNAT does not tell
    """
    holdings = Holdings()
    for scan in _names(client, f"{row.path}/scans", "ID"):
        resources = f"{row.path}/scans{path_of(scan)}/resources"
        for resource in _names(client, resources, "label"):
            holdings.add(_files(client, f"{resources}{path_of(resource)}/files"))
    return holdings


def prearchive(client: XnatClient, study_uid: str, *, project: str | None = None) -> list[PrearchiveRow]:
    """The sessions of a study in the prearchive, of one project or of all that the user may see.

    The whole prearchive is asked for and searched here: asking for a study needs rights that a gateway should not
    have, and would put its UID into a URL.

    Raises
    ------
    DeliveryFailed: XNAT does not tell
    """
    path = path_of("data", "prearchive", *(("projects", project) if project is not None else ()))
    return [
        PrearchiveRow(
            project=_text(row, "project"),
            timestamp=_text(row, "timestamp"),
            folder=_text(row, "folderName"),
            label=_text(row, "name"),
            status=_text(row, "status"),
        )
        for row in _rows(client, path)
        if _text(row, "tag") == study_uid
    ]


def _names(client: XnatClient, path: str, column: str) -> Iterator[str]:
    return (name for name in (_text(row, column) for row in _rows(client, path)) if name)


def _files(client: XnatClient, path: str) -> dict[str, int]:
    return {_text(row, "Name"): _size(_text(row, "Size")) for row in _rows(client, path)}


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0


def _rows(client: XnatClient, path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The rows of a table; none if there is no such table."""
    content = client.get(path, query=query)
    if content is None:
        return []
    try:
        rows = content["ResultSet"]["Result"]
    except (TypeError, KeyError):
        raise client.unreadable("is no listing") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise client.unreadable("is no listing")
    return rows


def _fields(client: XnatClient, path: str) -> dict[str, Any] | None:
    """The fields of one object; None if there is no such object."""
    content = client.get(path)
    if content is None:
        return None
    try:
        fields = content["items"][0]["data_fields"]
    except (TypeError, KeyError, IndexError):
        raise client.unreadable("is no object") from None
    if not isinstance(fields, dict):
        raise client.unreadable("is no object")
    return fields


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    return value if isinstance(value, str) else "" if value is None else str(value)
