"""The read-only JSON interface: what the gateway holds, by role. No answer holds identity (promise P9).

``/api/status`` and ``/api/account`` are for viewers, ``/api/held``, ``/api/audit``, ``/api/studies`` and ``/api/find``
for data protection officers. The last one takes original identifiers, so it is asked by POST, and audited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.console.resource import ASKED_BY, Answer, BadQuery, Query, Resource, number, only
from gateway.errors import ConfigurationError
from gateway.ledger import InstanceState, Ledger, Selection, StudyFilter
from gateway.service.enquiry import find_new, find_original, study_fields, verdict
from gateway.settings.accounts import Role
from gateway.settings.configuration import Settings

_LONGEST_LIST: Final = 1000


def resources(settings: Settings, books: Callable[[], Ledger]) -> Mapping[str, Resource]:
    """Path -> what it gives, read from the ledger at every request.

    Parameters
    ----------
    settings
        the configuration
    books
        gives the ledger; raises LedgerUnavailable while there is none
    """

    def status(query: Query) -> Answer:
        only(query)
        figures = books().figures.status()
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
                    for row in figures.instances
                ],
                "reasons": [
                    {"project": row.project, "state": row.state.value, "code": row.code, "count": row.count}
                    for row in figures.reasons
                ],
                "deliveries": [
                    {
                        "destination": row.destination,
                        "state": row.state.value,
                        "count": row.count,
                        "bytes": row.size,
                        "oldest": _moment(row.oldest),
                    }
                    for row in figures.deliveries
                ],
            }
        )

    def account(query: Query) -> Answer:
        only(query)
        drawn = books().accounts.draw()
        return Answer.of(
            {
                "balanced": drawn.balanced,
                "problems": list(drawn.problems),
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
                    for row in drawn.projects
                ],
            }
        )

    def held(query: Query) -> Answer:
        only(query, "limit", "after")
        rows = books().holds.instances(
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
                    for record in books().audit.trail(newest=limit)
                ]
            }
        )

    def studies(query: Query) -> Answer:
        only(query, "limit", "before", "source", "project", "destination", "pseudonym", "state", "since", "until",
             "unfinished")  # fmt: skip
        limit = number(query, "limit", default=100, most=_LONGEST_LIST)
        selection = Selection(
            source=query.get("source"),
            project=query.get("project"),
            destination=query.get("destination"),
            patient_id=query.get("pseudonym"),
            since=_asked_moment(query, "since"),
            until=_asked_moment(query, "until"),
            states=_asked_states(query),
        )
        which = StudyFilter(selection=selection, unfinished=query.get("unfinished") == "true")
        before = number(query, "before", default=999_999_999, most=999_999_999)
        reports = books().studies.reports(which, limit=limit + 1, before=before)
        shown = [study_fields(report) for report in reports[:limit]]
        return Answer.of({"studies": shown, "before": reports[limit - 1].number if len(reports) > limit else None})

    def find(query: Query) -> Answer:
        asked_by = query[ASKED_BY]
        query = {name: value for name, value in query.items() if name != ASKED_BY}
        only(query, "original", "as", "pseudonym", "uid", "association")
        wanted = [name for name in ("original", "pseudonym", "uid", "association") if name in query]
        if len(wanted) != 1 or ("as" in query and wanted != ["original"]):
            raise BadQuery("say one of original, pseudonym, uid and association; as goes with original")
        try:
            if wanted == ["original"]:
                reports = find_original(
                    settings, books(), query["original"], by=f"{asked_by} over HTTP", kind=query.get("as")
                )
            else:
                association = number(query, "association", default=1, most=1 << 53) if "association" in query else None
                reports = find_new(
                    books(), pseudonym=query.get("pseudonym"), uid=query.get("uid"), association=association
                )
        except ConfigurationError as error:
            raise BadQuery(str(error.facts["problem"])) from None
        return Answer.of(
            {"verdict": verdict(reports).value, "studies": [study_fields(report) for report in reports[:_LONGEST_LIST]],
             "count": len(reports)}
        )  # fmt: skip

    return {
        "/api/status": Resource(status, Role.VIEWER),
        "/api/account": Resource(account, Role.VIEWER),
        "/api/held": Resource(held, Role.DATA_PROTECTION_OFFICER),
        "/api/audit": Resource(audit, Role.DATA_PROTECTION_OFFICER),
        "/api/studies": Resource(studies, Role.DATA_PROTECTION_OFFICER),
        "/api/find": Resource(find, Role.DATA_PROTECTION_OFFICER, is_posted=True),
    }


def _asked_moment(query: Query, name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        moment = datetime.fromisoformat(query[name])
    except ValueError:
        raise BadQuery(f"{name} is a moment: 2026-05-01T08:00") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _asked_states(query: Query) -> tuple[InstanceState, ...]:
    if "state" not in query:
        return ()
    try:
        return (InstanceState(query["state"]),)
    except ValueError:
        raise BadQuery(f"state is one of {', '.join(InstanceState)}") from None


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
