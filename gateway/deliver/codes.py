"""The codes of deliveries that did not arrive: a closed list, so that each can be counted from zero."""

from __future__ import annotations

from typing import Final

__all__ = ["UNDELIVERED"]

#: Codes of outcomes that are ``failed`` or ``dead``; those of errors of the spool among them.
UNDELIVERED: Final = frozenset(
    {
        "aborted",
        "already-stored",
        "altered",
        "answer-early",
        "answer-empty",
        "answer-too-large",
        "answer-unreadable",
        "association-rejected",
        "auto-archive",
        "busy",
        "commitment-port",
        "commitment-timeout",
        "conflict",
        "connection-lost",
        "context-refused",
        "credentials",
        "disk-full",
        "folder",
        "identified-refused",
        "invalid-label",
        "invalid-uid",
        "label-collision",
        "misrouted",
        "missing",
        "no-commitment",
        "no-project",
        "no-rights",
        "not-committed",
        "not-found",
        "not-listed",
        "not-xnat",
        "output-lost",
        "partial",
        "permission",
        "processing",
        "protocol",
        "proxy",
        "redirect",
        "refused",
        "rejected",
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
        "unrecognised",
        "waits-for-a-person",
        "workflow",
    }
)
