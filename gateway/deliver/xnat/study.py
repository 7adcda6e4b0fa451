"""One study on its way to XNAT: check, send, settle, and compare what XNAT lists with what was sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.deliver.base import Outcome, Parcel, Verdict
from gateway.deliver.xnat import listing, verdict
from gateway.deliver.xnat.client import XnatClient, path_of
from gateway.deliver.xnat.file_names import Holdings
from gateway.deliver.xnat.labels import Labels
from gateway.deliver.xnat.listing import PrearchiveRow
from gateway.deliver.xnat.newcomers import Newcomers
from gateway.deliver.xnat.options import XnatOptions
from gateway.deliver.xnat.upload import SETBACKS_IN_A_ROW, Upload, upload
from gateway.errors import DeliveryFailed

#: Steps that a session may need on its way through the prearchive: build, then archive, and one look at the end.
_STEPS: Final = 3


@dataclass(frozen=True, slots=True)
class _Sight:
    """What XNAT lists of a study: in the archive, and in the project's prearchive with its rows."""

    archived: Holdings
    waiting: Holdings
    rows: tuple[PrearchiveRow, ...]

    @property
    def is_in_conflict(self) -> bool:
        """Whether XNAT cannot archive the study by itself."""
        return any(row.is_in_conflict for row in self.rows)


class StudyDelivery:
    """The delivery of one patient's study over one client.

    Labels keep patients and studies apart without asking XNAT, but for case: XNAT finds a subject whatever the case of
    its label. So before anything is sent, the subject and the session of these labels are looked at.

    Parameters
    ----------
    client: connection with a session
    options: see there
    labels: of the study's subject and session
    study_uid: the new Study Instance UID
    newcomers: shared by all deliveries to the destination
    """

    def __init__(
        self,
        client: XnatClient,
        options: XnatOptions,
        labels: Labels,
        *,
        study_uid: str,
        newcomers: Newcomers,
    ) -> None:
        self._client = client
        self._newcomers = newcomers
        self._options = options
        self._labels = labels
        self._study_uid = study_uid
        self._path = listing.session_path(options.project, labels.subject, labels.session)
        #: Why nothing more can be sent over this client for now, if that is so.
        self.stopped: Verdict | None = None

    def send(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Send the parcels; an outcome for each, in any order."""
        try:
            obstacle = self._obstacle()
            if obstacle is not None:
                return [obstacle.of(parcel) for parcel in parcels]
            before = listing.archived(self._client, self._path, parcels)
        except DeliveryFailed as error:
            self.stopped = verdict.unanswered(error)
            return [self.stopped.of(parcel) for parcel in parcels]
        self._newcomers.add(parcel.delivery_id for parcel in parcels if not before.hold(parcel))
        outcomes: list[Outcome] = []
        queue = deque(self._batches(parcels))
        setbacks = 0
        while queue:
            uploads = upload(self._client, self._options, self._labels, queue.popleft())
            again, done = self._judge(uploads)
            outcomes += done
            queue.extendleft(reversed(again))
            setbacks = setbacks + 1 if any(one.setback for one in uploads) else 0
            last = uploads[-1]
            if last.stop or setbacks >= SETBACKS_IN_A_ROW or self.stopped is not None:
                self.stopped = self.stopped or last.missing
                outcomes += [self.stopped.of(parcel) for batch in queue for parcel in batch]
                break
        self._newcomers.discard(outcome.delivery_id for outcome in outcomes if outcome.state in ("confirmed", "dead"))
        return outcomes

    def confirm(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Ask what became of parcels that XNAT has taken; an outcome for each, in any order."""
        outcomes = self._judge([Upload(tuple(parcels), accepted=True, missing=verdict.MISSING)])[1]
        self._newcomers.discard(outcome.delivery_id for outcome in outcomes if outcome.state in ("confirmed", "dead"))
        return outcomes

    def _obstacle(self) -> Verdict | None:
        """Why nothing can be sent to this project, subject and session."""
        project = self._options.project
        obstacle = project_obstacle(self._client, project)
        if obstacle is not None:
            return obstacle
        subject = listing.subject_label(self._client, project, self._labels.subject)
        if subject is not None and subject != self._labels.subject:
            return verdict.SUBJECT_COLLISION
        session = listing.session(self._client, self._path) if subject is not None else None
        if session is not None and session.study_uid not in ("", self._study_uid):
            return verdict.SESSION_COLLISION
        return None

    def _batches(self, parcels: Sequence[Parcel]) -> list[list[Parcel]]:
        """In order, within the limits, and no UID twice: two files of one name are one file."""
        batches: list[list[Parcel]] = []
        size, uids = 0, set[str]()
        for parcel in parcels:
            full = bool(batches) and (
                len(batches[-1]) >= self._options.max_instances or size + parcel.length > self._options.max_bytes
            )
            if not batches or full or parcel.sop_uid in uids:
                batches.append([])
                size, uids = 0, set()
            batches[-1].append(parcel)
            size += parcel.length
            uids.add(parcel.sop_uid)
        return batches

    def _judge(self, uploads: Sequence[Upload]) -> tuple[list[list[Parcel]], list[Outcome]]:
        """Compare what was sent with what XNAT lists: batches to be sent again in parts, and outcomes of the others."""
        sent = [parcel for one in uploads for parcel in one.parcels]
        accepted = any(one.accepted for one in uploads)
        again: list[list[Parcel]] = []
        outcomes: list[Outcome] = []
        try:
            sight = self._settled(sent) if accepted else self._look(sent)
            held = {
                parcel.delivery_id: self._arrival(parcel, sight)
                if one.accepted or parcel.delivery_id in self._newcomers
                else None
                for one in uploads
                for parcel in one.parcels
            }
            astray = not all(held.values()) and self._is_astray()
        except DeliveryFailed as error:
            # If the connection is the trouble, it is the next request's too.
            self.stopped = verdict.unanswered(error)
            for one in uploads:
                missing = (
                    verdict.unverified(error, ask_seconds=self._options.ask_seconds) if one.accepted else one.missing
                )
                outcomes += [missing.of(parcel) for parcel in one.parcels]
            return [], outcomes
        some = any(held.values())
        for one in uploads:
            lost = [parcel for parcel in one.parcels if held[parcel.delivery_id] is None]
            outcomes += [arrived.of(parcel) for parcel in one.parcels if (arrived := held[parcel.delivery_id])]
            if one.divisible and len(one.parcels) > 1 and not sight.is_in_conflict:
                half = (len(lost) + 1) // 2
                again += [part for part in (lost[:half], lost[half:]) if part]
            else:
                outcomes += [self._missing(parcel, one, sight, some=some, astray=astray).of(parcel) for parcel in lost]
        return again, outcomes

    def _arrival(self, parcel: Parcel, sight: _Sight) -> Verdict | None:
        """The verdict of an instance that is where it should be; None for one that is not."""
        if sight.waiting.hold(parcel):
            # It may be in the archive as well, as it was before it was sent again.
            ready = all(row.is_ready for row in sight.rows)
            return verdict.PREARCHIVED if ready and self._options.into != "archive" else None
        return verdict.ARCHIVED if sight.archived.hold(parcel) else None

    def _missing(self, parcel: Parcel, one: Upload, sight: _Sight, *, some: bool, astray: bool) -> Verdict:
        """The verdict of an instance that is not where it should be."""
        if not one.sent:
            return one.missing
        if sight.is_in_conflict:
            return verdict.CONFLICT
        if one.missing is not verdict.MISSING:
            return one.missing
        if sight.waiting.hold(parcel) or not all(row.is_ready for row in sight.rows):
            return replace(verdict.PROCESSING, retry_after=self._options.ask_seconds)
        if astray:
            return verdict.MISROUTED
        return verdict.PARTIAL if some else verdict.MISSING

    def _settled(self, parcels: Sequence[Parcel]) -> _Sight:
        """What XNAT lists when the session has been brought to where it should go, as far as that depends on us."""
        for _ in range(_STEPS):
            sight = self._look(parcels)
            moved = [self._advance(row) for row in sight.rows]
            if not any(moved):
                break
        return sight

    def _look(self, parcels: Sequence[Parcel]) -> _Sight:
        rows = listing.prearchive(self._client, self._study_uid, project=self._options.project)
        waiting = Holdings()
        for row in rows:
            waiting.update(listing.waiting(self._client, row))
        archived = listing.archived(self._client, self._path, parcels)
        return _Sight(archived, waiting, tuple(rows))

    def _is_astray(self) -> bool:
        """Whether the study lies in the prearchive of another project, or of none."""
        rows = listing.prearchive(self._client, self._study_uid)
        ours = self._labels.session
        # The plug-in takes no labels, so by STOW-RS it is called otherwise.
        named = [row for row in rows if self._options.mode == "stow" or row.label == ours]
        return any(row.project != self._options.project for row in named)

    def _advance(self, row: PrearchiveRow) -> bool:
        """Take a session of the prearchive one step further; whether anything was asked for."""
        if row.is_open:
            # A commit archives if the project's setting says so, and under labels that may not be ours.
            action = "commit" if self._options.into == "project" else "build"
            answer = self._client.request("POST", row.path, query={"action": action})
            # 301 says that the session has been archived, and where: nothing to be followed.
            expected = {200, 301, 404, 409}
        elif row.is_ready and self._options.into == "archive":
            query = {
                "src": row.source,
                "project": self._options.project,
                "subject": self._labels.subject,
                "session": self._labels.session,
                "overwrite": "append",
                "overwrite_files": "true",
            }
            answer = self._client.request("POST", path_of("data", "services", "archive"), query=query)
            # 403: somebody is at work on it; 409, and 400 in some versions: its status says that it is in conflict.
            expected = {200, 301, 400, 403, 404, 409}
        else:
            return False
        if answer.status not in expected:
            raise self._client.refusal(answer)
        return True


def project_obstacle(client: XnatClient, project: str) -> Verdict | None:
    """Why nothing can be sent to a project.

    An import into a project that does not exist, or is not the user's, is no error to XNAT: it files the study where
    nobody looks for it. So the project is looked at before.

    Raises
    ------
    DeliveryFailed: XNAT does not tell
    """
    found = listing.project_id(client, project)
    if found is None and client.forget():
        # A server that admits guests hides the project from a session that has ended, instead of refusing it.
        found = listing.project_id(client, project)
    if found is None:
        return verdict.NO_PROJECT
    if found != project:
        return verdict.PROJECT_SPELLING
    if project not in listing.editable_projects(client):
        return verdict.NO_RIGHTS
    return None
