"""One study on its way to XNAT: look, send, settle, and compare what XNAT lists with what was sent.

XNAT types a session by what comes in one piece, and then takes nothing of another type into it. So all parts of a study
go into the prearchive, where they are one session, and that is archived when nothing more of the study is on its way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gateway.deliver.base import Outcome, Parcel, Verdict
from gateway.deliver.verdicts import unanswered
from gateway.deliver.xnat import listing, session_type, verdict
from gateway.deliver.xnat.client import XnatClient, path_of
from gateway.deliver.xnat.file_names import Holdings
from gateway.deliver.xnat.labels import Labels, note_of, session_beside
from gateway.deliver.xnat.listing import PrearchiveRow, Session
from gateway.deliver.xnat.memory import likeness
from gateway.deliver.xnat.proof import Proof
from gateway.deliver.xnat.queue import UploadQueue
from gateway.deliver.xnat.shared import Shared
from gateway.deliver.xnat.sight import Sight, look, reason_of
from gateway.deliver.xnat.upload import Aim, Upload, upload
from gateway.errors import DeliveryFailed, TransientError

#: Steps that a session may need on its way through the prearchive: build, then archive, and one look at the end.
_STEPS: Final = 3
#: Answers to requests for building and archiving after which the listings tell what became of it. 301 and 303:
#: archived, with its place; 400, 403, 404, 409, 423: in conflict, gone, or somebody is at work on it; 500: a conflict
#: as well (QueueBasedImageCommit).
_ANSWERS: Final = frozenset({200, 301, 303, 400, 403, 404, 409, 423, 500})


class StudyDelivery:
    """The delivery of one patient's study over one client.

    Parameters
    ----------
    client
        connection with a session
    shared
        of the destination
    labels
        of the study's subject and session
    patient_id, study_uid
        what the labels stand for
    beside
        whether the session is one beside that of the study, for instances of another type
    """

    def __init__(
        self,
        client: XnatClient,
        shared: Shared,
        labels: Labels,
        *,
        patient_id: str,
        study_uid: str,
        beside: bool = False,
    ) -> None:
        self._client = client
        self._shared = shared
        self._options = shared.options
        self._memory = shared.memory
        self._labels = labels
        self._patient_id = patient_id
        self._study_uid = study_uid
        self._beside = beside
        self._path = listing.session_path(self._options.project, labels.subject, labels.session)
        #: The session of the archive before anything was sent; whether XNAT has given the study another UID.
        self._session: Session | None = None
        self._has_other_uid = False
        self._files_before = 0
        #: Whether something of the study was in the prearchive before.
        self._waits = False
        #: Why nothing more can be sent over this client for now, if that is so.
        self.stopped: Verdict | None = None

    def send(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Send the parcels; an outcome for each, in any order."""
        try:
            obstacle = self._obstacle(parcels)
            if obstacle is not None:
                return [obstacle.of(parcel) for parcel in parcels]
            before = Holdings() if self._session is None else listing.archived(self._client, self._path, parcels)
            others = self._of_other_types(parcels, before)
            more = None if others else self._awaits(parcels)
        except DeliveryFailed as error:
            self.stopped = unanswered(error)
            return [self.stopped.of(parcel) for parcel in parcels]
        except TransientError as error:
            self.stopped = verdict.without_books(error)
            return [self.stopped.of(parcel) for parcel in parcels]
        self._files_before = len(before)
        self._shared.newcomers.add(parcel.delivery_id for parcel in parcels if not before.hold(parcel))
        # What is there as it would be sent is not sent: alone it might make another type of session.
        there = self._there(before, parcels)
        apart = there | {parcel.delivery_id for members in others.values() for parcel in members}
        outcomes = [verdict.ARCHIVED_SAME.of(parcel) for parcel in parcels if parcel.delivery_id in there]
        outcomes += self._send([parcel for parcel in parcels if parcel.delivery_id not in apart], more)
        for modality, members in others.items():
            if self.stopped is not None:
                outcomes += [self.stopped.of(parcel) for parcel in members]
            elif self._options.other_modality_session is not None:
                outcomes += self._delivery_beside(modality).send(members)
            else:
                # As XNAT allows, and after the others: what it refuses stays in the prearchive, and all that joins it.
                outcomes += self._send(members, None)
        return self._finished(outcomes)

    def confirm(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Ask what became of parcels that XNAT has taken; an outcome for each, in any order."""
        try:
            more = None if self._options.into == "prearchive" else self._awaits(parcels)
        except TransientError as error:
            unverified = verdict.unverified(error, ask_seconds=self._options.ask_seconds)
            return [unverified.of(parcel) for parcel in parcels]
        if more is not None:
            return [self._gathering(more).of(parcel) for parcel in parcels]
        doubted = self._memory.doubted(self._study_uid)
        sure = tuple(parcel for parcel in parcels if parcel.delivery_id not in doubted)
        others = tuple(parcel for parcel in parcels if parcel.delivery_id in doubted)
        asked = [Upload(sure, accepted=True, missing=verdict.MISSING)] if sure else []
        asked += [Upload(others, accepted=False, missing=verdict.EARLIER)] if others else []
        outcomes = self._judge(asked, asking=True)[1]
        if self._options.other_modality_session is not None and self.stopped is None:
            outcomes = self._confirmed_beside(parcels, outcomes)
        return self._finished(outcomes)

    # Before anything is sent -----------------------------------------------------------------------------------

    def _obstacle(self, parcels: Sequence[Parcel]) -> Verdict | None:
        """Why nothing can be sent to this project, subject and session."""
        obstacle = self._shared.project.obstacle(self._client)
        if obstacle is not None:
            return obstacle
        listed = listing.prearchive(self._client, project=self._options.project)
        obstacle = self._shared.directory.collision(
            self._client,
            self._labels,
            patient_id=self._patient_id,
            study_uid=self._study_uid,
            rows=[row for _, row in listed],
        )
        if obstacle is not None:
            return obstacle
        try:
            self._session = listing.session(self._client, self._path)
        except DeliveryFailed as error:
            if error.facts["code"] != "no-rights":
                raise
            return verdict.QUARANTINED_BEFORE
        if self._session is not None and not self._is_ours(self._session, parcels):
            return verdict.SESSION_COLLISION
        rows = [row for uid, row in listed if self._is_of_study(uid, row)]
        self._waits = bool(rows)
        if self._is_occupied(rows):
            return self._later(verdict.OCCUPIED)
        return None

    def _is_ours(self, session: Session, parcels: Sequence[Parcel]) -> bool:
        """Whether the session of this label is of this study, also where a script has given it another UID."""
        if session.study_uid in ("", self._study_uid):
            return True
        note = note_of(self._study_uid)
        ours = note in listing.notes(self._client, self._path)
        if not ours:
            # No other study has files of these names; the note may have been too late.
            held = listing.archived(self._client, self._path, parcels)
            ours = any(held.hold(parcel) for parcel in parcels) and listing.leave_note(self._client, self._path, note)
        self._has_other_uid = ours
        return ours

    def _is_occupied(self, rows: Sequence[PrearchiveRow]) -> bool:
        """Whether XNAT is at work on the study, or may be: then what is sent may be lost."""
        if any(row.is_at_work for row in rows):
            self._memory.has_rested(self._study_uid, likeness(rows, 0))
            return True
        if not any(row.is_open for row in rows) or self._memory.is_clear(self._study_uid):
            return False
        # Somebody began to send it and did not hear the end: this gateway before it died, or behind a proxy.
        if not self._memory.has_rested(self._study_uid, likeness(rows, 0)):
            return True
        self._memory.answered(self._study_uid, clear=True)
        return False

    def _of_other_types(self, parcels: Sequence[Parcel], before: Holdings) -> dict[str, list[Parcel]]:
        """Parcels by modality of which XNAT would make another type of session than there is."""
        others: defaultdict[str, list[Parcel]] = defaultdict(list)
        if self._session is None or self._beside:
            return others
        for parcel in parcels:
            modality = session_type.modality_of(parcel.sop_class_uid)
            if not session_type.is_of(modality, self._session.type) and not before.hold(parcel):
                others[modality].append(parcel)
        return others

    def _there(self, before: Holdings, parcels: Sequence[Parcel]) -> set[int]:
        """Deliveries of instances that the archive holds as they would be sent, with nothing newer on its way."""
        if self._waits or not len(before) or self._options.into == "prearchive":
            return set()
        proof = Proof(before, parcels, compare=self._options.compare)
        return {parcel.delivery_id for parcel in parcels if proof.is_same(parcel)}

    def _awaits(self, parcels: Sequence[Parcel]) -> float | None:
        """Whether more of the study is on its way; seconds until it is worth asking again."""
        if self._options.into == "prearchive":
            return None
        besides = {parcel.delivery_id for parcel in parcels} | set(self._memory.taken(self._study_uid))
        return self._shared.books.awaits(self._study_uid, besides)

    # Sending ---------------------------------------------------------------------------------------------------

    def _send(self, parcels: Sequence[Parcel], more: float | None) -> list[Outcome]:
        """Send parcels that belong together; ``more``: seconds, if more of the study is on its way."""
        outcomes: list[Outcome] = []
        gathered: list[Upload] = []
        queue = UploadQueue(parcels, self._options)
        # Whether something is to be sent again: what is archived without it may be of another type.
        behind = False
        while batch := queue.next():
            if not queue and more is None:
                # The study may have grown meanwhile.
                more = self._more_now(parcels)
            last = not queue and more is None and not behind
            uploads = upload(self._client, self._options, self._labels, batch, aim=self._aim(last=last))
            self._memory.answered(self._study_uid, clear=not any(one.unclear for one in uploads))
            self._remember(uploads)
            queue.note(uploads)
            if last and all(one.filed for one in uploads):
                taken = gathered
                gathered = []
                again, done = self._judge([*taken, *uploads])
            else:
                good = [one for one in uploads if one.taken]
                gathered += good
                again, done = self._judge([one for one in uploads if one not in good], gathered=gathered)
                queue.found(gathered)
            outcomes += done
            behind = behind or _is_behind(done) or bool(queue.suspects)
            queue.again(again)
            self.stopped = self.stopped or queue.stopped
            if self.stopped is not None:
                outcomes += [self.stopped.of(parcel) for parcel in queue.rest()]
        taken, done = self._suspected(queue)
        gathered += taken
        outcomes += done
        if gathered and more is None and self.stopped is None and not _is_behind(outcomes):
            outcomes += self._judge(gathered)[1]
        elif gathered:
            if self._options.mode != "zip" or _is_behind(outcomes):
                self._close()
            taken_parcels = [parcel for one in gathered for parcel in one.parcels]
            waiting = self._gathering(self._options.ask_seconds if more is None else more)
            outcomes += [waiting.of(parcel) for parcel in taken_parcels]
        return outcomes

    def _remember(self, uploads: Sequence[Upload]) -> None:
        """Note of which instances a file that is listed may be an earlier version, since XNAT has not answered."""
        unclear = {parcel.delivery_id for one in uploads if one.unclear for parcel in one.parcels}
        doubted = [one for one in unclear if one not in self._shared.newcomers]
        sure = [parcel.delivery_id for one in uploads if one.accepted for parcel in one.parcels]
        self._memory.doubt(self._study_uid, doubted, sure=sure)

    def _close(self) -> None:
        """Have XNAT build what is to gather: what is left open a project may archive after some minutes (rebuilder)."""
        if self._options.into != "archive" or not self._memory.is_clear(self._study_uid):
            return
        try:
            for uid, row in listing.prearchive(self._client, project=self._options.project):
                if self._is_of_study(uid, row) and row.is_open:
                    self._ask(row.path, {"action": "build"})
        except DeliveryFailed:
            # Nothing is lost by that.
            return

    def _suspected(self, queue: UploadQueue) -> tuple[list[Upload], list[Outcome]]:
        """What becomes of instances that XNAT says it cannot read: is it their own fault, or that of a full disk?

        They are sent once more, one by one, between two uploads of an instance that XNAT has taken before: if it takes
        that one both times, the trouble is not its own. What it takes now is returned as taken; nothing is archived.
        """
        suspects, witness = queue.suspects, queue.witness
        if not suspects:
            return [], []
        if witness is None or self.stopped is not None or not self._takes(witness):
            return [], [verdict.UNREAD.of(parcel) for parcel in suspects]
        taken: list[Upload] = []
        refused: list[Parcel] = []
        for parcel in suspects:
            [one] = upload(self._client, self._options, self._labels, [parcel], aim=self._aim(last=False))
            if one.taken:
                taken.append(one)
            else:
                refused.append(parcel)
        takes = bool(refused) and self._takes(witness)
        # A disk that is nearly full takes a small one.
        unfit = {parcel.delivery_id for parcel in refused if takes and parcel.length <= 2 * witness.length}
        verdicts = [verdict.UNFIT if parcel.delivery_id in unfit else verdict.UNREAD for parcel in refused]
        return taken, [one.of(parcel) for one, parcel in zip(verdicts, refused, strict=True)]

    def _takes(self, parcel: Parcel) -> bool:
        """Whether XNAT takes an instance once more that it has taken before."""
        uploads = upload(self._client, self._options, self._labels, [parcel], aim=self._aim(last=False))
        return all(one.accepted for one in uploads)

    def _more_now(self, parcels: Sequence[Parcel]) -> float | None:
        """Whether more of the study has come since it was last asked."""
        try:
            return self._awaits(parcels)
        except TransientError:
            return self._options.ask_seconds

    def _aim(self, *, last: bool) -> Aim:
        into = self._options.into
        if into == "project":
            return "commit" if last else "wait"
        # Where a script changes UIDs, only the archive service adds to what is there (Archiver).
        return "archive" if into == "archive" and last and not self._has_other_uid else "build"

    def _gathering(self, seconds: float) -> Verdict:
        return replace(verdict.GATHERING, retry_after=seconds)

    def _later(self, reason: Verdict) -> Verdict:
        pause = self._memory.pause(self._study_uid, ask_seconds=self._options.ask_seconds)
        return replace(reason, retry_after=pause)

    # Judging ---------------------------------------------------------------------------------------------------

    def _judge(
        self, uploads: Sequence[Upload], *, asking: bool = False, gathered: list[Upload] | None = None
    ) -> tuple[list[list[Parcel]], list[Outcome]]:
        """Compare what was sent with what XNAT lists: batches to be sent again in parts, and outcomes of the others.

        Parameters
        ----------
        uploads
            what was sent
        asking
            whether that was in a call before this one
        gathered
            takes up what is in the prearchive and is to be archived later; None if it is to be archived now
        """
        sent = [parcel for one in uploads for parcel in one.parcels]
        if not sent:
            return [], []
        unclear = any(one.unclear for one in uploads)
        settles = gathered is None and not unclear and (asking or any(one.accepted for one in uploads))
        try:
            sight = self._settled(sent, asking=asking) if settles else self._look(sent)
            held = {parcel.delivery_id: self._arrival(parcel, one, sight) for one in uploads for parcel in one.parcels}
            explained = all(held.values()) or sight.is_at_work or sight.is_in_conflict or sight.has_failed
            astray = not explained and self._is_astray()
            conflict = self._conflict(sight, sent) if not all(held.values()) else None
        except DeliveryFailed as error:
            # If the connection is the trouble, it is the next request's too.
            self.stopped = unanswered(error)
            outcomes = []
            for one in uploads:
                taken = asking or one.accepted or one.unclear
                seconds = self._options.ask_seconds
                missing = verdict.unverified(error, ask_seconds=seconds) if taken else one.missing
                outcomes += [missing.of(parcel) for parcel in one.parcels]
            return [], outcomes
        again: list[list[Parcel]] = []
        outcomes = []
        for one in uploads:
            lost = [parcel for parcel in one.parcels if held[parcel.delivery_id] is None]
            outcomes += [arrived.of(parcel) for parcel in one.parcels if (arrived := held[parcel.delivery_id])]
            if gathered is not None and one.sent and not sight.is_at_work:
                there = [p for p in lost if sight.waiting_proof.holds(p) and p.delivery_id in self._shared.newcomers]
                if there:
                    gathered.append(Upload(tuple(there), accepted=True, missing=verdict.MISSING))
                    lost = [parcel for parcel in lost if parcel not in there]
            if one.divisible and len(one.parcels) > 1 and conflict is None and not self._may_work_on(one, sight):
                half = (len(lost) + 1) // 2
                again += [part for part in (lost[:half], lost[half:]) if part]
            elif not (one.unread and len(one.parcels) == 1):
                verdicts = [self._missing(parcel, one, sight, held, conflict, astray=astray) for parcel in lost]
                outcomes += [missing.of(parcel) for missing, parcel in zip(verdicts, lost, strict=True)]
        return again, outcomes

    def _may_work_on(self, one: Upload, sight: Sight) -> bool:
        """Whether XNAT is at work on what was sent, or may be."""
        return sight.is_at_work or (one.unclear and any(not row.is_in_conflict for row in sight.rows))

    def _arrival(self, parcel: Parcel, one: Upload, sight: Sight) -> Verdict | None:
        """The verdict of an instance that is where it should be; None for one that is not."""
        told = one.accepted or parcel.delivery_id in self._shared.newcomers
        if sight.waiting.hold(parcel) or sight.waiting_proof.is_same(parcel):
            # It may be in the archive as well, as it was before it was sent again.
            there = told and sight.is_ready and self._options.into != "archive" and not self._may_work_on(one, sight)
            return verdict.PREARCHIVED if there and sight.waiting_proof.holds(parcel) else None
        if sight.archived_proof.is_same(parcel):
            return verdict.ARCHIVED_SAME
        return verdict.ARCHIVED if told and sight.archived_proof.holds(parcel) else None

    def _missing(  # noqa: PLR0911 - one for each row of the table
        self,
        parcel: Parcel,
        one: Upload,
        sight: Sight,
        held: dict[int, Verdict | None],
        conflict: Verdict | None,
        *,
        astray: bool,
    ) -> Verdict:
        """The verdict of an instance that is not where it should be."""
        if not one.sent:
            return one.missing
        if self._may_work_on(one, sight):
            return self._later(verdict.UNCLEAR if one.unclear else verdict.PROCESSING)
        if conflict is not None:
            return conflict
        waits = sight.waiting.hold(parcel) or sight.waiting_proof.is_same(parcel)
        if sight.hidden and one.accepted:
            return verdict.QUARANTINED
        if (
            waits
            and not sight.is_unlike(parcel)
            and (one.accepted or one.missing in (verdict.UNASSIGNED, verdict.EARLIER))
        ):
            return self._later(verdict.PROCESSING)
        if one.missing not in (verdict.MISSING, verdict.EARLIER):
            return one.missing
        if not sight.is_ready and not (sight.is_resting and self._memory.is_clear(self._study_uid)):
            return self._later(verdict.PROCESSING)
        if one.missing is verdict.EARLIER:
            return verdict.EARLIER
        if astray:
            return verdict.MISROUTED
        if sight.is_unlike(parcel):
            return verdict.ALTERED
        some = any(held.values()) or len(sight.waiting) > 0
        if (
            self._options.mode == "stow"
            and not any(held.values())
            and sight.count - self._files_before >= len(one.parcels)
        ):
            return verdict.UNRECOGNISED
        return verdict.PARTIAL if some else verdict.MISSING

    def _conflict(self, sight: Sight, parcels: Sequence[Parcel]) -> Verdict | None:
        """Why XNAT did not archive the study, if it has tried."""
        if not sight.is_in_conflict and not sight.has_failed:
            return None
        reason = verdict.ARCHIVE_FAILED
        for row in sight.rows:
            if row.is_in_conflict:
                reason = reason_of(self._client, self._path, row, parcels)
        if reason is verdict.OTHER_MODALITY and self._options.other_modality_session is not None:
            reason = verdict.OTHER_MODALITY_ALL_THE_SAME
        return self._later(reason) if reason is verdict.WORKFLOW else reason

    # Looking, and moving on ------------------------------------------------------------------------------------

    def _settled(self, parcels: Sequence[Parcel], *, asking: bool) -> Sight:
        """What XNAT shows when the session has been brought to where it should go, as far as that depends on us."""
        sight = self._look(parcels)
        if asking and not self._memory.is_clear(self._study_uid) and any(row.is_open for row in sight.rows):
            # It may still be receiving. When nothing changes any more, it is archived if all is there.
            if not self._memory.has_rested(self._study_uid, likeness(sight.rows, sight.count)):
                return sight
            self._memory.answered(self._study_uid, clear=True)
            if not self._is_whole(sight, parcels):
                return sight
        for _ in range(_STEPS - 1):
            # To a session in quarantine nothing is added: it does not tell whose it is.
            whole = not sight.hidden and self._is_whole(sight, parcels)
            moved = [self._advance(row, parcels, whole=whole) for row in sight.rows]
            if not any(moved):
                break
            sight = self._look(parcels)
        return sight

    def _look(self, parcels: Sequence[Parcel]) -> Sight:
        listed = listing.prearchive(self._client, project=self._options.project)
        rows = [row for uid, row in listed if self._is_of_study(uid, row)]
        return look(self._client, self._path, rows, parcels, compare=self._options.compare)

    def _is_of_study(self, study_uid: str, row: PrearchiveRow) -> bool:
        # XNAT tells rows apart by UID and label. The plug-in takes no labels, so by STOW-RS it is called otherwise.
        return study_uid == self._study_uid and (self._options.mode == "stow" or row.label == self._labels.session)

    def _is_astray(self) -> bool:
        """Whether the study lies in the prearchive of another project, or of none that is shown."""
        listed = listing.prearchive(self._client)
        return any(self._is_of_study(uid, row) and row.project != self._options.project for uid, row in listed)

    def _is_whole(self, sight: Sight, parcels: Sequence[Parcel]) -> bool:
        """Whether everything that was sent is there, as far as names tell."""
        there = [sight.waiting.hold(parcel) or sight.archived.hold(parcel) for parcel in parcels]
        # By STOW-RS names may tell nothing; then their number does.
        untold = self._options.mode == "stow" and not any(there)
        return all(there) or (untold and sight.count - self._files_before >= len(parcels))

    def _advance(self, row: PrearchiveRow, parcels: Sequence[Parcel], *, whole: bool) -> bool:
        """Take a session of the prearchive one step further; whether anything was asked for.

        What is not whole is not archived: XNAT might take no more into it.
        """
        if row.is_open and self._options.into == "project" and not whole:
            return False
        if row.is_open:
            # A commit archives if the project's setting says so, and under labels that may not be ours.
            action = "commit" if self._options.into == "project" else "build"
            return self._ask(row.path, {"action": action})
        if not row.is_ready or not whole or self._options.into != "archive":
            return False
        session = listing.session(self._client, self._path)
        # This service merges whatever the UIDs are.
        if session is not None and not self._is_ours(session, parcels):
            return False
        if session is not None and self._options.mode == "zip" and not self._has_other_uid:
            # The service adds to a session although a workflow is open on it; an import does not.
            uploads = upload(self._client, self._options, self._labels, parcels[:1], aim="archive")
            self._memory.answered(self._study_uid, clear=not any(one.unclear for one in uploads))
            return not any(one.unclear or one.stop for one in uploads)
        query = {
            "src": row.source,
            "project": self._options.project,
            "subject": self._labels.subject,
            "session": self._labels.session,
            "overwrite": "append",
            "overwrite_files": "true",
        }
        return self._ask(path_of("data", "services", "archive"), query)

    def _ask(self, path: str, query: dict[str, str]) -> bool:
        """Ask XNAT to build or archive; whether it has answered. Without an answer it may be at work."""
        try:
            answer = self._client.request("POST", path, query=query)
        except DeliveryFailed as error:
            if error.facts["code"] != "timeout":
                raise
            self._memory.answered(self._study_uid, clear=False)
            return False
        if answer.status in (502, 503, 504):
            self._memory.answered(self._study_uid, clear=False)
            return False
        if answer.status not in _ANSWERS:
            raise self._client.refusal(answer)
        return True

    # Sessions beside, and the end ------------------------------------------------------------------------------

    def _delivery_beside(self, modality: str) -> StudyDelivery:
        """The delivery of instances of another type into a session of their own."""
        template = self._options.other_modality_session or ""
        labels = replace(self._labels, session=session_beside(template, self._labels.session, modality))
        return StudyDelivery(
            self._client,
            self._shared,
            labels,
            patient_id=self._patient_id,
            study_uid=self._study_uid,
            beside=True,
        )

    def _confirmed_beside(self, parcels: Sequence[Parcel], outcomes: list[Outcome]) -> list[Outcome]:
        """Look into the sessions beside for what is not in that of the study."""
        by_id = {parcel.delivery_id: parcel for parcel in parcels}
        beside: defaultdict[str, list[Parcel]] = defaultdict(list)
        for outcome in outcomes:
            if outcome.code in ("missing", "partial"):
                parcel = by_id[outcome.delivery_id]
                beside[session_type.modality_of(parcel.sop_class_uid)].append(parcel)
        latest = {outcome.delivery_id: outcome for outcome in outcomes}
        for modality, members in beside.items():
            done = self._delivery_beside(modality).confirm(members) if modality and not self._beside else []
            latest |= {outcome.delivery_id: outcome for outcome in done}
        return list(latest.values())

    def _finished(self, outcomes: list[Outcome]) -> list[Outcome]:
        """What is over is forgotten; a session to which XNAT gave another UID is noted, so that it is known again."""
        self._shared.newcomers.discard(one.delivery_id for one in outcomes if one.state in ("confirmed", "dead"))
        self._memory.ended(self._study_uid, outcomes)
        arrived = any(one.code == "archived" for one in outcomes)
        if arrived and self._session is None and not self._has_other_uid and self._memory.note(self._labels.session):
            try:
                session = listing.session(self._client, self._path)
                if session is not None and session.study_uid not in ("", self._study_uid):
                    listing.leave_note(self._client, self._path, note_of(self._study_uid))
            except DeliveryFailed:
                # It is noticed when more of the study comes.
                return outcomes
        return outcomes


def _is_behind(outcomes: Sequence[Outcome]) -> bool:
    """Whether something is to be sent again, or may be."""
    return any(one.state in ("failed", "sent") for one in outcomes)
