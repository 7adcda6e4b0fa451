"""Sending instances to XNAT: as a zip, one by one, or by STOW-RS; and what XNAT's answer says.

An answer is never proof that an instance is there. It tells what to think of instances that are not to be found
afterwards.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote

from gateway.deliver.base import Parcel, Verdict
from gateway.deliver.multipart import Multipart, multipart
from gateway.deliver.verdicts import unanswered, unreadable
from gateway.deliver.xnat import verdict
from gateway.deliver.xnat.client import XnatClient, is_page, path_of
from gateway.deliver.xnat.file_names import file_name
from gateway.deliver.xnat.labels import Labels
from gateway.deliver.xnat.settings import XnatSettings
from gateway.deliver.xnat.zip_body import ZipBody, zip_body
from gateway.dicom.segments import Segment, total_length
from gateway.errors import DeliveryFailed, SpoolCorrupt, SpoolUnavailable
from gateway.web.answer import Answer

#: So many requests that fail one after the other are the server's fault, not an instance's.
SETBACKS_IN_A_ROW: Final = 3
#: The same for single instances of which XNAT says that it cannot read them: these may be the instances' own fault.
UNREAD_IN_A_ROW: Final = 10
#: What XNAT does with the session when it has filed a batch: archive it; build it; what the project's setting says;
#: nothing, because more is to come.
Aim: TypeAlias = Literal["archive", "build", "commit", "wait"]
_IMPORT: Final = path_of("data", "services", "import")
#: Project of a place that an import names.
_PLACE: Final = re.compile(r"/(?:data/(?:prearchive|archive)/projects|xapi/direct-archive)/([^/]+)/")
#: A line of a list of places.
_LINE: Final = re.compile(rb"^(?:/|https?://)", re.MULTILINE)
#: Words of XNAT's own in the answers that it gives with status 400 for several reasons (DicomZipImporter).
_CONCURRENT: Final = b"oncurrent file sends"
_UNABLE_TO_ARCHIVE: Final = (b"nable to archive", b"ailed to archive")


@dataclass(frozen=True, slots=True)
class Upload:
    """What came of sending some parcels.

    Attributes
    ----------
    parcels
        those that were sent
    accepted
        whether XNAT said that it took them
    missing
        the verdict of an instance that is not to be found afterwards
    divisible
        whether one of them may have spoiled it for the others, so that parts of the batch are worth a try
    setback
        whether it may as well have been the server's own fault
    stop
        whether there is no use in sending more
    sent
        whether they were sent at all
    unclear
        whether XNAT may still be at work on them: there was no answer, or one of a proxy's
    unread
        whether XNAT says that it cannot read one of them, which it says of a full disk as well
    """

    parcels: tuple[Parcel, ...]
    accepted: bool
    missing: Verdict
    divisible: bool = False
    setback: bool = False
    stop: bool = False
    sent: bool = True
    unclear: bool = False
    unread: bool = False

    @property
    def taken(self) -> bool:
        """Whether XNAT said that it took them, and where."""
        return self.accepted and self.missing is verdict.MISSING

    @property
    def filed(self) -> bool:
        """Whether they are in the prearchive or in the archive, by what XNAT said."""
        return self.taken or self.missing is verdict.UNASSIGNED


def upload(
    client: XnatClient, options: XnatSettings, labels: Labels, parcels: Sequence[Parcel], *, aim: Aim
) -> list[Upload]:
    """Send parcels of one study, with distinct SOP Instance UIDs; each is in one of the uploads that are returned.

    Parcels whose stored bytes cannot be read have uploads of their own. After an upload that says ``stop`` nothing more
    was sent: the parcels that follow are in it.
    """
    if options.mode == "gradual":
        return _one_by_one(client, options, labels, parcels)
    left = list(parcels)
    broken: list[Upload] = []
    while left:
        try:
            if options.mode == "zip":
                return [*broken, _send_zip(client, options, labels, left, aim)]
            return [*broken, _send_multipart(client, options, left)]
        except (SpoolUnavailable, SpoolCorrupt) as error:
            position = error.facts["parcel"]
            assert isinstance(position, int)
            broken.append(_unreadable(left.pop(position), error))
            if isinstance(error, SpoolUnavailable):
                # It is sent later: nothing is archived without it.
                aim = "build" if aim == "archive" else "wait" if aim == "commit" else aim
        except DeliveryFailed as error:
            return [*broken, _failed(tuple(left), error)]
    return broken


def _one_by_one(client: XnatClient, options: XnatSettings, labels: Labels, parcels: Sequence[Parcel]) -> list[Upload]:
    uploads: list[Upload] = []
    setbacks = unread = 0
    for number, parcel in enumerate(parcels):
        try:
            done = _send_instance(client, options, labels, parcel)
        except (SpoolUnavailable, SpoolCorrupt) as error:
            done = _unreadable(parcel, error)
        except DeliveryFailed as error:
            done = _failed((parcel,), error)
        setbacks = setbacks + 1 if done.setback else 0
        unread = unread + 1 if done.unread else 0
        if done.stop or setbacks >= SETBACKS_IN_A_ROW or unread >= UNREAD_IN_A_ROW:
            return [*uploads, replace(done, parcels=tuple(parcels[number:]), divisible=False, stop=True)]
        uploads.append(done)
    return uploads


def _parameters(options: XnatSettings, labels: Labels) -> dict[str, str]:
    """What every import says: both spellings, because the handlers differ in which one they read."""
    return {
        "project": options.project,
        "PROJECT_ID": options.project,
        "subject": labels.subject,
        "SUBJECT_ID": labels.subject,
        "session": labels.session,
        "EXPT_LABEL": labels.session,
        # Sending twice is storing once; anything else makes a conflict of every retry.
        "overwrite": "append",
        "overwrite_files": "true",
        # The file keeps the name of its entry, by which it is found again.
        "rename": "false",
        # A commit would otherwise skip, without a word, what it cannot read.
        "Ignore-Unparsable": "false",
    }


def _send_zip(client: XnatClient, options: XnatSettings, labels: Labels, parcels: Sequence[Parcel], aim: Aim) -> Upload:
    body = zip_body(parcels)
    query = {"import-handler": "DICOM-zip", "inbody": "true", **_parameters(options, labels)}
    if aim == "archive":
        query["dest"] = "/archive"
    elif aim == "build":
        query["dest"] = f"/prearchive/projects/{options.project}"
    elif aim == "commit":
        query["action"] = "commit"
    answer = _post(client, _IMPORT, query=query, body=body, content_type="application/zip")
    return _judged(client, tuple(parcels), answer, options)


def _send_instance(client: XnatClient, options: XnatSettings, labels: Labels, parcel: Parcel) -> Upload:
    # As a form, because XNAT takes the file's name from there; a bare body has none.
    boundary = secrets.token_hex(16)
    name = file_name(parcel.sop_uid)
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/dicom\r\n\r\n"
    )
    segments: tuple[Segment, ...] = (head.encode("ascii"), *parcel.parts, f"\r\n--{boundary}--\r\n".encode("ascii"))
    query = {"import-handler": "gradual-DICOM", **_parameters(options, labels)}
    answer = _post(
        client, _IMPORT, query=query, body=_Body(segments, (0,) * len(segments), total_length(segments)),
        content_type=f"multipart/form-data; boundary={boundary}",
    )  # fmt: skip
    return _judged(client, (parcel,), answer, options)


def _send_multipart(client: XnatClient, options: XnatSettings, parcels: Sequence[Parcel]) -> Upload:
    body = multipart(parcels)
    path = path_of("xapi", "dicomweb", "projects", options.project, "studies")
    answer = _post(client, path, query={}, body=body, content_type=body.content_type)
    if answer.status in (200, 202) and not is_page(answer):
        # The plug-in lists what it has taken up, not what it will keep: only the listings tell that.
        return Upload(tuple(parcels), accepted=True, missing=verdict.MISSING)
    return _judged(client, tuple(parcels), answer, options)


@dataclass(frozen=True, slots=True)
class _Body:
    segments: tuple[Segment, ...]
    owners: tuple[int, ...]
    length: int


def _post(
    client: XnatClient, path: str, *, query: Mapping[str, str], body: _Body | ZipBody | Multipart, content_type: str
) -> Answer:
    """Send a body; an error of stored bytes names the position of the parcel that they belong to."""
    try:
        return client.send(path, query=query, body=body.segments, length=body.length, content_type=content_type)
    except (SpoolUnavailable, SpoolCorrupt) as error:
        segment = error.facts["segment"]
        assert isinstance(segment, int)
        error.facts["parcel"] = body.owners[segment]
        raise


def _judged(client: XnatClient, parcels: tuple[Parcel, ...], answer: Answer, options: XnatSettings) -> Upload:
    """What an import's answer says of those that will not be found."""
    status = answer.status
    if status == 200 and answer.body.strip() and not _LINE.search(answer.body):
        # To a session that has ended some servers show a page: that says nothing of what was taken.
        return _failed(parcels, client.unreadable("names no place where it put them"))
    if status == 200 and not answer.early:
        projects = {unquote(project) for project in _PLACE.findall(answer.body.decode("utf-8", "replace"))}
        if projects - {options.project}:
            return Upload(parcels, accepted=True, missing=verdict.MISROUTED)
        # No word of where it went means that it went nowhere.
        return Upload(parcels, accepted=True, missing=verdict.MISSING if answer.body.strip() else verdict.FILTERED)
    if status in (400, 406, 409, 415, 422):
        return _refused(parcels, answer)
    if status == 413:
        return Upload(parcels, accepted=False, missing=verdict.TOO_LARGE, divisible=True)
    return _failed(parcels, client.refusal(answer))


def _refused(parcels: tuple[Parcel, ...], answer: Answer) -> Upload:
    if _CONCURRENT in answer.body:
        return Upload(parcels, accepted=False, missing=verdict.CONCURRENT, unclear=True)
    if answer.status == 409 or any(words in answer.body for words in _UNABLE_TO_ARCHIVE):
        # Everything is in the prearchive: what became of it is to be seen there.
        return Upload(parcels, accepted=False, missing=verdict.UNASSIGNED)
    return Upload(parcels, accepted=False, missing=verdict.UNREAD, divisible=True, unread=True)


def _failed(parcels: tuple[Parcel, ...], error: DeliveryFailed) -> Upload:
    """No answer, or one that concerns the server and not these instances."""
    missing = unanswered(error)
    setback = missing.code in ("server-error", "connection-lost", "answer-unreadable")
    unclear = missing.code in ("proxy", "timeout", "busy", "connection-lost", "answer-unreadable")
    return Upload(
        parcels, accepted=False, missing=missing, divisible=setback, setback=setback, stop=not setback, unclear=unclear
    )


def _unreadable(parcel: Parcel, error: SpoolUnavailable | SpoolCorrupt) -> Upload:
    return Upload((parcel,), accepted=False, missing=unreadable(error), sent=False)
