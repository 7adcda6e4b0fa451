"""What may become of an instance at XNAT, each outcome with its remedy.

==================  =========  =======================================================================================
code                state      meaning
==================  =========  =======================================================================================
``archived``        confirmed  XNAT lists its file in the session of the archive
``prearchived``     confirmed  XNAT lists its file in the session of the prearchive, where it was to go
``processing``      sent       XNAT has taken it and is at work on the session
``unverified``      sent       XNAT has taken it, but its listings could not be read
``partial``         failed     XNAT holds other instances that were sent with it, but not this one
``missing``         failed     XNAT said that it took the study, and holds nothing of it
``no-project``      failed     there is no such project, or the user may not see it
``no-rights``       failed     the user may not create subjects in the project
``busy``            failed     the session is locked, or the server asks for patience
``storage-full``    failed     the server's disk is full
``server-error``    failed     the server met an error, and does not hold the instance
``misrouted``       dead       it lies in another project, or in none
``conflict``        dead       it contradicts what the archive holds, or XNAT could not build the session
``rejected``        dead       XNAT refuses this instance, or filters it out
``label-collision`` dead       XNAT would put it into another patient's subject, or another study's session
``too-large``       dead       XNAT does not take an instance of this size
==================  =========  =======================================================================================

Besides these there are the codes of connections (``unreachable``, ``timeout``, ``tls``, ``connection-lost``,
``credentials`` and so on, all failed) and of instances that cannot be sent (``invalid-uid``, ``invalid-label``,
``spool-corrupt``, dead; ``spool-unreadable``, failed).
"""

from __future__ import annotations

from typing import Final

from gateway.deliver.base import Verdict
from gateway.errors import DeliveryFailed, SpoolCorrupt, SpoolUnavailable

#: "Then" in a remedy: what an operator does when the cause is gone.
_THEN: Final = "then: gateway deliveries retry"


ARCHIVED: Final = Verdict("confirmed", "archived", "listed by name in the session of the archive")
PREARCHIVED: Final = Verdict("confirmed", "prearchived", "listed by name in the session of the prearchive")
PROCESSING: Final = Verdict("sent", "processing", "XNAT is still at work on the session; its listings are asked again")
MISSING: Final = Verdict(
    "failed", "missing", "XNAT took the study, and does not list it; it is sent again. If that repeats itself, look "
    "for a series import filter, an anonymization script that rejects, or errors in XNAT's dicom.log",
)  # fmt: skip
PARTIAL: Final = Verdict(
    "failed", "partial", "XNAT lists other instances of the study, but not this one; it is sent again. If that repeats "
    "itself, look for a series import filter or an anonymization script that rejects it",
)  # fmt: skip
MISROUTED: Final = Verdict(
    "dead", "misrouted", "XNAT put it into the prearchive of another project or of none: move or delete that session "
    f"in XNAT, check the project's ID and the user's rights, {_THEN}",
)  # fmt: skip
CONFLICT: Final = Verdict(
    "dead", "conflict", "XNAT has the study in conflict or error in its prearchive: read why in the session's log "
    f"there, resolve or delete it, {_THEN}",
)  # fmt: skip
FILTERED: Final = Verdict(
    "dead", "rejected", "XNAT accepted the request and kept nothing: a series import filter or an anonymization script "
    f"drops the instances; change it, {_THEN}",
)  # fmt: skip
UNFIT: Final = Verdict(
    "dead", "rejected", "XNAT refuses the instance: look at XNAT's dicom.log for the reason at this time; when it is "
    f"mended, {_THEN}",
)  # fmt: skip
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
SUBJECT_COLLISION: Final = Verdict(
    "dead", "label-collision", "the project has a subject whose label differs by case only, and XNAT would take the "
    f"two for one; nothing was sent: change the destination's subject label or rename that subject, {_THEN}",
)  # fmt: skip
SESSION_COLLISION: Final = Verdict(
    "dead", "label-collision", "the session of this label is of another study; nothing was sent: rename it in XNAT, "
    f"{_THEN}",
)  # fmt: skip


def unanswered(error: DeliveryFailed) -> Verdict:
    """The verdict of a request that was not answered, or not as expected."""
    wait = error.facts.get("retry_after")
    retry_after = wait if isinstance(wait, float) else None
    return Verdict("failed", str(error.facts["code"]), str(error.facts["reason"]), retry_after)


def unverified(error: DeliveryFailed, *, ask_seconds: float) -> Verdict:
    """The verdict of instances that were taken, when the listings cannot be read; asked for again after so long."""
    reason = f"XNAT took it, but cannot be asked what it holds: {error.facts['reason']}"
    return Verdict("sent", "unverified", reason, unanswered(error).retry_after or ask_seconds)


def unreadable(error: SpoolUnavailable | SpoolCorrupt) -> Verdict:
    """The verdict of an instance whose stored bytes are not to be had."""
    if isinstance(error, SpoolCorrupt):
        return Verdict("dead", "spool-corrupt", error.message)
    return Verdict("failed", "spool-unreadable", error.message)
