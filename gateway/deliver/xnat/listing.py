"""What an XNAT server says that it holds: sessions, their files, and the prearchive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.deliver.base import Parcel
from gateway.deliver.xnat.client import XnatClient, path_of
from gateway.deliver.xnat.file_names import Holdings

#: Where XNAT keeps, with a session, what the gateway has noted of it.
_NOTES: Final = "GATEWAY"
_AT_WORK: Final = frozenset({"BUILDING", "ARCHIVING", "MOVING", "DELETING", "SEPARATING"})
_OPEN: Final = frozenset({"RECEIVING", "RECEIVING_INTERRUPT"})


@dataclass(frozen=True, slots=True)
class Session:
    """A session of the archive: its label, the Study Instance UID that XNAT knows of it, and its type, or empty."""

    label: str
    study_uid: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """A session in the list of a project's: its label and that of its subject, empty where XNAT does not tell it."""

    label: str
    subject: str


@dataclass(frozen=True, slots=True)
class PrearchiveRow:
    """A session of the prearchive.

    Attributes
    ----------
    project
        ID, or ``Unassigned``
    timestamp, folder
        where it is
    label
        what the session is to be called
    status
        as XNAT names it, such as ``READY``; a leading ``_`` means that somebody is at work on it
    subject
        label of the subject that it is to be filed under, as far as XNAT knows it yet
    changed
        when it was last changed, in words of XNAT's own
    """

    project: str
    timestamp: str
    folder: str
    label: str
    status: str
    subject: str = ""
    changed: str = ""

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
        """Whether it contradicts what the archive holds, or must not be archived at this moment."""
        return self.status == "CONFLICT"

    @property
    def has_failed(self) -> bool:
        """Whether XNAT met an error when it built or archived it: sent again unchanged, it may succeed."""
        return self.status == "ERROR"

    @property
    def is_at_work(self) -> bool:
        """Whether XNAT is at work on it: what is sent into it then may be lost."""
        return self.status in _AT_WORK or self.status.startswith(("_", "QUEUED_"))

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
    DeliveryFailed
        XNAT does not tell
    """
    query = {"permissions": "edit", "dataType": "xnat:subjectData"}
    rows = _rows(client, path_of("data", "projects"), query)
    return {_text(row, "ID") or _text(row, "id") for row in rows}


def project_id(client: XnatClient, project: str) -> str | None:
    """The ID of a project as XNAT writes it; None if there is none that the user may see.

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    fields = _fields(client, path_of("data", "projects", project))
    return None if fields is None else _text(fields, "ID")


def owned_projects(client: XnatClient) -> set[str]:
    """IDs of the projects that the user is an owner of.

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    rows = _rows(client, path_of("data", "projects"), {"owner": "true"})
    return {_text(row, "ID") or _text(row, "id") for row in rows}


def prearchive_code(client: XnatClient, project: str) -> str:
    """The project's setting of what happens to sessions: ``0`` manual, ``4`` and ``5`` archived; empty if not told.

    Raises
    ------
    DeliveryFailed
        no answer
    """
    answer = client.request("GET", path_of("data", "projects", project, "prearchive_code"))
    return answer.body[:8].decode("ascii", "replace").strip() if answer.status == 200 else ""


def subjects(client: XnatClient, project: str) -> list[str]:
    """The labels of all subjects of a project: asking for one compares exactly, where archiving does not.

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    rows = _whole(client, path_of("data", "projects", project, "subjects"), {"columns": "ID,label"})
    return [_text(row, "label") for row in rows]


def sessions(client: XnatClient, project: str) -> list[SessionEntry]:
    """All sessions of a project.

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    query = {"columns": "ID,label,subject_label"}
    rows = _whole(client, path_of("data", "projects", project, "experiments"), query)
    return [SessionEntry(_text(row, "label"), _text(row, "subject_label")) for row in rows]


def session_path(project: str, subject: str, session: str) -> str:
    """Where a session of the archive is."""
    return path_of("data", "projects", project, "subjects", subject, "experiments", session)


def session(client: XnatClient, path: str) -> Session | None:
    """A session of the archive; None if there is none.

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    item = _item(client, path)
    if item is None:
        return None
    fields, meta = item
    return Session(label=_text(fields, "label"), study_uid=_text(fields, "UID"), type=_text(meta, "xsi:type"))


def notes(client: XnatClient, path: str) -> set[str]:
    """The names of the notes that the gateway has left with a session of the archive: see ``leave_note``.

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    return set(_names(client, f"{path}/resources/{_NOTES}/files", "Name"))


def leave_note(client: XnatClient, path: str, name: str) -> bool:
    """Leave a note with a session of the archive: a file whose name says everything. Whether XNAT took it.

    Raises
    ------
    DeliveryFailed
        no answer
    """
    text = b"This session holds the study for which the gateway made its label; do not remove this note.\n"
    answer = client.request(
        "PUT", f"{path}/resources/{_NOTES}/files{path_of(name)}", query={"inbody": "true", "overwrite": "true"},
        content=text, content_type="text/plain",
    )  # fmt: skip
    return answer.status in (200, 201)


def log_of(client: XnatClient, row: PrearchiveRow) -> str:
    """What XNAT has noted about a session of the prearchive; empty if it does not tell.

    Raises
    ------
    DeliveryFailed
        no answer
    """
    answer = client.request("GET", f"{row.path}/logs", query={"format": "json"})
    return answer.body.decode("utf-8", "replace") if answer.status == 200 else ""


def archived(client: XnatClient, path: str, parcels: Sequence[Parcel]) -> Holdings:
    """What a session of the archive holds, scan by scan until all of the parcels have been found.

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    holdings = Holdings()
    for scan in _names(client, f"{path}/scans", "ID"):
        # The files of all resources of the scan: XNAT keeps some SOP classes apart from the resource DICOM.
        _add_files(holdings, client, f"{path}/scans{path_of(scan)}/files")
        if all(holdings.hold(parcel) for parcel in parcels):
            break
    return holdings


def waiting(client: XnatClient, row: PrearchiveRow) -> Holdings:
    """What a session of the prearchive holds.

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    holdings = Holdings()
    for scan in _names(client, f"{row.path}/scans", "ID"):
        resources = f"{row.path}/scans{path_of(scan)}/resources"
        for resource in _names(client, resources, "label"):
            _add_files(holdings, client, f"{resources}{path_of(resource)}/files")
    return holdings


def prearchive(client: XnatClient, *, project: str | None = None) -> list[tuple[str, PrearchiveRow]]:
    """The sessions in the prearchive with their Study Instance UIDs, of one project or of all that the user may see.

    The whole prearchive is asked for and searched here: asking for a study needs rights that a gateway should not
    have, and would put its UID into a URL. Sessions under no project are shown to data administrators only.

    Raises
    ------
    DeliveryFailed
        XNAT does not tell
    """
    path = path_of("data", "prearchive", *(("projects", project) if project is not None else ()))
    return [
        (
            _text(row, "tag"),
            PrearchiveRow(
                project=_text(row, "project"),
                timestamp=_text(row, "timestamp"),
                folder=_text(row, "folderName"),
                label=_text(row, "name"),
                status=_text(row, "status"),
                subject=_text(row, "subject"),
                changed=_text(row, "lastmod"),
            ),
        )
        for row in _whole(client, path)
    ]


def _names(client: XnatClient, path: str, column: str) -> Iterator[str]:
    return (name for name in (_text(row, column) for row in _rows(client, path)) if name)


def _add_files(holdings: Holdings, client: XnatClient, path: str) -> None:
    rows = _rows(client, path)
    holdings.add(
        {_text(row, "Name"): _size(_text(row, "Size")) for row in rows},
        {_text(row, "Name"): _text(row, "digest").lower() for row in rows},
    )


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0


def _rows(client: XnatClient, path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The rows of a table; none if there is no such table."""
    content = client.get(path, query=query)
    return [] if content is None else _result(client, content)


def _result(client: XnatClient, content: Any) -> list[dict[str, Any]]:
    """The rows of a table."""
    try:
        rows = content["ResultSet"]["Result"]
    except (TypeError, KeyError):
        raise client.unreadable("is no listing") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise client.unreadable("is no listing")
    return rows


def _whole(client: XnatClient, path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The rows of a table that is there, all of them: what it does not show is taken for free.

    A server that admits guests hides a project from a session that has ended; the project has been seen before.
    """
    content = client.get(path, query=query)
    if content is None and client.forget():
        content = client.get(path, query=query)
    if content is None:
        raise client.failure("not-found", "status 404: it does not list what is in the project")
    rows = _result(client, content)
    total = _text(content["ResultSet"], "totalRecords")
    if _size(total) > len(rows):
        raise client.unreadable("lists a part of what there is")
    return rows


def _fields(client: XnatClient, path: str) -> Mapping[str, Any] | None:
    """The fields of one object; None if there is no such object."""
    item = _item(client, path)
    return None if item is None else item[0]


def _item(client: XnatClient, path: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The fields of one object, and what is said about it; None if there is no such object."""
    content = client.get(path)
    if content is None:
        return None
    try:
        fields, meta = content["items"][0]["data_fields"], content["items"][0].get("meta", {})
    except (TypeError, KeyError, IndexError, AttributeError):
        raise client.unreadable("is no object") from None
    if not isinstance(fields, dict) or not isinstance(meta, dict):
        raise client.unreadable("is no object")
    return fields, meta


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    return value if isinstance(value, str) else "" if value is None else str(value)
