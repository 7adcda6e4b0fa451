"""The audit trail's entries: who did what, to what, and why.

An entry holds no identity but that of the acting person (promise P9): its subject is a project, a row number, a name of
the configuration or a new value, never an original one.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["SYSTEM", "AuditAction", "AuditEntry", "AuditFact", "acting_person"]

#: What an entry may add to its subject.
AuditFact: TypeAlias = str | int | bool | tuple[str, ...]

#: The actor of what the gateway does by itself.
SYSTEM: Final = "gateway"
_LONGEST_REASON: Final = 1000
_LOGIN: Final = Path("/proc/self/loginuid")
#: What the kernel says where nobody logged in.
_NOBODY: Final = (1 << 32) - 1
#: What an account may be called, in a directory, too.
_CALLER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?", re.ASCII)


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
    HISTORY_ARCHIVED = "history-archived"
    INSTANCES_ARCHIVED = "instances-archived"
    TAMPERING_NOTICED = "tampering-noticed"
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
    actor
        the acting person's account, or ``gateway``
    action
        what was done
    subject
        to what: a project, the number of an instance, a destination
    because
        why, in the person's words; empty where nobody is asked
    facts
        what else belongs to it: counts, digests, versions, names of the configuration

    Raises
    ------
    ValueError
        there is no actor, or the reason is longer than 1000 characters
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
    """The person at the command line: who logged in, whatever account acts.

    The kernel keeps the account that somebody logged in with (``/proc/self/loginuid``, pam_loginuid(8)); sudo and su
    leave it as it is, and the environment has no say. Where nobody logged in, as in a service or a container, it is
    the account of the process; what sudo says of its caller is then a hint, and told as one.
    """
    user, login = os.getuid(), _login()
    if login is not None:
        return _account(login) if login == user else f"{_account(login)} (as {_account(user)})"
    caller = os.environ.get("SUDO_USER", "")
    if _CALLER.fullmatch(caller) is None or caller == _account(user):
        return _account(user)
    return f"{_account(user)} (sudo says {caller})"


def _login() -> int | None:
    """The account that logged in; None if none did, or the kernel does not tell."""
    try:
        account = int(_LOGIN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if account == _NOBODY else account


def _account(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        # Containers run under numbers without a name.
        return f"uid {user}"
