"""The audit trail's entries: who did what, to what, and why.

An entry holds no identity but that of the acting person (promise P9): its subject is a project, a row number, a name of
the configuration or a new value, never an original one.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

__all__ = ["SYSTEM", "AuditAction", "AuditEntry", "AuditFact", "acting_person"]

#: What an entry may add to its subject.
AuditFact: TypeAlias = str | int | bool | tuple[str, ...]

#: The actor of what the gateway does by itself.
SYSTEM: Final = "gateway"
_LONGEST_REASON: Final = 1000


class AuditAction(StrEnum):
    """What is audited."""

    GATEWAY_STARTED = "gateway-started"
    GATEWAY_STOPPED = "gateway-stopped"
    PROFILE_ACTIVATED = "profile-activated"
    PROFILE_REFUSED = "profile-refused"
    KEY_CHANGED = "key-changed"
    HELD_RELEASED = "held-released"
    HELD_MASKED = "held-masked"
    HELD_REJECTED = "held-rejected"
    HELD_VIEWED = "held-viewed"
    HELD_RETRIED = "held-retried"
    SERIES_REMADE = "series-remade"
    DELIVERY_FORCED = "delivery-forced"
    DELIVERY_CANCELLED = "delivery-cancelled"
    DELIVERY_MOVED = "delivery-moved"
    INSTANCES_REDONE = "instances-redone"
    ORIGINAL_SOUGHT = "original-sought"
    CROSSWALK_READ = "crosswalk-read"
    WORDS_ACCEPTED = "words-accepted"
    WORDS_REJECTED = "words-rejected"
    BACKUP_MADE = "backup-made"
    BACKUP_RESTORED = "backup-restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that somebody did.

    Attributes
    ----------
    actor: the acting person's account, or ``gateway``
    action: what was done
    subject: to what: a project, the number of an instance, a destination
    because: why, in the person's words; empty where nobody is asked
    facts: what else belongs to it: counts, digests, versions, names of the configuration

    Raises
    ------
    ValueError: there is no actor, or the reason is longer than 1000 characters
    """

    actor: str
    action: AuditAction
    subject: str
    because: str = ""
    facts: Mapping[str, AuditFact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.actor:
            raise ValueError("an audit entry names who acts")
        if len(self.because) > _LONGEST_REASON:
            raise ValueError(f"a reason has at most {_LONGEST_REASON} characters")


def acting_person() -> str:
    """The account of the person at the command line.

    Of a command that runs as root by way of sudo, the account that called sudo: only root can set that variable for a
    process of root's.
    """
    user = os.getuid()
    caller = os.environ.get("SUDO_USER", "") if user == 0 else ""
    if caller.isprintable() and caller not in ("", "root"):
        return f"{caller} (as root)"
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        # Containers run under numbers without a name.
        return f"uid {user}"
