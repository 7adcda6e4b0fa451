"""The codes of deliveries that did not arrive: a closed list, so that each can be counted from zero."""

from __future__ import annotations

from typing import Final

from gateway.deliver.kinds import KINDS

__all__ = ["OUTAGES", "UNDELIVERED"]

_EVERYWHERE: Final = frozenset(
    {
        "already-stored",
        "answer-unreadable",
        "busy",
        "connection-lost",
        "credentials",
        "identified-refused",
        "invalid-uid",
        "not-found",
        "output-lost",
        "redirect",
        "server-error",
        "spool-corrupt",
        "spool-unavailable",
        "spool-unreadable",
        "storage-full",
        "timeout",
        "tls",
        "too-large",
        "unexpected-status",
        "unreachable",
    }
)
#: Codes of outcomes that are ``failed`` or ``dead``; those of errors of the spool among them.
UNDELIVERED: Final = _EVERYWHERE.union(*(kind.codes for kind in KINDS))

#: Codes of outcomes that concern the destination as a whole.
OUTAGES: Final = frozenset(
    {"unreachable", "timeout", "tls", "credentials", "busy", "not-found", "redirect", "unexpected-status"}
).union(*(kind.outages for kind in KINDS))
