"""The read-only JSON interface: what the gateway holds, by role. No answer holds identity (promise P9).

``/api/status`` and ``/api/account`` are for viewers, ``/api/held`` and ``/api/audit`` for data protection officers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.access import Authenticator, Role
from gateway.config import Settings
from gateway.console import Answer, Doorkeeper, Query, Resource, number, only
from gateway.ledger import Ledger

_LONGEST_LIST: Final = 1000


def doorkeeper(settings: Settings) -> Doorkeeper:
    """Who may ask over HTTP, and by which kind of connection.

    Raises
    ------
    ConfigurationError: a file of ``http.tls`` cannot be used
    """
    tls = settings.http.tls
    return Doorkeeper(
        authenticator=Authenticator(tuple(user.user(name) for name, user in (settings.users or {}).items())),
        tls=None if tls is None else tls.context(place="http.tls"),
    )


def resources(ledger: Ledger) -> Mapping[str, Resource]:
    """Path -> what it gives, read from ``ledger`` at every request."""

    def status(query: Query) -> Answer:
        only(query)
        found = ledger.status()
        return Answer.of(
            {
                "instances": [
                    {
                        "project": row.project,
                        "state": row.state.value,
                        "count": row.count,
                        "bytes": row.size,
                        "oldest": _moment(row.oldest),
                    }
                    for row in found.instances
                ],
                "reasons": [
                    {"project": row.project, "state": row.state.value, "code": row.code, "count": row.count}
                    for row in found.reasons
                ],
                "deliveries": [
                    {
                        "destination": row.destination,
                        "state": row.state.value,
                        "count": row.count,
                        "bytes": row.size,
                        "oldest": _moment(row.oldest),
                    }
                    for row in found.deliveries
                ],
            }
        )

    def account(query: Query) -> Answer:
        only(query)
        found = ledger.account()
        return Answer.of(
            {
                "balanced": found.balanced,
                "problems": list(found.problems),
                "projects": [
                    {
                        "project": row.project,
                        "received": row.received,
                        "in_progress": row.in_progress,
                        "rejected": dict(row.rejected),
                        "held": dict(row.held),
                        "deidentified": row.deidentified,
                        "delivered": row.delivered,
                        "purged": row.purged,
                    }
                    for row in found.projects
                ],
            }
        )

    def held(query: Query) -> Answer:
        only(query, "limit", "after")
        rows = ledger.held(
            limit=number(query, "limit", default=100, most=_LONGEST_LIST),
            after=number(query, "after", default=0, least=0, most=999_999_999),
        )
        return Answer.of(
            {
                "held": [
                    {
                        "instance": row.instance_id,
                        "project": row.project,
                        "source": row.source,
                        "code": row.code,
                        "detail": row.detail,
                        "received_at": _moment(row.received_at),
                        "held_at": _moment(row.held_at),
                    }
                    for row in rows
                ]
            }
        )

    def audit(query: Query) -> Answer:
        only(query, "limit")
        limit = number(query, "limit", default=100, most=_LONGEST_LIST)
        names = ("at", "actor", "action", "subject", "because")
        return Answer.of(
            {
                "entries": [
                    {
                        "number": record.number,
                        "digest": record.digest,
                        **{name: record.text(name) for name in names},
                        "facts": record.facts,
                    }
                    for record in ledger.audit_trail(newest=limit)
                ]
            }
        )

    return {
        "/api/status": Resource(status, Role.VIEWER),
        "/api/account": Resource(account, Role.VIEWER),
        "/api/held": Resource(held, Role.DATA_PROTECTION_OFFICER),
        "/api/audit": Resource(audit, Role.DATA_PROTECTION_OFFICER),
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
