"""What may become of an instance at XNAT, each outcome with its remedy.

======================  =========  ===================================================================================
code                    state      meaning
======================  =========  ===================================================================================
``archived``            confirmed  XNAT lists its file in the session of the archive
``prearchived``         confirmed  XNAT lists its file in the session of the prearchive, where it was to go
``processing``          sent       XNAT has taken it, and it or other parts of the study are still on their way
``processing``          failed     XNAT is at work on the session; nothing was sent. No attempt is counted
``unverified``          sent       XNAT has taken it, but its listings could not be read
``waits-for-a-person``  sent       XNAT keeps the session in quarantine, and does not tell what it holds
``waits-for-a-person``  failed     the same, before anything was sent. No attempt is counted
``partial``             failed     XNAT holds other instances that were sent with it, but not this one
``missing``             failed     XNAT said that it took the study, and holds nothing of it
``altered``             failed     XNAT lists a file of its name that is not what was sent, or may be an earlier one
``no-project``          failed     there is no such project, or the user may not see it
``no-rights``           failed     the user may not create subjects in the project
``auto-archive``        failed     a project that archives by itself, where a person was to archive
``busy``                failed     the server asks for patience
``workflow``            failed     a workflow runs on the session. No attempt is counted
``storage-full``        failed     the server's disk is full
``server-error``        failed     the server met an error, and does not hold the instance
``proxy``               failed     a proxy gave up, and XNAT does not hold the instance
``misrouted``           dead       it lies in another project, or in none
``conflict``            dead       it contradicts what the archive holds
``waits-for-a-person``  dead       XNAT does not mix types of sessions, and this is of another type
``unrecognised``        dead       XNAT's names of files do not tell which instance a file is
``rejected``            dead       XNAT refuses this instance, or filters it out
``label-collision``     dead       XNAT would put it into another patient's subject, or another study's session
``too-large``           dead       XNAT does not take an instance of this size
======================  =========  ===================================================================================

Besides these there are the codes of connections (``unreachable``, ``timeout``, ``tls``, ``connection-lost``,
``credentials`` and so on, all failed) and of instances that cannot be sent (``invalid-uid``, ``invalid-label``,
``spool-corrupt``, dead; ``spool-unreadable``, failed).

An answer of XNAT's says little about what is transient: a full disk and an instance that cannot be read have the same
status and the same words. What XNAT lists, and what became of other instances, decide.
"""

from __future__ import annotations

from typing import Final

from gateway.deliver.base import Verdict
from gateway.errors import TransientError

#: "Then" in a remedy: what an operator does when the cause is gone.
_THEN: Final = "then: gateway deliveries retry"


#: Between questions about a session that a person has to deal with.
_PERSON_SECONDS: Final = 900.0

ARCHIVED: Final = Verdict("confirmed", "archived", "listed by name in the session of the archive")
ARCHIVED_SAME: Final = Verdict(
    "confirmed", "archived", "listed in the session of the archive, with the digest of what was sent"
)  # fmt: skip
PREARCHIVED: Final = Verdict("confirmed", "prearchived", "listed by name in the session of the prearchive")
PROCESSING: Final = Verdict("sent", "processing", "XNAT is still at work on the session; its listings are asked again")
GATHERING: Final = Verdict(
    "sent", "processing", "in XNAT's prearchive; the session is archived when the rest of the study is there"
)  # fmt: skip
UNCLEAR: Final = Verdict(
    "sent", "processing", "XNAT did not answer, and may still be at work on what was sent; its listings are asked again"
)  # fmt: skip
OCCUPIED: Final = Verdict(
    "failed",
    "processing",
    "XNAT is at work on the session; nothing was sent, it is sent when XNAT has done",
    counts=False,
)
QUARANTINED: Final = Verdict(
    "sent", "waits-for-a-person", "XNAT took it, and shows the session to nobody who may not activate it: activate the "
    "session in XNAT, or make the user an owner of the project; it is asked again by itself", _PERSON_SECONDS,
)  # fmt: skip
QUARANTINED_BEFORE: Final = Verdict(
    "failed", "waits-for-a-person", "the session is in quarantine; nothing was sent: activate it in XNAT, or make the "
    "user an owner of the project; it is sent by itself then", _PERSON_SECONDS, counts=False,
)  # fmt: skip
MISSING: Final = Verdict(
    "failed",
    "missing",
    "XNAT took the study, and does not list it; it is sent again. If that repeats itself, look for a series "
    "import filter, a script that rejects, errors in XNAT's dicom.log, and, as a data administrator, for the "
    "study under Unassigned in the prearchive",
)
PARTIAL: Final = Verdict(
    "failed", "partial", "XNAT lists other instances of the study, but not this one; it is sent again. If that repeats "
    "itself, look for a series import filter or an anonymization script that rejects it",
)  # fmt: skip
ALTERED: Final = Verdict(
    "failed",
    "altered",
    "XNAT lists a file of its name that is shorter than what was sent, or holds something else; it is sent "
    "again. If that repeats itself: does a script change some instances of a series only? Then set compare: "
    "name",
)
EARLIER: Final = Verdict(
    "failed", "altered", "XNAT did not say that it took this version, and had one of its name before; it is sent again"
)  # fmt: skip
MISROUTED: Final = Verdict(
    "dead", "misrouted", "XNAT put it into the prearchive of another project or of none: move or delete that session "
    f"in XNAT, check the project's ID and the user's rights, {_THEN}",
)  # fmt: skip
UNASSIGNED: Final = Verdict(
    "dead", "misrouted", "XNAT could not archive it, and shows it nowhere: so it is with sessions of no project, which "
    "data administrators alone see. Have one look under Unassigned in the prearchive and delete it there, check the "
    f"user's rights in the project, {_THEN}",
)  # fmt: skip
CONFLICT: Final = Verdict(
    "dead",
    "conflict",
    "XNAT has the study in conflict in its prearchive: read why in the session's log there, resolve or delete "
    f"it, {_THEN}",
)
OTHER_MODALITY: Final = Verdict(
    "dead",
    "waits-for-a-person",
    "it came after the session was archived, and XNAT makes another type of session of it: the site's "
    "preference preventCrossModalityMerge forbids that. Have it switched off, or set other_modality_session "
    f"for this destination and delete the session from XNAT's prearchive, {_THEN}",
)
OTHER_MODALITY_ALL_THE_SAME: Final = Verdict(
    "dead", "waits-for-a-person", "XNAT makes another type of session of it than of the session that it is for, and it "
    "is not known beforehand which: the site's preference preventCrossModalityMerge forbids that. Have it switched "
    "off, or see that other_modality_session holds {modality}, and delete the session from XNAT's prearchive, "
    f"{_THEN}",
)  # fmt: skip
WORKFLOW: Final = Verdict(
    "failed",
    "workflow",
    "a workflow runs on the session, and XNAT adds nothing to it meanwhile; it is sent again",
    counts=False,
)
ARCHIVE_FAILED: Final = Verdict(
    "failed",
    "server-error",
    "XNAT met an error when it archived the session, such as a full disk; it is sent again. If that repeats "
    "itself, read the session's log in XNAT's prearchive",
)
UNREAD: Final = Verdict(
    "failed",
    "server-error",
    "XNAT says of every instance that it cannot read it: so it says when its disk is full, its database fails "
    "or its anonymization fails; it is sent again. If that repeats itself, look at XNAT's dicom.log",
)
FILTERED: Final = Verdict(
    "dead", "rejected", "XNAT accepted the request and kept nothing: a series import filter or an anonymization script "
    f"drops the instances; change it, {_THEN}",
)  # fmt: skip
UNFIT: Final = Verdict(
    "dead",
    "rejected",
    "XNAT refuses this instance, and took others afterwards: look at XNAT's dicom.log for the reason at this "
    f"time; when it is mended, {_THEN}",
)
UNRECOGNISED: Final = Verdict(
    "dead",
    "unrecognised",
    f"XNAT names its files by the site's dicomFileNameTemplate, which tells neither ${{SOPInstanceUID}} nor "
    f"${{HashSOPClassUIDWithSOPInstanceUID}}: put one of them into it, or set mode: zip, which keeps the "
    f"gateway's names, {_THEN}",
)
TOO_LARGE: Final = Verdict(
    "dead", "too-large", "status 413: XNAT or a proxy before it does not take an instance of this size: raise the "
    f"limit, {_THEN}",
)  # fmt: skip
CONCURRENT: Final = Verdict("failed", "busy", "XNAT is receiving the same study from somebody else at this moment")
NO_PROJECT: Final = Verdict(
    "failed", "no-project", "there is no project of this ID that the user may see; nothing was sent: correct the "
    "destination's project, create it, or add the user to it",
)  # fmt: skip
PROJECT_SPELLING: Final = Verdict(
    "failed", "no-project", "the project's ID is written differently in XNAT, or this is its alias; nothing was sent: "
    "put its ID into the destination's project",
)  # fmt: skip
NO_RIGHTS: Final = Verdict(
    "failed", "no-rights", "the user may not create subjects in the project; nothing was sent: make the user a member "
    "or owner of it",
)  # fmt: skip
AUTO_ARCHIVE: Final = Verdict(
    "failed",
    "auto-archive",
    "the project archives by itself what lies in its prearchive for some minutes, without the person that "
    "into: prearchive is for; nothing was sent: set its prearchive setting to manual in XNAT, or "
    "allow_auto_archive: true",
)
SESSION_COLLISION: Final = Verdict(
    "dead", "label-collision", "the session of this label has another Study Instance UID; nothing was sent. Does an "
    "anonymization script of the site or of the project change Study Instance UIDs? Take that out of it. Or is it "
    f"another study? Rename it in XNAT. {_THEN.capitalize()}",
)  # fmt: skip
SESSION_OF_ANOTHER: Final = Verdict(
    "dead",
    "label-collision",
    f"the project has a session of this label under another subject; nothing was sent: rename it in XNAT, {_THEN}",
)


def collision(kind: str, label: str, other: str) -> Verdict:
    """The verdict of a label that differs by case only from one that somebody else has.

    Parameters
    ----------
    kind
        ``subject`` or ``session``
    label
        the one that cannot be used
    other
        the one that is in its way, or the pseudonym that has it
    """
    return Verdict(
        "dead", "label-collision", f"XNAT takes the {kind} {label} for {other}, which differs from it by case only; "
        f"nothing was sent: correct the look-up table of the pseudonyms, or rename that {kind} in XNAT, {_THEN}",
    )  # fmt: skip


def unverified(error: TransientError, *, ask_seconds: float) -> Verdict:
    """The verdict of instances that were taken, when the listings cannot be read; asked for again after so long."""
    reason = f"XNAT took it, but cannot be asked what it holds: {error.facts.get('reason', error.message)}"
    wait = error.facts.get("retry_after")
    return Verdict("sent", "unverified", reason, wait if isinstance(wait, float) else ask_seconds)


def without_books(error: TransientError) -> Verdict:
    """The verdict of instances that were not sent, because the gateway's own books could not be read."""
    return Verdict("failed", error.code, error.message, counts=False)
